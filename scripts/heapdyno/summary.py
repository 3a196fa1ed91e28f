"""Reduces the rows of a run to one row a cell and metric: what the table and the figures show, and gnuplot
reads."""
import pandas as pd

from heapdyno import columns
from heapdyno.comparisons import name_comparisons
from heapdyno.memory import MARKS, derive
from heapdyno.run import RunWarning
from heapdyno.scaling import scalings
from heapdyno.stats import median_interval
from heapdyno.syscalls import PER_KOP, per_kop

METRICS = {"ops_per_s": "timed", "fairness": "timed", "peak_rss_bytes": "audit",
           "retained_rss_bytes": "audit", "shared_line_fraction": "audit",
           "lat_p50_ns": "latency", "lat_p99_ns": "latency", "lat_p999_ns": "latency",
           "fragmentation": "rss", "peak_overhead": "rss",
           "retained_100ms_bytes": "rss", "retained_1s_bytes": "rss", "retained_5s_bytes": "rss",
           "retained_end_bytes": "rss", "drift_bytes": "rss", **dict.fromkeys(PER_KOP, "syscalls")}
"""Metric and the one pass it is taken from: a column of samples.csv, memory.derive or syscalls.per_kop, or
`fairness`, the operations of the slowest thread over those of the fastest. `speedup` comes on top, from
heapdyno.scaling.
Memory is compared at a fixed number of operations only: in a run that ends by the clock, a slow allocator
allocates less."""

INSTEAD = {"shared_line_fraction": "sharing"}
"""The pass that is taken instead in a run that has it."""

OPTIONAL = {metric for metric, of_pass in METRICS.items() if of_pass in ("rss", "latency", "syscalls")} | {
    "shared_line_fraction", "fairness"}
"""Metrics that only some workloads have: no row in the summary for a cell that has none."""

LATENCIES = tuple(metric for metric, of_pass in METRICS.items() if of_pass == "latency")

COLUMNS = ("comparison", "label") + columns.IDENTITY + (
    "oversubscribed", "ops_target", "metric", "n", "median", "ci_lo", "ci_hi", "min", "max", "n_unmeasured",
    "n_failed", "statuses", "resolution", "rate_per_s", "transaction_ops", "missed_fraction")
"""`resolution`: the measurement knows no difference up to this, in the unit of the metric; NaN where nothing
is known of it. The last three are of latencies under a rate."""

LAG_BYTES = 64 * 4096
"""Up to 64 pages of a change of the resident set the kernel keeps back for each thread or processor."""


def summarize(run):
    """The summary of a Run as a DataFrame with COLUMNS, in the order of reading. Appends to run.warnings.

    n counts the ok rows with a value, n_unmeasured ok rows without one, n_failed all others, which
    `statuses` names (`crash:2;timeout:1`). Without a value the numbers are NaN.
    """
    samples = derive(run).assign(fairness=_fairness(run.samples), **per_kop(run.samples))
    comparisons = name_comparisons(samples)
    rows = []
    for metric, metric_pass in METRICS.items():
        if (samples["pass"] == INSTEAD.get(metric)).any():
            metric_pass = INSTEAD[metric]
        of_pass = samples[samples["pass"] == metric_pass]
        for identity, cell in of_pass.groupby(list(columns.IDENTITY), sort=False):
            if metric in OPTIONAL and (metric not in cell or cell[metric].isna().all()):
                continue
            row = dict(zip(columns.IDENTITY, identity))
            row["comparison"] = comparisons[tuple(row[c] for c in columns.COMPARISON)]
            row["label"] = columns.label(row["allocator"], row["config"])
            row["oversubscribed"] = cell["oversubscribed"].max()
            row["ops_target"] = cell["ops_target"].iloc[0] if cell["ops_target"].nunique() == 1 else None
            row["metric"] = metric
            row.update(_reduce(cell, metric))
            if metric in LATENCIES:
                row.update(_of_latency(cell[cell["status"] == "ok"]))
            if metric in MARKS:
                n_pus = run.topology.n_pus if run.topology else 1
                row["resolution"] = LAG_BYTES * max(row["threads"], n_pus)
            rows.append(row)
    rows += _speedups(run, rows)
    summary = pd.DataFrame(rows, columns=COLUMNS)
    measured = list(COLUMNS[COLUMNS.index("oversubscribed"):])
    numbers = [c for c in measured if c not in ("metric", "statuses")]
    summary[numbers] = summary[numbers].astype(float)
    summary = summary.astype({"n": int, "n_unmeasured": int, "n_failed": int})
    _check_fixed_ops(run, summary)
    return summary.sort_values(["comparison", "metric", "label", "threads"], kind="stable", ignore_index=True)


