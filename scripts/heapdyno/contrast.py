"""Each allocator against one reference, cell by cell: a heat map over workloads, and a forest plot. What is
not told apart is hatched, or drawn hollow; nothing is pooled over workloads.

The cells are those of the largest thread count that fits the processing units. Decided means that the 95 %
interval of the ratio of medians (bootstrap over repetitions, ratio.ratio_of) leaves out 1.
"""
import math
from dataclasses import dataclass

import numpy as np

from heapdyno import style
from heapdyno.draw import FAINT, INK, Figure, Rectangle
from heapdyno.ratio import ratio_of, values_of

REFERENCES = ("glibc", "jemalloc", "arena")
FULL = math.log(4)
"""Log ratio at which a colour is as strong as it gets."""

BETTER, WORSE, EVEN = "#0072B2", "#D55E00", "#FFFFFF"


@dataclass(frozen=True)
class Contrast:
    """Ratios of one metric to `reference`: {(label, comparison): Ratio}; labels and comparisons in order."""
    metric: str
    title: str
    is_more_better: bool
    reference: str
    labels: tuple
    comparisons: tuple
    threads: dict       # {comparison: thread count}
    ratios: dict
    n: tuple            # fewest and most values of a cell

    def is_better(self, ratio):
        return (ratio.value > 1) == self.is_more_better


TITLES = {"ops_per_s": ("timed", "throughput", True), "peak_rss_bytes": ("audit", "peak RSS", False)}


def is_decided(ratio):
    """Whether the interval leaves out 1; without an interval nothing is decided."""
    return ratio.low > 1 or ratio.high < 1


def threads_that_fit(summary, comparison):
    """The largest thread count of the comparison that is not oversubscribed; None: all are."""
    rows = summary[(summary["comparison"] == comparison) & (summary["metric"] == "ops_per_s")
                   & (summary["oversubscribed"] != 1) & (summary["n"] > 0)]
    return None if rows.empty else int(rows["threads"].max())


def contrast(run, summary, metric):
    """The Contrast of a metric, or the reason why there is none."""
    metric_pass, title, is_more_better = TITLES[metric]
    labels = [label for label in style.looks(summary["label"]) if not style.is_reference(label)]
    if len(labels) < 2:
        return "one allocator alone has nothing to be compared with"
    reference = next((r for r in REFERENCES if r in labels), labels[0])
    cells = values_of(run.samples, metric, metric_pass)
    threads = {c: threads_that_fit(summary, c) for c in summary["comparison"].unique()}
    ratios = {}
    for (comparison, n_threads), cell in cells.items():
        if n_threads == threads[comparison]:
            for label in labels:
                ratio = ratio_of(cell, label, reference, (comparison, n_threads))
                if ratio is not None and label != reference:
                    ratios[label, comparison] = ratio
    if not ratios:
        return f"no cell within the processing units in which both {reference} and another have a value"
    n = [len(values) for (comparison, n_threads), cell in cells.items()
         if n_threads == threads[comparison] for values in cell.values()]
    return Contrast(metric, title, is_more_better, reference,
                    tuple(b for b in labels if any(key[0] == b for key in ratios)),
                    tuple(c for c in threads if any(key[1] == c for key in ratios)), threads, ratios,
                    (min(n), max(n)))


def caption(c):
    n = f"{c.n[0]}" if c.n[0] == c.n[1] else f"{c.n[0]} to {c.n[1]}"
    return f"medians of n = {n} processes; at the largest thread count that fits the processing units"


