"""What the figures of memory show, decided once for matplotlib and gnuplot alike: held bytes over time beside
the live bytes, and what is retained after everything was freed. Knows nothing of how it is drawn.
"""
from dataclasses import dataclass, replace

import numpy as np

from heapdyno import columns, style
from heapdyno.memory import MARKS, each_series
from heapdyno.comparisons import name_comparisons
from heapdyno.table import MIB

LIVE = "#D9D5CC"
SHADES = (1.0, 0.72, 0.46, 0.22)
"""Opacity of the bars of one allocator, from the first moment to the last."""

N_POINTS = 300
"""Places on the time axis of which a line has its lowest and highest value: nothing that is seen is lost."""


@dataclass(frozen=True)
class Curve:
    """One process: MiB held at each second."""
    label: str
    title: str
    look: style.Look
    times: tuple
    values: tuple

    def end(self):
        return self.times[-1], self.values[-1]


@dataclass(frozen=True)
class TimePicture:
    name: str             # of the figure's files
    comparison: str
    threads: int
    is_oversubscribed: bool
    conditions: str
    curves: tuple         # from the highest to the lowest at the right end
    live: Curve | None    # live bytes, of one of the processes
    limits: tuple         # (right end, top)
    caption: str
    machine: str

    @property
    def lines(self):
        return self.curves

    @property
    def heading(self):
        return f"{self.comparison}, {_threads(self.threads)}: memory held over time"


@dataclass(frozen=True)
class BarPicture:
    name: str
    comparison: str
    threads: int
    conditions: str
    moments: tuple        # "0.1 s", ...
    bars: tuple           # (label, title, look, values in MiB by moment: NaN = not measured), ordered
    lows: tuple           # lowest and highest of the repetitions, by bar and moment
    highs: tuple
    peak_live: float      # MiB; NaN where not counted
    top: float
    caption: str
    machine: str

    @property
    def heading(self):
        return f"{self.comparison}, {_threads(self.threads)}: memory retained after everything was freed"

    @property
    def axis(self):
        return "MiB held, from top to bottom: " + ", ".join(self.moments)

    @property
    def shows_live(self):
        """Whether the live bytes at the peak are near enough to be a mark."""
        return self.peak_live <= self.top * 1.6

    @property
    def right(self):
        return max(self.top, self.peak_live * 1.1) if self.shows_live else self.top

    @property
    def names_width(self):
        """Of the names of the allocators, in inches."""
        return 0.25 + 0.075 * max(len(title) for _, title, _, _ in self.bars)


def _threads(n):
    return f"{n} thread{'' if n == 1 else 's'}"


def time_pictures(run):
    """A TimePicture for each comparison and thread count that was watched, of the first repetition that was
    measured."""
    if not (run.folder / "rss.csv").exists():
        return []
    rows = _watched(run).drop_duplicates(["comparison", "label", "threads"])
    series = dict(each_series(run, rows))
    rows = rows.loc[rows.index.isin(list(series))]
    return [_time_picture(run, comparison, int(threads), of_picture, series)
            for (comparison, threads), of_picture in rows.groupby(["comparison", "threads"], sort=False)]


def widest(pictures):
    """Of each comparison the picture with the most threads that are not oversubscribed, else the fewest."""
    chosen = {}
    for p in pictures:
        best = chosen.get(p.comparison)
        fits = not p.is_oversubscribed
        if best is None or (fits and (best.is_oversubscribed or p.threads > best.threads)):
            chosen[p.comparison] = p
    return list(chosen.values())


def _watched(run):
    samples = run.samples
    rows = samples[(samples["pass"] == "rss") & (samples["status"] == "ok")].copy()
    names = name_comparisons(samples)
    keys = rows[list(columns.COMPARISON)].itertuples(index=False, name=None)
    rows["comparison"] = [names[key] for key in keys]
    rows["label"] = [columns.label(a, c) for a, c in zip(rows["allocator"], rows["config"])]
    return rows.sort_values(["comparison", "threads", "repetition"], kind="stable")


