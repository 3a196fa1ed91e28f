"""Draws the pictures of memory with matplotlib."""
import math

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from heapdyno.draw import FAINT, INK, label_lines, shortened
from heapdyno.memory_picture import LIVE, SHADES
from heapdyno.style import looks as ordered_looks, short_names


def _texts(figure, p, height):
    figure.text(0.02, 1 - 0.26 / height, p.heading, fontsize=14, weight="bold", color=INK)
    figure.text(0.02, 1 - 0.48 / height, shortened(p.conditions, 130), fontsize=8, color=FAINT)
    for i, note in enumerate((p.caption, p.machine)):
        figure.text(0.02, (0.29 - 0.16 * i) / height, shortened(note, 150), fontsize=8, color=FAINT)


def _style(look):
    return {"color": look.colour, "linewidth": 1.5, "linestyle": "--" if look.is_reference else "-"}


def _draw_curves(axes, p):
    if p.live:
        axes.fill_between(p.live.times, p.live.values, color=LIVE, linewidth=0, zorder=1, gid="live")
    for curve in p.curves:
        axes.plot(curve.times, curve.values, gid=f"line-{curve.label}",
                  zorder=3 if curve.look.is_reference else 4, **_style(curve.look))
    axes.set_xlim(0, p.limits[0])
    axes.set_ylim(0, p.limits[1])
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)


def draw_time(p):
    """A Figure of one TimePicture, with the names of the lines at their right ends."""
    figure = Figure(figsize=(9.6, 5.8))
    longest = max(len(curve.title) for curve in p.curves)
    axes = figure.add_axes((0.08, 0.17, min(0.72, 0.85 - 0.0082 * longest), 0.70))
    _draw_curves(axes, p)
    axes.set_xlabel("seconds")
    axes.set_ylabel("MiB held")
    label_lines(axes, p)
    _texts(figure, p, 5.8)
    return figure


def draw_time_panel(p):
    """The same for half a page."""
    height = max(3.4, 0.2 * len(p.curves) + 1.0)
    figure = Figure(figsize=(5.2, height))
    labels_in = 0.42 + 0.067 * max(len(curve.title) for curve in p.curves)
    axes = figure.add_axes((0.52 / 5.2, 0.46 / height, 1 - (0.52 + labels_in) / 5.2, 1 - 0.84 / height))
    _draw_curves(axes, p)
    axes.set_xlabel("seconds", labelpad=2)
    axes.tick_params(labelsize=9)
    figure.text(0.01, 1 - 0.16 / height, "MiB held" + ("; grey: live" if p.live else ""), fontsize=9,
                color=INK)
    label_lines(axes, p)
    return figure


def draw_time_overview(pictures):
    """A Figure with one small panel a workload and one legend for all."""
    n_columns = 2 if len(pictures) <= 4 else 3
    n_rows = math.ceil(len(pictures) / n_columns)
    height = 1.7 + 2.9 * n_rows
    figure = Figure(figsize=(10.5, height))
    grid = figure.subplots(n_rows, n_columns, squeeze=False)
    figure.subplots_adjust(left=0.07, right=0.98, top=1 - 0.85 / height, bottom=1.3 / height, hspace=0.52,
                           wspace=0.22)
    for axes, p in zip(grid.flat, pictures):
        _draw_curves(axes, p)
        axes.set_title(f"{p.comparison}, {p.threads} thr.", loc="left", fontsize=10)
        axes.tick_params(labelsize=8)
        axes.set_xlabel("seconds", fontsize=8, labelpad=1)
    for axes in list(grid.flat)[len(pictures):]:
        axes.set_visible(False)
    looks = {curve.label: curve.look for p in pictures for curve in p.curves}
    names = short_names(ordered_looks(looks))
    handles = [Line2D([], [], label=name + (" (bound)" if looks[label].is_reference else ""),
                      **_style(looks[label])) for label, name in names.items()]
    figure.legend(handles=handles, loc="lower center", ncol=math.ceil(len(handles) / 2), frameon=False,
                  fontsize=8.5, bbox_to_anchor=(0.5, 0.36 / height))
    figure.text(0.02, 1 - 0.36 / height, "memory held over time, MiB", fontsize=13, weight="bold", color=INK)
    note = "one process a line"
    if any(p.live for p in pictures):
        where = "" if all(p.live for p in pictures) else " where the workload counts them"
        note += f"; grey: live bytes{where}, as with the first to have freed everything"
    figure.text(0.02, 0.24 / height, note, fontsize=8, color=FAINT)
    figure.text(0.02, 0.08 / height, pictures[0].machine, fontsize=8, color=FAINT)
    return figure


def draw_bars(p, width=9.6, has_texts=True):
    """A Figure of one BarPicture: a group of bars an allocator, a shade a moment; lines lowest to highest."""
    height = 0.6 + 1.0 * has_texts + 0.42 * len(p.bars) + 0.3
    figure = Figure(figsize=(width, height))
    names_in = p.names_width
    below, above = (0.95, 0.95) if has_texts else (0.5, 0.45)
    axes = figure.add_axes((names_in / width, below / height, 1 - (names_in + 0.3) / width,
                            1 - (below + above) / height))
    n = len(p.moments)
    for i, (label, _, look, values) in enumerate(p.bars):
        for k, value in enumerate(values):
            if value != value:
                continue
            y = i + (k - (n - 1) / 2) * 0.8 / n
            axes.barh(y, max(value, 0), 0.8 / n, color=look.colour, alpha=SHADES[k], linewidth=0,
                      gid=f"bar-{label}-{k}")
            if p.highs[i][k] > p.lows[i][k]:
                axes.plot([max(p.lows[i][k], 0), p.highs[i][k]], [y, y], color=INK, linewidth=0.9)
    if p.shows_live:
        axes.axvline(p.peak_live, color=FAINT, linewidth=0.9, linestyle=":", gid="peak-live")
        axes.text(p.peak_live, 1.01, "live at the peak", transform=axes.get_xaxis_transform(), ha="center",
                  va="bottom", fontsize=8, color=FAINT)
    axes.set_xlim(0, p.right)
    axes.set_ylim(len(p.bars) - 0.5, -0.5)
    axes.set_yticks(range(len(p.bars)), [title for _, title, _, _ in p.bars])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(p.axis)
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    if has_texts:
        _texts(figure, p, height)
    return figure


def draw_bars_panel(p):
    return draw_bars(p, 5.2, has_texts=False)
