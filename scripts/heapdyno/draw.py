"""Draws pictures with matplotlib."""
import math

import matplotlib
import numpy as np

matplotlib.use("Agg")
# Text stays text, and the same data give the same bytes.
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "heapdyno", "font.family": "DejaVu Sans",
                            "font.size": 10, "axes.spines.top": False, "axes.spines.right": False})

from matplotlib.figure import Figure  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402
from matplotlib.patches import Rectangle  # noqa: E402, F401
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator  # noqa: E402

from heapdyno.scaling import capacity  # noqa: E402
from heapdyno.style import looks as ordered_looks, short_names  # noqa: E402

INK = "#222222"
FAINT = "#666666"
SHADE = "#F1EFEA"
DPI = 150
PANEL_WIDTH_IN = 4.6
TICKS_IN = 0.6
"""Left of a panel's axis: room for 0.0001."""
LINE_GAP_IN = 0.2
"""Between the names beside the lines."""
LABEL_WIDTH = 0.0082
"""Of a letter in the names beside the lines, as a share of the figure's width."""


def draw_picture(p):
    """A matplotlib Figure of one picture, with the names of the lines at their right ends."""
    figure = Figure(figsize=(9.6, 5.8))
    longest = max(len(line.title) for line in p.lines)
    axes = figure.add_axes((0.08, 0.19, min(0.70, 0.85 - LABEL_WIDTH * longest), 0.66))
    _draw_axes(axes, p)
    axes.set_xlabel("threads")
    axes.set_ylabel(p.style.axis + (" (log scale)" if p.is_log else ""))
    label_lines(axes, p)
    _mark_limits(axes, p, with_text=True)
    figure.text(0.02, 0.955, f"{p.comparison}: {p.style.title}", fontsize=14, weight="bold", color=INK)
    figure.text(0.02, 0.918, shortened(p.conditions, 130), fontsize=8, color=FAINT)
    notes = [p.caption + (f"; dotted: {p.style.ideal}" if p.ideal else "")]
    if p.remark:
        notes.append(shortened(p.remark, 130))
    notes.append(p.machine)
    for i, note in enumerate(notes):
        figure.text(0.02, 0.078 - 0.028 * i, note, fontsize=8, color=FAINT)
    return figure


def draw_panel(p):
    """The same for half a page: smaller, and without the texts, which stand beside it there."""
    height = max(3.1, LINE_GAP_IN * len(p.lines) + 1.0)
    figure = Figure(figsize=(PANEL_WIDTH_IN, height))
    labels_in = 0.42 + 0.067 * max(len(line.title) for line in p.lines)
    axes = figure.add_axes((TICKS_IN / PANEL_WIDTH_IN, 0.46 / height,
                            1 - (TICKS_IN + labels_in) / PANEL_WIDTH_IN, 1 - 0.84 / height))
    _draw_axes(axes, p)
    axes.set_xlabel("threads", labelpad=2)
    axes.tick_params(labelsize=9)
    figure.text(0.01, 1 - 0.16 / height, p.style.axis + (" (log scale)" if p.is_log else ""), fontsize=9,
                color=INK)
    label_lines(axes, p)
    _mark_limits(axes, p, with_text=True)
    return figure


