"""Each allocator against one reference, cell by cell: a heat map over workloads, and a forest plot. What is
not told apart is hatched, or drawn hollow; nothing is pooled over workloads. Knows nothing of how it is
drawn.

The cells are those of the largest thread count that fits the processing units. Decided means that the 95 %
interval of the ratio of medians (bootstrap over repetitions, ratio.ratio_of) leaves out 1.
"""
import math
from dataclasses import dataclass

import numpy as np

from heapdyno import style
from heapdyno.ratio import ratio_of, values_of

REFERENCES = ("glibc", "jemalloc", "arena")
FULL = math.log(4)
"""Log ratio at which a colour is as strong as it gets."""

MOST_ACROSS = 10
"""Columns of a heat map that a page is wide enough for."""

BETTER, WORSE = "#0072B2", "#D55E00"


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


FILES = {"ops_per_s": "throughput", "peak_rss_bytes": "peak-rss"}
"""Metrics that are contrasted, and the names of their figures after `ratios-` and `forest-`."""

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


def cell_colour(c, ratio):
    """Of a cell of the heat map: stronger the further the ratio is from 1."""
    strength = min(abs(math.log(ratio.value)) / FULL, 1) * 0.75
    return style.faded(BETTER if c.is_better(ratio) else WORSE, strength)


def heat_cells(c):
    """(names across, names downwards, [(x, y, Ratio or None)]) of a heat map: allocators downwards, or across
    where the workloads are too many for a page."""
    names = style.short_names(c.labels)
    across, down = [f"{p}, {c.threads[p]}" for p in c.comparisons], [names[b] for b in c.labels]
    cells = [(x, y, c.ratios.get((label, comparison))) for y, label in enumerate(c.labels)
             for x, comparison in enumerate(c.comparisons)]
    if len(across) <= MOST_ACROSS:
        return across, down, cells
    return down, across, [(y, x, ratio) for x, y, ratio in cells]


def heat_title(c):
    return f"{c.title}, as a multiple of {c.reference}'s"


def heat_notes(c, machine):
    """The lines below a heat map."""
    sense = "more" if c.is_more_better else "less"
    return (f"blue: better, which is {sense}; orange: worse; hatched: not told apart, the 95 % interval "
            "of the ratio holds 1 or n < 6", caption(c), *explanation(c.labels), machine)


def explanation(labels):
    """The line that says what shortened names stand for; none where there is nothing to say."""
    explained = style.explain_names(style.short_names(labels))
    return ("; ".join(explained),) if explained else ()


def describe(c):
    """In words, for those who cannot see it."""
    decided = [key for key, r in c.ratios.items() if is_decided(r)]
    logs = np.abs(np.log([r.value for r in c.ratios.values()]))
    (label, comparison), ratio = list(c.ratios.items())[int(np.argmax(logs))]
    return (f"{c.title} of {len(c.labels)} allocators over {c.reference}'s in {len(c.comparisons)} "
            f"workloads; {len(decided)} of {len(c.ratios)} ratios are told from 1. The furthest from it is "
            f"{label} in {comparison}: {ratio.value:.2f}.")
