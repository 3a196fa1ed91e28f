"""The run in the order in which it was measured: each timed process against the median of its own cell. A
machine that gets slower or faster, or a load that came and went, is seen here and nowhere else."""
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import theilslopes

from heapdyno import columns, style
from heapdyno.draw import FAINT, INK, Figure, line_style
from heapdyno.stats import median_interval

MIN_PROCESSES = 12
WINDOW = 15
"""Processes of the running median."""


@dataclass(frozen=True)
class Drift:
    """`points`: a DataFrame with minute, percent (off the cell's median), label. The slope, in percent over
    the whole run, is the median over the cells of each one's own (Theil and Sen), with its 95 % interval:
    cells are independent, repetitions of one are not once its median is taken off. None: too few cells for
    one."""
    points: pd.DataFrame
    slope: float
    low: float | None
    high: float | None
    n_cells: int


def drift(run):
    """The Drift of a run, or the reason why there is none."""
    samples = run.samples
    ok = samples[(samples["pass"] == "timed") & (samples["status"] == "ok") & (samples["ops_per_s"] > 0)]
    if "start_unix_ns" not in ok or ok["start_unix_ns"].isna().any():
        return "the time at which processes started is not recorded"
    cells = ok.groupby("cell_id")["ops_per_s"]
    percent = 100 * (ok["ops_per_s"] / cells.transform("median") - 1)
    ok = ok.assign(percent=percent)[cells.transform("size") > 1]
    if len(ok) < MIN_PROCESSES:
        return f"{len(ok)} timed processes of cells with repetitions, {MIN_PROCESSES} are the fewest"
    ok = ok.sort_values("start_unix_ns")
    minute = (ok["start_unix_ns"] - ok["start_unix_ns"].iloc[0]) / 60e9
    labels = [columns.label(*pair) for pair in zip(ok["allocator"], ok["config"])]
    points = pd.DataFrame({"minute": minute.to_numpy(), "percent": ok["percent"].to_numpy(), "label": labels})
    share = (minute / minute.iloc[-1]).groupby(ok["cell_id"])
    slopes = [theilslopes(ok.loc[at.index, "percent"], at)[0] for _, at in share]
    return Drift(points, *median_interval(slopes), len(slopes))


def slope_text(d):
    """`trend over the run -0.3 % [-1.2, +0.4]: no drift is shown`"""
    if d.low is None:
        return f"trend over the run {d.slope:+.2g} %; too few cells to tell"
    is_shown = d.low > 0 or d.high < 0
    return (f"trend over the run {d.slope:+.2g} % [{d.low:+.2g}, {d.high:+.2g}]: "
            + ("the machine drifted" if is_shown else "no drift is shown"))


def draw(d, all_labels, machine):
    figure = Figure(figsize=(9.6, 4.6))
    axes = figure.add_axes((0.08, 0.24, 0.74, 0.6))
    looks = style.looks(set(d.points["label"]), among=all_labels)
    names = style.short_names(looks)
    for label, look in looks.items():
        mine = d.points[d.points["label"] == label]
        points = {**line_style(look), "linestyle": "none", "markersize": 3.5}
        axes.plot(mine["minute"], mine["percent"], label=names[label], gid=f"drift-{label}", **points)
    running = d.points["percent"].rolling(WINDOW, center=True, min_periods=5).median()
    axes.plot(d.points["minute"], running, color=INK, linewidth=1.4, label=f"median of {WINDOW}",
              gid="running")
    axes.axhline(0, color=FAINT, linewidth=0.8)
    reach = max(5, 1.1 * float(np.abs(d.points["percent"]).quantile(0.98)))
    n_beyond = int((d.points["percent"].abs() > reach).sum())
    axes.set_ylim(-reach, reach)
    axes.set_xlabel("minutes since the first timed process")
    axes.set_ylabel("throughput off its cell's median, %")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.03), frameon=False, fontsize=8.5)
    beyond = f"; {n_beyond} points lie outside" if n_beyond else ""
    texts = ((0.93, "the run in the order of measuring", 13, "bold", INK),
             (0.88, slope_text(d), 8.5, "normal", FAINT),
             (0.075, f"{len(d.points)} timed processes of {d.n_cells} cells, each against the median of its "
              f"own cell; trend: median of the cells' own, 95 % interval{beyond}", 8, "normal", FAINT),
             (0.035, machine, 8, "normal", FAINT))
    for y, text, size, weight, colour in texts:
        figure.text(0.02, y, text, fontsize=size, weight=weight, color=colour)
    return figure
