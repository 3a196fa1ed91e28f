"""Draws throughput against peak RSS with matplotlib."""
from heapdyno.draw import FAINT, INK, Figure, line_style
from heapdyno.tradeoff import CAPTION, RSS_AXIS


def draw_tradeoff(t, machine):
    """A matplotlib Figure of one Tradeoff."""
    figure = Figure(figsize=(8.6, 5.2))
    axes = figure.add_axes((0.09, 0.2, 0.66, 0.65))
    for p in t.points:
        axes.plot(p.rss_bounds, (p.rate, p.rate), color=p.look.colour, linewidth=1, zorder=2)
        axes.plot((p.rss, p.rss), p.rate_bounds, color=p.look.colour, linewidth=1, zorder=2)
        axes.plot([p.rss], [p.rate], zorder=3, label=p.title, gid=f"point-{p.label}",
                  **{**line_style(p.look), "linestyle": "none", "markersize": 7})
    axes.step([p.rss for p in t.on_front], [p.rate for p in t.on_front], where="post", color=FAINT,
              linewidth=0.9, linestyle="--", zorder=1, gid="front")
    axes.set_xlim(0, t.limits[0])
    axes.set_ylim(0, t.limits[1])
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), frameon=False, fontsize=9)
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel(RSS_AXIS)
    axes.set_ylabel(f"{t.unit} (up is better)")
    texts = ((0.945, t.heading, 13, "bold", INK), (0.905, t.params, 8, "normal", FAINT),
             (0.055, CAPTION, 8, "normal", FAINT), (0.022, machine, 8, "normal", FAINT))
    for y, text, size, weight, colour in texts:
        figure.text(0.02, y, text, fontsize=size, weight=weight, color=colour)
    return figure
