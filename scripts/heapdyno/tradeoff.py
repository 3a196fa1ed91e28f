"""Throughput against peak RSS, one point an allocator: what speed costs in memory. The staircase joins those
that no other beats in both (the Pareto front, of the medians). Knows nothing of how it is drawn."""
from dataclasses import dataclass

from heapdyno import style
from heapdyno.contrast import threads_that_fit
from heapdyno.table import MIB, bounds
from heapdyno.units import rate_unit

RSS_AXIS = "peak RSS of the audit pass, a fixed number of operations, MiB (left is better)"
CAPTION = ("medians; bars: 95 % interval, or lowest to highest where n < 6; dashed joins those that none "
           "beats in both")


@dataclass(frozen=True)
class Point:
    """Medians with their bounds (95 % interval, or lowest to highest), in the picture's unit and MiB."""
    label: str
    title: str
    look: style.Look
    rate: float
    rss: float
    rate_bounds: tuple
    rss_bounds: tuple


@dataclass(frozen=True)
class Tradeoff:
    comparison: str
    params: str
    threads: int
    unit: str       # of the rates
    points: tuple   # from the highest rate to the lowest
    front: tuple    # labels on the front, from the smallest RSS on

    @property
    def heading(self):
        return (f"{self.comparison}: throughput against peak RSS, {self.threads} "
                f"thread{'' if self.threads == 1 else 's'}")

    @property
    def on_front(self):
        return [next(p for p in self.points if p.label == label) for label in self.front]

    @property
    def limits(self):
        """Right end and top; both axes begin at zero."""
        highest = (max(p.rss_bounds[1] for p in self.points), max(p.rate_bounds[1] for p in self.points))
        return tuple(value * 1.1 for value in highest)


def tradeoff(summary, comparison):
    """The Tradeoff of a comparison at its largest thread count that fits, or the reason why there is none."""
    threads = threads_that_fit(summary, comparison)
    cells = summary[(summary["comparison"] == comparison) & (summary["threads"] == threads)]
    cells = cells[cells["n"] > 0]
    rates = {r["label"]: r for r in cells[cells["metric"] == "ops_per_s"].to_dict("records")}
    peaks = {r["label"]: r for r in cells[cells["metric"] == "peak_rss_bytes"].to_dict("records")}
    both = [label for label in style.looks(rates, among=summary["label"])
            if label in peaks and not style.is_reference(label)]
    if len(both) < 2:
        return "fewer than two allocators with throughput and peak RSS within the processing units"
    looks = style.looks(both, among=summary["label"])
    names = style.short_names(both)
    scale, unit = rate_unit([rates[b]["median"] for b in both])
    points = tuple(Point(b, names[b], looks[b], rates[b]["median"] / scale, peaks[b]["median"] / MIB,
                         _scaled(rates[b], scale), _scaled(peaks[b], MIB)) for b in both)
    params = next(iter(rates.values()))["params"].replace(";", " ")
    return Tradeoff(comparison, params, threads, unit, tuple(sorted(points, key=lambda p: -p.rate)),
                    tuple(p.label for p in front(points)))


def _scaled(row, scale):
    limits = bounds(row) or (row["median"], row["median"])
    return limits[0] / scale, limits[1] / scale


def front(points):
    """Those that no other beats in both, by rising RSS: each is faster than all that need no more memory."""
    best, found = float("-inf"), []
    for p in sorted(points, key=lambda p: (p.rss, -p.rate)):
        if p.rate > best:
            best = p.rate
            found.append(p)
    return found


def describe(t):
    """In words, for those who cannot see it."""
    return (f"Throughput against peak RSS at {t.threads} threads, {len(t.points)} allocators. "
            f"None is better in both than: {', '.join(t.front)}.")