def _time_picture(run, comparison, threads, rows, series):
    looks = style.looks(rows["label"])
    names = style.short_names(looks)
    lines = {row["label"]: line for line, row in rows.iterrows()}
    curves = [_curve(label, names[label], look, series[lines[label]], "held_bytes")
              for label, look in looks.items()]
    live, whose = _live(rows, series, names)
    competing = [c for c in curves if not c.look.is_reference] or curves
    top = max(max(c.values) for c in competing + ([live] if live else [])) * 1.06
    right = max(c.times[-1] for c in competing)
    curves = [replace(c, title=_titled(c.title, c.look, max(c.values), top)) for c in curves]
    caption = "one process a line; what it holds beyond its start and the workload's tables"
    if live:
        caption += f"; grey: live bytes, as with {whose}; slower ones are later"
    return TimePicture(f"memory-{comparison}-{threads}t", comparison, threads,
                       bool((rows["oversubscribed"] == 1).any()), _conditions(rows.iloc[0]),
                       tuple(sorted(curves, key=lambda c: -c.values[-1])), live, (right, top), caption,
                       _machine(run))


def _titled(name, look, highest, top):
    """The name of a line or bar, with what the axis cuts off of a bound."""
    bound = " (bound)" if look.is_reference else ""
    return name + bound + (f" (off scale: {highest:.3g})" if highest > top else "")


def _live(rows, series, names):
    """The live bytes of the process that was first to have freed everything, and its name."""
    counted = rows[rows["peak_live_bytes"].notna()]
    if counted.empty:
        return None, ""
    row = counted.loc[counted["freed_ns"].idxmin()]
    return (_curve("live", "live", None, series[row.name], "live_bytes"), names[row["label"]])


def _curve(label, title, look, series, column):
    times, values = thin(series["t_s"].to_numpy(), series[column].to_numpy() / MIB)
    return Curve(label, title, look, tuple(times), tuple(np.maximum(values, 0)))


def thin(times, values):
    """At most N_POINTS pairs of the lowest and the highest value, in order, and the ends."""
    n = len(times)
    step = -(-n // N_POINTS)
    if step <= 2:
        return times, values
    chosen = {0, n - 1}
    for start in range(0, n, step):
        part = values[start:start + step]
        chosen |= {start + int(part.argmin()), start + int(part.argmax())}
    order = sorted(chosen)
    return times[order], values[order]


def _conditions(row):
    parts = (row["params"].replace(";", " "), row["load"], row["placement"], row["wrap"], row["ambient"])
    return "  ".join(p for p in parts if p)


def _machine(run):
    return run.host + (f": {run.topology.describe()}" if run.topology else "") + f"   run {run.run_id}"


def bar_pictures(run, summary):
    """A BarPicture for each comparison and thread count that was watched."""
    metrics = [m for m in MARKS if (summary["metric"] == m).any()]
    rows = summary[summary["metric"].isin(metrics) & (summary["n"] > 0)]
    peaks = _watched(run).groupby(["comparison", "threads"])["peak_live_bytes"].max()
    return [_bar_picture(run, comparison, int(threads), of_picture, metrics, peaks[comparison, threads] / MIB)
            for (comparison, threads), of_picture in rows.groupby(["comparison", "threads"], sort=False)]


def _bar_picture(run, comparison, threads, rows, metrics, peak_live):
    looks = style.looks(rows["label"])
    names = style.short_names(looks)
    by = {(r["label"], r["metric"]): r for r in rows.to_dict("records")}

    def values(label, statistic):
        return tuple(by[label, m][statistic] / MIB if (label, m) in by else float("nan") for m in metrics)

    bars = [(label, names[label], look, values(label, "median")) for label, look in looks.items()]
    highs = tuple(values(label, "max") for label in looks)
    competing = [h for (_, _, look, _), h in zip(bars, highs) if not look.is_reference] or list(highs)
    top = max(np.nanmax(np.array(competing)), 0.1) * 1.1
    bars = tuple((label, _titled(name, look, np.nanmax(medians), top), look, medians)
                 for label, name, look, medians in bars)
    n = rows["n"]
    count = f"{n.min():.0f}" if n.min() == n.max() else f"{n.min():.0f} to {n.max():.0f}"
    spread = ": the spread is unknown" if n.max() == 1 else ", median, lowest to highest"
    caption = f"n = {count}{spread}; held after that time, threads alive and idle, last: after they ended"
    lows = tuple(values(label, "min") for label in looks)
    return BarPicture(f"retained-{comparison}-{threads}t", comparison, threads, _conditions(rows.iloc[0]),
                      tuple(MARKS[m][1] for m in metrics), bars, lows, highs, peak_live, top, caption,
                      _machine(run))
