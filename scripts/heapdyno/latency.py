"""Latencies by percentile: what latency.csv holds, joined to the rows of samples.csv that vouch for it, and
what a figure of it shows, for matplotlib and gnuplot alike.

A picture is one operation of one comparison at one number of threads. Knows nothing of how it is drawn.
"""
import csv
import math
from dataclasses import dataclass

import pandas as pd

from heapdyno import columns, style
from heapdyno.run import RunError, read_records
from heapdyno.summary import name_comparisons
from heapdyno.table import span_digits

FILE = "latency.csv"
KEY = ["cell_id", "repetition"]
FIELDS = KEY + ["operation", "size_bytes", "n", "percentile", "ns"]

OPERATIONS = {
    "transaction": "transactions, from when they were due",
    "malloc": "malloc", "free": "free", "calloc": "calloc", "realloc": "realloc",
    "aligned_alloc": "aligned_alloc", "first-malloc": "first malloc of a thread",
}
"""What has figures, and its words in their titles."""

TICKS = (0, 50, 90, 99, 99.9, 99.99, 99.999, 99.9999)
SUMMARY_COLUMNS = ("comparison", "operation", "threads", "label", "percentile", "beyond", "ns", "low_ns",
                   "high_ns")
OF_SAMPLES = ["comparison", "label", "threads", "oversubscribed", "params", "load", "placement", "wrap",
              "ambient", "lat_timer_median_ns", "lat_timer_step_ns", "rate_per_s"]
"""What a row of latency.csv gets from its row of samples.csv, and the names that summary.csv has."""


def read_latency(run):
    """The rows of latency.csv that belong to an ok row of samples.csv, as a DataFrame: FIELDS and OF_SAMPLES.
    Empty when the run has none. RunError when the file cannot be read."""
    samples = run.samples
    ok = samples[(samples["pass"] == "latency") & (samples["status"] == "ok")]
    path = run.folder / FILE
    if ok.empty or not path.exists():
        return pd.DataFrame(columns=FIELDS + OF_SAMPLES)
    header, _, records = read_records(path, run.warnings)
    missing = [c for c in FIELDS if c not in header]
    if missing:
        raise RunError(f"{path}: required columns are missing: {', '.join(missing)}")
    rows = pd.DataFrame(records, columns=header, dtype=str)[FIELDS]
    for column in ("repetition", "n", "percentile", "ns"):
        rows[column] = pd.to_numeric(rows[column], errors="coerce")
        if not rows[column].map(math.isfinite).all():
            raise RunError(f"{path}: {column} holds something that is no finite number")
    names = name_comparisons(samples)
    keys = ok[list(columns.COMPARISON)].itertuples(index=False)
    ok = ok.assign(comparison=[names[tuple(key)] for key in keys],
                   label=[columns.label(a, c) for a, c in zip(ok["allocator"], ok["config"])])
    return rows.merge(ok[KEY + OF_SAMPLES], on=KEY, validate="many_to_one")


@dataclass(frozen=True)
class LatencyLine:
    """One allocator: percentiles that every repetition knows, below the largest, and their medians in ns."""
    label: str
    title: str
    look: style.Look
    percentiles: tuple
    values: tuple
    lows: tuple
    highs: tuple

    def end(self):
        return beyond(self.percentiles[-1]), self.values[-1]


@dataclass(frozen=True)
class LatencyPicture:
    comparison: str
    operation: str
    threads: int
    heading: str
    conditions: str
    lines: tuple          # from the highest to the lowest at the right end
    x_limits: tuple
    x_ticks: tuple        # (place, text)
    y_limits: tuple
    y_ticks: tuple        # (ns, text)
    timer_ns: float | None  # of single calls: what a reading of the clock costs; no call can take less
    caption: str
    machine: str

    @property
    def name(self):
        return f"latency-{self.operation}-{self.comparison}"


def beyond(percentile):
    """One value in so many lies above the percentile: the place on the axis."""
    return 1 / (1 - percentile / 100)


def latency_pictures(run, rows=None):
    """All LatencyPictures of a run, in the order of the comparisons and OPERATIONS."""
    rows = read_latency(run) if rows is None else rows
    rows = rows[rows["size_bytes"] == "all"]
    pictures = [_picture(run, comparison, operation, rows[(rows["comparison"] == comparison)
                                                          & (rows["operation"] == operation)])
                for comparison in rows["comparison"].unique() for operation in OPERATIONS]
    return [p for p in pictures if p is not None]


