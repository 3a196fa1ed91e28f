"""What a figure shows, decided once for matplotlib and gnuplot alike: lines and their order, axes, shading,
marks.

A picture is one metric of one comparison against the number of threads. Knows nothing of how it is drawn.
"""
import math
from dataclasses import dataclass, replace

from heapdyno import style
from heapdyno.scaling import fit_law
from heapdyno.table import MIB, bounds, status_text
from heapdyno.units import RATES, rate_unit

LOG_FROM = 8.0
"""Spread (largest over smallest median) from which a linear axis would flatten the small lines to one."""

DODGE = 1.09
"""Within the margin that the axis leaves beside its only thread count."""

OFF_SCALE_FROM = 2.0
"""A reference line is cut off a linear axis where it is this many times higher than all that compete."""


@dataclass(frozen=True)
class MetricStyle:
    file_name: str
    title: str
    overview: str               # of the figure that shows all workloads, where they have one unit
    axis: str
    scale: float
    ideal: str                  # what the line of ideal scaling is; empty: there is none
    needs: str                  # why a comparison has no such picture
    top: float | None = None    # of a linear axis, where the metric has a bound; None: by the values


METRICS = {
    "ops_per_s": MetricStyle("throughput", "throughput", f"throughput, {RATES[0][1]}",
                             RATES[0][1], RATES[0][0],  # unless the values want another unit
                             "the best at one thread, scaled ideally", "no timed cell has a value"),
    "peak_rss_bytes": MetricStyle("peak-rss", "peak RSS at a fixed number of operations",
                                  "peak RSS at a fixed number of operations, MiB", "peak RSS, MiB", MIB,
                                  "", "no cell of the audit pass has a value"),
    "speedup": MetricStyle("speedup", "speed-up against one thread", "speed-up against one thread",
                           "throughput over that with one thread", 1, "ideal scaling",
                           "no allocator was measured with one thread and with more"),
    "fairness": MetricStyle("fairness", "fairness", "operations of the slowest thread over the fastest",
                            "operations of the slowest thread over the fastest", 1, "",
                            "there was one thread, or the operations of each were not counted", top=1.0),
}


@dataclass(frozen=True)
class Line:
    """One allocator: a value with its bounds for each thread count it was tried at; NaN: it failed, a gap."""
    label: str
    title: str       # label, and where the line ends early or leaves the scale, that
    look: style.Look
    threads: tuple
    values: tuple
    lows: tuple
    highs: tuple

    def alone(self):
        """Thread counts of the points that have no neighbour: a band has no width there."""
        known = [False] + [v == v for v in self.values] + [False]
        return tuple(t for i, t in enumerate(self.threads, 1)
                     if known[i] and not known[i - 1] and not known[i + 1])

    def end(self):
        """(threads, value) of the last point."""
        return [(t, v) for t, v in zip(self.threads, self.values) if v == v][-1]


@dataclass(frozen=True)
class Fit:
    """A Universal Scalability Law for a line: its value at one thread, the law's coefficients, and the thread
    counts between which it was fitted."""
    look: style.Look
    base: float
    sigma: float
    kappa: float
    low: float
    high: float


@dataclass(frozen=True)
class Picture:
    comparison: str
    metric: str
    style: MetricStyle
    params: str
    conditions: str       # params, load mode, placement ...
    threads: tuple
    lines: tuple          # from the highest to the lowest at the right end
    is_log: bool
    y_limits: tuple
    y_ticks: tuple        # of a log axis; empty: the renderer's own
    ideal: tuple          # (y at one thread, threads up to which it rises in proportion), or empty
    fits: tuple           # a Fit for each line that has one
    shade_from: float | None
    limits: tuple         # (threads, text) of the machine
    remark: str           # what failed or was not measured, and shortened names, in words
    caption: str
    machine: str

    def dodge(self, line):
        """What the thread counts of a line are multiplied by: where there is one, they stand apart."""
        n = len(self.lines)
        if len(self.threads) > 1 or n == 1:
            return 1.0
        return DODGE ** (2 * self.lines.index(line) / (n - 1) - 1)


