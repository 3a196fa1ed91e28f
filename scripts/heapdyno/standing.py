"""Where each allocator of a run stands, cell by cell: shown best, not told from the best, shown behind, or
not known. The words of the report's verdict come from here; nothing is pooled over cells.

Judged are cells with no more threads than processing units. Shown means that the 95 % intervals of the
medians do not overlap; without an interval on both sides nothing is shown.
"""
import enum
from dataclasses import dataclass, field

import pandas as pd

from heapdyno import style
from heapdyno.table import best_of


class Standing(enum.Enum):
    """Of one allocator in one cell."""
    BEST = "best"          # every other is shown to be behind
    OPEN = "open"          # not told from the best median
    BEHIND = "behind"      # shown to be behind the best median
    UNKNOWN = "unknown"    # too few values for an interval, or none to compare with
    FAILED = "failed"
    SKIPPED = "skipped"    # the workload or the allocator cannot be run so


@dataclass(frozen=True)
class Aspect:
    """A metric that is judged, and how its words go."""
    metric: str
    title: str
    best: str     # "is shown ..."


ASPECTS = (Aspect("ops_per_s", "Speed", "fastest"),
           Aspect("peak_rss_bytes", "Memory", "with the smallest peak"))


@dataclass
class Record:
    """One allocator by one metric, over the judged cells: how often it stands where, how often it has the
    best median, its medians over the best median of the cell, and the most values a cell of it has."""
    label: str
    name: str      # the label, shortened
    counts: dict = field(default_factory=lambda: dict.fromkeys(Standing, 0))
    n_best_median: int = 0
    ratios: list = field(default_factory=list)
    n_values: int = 0

    @property
    def n_cells(self):
        return sum(self.counts.values())


@dataclass
class Judged:
    """All allocators by one aspect: a Record each in the order of tables, without references; the number of
    cells that were judged, and of those left out for being oversubscribed."""
    aspect: Aspect
    records: list
    n_cells: int = 0
    n_oversubscribed: int = 0


def judge(summary, aspect):
    """The Judged of one aspect."""
    rows = summary[summary["metric"] == aspect.metric]
    rows = rows[~rows["label"].map(style.is_reference).astype(bool)]
    names = style.short_names(style.looks(summary["label"]))
    records = {label: Record(label, name) for label, name in names.items() if not style.is_reference(label)}
    judged = Judged(aspect, list(records.values()))
    for _, cell in rows.groupby(["comparison", "threads"], sort=False):
        if (cell["oversubscribed"] == 1).any():
            judged.n_oversubscribed += 1
        else:
            judged.n_cells += 1
            _judge_cell(cell, aspect, records)
    return judged


def _judge_cell(cell, aspect, records):
    rows = cell.to_dict("records")
    best = best_of(rows, aspect.metric)
    for row in rows:
        record = records[row["label"]]
        record.counts[_standing(row, best, rows)] += 1
        record.n_values = max(record.n_values, row["n"])
        if best is not None and _is_eligible(row):
            record.n_best_median += row["median"] == best["median"]
            record.ratios.append(row["median"] / best["median"] if best["median"] else 1.0)


def _is_eligible(row):
    return row["n"] > 0 and row["n_failed"] == 0


def _standing(row, best, rows):
    if not _is_eligible(row):
        only_skips = row["n"] == 0 and all(s.startswith("skip:") for s in row["statuses"].split(";"))
        return Standing.SKIPPED if only_skips and row["statuses"] else Standing.FAILED
    if best is None or not has_interval(best) or not has_interval(row):
        return Standing.UNKNOWN
    if row is not best:
        return Standing.OPEN if _overlap(row, best) else Standing.BEHIND
    others = [r for r in rows if r is not best and _is_eligible(r)]
    if not all(map(has_interval, others)):
        return Standing.UNKNOWN
    return Standing.OPEN if any(_overlap(r, best) for r in others) else Standing.BEST


def has_interval(row):
    """Whether a summary row has a 95 % interval of its median."""
    return not pd.isna(row["ci_lo"])


def _overlap(a, b):
    return a["ci_lo"] <= b["ci_hi"] and b["ci_lo"] <= a["ci_hi"]


def headline(judged):
    """The verdict on one aspect in one or two plain sentences."""
    records, n_cells, aspect = judged.records, judged.n_cells, judged.aspect
    if n_cells == 0 and judged.n_oversubscribed:
        return "Cannot tell: every cell has more threads than this machine has processing units."
    if n_cells == 0:
        return "Not measured."
    by_best = sorted((r for r in records if r.counts[Standing.BEST]),
                     key=lambda r: -r.counts[Standing.BEST])
    if by_best:
        n_shown = sum(r.counts[Standing.BEST] for r in by_best)
        text = _in_words(by_best, lambda r: r.counts[Standing.BEST], f"is shown {aspect.best} in", n_cells)
        rest = n_cells - n_shown
        return text + (f"; in {_cells(rest)} no single one is." if rest else ".")
    if any(r.counts[Standing.OPEN] or r.counts[Standing.BEHIND] for r in records):
        return (f"No allocator is shown {aspect.best} in any of {_cells(n_cells)}: this run cannot tell the "
                "leaders apart.")
    leaders = sorted((r for r in records if r.n_best_median), key=lambda r: -r.n_best_median)
    if not leaders:
        return "Cannot tell: no cell has two allocators to compare."
    n = max(r.n_values for r in records)
    why = f"n is at most {n}" if n >= 6 else f"n = {n}"
    hint = _in_words(leaders, lambda r: r.n_best_median, "leads in", n_cells)
    return (f"Cannot tell: {why}, and an interval of a median takes 6 values. By medians alone, a hint: "
            f"{hint}.")


def _in_words(records, count, verb, n_cells):
    """arena is shown fastest in 6 of 10 cells, tcmalloc in 1"""
    first, *others = records
    text = f"{first.name} {verb} {count(first)} of {_cells(n_cells)}"
    return text + "".join(f", {r.name} in {count(r)}" for r in others)


def _cells(n):
    return f"{n} cell" + ("" if n == 1 else "s")


def in_words(record, aspect):
    """What is said of one allocator by one aspect."""
    counts = record.counts
    parts = []
    if counts[Standing.BEST]:
        parts.append(f"{aspect.best} in {counts[Standing.BEST]}")
    if counts[Standing.OPEN]:
        parts.append(f"not told from the best in {counts[Standing.OPEN]}")
    if counts[Standing.BEHIND]:
        parts.append(f"behind in {counts[Standing.BEHIND]}")
    if counts[Standing.UNKNOWN]:
        parts.append(f"cannot tell in {counts[Standing.UNKNOWN]}")
    if counts[Standing.FAILED]:
        parts.append(f"failed in {counts[Standing.FAILED]}")
    if counts[Standing.SKIPPED]:
        parts.append(f"not run in {counts[Standing.SKIPPED]}")
    return ", ".join(parts) or "not measured"


def ratio_range(record):
    """`0.41 to 1` of the best median; "" without a ratio."""
    if not record.ratios:
        return ""
    low, high = (f"{r:.2g}" if r < 0.1 else f"{r:.2f}".rstrip("0").rstrip(".")
                 for r in (min(record.ratios), max(record.ratios)))
    return low if low == high else f"{low} to {high}"
