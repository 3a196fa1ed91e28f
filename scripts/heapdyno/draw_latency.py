"""Draws latency percentiles with matplotlib."""
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from heapdyno.draw import FAINT, INK, LABEL_WIDTH, label_lines, line_style, shortened
from heapdyno.latency import beyond


def draw_latency(p):
    """A matplotlib Figure of one LatencyPicture: percentiles by how few values lie beyond them, so that each
    further nine has the same room."""
    figure = Figure(figsize=(9.6, 5.8))
    longest = max(len(line.title) for line in p.lines)
    axes = figure.add_axes((0.1, 0.19, min(0.68, 0.83 - LABEL_WIDTH * longest), 0.66))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(*p.x_limits)
    axes.set_ylim(*p.y_limits)
    for axis, ticks in ((axes.xaxis, p.x_ticks), (axes.yaxis, p.y_ticks)):
        axis.set_major_locator(FixedLocator([at for at, _ in ticks]))
        axis.set_major_formatter(FixedFormatter([text for _, text in ticks]))
        axis.set_minor_locator(NullLocator())
    axes.grid(axis="both", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    if p.timer_ns is not None:
        axes.axhline(p.timer_ns, color=FAINT, linewidth=1, linestyle=":", zorder=1, gid="timer")
    for line in p.lines:
        x = [beyond(percentile) for percentile in line.percentiles]
        axes.fill_between(x, line.lows, line.highs, color=line.look.colour, alpha=0.12, linewidth=0, zorder=2)
        axes.plot(x, line.values, gid=f"line-{line.label}", zorder=3 if line.look.is_reference else 4,
                  **line_style(line.look))
    axes.set_xlabel("percentile")
    axes.set_ylabel("latency (log scale)")
    label_lines(axes, p)
    figure.text(0.02, 0.955, p.heading, fontsize=14, weight="bold", color=INK)
    figure.text(0.02, 0.918, shortened(p.conditions, 130), fontsize=8, color=FAINT)
    for i, note in enumerate((p.caption, p.machine)):
        figure.text(0.02, 0.078 - 0.028 * i, note, fontsize=8, color=FAINT)
    return figure