def picture(run, summary, comparison, metric):
    """The Picture of that part of the summary; None when there is no value in it."""
    cells = summary[(summary["comparison"] == comparison) & (summary["metric"] == metric)]
    if not (cells["n"] > 0).any():
        return None
    metric_style = _in_unit(METRICS[metric], cells) if metric == "ops_per_s" else METRICS[metric]
    rows = {(r["label"], r["threads"]): r for r in cells.to_dict("records")}
    threads = tuple(sorted(cells["threads"].unique()))
    looks = style.looks(cells["label"], among=summary["label"])
    names = style.short_names(looks)
    lines = [_line(label, names[label], look, rows, threads, metric_style.scale)
             for label, look in looks.items()]
    lines = [line for line in lines if any(v == v for v in line.values)]
    ideal = _ideal(lines, run.topology) if metric_style.ideal else ()
    is_log, y_limits = _y_axis(lines, ideal[0] * min(ideal[1], threads[-1]) if ideal else 0)
    if metric_style.top is not None:
        is_log, y_limits = False, (0, metric_style.top * 1.03)
    fits = _fits(lines, run.topology) if metric_style.ideal else ()
    lines = [_titled(line, threads, y_limits) for line in lines]
    first = cells.iloc[0]
    return Picture(
        comparison, metric, metric_style, first["params"].replace(";", " "),
        "  ".join(p for p in (first["params"].replace(";", " "), first["load"], first["placement"],
                              first["wrap"], first["ambient"]) if p),
        threads, tuple(sorted(lines, key=lambda line: -line.end()[1])), is_log, y_limits,
        _log_ticks(*y_limits) if is_log else (), ideal, fits,
        _shade_from(cells), _limits(run.topology, first["placement"], threads),
        _remark(cells, names, threads),
        _caption(cells, fits), machine_of(run))


def _in_unit(metric_style, cells):
    scale, unit = rate_unit(cells["median"])
    return replace(metric_style, overview=f"throughput, {unit}", axis=unit, scale=scale)


def machine_of(run):
    """What was measured on, and which run it was: the last line of every figure."""
    return run.host + (f": {run.topology.describe()}" if run.topology else "") + f"   run {run.run_id}"


def describe(p):
    """A Picture in words, for those who cannot see it: where the lines end."""
    ends = ", ".join(f"{line.title} {line.end()[1]:.3g}" for line in p.lines)
    return f"{p.style.axis} against threads. At {p.threads[-1]:.0f}, from the top: {ends}. {p.caption}."


def _line(label, name, look, rows, threads, scale):
    measured = tuple(t for t in threads if (label, t) in rows)
    values, lows, highs = [], [], []
    for t in measured:
        row = rows[label, t]
        value = row["median"] / scale
        limits = bounds(row) if row["n"] else None
        values.append(value)
        lows.append(limits[0] / scale if limits else value)
        highs.append(limits[1] / scale if limits else value)
    return Line(label, name, look, measured, tuple(values), tuple(lows), tuple(highs))


def _titled(line, threads, y_limits):
    title = line.title + (" (bound)" if line.look.is_reference else "")
    last, value = line.end()
    if last < threads[-1]:
        title += f" (to {last:.0f})"
    elif value > y_limits[1]:
        title += f" (off scale: {value:.3g})"
    return replace(line, title=title)


def _ideal(lines, topology):
    """The best one-thread median, and the number of processing units that it is multiplied by at most."""
    firsts = [line.values[0] for line in lines if line.threads[0] == 1 and not line.look.is_reference]
    singles = [v for v in firsts if v == v]
    if not singles or topology is None:
        return ()
    return max(singles), topology.n_pus


