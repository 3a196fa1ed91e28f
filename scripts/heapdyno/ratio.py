"""Throughput of one allocator against the best other and against each other, cell by cell."""
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from heapdyno import columns
from heapdyno.comparisons import name_comparisons

N_RESAMPLES = 2000
SEED = 20060401


@dataclass(frozen=True)
class Ratio:
    """`of` over `other` in one cell: ratio of medians, with a 95 % interval where there are values enough."""
    comparison: str
    threads: int
    other: str
    value: float
    low: float
    high: float


def rates(samples):
    """{(comparison, threads): {label: {repetition: ops_per_s}}} of the ok rows of the timed pass."""
    return values_of(samples, "ops_per_s", "timed")


def values_of(samples, metric, metric_pass):
    """The same of any column and pass."""
    names = name_comparisons(samples)
    ok = samples[(samples["pass"] == metric_pass) & (samples["status"] == "ok") & samples[metric].notna()]
    cells = {}
    for row in ok.to_dict("records"):
        key = (names[tuple(row[c] for c in columns.COMPARISON)], int(row["threads"]))
        label = columns.label(row["allocator"], row["config"])
        cells.setdefault(key, {}).setdefault(label, {})[row["repetition"]] = row[metric]
    return cells


def ratio_of(cell, of, other, place):
    """The Ratio in a cell of `rates`; None when one of both has no value, or nothing was done in half of its
    windows, of which no ratio tells anything.

    The interval resamples blocks (repetitions that both have), which keeps pairs together (percentile
    bootstrap); NaN under 6 blocks.
    """
    if of not in cell or other not in cell:
        return None
    mine, its = cell[of], cell[other]
    above, below = (float(np.median(list(values.values()))) for values in (mine, its))
    if not (above > 0 and below > 0):
        return None
    blocks = sorted(mine.keys() & its.keys())
    low = high = math.nan
    if len(blocks) >= 6:
        pairs = np.array([(mine[b], its[b]) for b in blocks])
        drawn = np.random.default_rng(SEED).integers(0, len(blocks), (N_RESAMPLES, len(blocks)))
        medians = np.median(pairs[drawn], axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            low, high = np.percentile(medians[:, 0] / medians[:, 1], [2.5, 97.5])
    return Ratio(*place, other, above / below, float(low), float(high))


def against_best(cells, of):
    """A Ratio a cell, against the other with the best median; references do not compete."""
    found = []
    for place, cell in cells.items():
        others = {label: np.median(list(v.values())) for label, v in cell.items()
                  if label != of and label not in columns.REFERENCES}
        if others:
            found.append(ratio_of(cell, of, max(others, key=others.get), place))
    return [r for r in found if r]


def geometric_mean(ratios):
    return math.exp(sum(math.log(r.value) for r in ratios) / len(ratios))


def format_ratios(samples, of):
    """All cells against the best other, then means by comparison and opponent; "" without a ratio."""
    cells = rates(samples)
    ratios = against_best(cells, of)
    if not ratios:
        return ""
    ratios.sort(key=lambda r: (r.comparison, r.threads))
    width = max(len(r.comparison) for r in ratios) + 2
    lines = [f"throughput of {of} over the best other of each cell (ratio of medians, 95 % interval)"]
    for r in ratios:
        interval = f"[{r.low:.3f}, {r.high:.3f}]" if r.low == r.low else "(too few repetitions)"
        lines.append(f"{r.comparison:{width}}{r.threads:4} threads  {r.value:6.3f} {interval:24} {r.other}")
    lowest = min(r.value for r in ratios)
    lines.append(f"geometric mean over {len(ratios)} cells: {geometric_mean(ratios):.3f}; "
                 f"lowest: {lowest:.3f}")
    return "\n".join(lines + [""] + _by_opponent(cells, of))


def _by_opponent(cells, of):
    labels = sorted({label for cell in cells.values() for label in cell if label != of})
    ratios = [ratio_of(cell, of, label, place) for place, cell in cells.items() for label in labels]
    table = pd.DataFrame([(r.comparison, r.other, r.value) for r in ratios if r],
                         columns=["comparison", "label", "value"])
    logs = np.log(table["value"]).groupby([table["comparison"], table["label"]])
    means = np.exp(logs.mean()).unstack("label")
    width = max(len(c) for c in means.index) + 2
    lines = ["geometric mean over the thread counts, against each",
             " " * width + "".join(f"{c:>12}" for c in means)]
    for name, row in zip(means.index, means.to_numpy()):
        lines.append(f"{name:{width}}" + "".join(f"{v:12.3f}" if v == v else f"{'-':>12}" for v in row))
    return lines