def draw_overview(pictures):
    """A Figure with one small picture a comparison and one legend for all."""
    n_columns = 2 if len(pictures) <= 4 else 3
    n_rows = math.ceil(len(pictures) / n_columns)
    height = 1.7 + 2.9 * n_rows
    figure = Figure(figsize=(10.5, height))
    grid = figure.subplots(n_rows, n_columns, squeeze=False)
    figure.subplots_adjust(left=0.07, right=0.98, top=1 - 0.85 / height, bottom=1.3 / height,
                           hspace=0.6, wspace=0.22)
    for axes, p in zip(grid.flat, pictures):
        _draw_axes(axes, p)
        _mark_limits(axes, p, with_text=False)
        unit = "" if have_one_unit(pictures) else f", {p.style.axis}"
        axes.set_title(p.comparison + unit + (" (log)" if p.is_log else ""), loc="left", fontsize=10, pad=13)
        axes.text(0, 1.02, shortened(p.params, 150 // n_columns), transform=axes.transAxes,
                  fontsize=7, color=FAINT)
        axes.tick_params(labelsize=8)
        axes.set_xlabel("threads", fontsize=8, labelpad=1)
    for axes in list(grid.flat)[len(pictures):]:
        axes.set_visible(False)
    looks = {line.label: line.look for p in pictures for line in p.lines}
    names = short_names(ordered_looks(looks))
    handles = [Line2D([], [], label=name + (" (bound)" if looks[label].is_reference else ""),
                      **line_style(looks[label])) for label, name in names.items()]
    figure.legend(handles=handles, loc="lower center", ncol=math.ceil(len(handles) / 2), frameon=False,
                  fontsize=8.5, bbox_to_anchor=(0.5, 0.36 / height))
    texts = [(1 - 0.36 / height, f"{overview_title(pictures)}, against threads", 13, "bold", INK),
             (0.24 / height, _overview_caption(pictures), 8, "normal", FAINT),
             (0.08 / height, pictures[0].machine, 8, "normal", FAINT)]
    for y, text, size, weight, colour in texts:
        figure.text(0.02, y, text, fontsize=size, weight=weight, color=colour)
    return figure


def have_one_unit(pictures):
    return len({p.style.axis for p in pictures}) == 1


def overview_title(pictures):
    return pictures[0].style.overview if have_one_unit(pictures) else pictures[0].style.title


def _overview_caption(pictures):
    captions = {p.caption for p in pictures}
    parts = [captions.pop() if len(captions) == 1 else "medians; n and bands as in the single figures"]
    if any(p.shade_from is not None for p in pictures):
        parts.append("shaded: more threads than processing units")
    if any(p.ideal for p in pictures):
        parts.append("dotted: ideal scaling")
    if any(not p.is_log and max(v for v in line.values if v == v) > p.y_limits[1]
           for p in pictures for line in p.lines):
        parts.append("bounds far above are cut off")
    if any(p.remark for p in pictures):
        parts.append("some values are missing: see the single figures")
    return "; ".join(parts)


def save(figure, stem):
    """Writes stem.png and stem.svg; returns their paths."""
    paths = [stem.with_name(stem.name + ".png"), stem.with_name(stem.name + ".svg")]
    figure.savefig(paths[0], dpi=DPI, facecolor="white", metadata={"Software": None})
    figure.savefig(paths[1], facecolor="white", metadata={"Date": None})
    return paths


def line_style(look):
    return {"color": look.colour, "marker": look.marker, "markersize": 5, "linewidth": 1.6,
            "linestyle": "--" if look.is_reference else "-",
            "markerfacecolor": look.colour if look.is_filled else "white"}


def _draw_axes(axes, p):
    axes.set_xscale("log", base=2)
    axes.set_xlim(p.threads[0] / 1.12, p.threads[-1] * 1.12)
    axes.xaxis.set_major_locator(FixedLocator(p.threads))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda t, _: f"{t:.0f}"))
    if p.is_log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(FixedLocator(p.y_ticks))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.set_ylim(*p.y_limits)
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    if p.shade_from is not None:
        axes.axvspan(p.shade_from, axes.get_xlim()[1], color=SHADE, linewidth=0, zorder=0,
                     gid="oversubscribed")
    if p.ideal:
        per_thread, up_to = p.ideal
        x = np.geomspace(p.threads[0], p.threads[-1], 200)
        x = np.unique(np.append(x, min(up_to, p.threads[-1])))  # the knee itself is a point
        axes.plot(x, per_thread * np.minimum(x, up_to), color=FAINT, linewidth=1, linestyle=":", zorder=1,
                  gid="ideal")
    for fit in p.fits:
        x = np.geomspace(fit.low, fit.high, 100)
        axes.plot(x, fit.base * capacity(x, fit.sigma, fit.kappa), color=fit.look.colour, linewidth=0.8,
                  linestyle=(0, (6, 2, 1, 2)), zorder=2, gid="law")
    for line in p.lines:
        x = [t * p.dodge(line) for t in line.threads]
        axes.fill_between(x, line.lows, line.highs, color=line.look.colour, alpha=0.12, linewidth=0, zorder=2)
        axes.plot(x, line.values, gid=f"line-{line.label}", zorder=3 if line.look.is_reference else 4,
                  **line_style(line.look))
        _draw_bars(axes, line, x)


def _draw_bars(axes, line, x):
    """What a band would show, at points that stand alone."""
    for at, low, high, threads in zip(x, line.lows, line.highs, line.threads):
        if threads in line.alone() and high > low:
            axes.errorbar(at, low, yerr=[[0], [high - low]], fmt="none", ecolor=line.look.colour,
                          elinewidth=1.2, capsize=4, zorder=3)


def _mark_limits(axes, p, with_text):
    for threads, text in p.limits:
        axes.axvline(threads, color=FAINT, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
        if with_text:
            axes.text(threads, 1.01, text, transform=axes.get_xaxis_transform(), ha="center", va="bottom",
                      fontsize=8, color=FAINT)
    if with_text and p.shade_from is not None:
        right = axes.get_xlim()[1]
        axes.text(right, 1.01, "oversubscribed", transform=axes.get_xaxis_transform(), ha="right",
                  va="bottom", fontsize=8, color=FAINT)


def label_lines(axes, p):
    """Names right of the axes, in the order of the lines' ends, moved apart where they would overlap."""
    ends = []
    for line in p.lines:
        _, y = axes.transAxes.inverted().transform(axes.transData.transform(line.end()))
        ends.append(min(max(y, 0), 1))
    box = axes.get_window_extent().transformed(axes.figure.dpi_scale_trans.inverted())
    places = spread(ends, LINE_GAP_IN / box.height)
    turn, point, name = (1 + inches / box.width for inches in (0.17, 0.24, 0.34))
    for line, end, place in zip(p.lines, ends, places):
        options = {"transform": axes.transAxes, "clip_on": False}
        axes.add_line(Line2D([1.0, turn], [end, place], color=line.look.colour, linewidth=0.6, **options))
        axes.add_line(Line2D([point], [place], **line_style(line.look), **options))
        axes.text(name, place, line.title, transform=axes.transAxes, va="center", fontsize=9, color=INK)


def spread(wanted, gap):
    """Positions in [0, 1], falling, at least `gap` apart and otherwise as near as can be to the wanted ones
    (falling): least squares under the order, by pooling adjacent violators (Ayer et al. 1955)."""
    pools = []  # (sum, count) of w + i * gap, which must not rise
    for i, w in enumerate(wanted):
        pools.append((w + i * gap, 1))
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] < pools[-1][0] / pools[-1][1]:
            total, count = pools.pop()
            pools[-1] = (pools[-1][0] + total, pools[-1][1] + count)
    levels = [total / count for total, count in pools for _ in range(count)]
    lowest = (len(levels) - 1) * gap
    return [min(max(level, lowest), 1.0) - i * gap for i, level in enumerate(levels)]


def shortened(text, n):
    return text if len(text) <= n else text[:n - 3] + "..."
