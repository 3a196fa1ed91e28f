"""Throughput against peak RSS, one point an allocator: what speed costs in memory. The staircase joins those
that no other beats in both (the Pareto front, of the medians)."""
from dataclasses import dataclass

from heapdyno import style
from heapdyno.contrast import threads_that_fit
from heapdyno.draw import FAINT, INK, Figure, line_style
from heapdyno.table import MIB, bounds


@dataclass(frozen=True)
class Point:
    """Medians with their bounds (95 % interval, or lowest to highest), in million operations per second and
    MiB."""
    label: str
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
    points: tuple
    front: tuple    # labels on the front, from the smallest RSS on


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
    points = tuple(Point(b, looks[b], rates[b]["median"] / 1e6, peaks[b]["median"] / MIB,
                         _scaled(rates[b], 1e6), _scaled(peaks[b], MIB)) for b in both)
    params = next(iter(rates.values()))["params"].replace(";", " ")
    return Tradeoff(comparison, params, threads, points, tuple(p.label for p in front(points)))


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


def draw(t, machine):
    names = style.short_names([p.label for p in t.points])
    figure = Figure(figsize=(8.6, 5.2))
    axes = figure.add_axes((0.09, 0.2, 0.66, 0.65))
    for p in sorted(t.points, key=lambda p: -p.rate):
        axes.plot(p.rss_bounds, (p.rate, p.rate), color=p.look.colour, linewidth=1, zorder=2)
        axes.plot((p.rss, p.rss), p.rate_bounds, color=p.look.colour, linewidth=1, zorder=2)
        axes.plot([p.rss], [p.rate], zorder=3, label=names[p.label], gid=f"point-{p.label}",
                  **{**line_style(p.look), "linestyle": "none", "markersize": 7})
    on_front = [p for p in t.points if p.label in t.front]
    on_front.sort(key=lambda p: p.rss)
    axes.step([p.rss for p in on_front], [p.rate for p in on_front], where="post", color=FAINT, linewidth=0.9,
              linestyle="--", zorder=1, gid="front")
    axes.set_ylim(0, max(p.rate_bounds[1] for p in t.points) * 1.1)
    axes.set_xlim(0, max(p.rss_bounds[1] for p in t.points) * 1.1)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), frameon=False, fontsize=9)
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("peak RSS of the audit pass, a fixed number of operations, MiB (left is better)")
    axes.set_ylabel("million operations per second (up is better)")
    texts = ((0.945, f"{t.comparison}: throughput against peak RSS, {t.threads} threads", 13, "bold", INK),
             (0.905, t.params, 8, "normal", FAINT),
             (0.055, "medians; bars: 95 % interval, or lowest to highest where n < 6; dashed joins those "
              "that none beats in both", 8, "normal", FAINT), (0.022, machine, 8, "normal", FAINT))
    for y, text, size, weight, colour in texts:
        figure.text(0.02, y, text, fontsize=size, weight=weight, color=colour)
    return figure


def describe(t):
    """In words, for those who cannot see it."""
    return (f"Throughput against peak RSS at {t.threads} threads, {len(t.points)} allocators. "
            f"None is better in both than: {', '.join(t.front)}.")