def _fairness(samples):
    """Of rows with several threads; NaN for others, and where the counts were not taken."""
    if not {"min_thread_ops", "max_thread_ops"} <= set(samples.columns):
        return pd.NA
    return (samples["min_thread_ops"] / samples["max_thread_ops"]).where(samples["threads"] > 1)


def _speedups(run, rows):
    """Rows of the metric `speedup` for each row of ops_per_s of an allocator with several thread counts, one
    of them 1."""
    bases = {}
    for row in rows:
        if row["metric"] == "ops_per_s":
            bases.setdefault((row["comparison"], row["label"]), {})[row["threads"]] = row
    made = []
    for line in scalings(run.samples, run.topology, has_law_intervals=False):
        found = {s.threads: s for s in line.speedups}
        of_line = bases[line.comparison, line.label]
        for threads, base in of_line.items() if len(of_line) > 1 else ():
            row = {**base, "metric": "speedup", "n": 0}
            row.update(dict.fromkeys(("median", "ci_lo", "ci_hi", "min", "max")))
            if threads in found:
                s = found[threads]
                row.update(n=s.n, median=s.value, ci_lo=s.ci[0], ci_hi=s.ci[1], min=s.extremes[0],
                           max=s.extremes[1])
            made.append(row)
    return made


def _reduce(cell, metric):
    ok = cell[cell["status"] == "ok"]
    values = ok[metric].dropna()
    failed = cell.loc[cell["status"] != "ok", "status"].value_counts().sort_index()
    row = {"n": len(values), "n_unmeasured": len(ok) - len(values), "n_failed": int(failed.sum()),
           "statuses": ";".join(f"{status}:{count}" for status, count in failed.items())}
    if len(values):
        row["median"], row["ci_lo"], row["ci_hi"] = median_interval(values)
        row["min"], row["max"] = values.min(), values.max()
    return row


def _of_latency(ok):
    """What the latencies of a cell are of, and what they cannot tell: the largest of its rows. Transactions
    are timed with CLOCK_MONOTONIC, and not with the clock whose step is known."""
    found = {c: ok[c].max() for c in ("rate_per_s", "transaction_ops", "missed_fraction") if c in ok}
    if pd.isna(found.get("rate_per_s")) and "lat_timer_step_ns" in ok:
        found["resolution"] = ok["lat_timer_step_ns"].max()
    return found


def has_equal_ops(cells):
    """Whether the cells (rows of a summary) all did the same known number of operations, so that memory
    compares."""
    return cells["ops_target"].notna().all() and cells["ops_target"].nunique() == 1


def _check_fixed_ops(run, summary):
    measured = summary[(summary["metric"] == "peak_rss_bytes") & (summary["n"] > 0)]
    for (comparison, threads), cells in measured.groupby(["comparison", "threads"], sort=False):
        if not has_equal_ops(cells):
            run.warnings.append(RunWarning(
                "unequal-ops", f"{comparison} at {threads:.0f} threads: the audit passes did not all do the "
                "same number of operations; their memory does not compare"))


def write_summary(summary, path):
    """Writes summary.csv: as samples.csv, empty = not measured, dot decimals, LF."""
    table = summary.copy()
    for column in ("workload_version", "threads", "oversubscribed", "ops_target"):
        table[column] = table[column].map(lambda v: f"{v:.0f}" if v == v else "")
    table.to_csv(path, index=False, float_format="%.10g", lineterminator="\n")


def read_summary(path):
    """The DataFrame that write_summary wrote."""
    texts = {"comparison", "label", "metric", "statuses"} | set(columns.IDENTITY) - set(columns.NUMBERS)
    table = pd.read_csv(path, dtype={c: str for c in texts}, keep_default_na=False,
                        na_values={c: [""] for c in COLUMNS if c not in texts})
    return table[list(COLUMNS)]