def choose_threads(rows):
    """The most threads that have a processing unit each; the fewest where none have."""
    fits = rows[rows["oversubscribed"] != 1]
    return fits["threads"].max() if len(fits) else rows["threads"].min()


def _picture(run, comparison, operation, rows):
    if rows.empty:
        return None
    threads = choose_threads(rows)
    rows = rows[rows["threads"] == threads]
    looks = style.looks(rows["label"])
    names = style.short_names(looks)
    lines = [_line(label, names[label], look, rows[rows["label"] == label]) for label, look in looks.items()]
    lines = [line for line in lines if line is not None]
    if not lines:
        return None
    first = rows.iloc[0]
    is_call = operation != "transaction"
    last = max(beyond(line.percentiles[-1]) for line in lines)
    x_ticks = tuple((beyond(p), f"{p:g} %") for p in TICKS if beyond(p) <= last * 1.05)
    timer_ns = rows["lat_timer_median_ns"].median() if is_call else None
    values = [v for line in lines for v in line.lows + line.highs if v > 0] + ([timer_ns] if timer_ns else [])
    limits = min(values) / 1.25, max(values) * 1.25
    rate = "" if is_call else f"{first['rate_per_s']:.0f} transactions a second"
    return LatencyPicture(
        comparison, operation, int(threads),
        f"{comparison}: latency of {OPERATIONS[operation]}, {threads:.0f} thread{'s' if threads > 1 else ''}",
        "  ".join(p for p in (first["params"].replace(";", " "), rate, first["load"], first["placement"],
                              first["wrap"], first["ambient"]) if p),
        tuple(sorted(lines, key=lambda line: -line.end()[1])), (0.93, last * 1.08), x_ticks, limits,
        _time_ticks(*limits), timer_ns, _caption(rows, is_call),
        run.host + (f": {run.topology.describe()}" if run.topology else "") + f"   run {run.run_id}")


def _line(label, name, look, rows):
    n_repetitions = rows.groupby(KEY).ngroups
    known = rows[rows["percentile"] < 100].groupby("percentile")["ns"].agg(["size", "median", "min", "max"])
    known = known[known["size"] == n_repetitions]
    if len(known) < 2:
        return None
    return LatencyLine(label, name + (" (bound)" if look.is_reference else ""), look, tuple(known.index),
                       tuple(known["median"]), tuple(known["min"]), tuple(known["max"]))


def _time_ticks(low, high):
    """Powers of ten with their unit; 1, 2, 5, 10 where there are fewer than two."""
    for steps in ((1,), (1, 2, 5)):
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = tuple(m * 10.0 ** e for e in decades for m in steps if low <= m * 10.0 ** e <= high)
        if len(ticks) >= 2:
            break
    return tuple((t, format_time(t)) for t in ticks)


def format_time(ns):
    """`20 ns`, `1 us`, `500 ms`."""
    for unit, scale in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= scale:
            return f"{ns / scale:.3g} {unit}"
    return f"{ns:.3g} ns"


def _caption(rows, is_call):
    repetitions = rows.groupby("label")["repetition"].nunique()
    n = rows.groupby(["label", "repetition"])["n"].first()
    text = f"{_span(n)} {'samples' if is_call else 'transactions'} a process"
    text += f"; median of n = {_span(repetitions)} processes"
    text += "; band: lowest to highest" if repetitions.max() > 1 else ""
    if is_call:
        text += ("; dotted: the clock's own cost, in every sample (it steps by "
                 f"{span_digits(rows['lat_timer_step_ns'])} ns)")
    return text


def _span(values):
    low, high = values.min(), values.max()
    return f"{low:.0f}" if low == high else f"{low:.0f} to {high:.0f}"


def describe_latency(p):
    """A LatencyPicture in words, for those who cannot see it."""
    ends = ", ".join(f"{line.title} {format_time(line.values[-1])} at {line.percentiles[-1]:g} %"
                     for line in p.lines)
    return f"Latency by percentile. At the right end, from the top: {ends}. {p.caption}."


def write_latency_summary(pictures, path):
    """What gnuplot draws: one row a line and percentile."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(SUMMARY_COLUMNS)
        for p in pictures:
            for line in p.lines:
                for percentile, *values in zip(line.percentiles, line.values, line.lows, line.highs):
                    writer.writerow([p.comparison, p.operation, p.threads, line.label, f"{percentile:g}",
                                     f"{beyond(percentile):.10g}", *(f"{v:.10g}" for v in values)])