def _fits(lines, topology):
    found = []
    for line in lines:
        points = [(t, v) for t, v in zip(line.threads, line.values) if v == v]
        if points[0][0] != 1:
            continue
        law, _ = fit_law([t for t, _ in points], [v / points[0][1] for _, v in points], None, topology)
        if law is not None:
            found.append(Fit(line.look, points[0][1], law.sigma, law.kappa, law.threads[0], law.threads[-1]))
    return tuple(found)


def _y_axis(lines, ideal_top):
    """(is_log, (low, high)). Linear axes begin at zero and leave out what is far above all that compete."""
    competing = [line for line in lines if not line.look.is_reference] or lines
    medians = [v for line in competing for v in line.values if v == v]
    if min(medians) > 0 and max(medians) / min(medians) > LOG_FROM:
        lows = [v for line in lines for v in line.lows if v > 0]
        highs = [v for line in lines for v in line.highs if v == v]
        return True, (min(lows) / 1.3, max(highs + [ideal_top]) * 1.3)
    highest = max(v for line in competing for v in line.highs if v == v)
    tops = [max(v for v in line.highs if v == v) for line in lines if line.look.is_reference]
    for top in tops + [ideal_top]:
        if top < OFF_SCALE_FROM * max(medians):
            highest = max(highest, top)
    return False, (0, highest * 1.06 or 1)


def _log_ticks(low, high):
    """1, 2, 5, 10, ... or, over more than three decades, powers of ten, between the limits."""
    steps = (1, 2, 5) if high / low < 1000 else (1,)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return tuple(t for e in decades for t in (m * 10.0 ** e for m in steps) if low <= t <= high)


def _shade_from(cells):
    """Where the oversubscribed part begins: between the last thread count that fits and the first that does
    not."""
    over = cells[cells["oversubscribed"] == 1]["threads"]
    if over.empty:
        return None
    fits = cells[(cells["oversubscribed"] != 1) & (cells["threads"] < over.min())]["threads"]
    return math.sqrt(over.min() * fits.max()) if len(fits) else over.min() / 2 ** 0.25


def _limits(topology, placement, threads):
    if topology is None or placement == "none" or len(threads) == 1:
        return ()  # beside a single thread count stand its lines, not other counts
    return tuple((t, text) for t, text in topology.limits(placement) if threads[0] <= t <= threads[-1])


def _remark(cells, names, threads):
    """`no value: scudo at 64 (timeout), mine at 32,64 (not measured); arena[1] = arena[...]`"""
    gaps = {}
    for label, name in names.items():
        rows = {r["threads"]: r for r in cells[cells["label"] == label].to_dict("records")}
        for t in threads:
            if t not in rows:
                gaps.setdefault((name, "not measured"), []).append(t)
            elif rows[t]["n"] == 0:
                gaps.setdefault((name, status_text(rows[t])), []).append(t)
    gaps = ", ".join(f"{name} at {','.join(f'{t:.0f}' for t in at)} ({why})"
                     for (name, why), at in gaps.items())
    numbered = [text for text in style.explain_names(names) if "]" in text.partition(" ")[0]]
    return "; ".join(([f"no value: {gaps}"] if gaps else []) + numbered)


def _caption(cells, fits):
    law = f"; thin: Universal Scalability Law, fitted to {fits[0].high:.0f} threads" if fits else ""
    return _points(cells) + law


def _points(cells):
    n = cells.loc[cells["n"] > 0, "n"]
    count = f"{n.min():.0f}" if n.min() == n.max() else f"{n.min():.0f} to {n.max():.0f}"
    if n.max() == 1:
        return "one process a point (n = 1): the spread is unknown"
    has_ci = cells.loc[cells["n"] > 0, "ci_lo"].notna()
    if has_ci.all():
        band = "95 % confidence interval of the median"
    elif has_ci.any():
        band = "95 % confidence interval, lowest to highest where n < 6"
    else:
        band = "lowest to highest"
    shape = "band" if cells["threads"].nunique() > 1 else "bar"
    return f"median of n = {count} processes; {shape}: {band}"