def _mixed(colour, strength):
    parts = [(int(EVEN[i:i + 2], 16), int(colour[i:i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(a + (b - a) * strength):02X}" for a, b in parts)


def draw_heat(c, machine):
    """Allocators downwards, workloads across; the number in a cell is the ratio."""
    names = style.short_names(c.labels)
    longest = max(map(len, c.comparisons))
    left, top, right = 1.75, 0.6 + 0.056 * longest, 0.3
    width, height = left + 0.78 * len(c.comparisons) + right, top + 0.42 * len(c.labels) + 0.9
    width = max(width, 7.2)
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((left / width, 0.9 / height, 0.78 * len(c.comparisons) / width,
                            0.42 * len(c.labels) / height))
    for y, label in enumerate(c.labels):
        for x, comparison in enumerate(c.comparisons):
            _heat_cell(axes, c, c.ratios.get((label, comparison)), x, y)
    axes.set_xlim(-0.5, len(c.comparisons) - 0.5)
    axes.set_ylim(len(c.labels) - 0.5, -0.5)
    axes.set_yticks(range(len(c.labels)), [names[b] for b in c.labels], fontsize=9)
    axes.set_xticks(range(len(c.comparisons)), [f"{p}, {c.threads[p]}" for p in c.comparisons], fontsize=8.5,
                    rotation=40, ha="left", rotation_mode="anchor")
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    sense = "more" if c.is_more_better else "less"
    texts = ((height - 0.3, f"{c.title}, as a multiple of {c.reference}'s", 13, "bold", INK),
             (0.55, f"blue: better, which is {sense}; orange: worse; hatched: not told apart, the 95 % "
              "interval holds 1 or n < 6", 8, "normal", FAINT), (0.35, caption(c), 8, "normal", FAINT),
             (0.15, machine, 8, "normal", FAINT))
    for y, text, size, weight, colour in texts:
        figure.text(0.15 / width, y / height, text, fontsize=size, weight=weight, color=colour)
    return figure


def _heat_cell(axes, c, ratio, x, y):
    if ratio is None:
        axes.text(x, y, "-", ha="center", va="center", fontsize=9, color=FAINT)
        return
    strength = min(abs(math.log(ratio.value)) / FULL, 1) * 0.75
    colour = _mixed(BETTER if c.is_better(ratio) else WORSE, strength)
    decided = is_decided(ratio)
    axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=colour, edgecolor="#B8B8B8",
                             linewidth=0 if decided else 0.3, hatch=None if decided else "////",
                             gid=f"{'decided' if decided else 'undecided'}"))
    axes.text(x, y, f"{ratio.value:.2f}", ha="center", va="center", fontsize=9, color=INK,
              bbox={"facecolor": colour, "edgecolor": "none", "pad": 1})


def draw_forest(c, machine):
    """One row an allocator and workload: ratio with its interval, on a log axis; hollow: not told apart."""
    rows = [(comparison, label, c.ratios[label, comparison]) for comparison in c.comparisons
            for label in c.labels if (label, comparison) in c.ratios]
    looks = style.looks(c.labels + (c.reference,))
    names = style.short_names(c.labels)
    gaps = [i + 0.8 * c.comparisons.index(comparison) for i, (comparison, _, _) in enumerate(rows)]
    height = 1.85 + 0.235 * (gaps[-1] + 1)
    figure = Figure(figsize=(8.6, height))
    axes = figure.add_axes((0.34, 1.05 / height, 0.50, 1 - 1.75 / height))
    axes.axvline(1, color=INK, linewidth=0.8, zorder=1)
    for y, (comparison, label, r) in zip(gaps, rows):
        look, decided = looks[label], is_decided(r)
        if r.low == r.low:
            axes.plot([r.low, r.high], [y, y], color=look.colour, linewidth=1.5, zorder=2)
        axes.plot([r.value], [y], color=look.colour, marker=look.marker, markersize=5.5, zorder=3,
                  markerfacecolor=look.colour if decided else "white", gid=f"forest-{comparison}-{label}")
        interval = f" [{r.low:.2f}, {r.high:.2f}]" if r.low == r.low else ""
        axes.text(1.02, y, f"{r.value:.2f}{interval}", va="center", fontsize=8, color=INK,
                  transform=axes.get_yaxis_transform())
    axes.set_yticks(gaps, [names[label] for _, label, _ in rows], fontsize=8)
    axes.set_ylim(gaps[-1] + 0.8, -0.8)
    for comparison in c.comparisons:
        first = next(y for y, row in zip(gaps, rows) if row[0] == comparison)
        axes.text(-0.66, first, f"{comparison}, {c.threads[comparison]}", fontsize=8.5, weight="bold",
                  transform=axes.get_yaxis_transform(), va="center", color=INK)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda v, _: f"{v:g}")
    axes.set_xlabel(f"{c.title} over {c.reference}'s (log scale); "
                    f"{'right' if c.is_more_better else 'left'} is better", fontsize=8.5)
    notes = "bars: 95 % interval of the ratio of medians, none where n < 6; hollow: not told apart"
    texts = ((height - 0.3, f"{c.title}, as a multiple of {c.reference}'s", 13, "bold", INK),
             (0.46, notes, 7.5, "normal", FAINT), (0.3, caption(c), 7.5, "normal", FAINT),
             (0.14, machine, 7.5, "normal", FAINT))
    for y, text, size, weight, colour in texts:
        figure.text(0.02, y / height, text, fontsize=size, weight=weight, color=colour)
    return figure


def describe(c):
    """In words, for those who cannot see it."""
    decided = [key for key, r in c.ratios.items() if is_decided(r)]
    logs = np.abs(np.log([r.value for r in c.ratios.values()]))
    (label, comparison), ratio = list(c.ratios.items())[int(np.argmax(logs))]
    return (f"{c.title} of {len(c.labels)} allocators over {c.reference}'s in {len(c.comparisons)} "
            f"workloads; {len(decided)} of {len(c.ratios)} ratios are told from 1. The furthest from it is "
            f"{label} in {comparison}: {ratio.value:.2f}.")
