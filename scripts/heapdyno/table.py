"""The end table for people: throughput and peak RSS by allocator and thread count."""
import math
import textwrap

import pandas as pd

from heapdyno import style
from heapdyno.summary import LATENCIES, has_equal_ops
from heapdyno.syscalls import CALLS, PER_KOP, call_rows
from heapdyno.units import rate_unit, time_unit

WIDTH = 100
MIB = 1024 * 1024

TABLES = {  # title, what values are divided by or how that is chosen by the medians, which of two is better
    "ops_per_s": ("throughput, {unit} (more is better)", rate_unit, max),
    "peak_rss_bytes": ("peak RSS, MiB after a fixed number of operations (less is better)", MIB, min),
    "lat_p50_ns": ("median latency, {unit} (less is better)", time_unit, min),
    "lat_p99_ns": ("99th percentile of latency, {unit} (less is better)", time_unit, min),
    "lat_p999_ns": ("99.9th percentile of latency, {unit} (less is better)", time_unit, min),
    "fragmentation": ("fragmentation, bytes held for each byte live at the peak (less is better)", 1, min),
    "retained_1s_bytes": ("retained, MiB held 1 s after everything was freed, threads alive (less is better)",
                          MIB, min),
    "retained_5s_bytes": ("retained, MiB held 5 s after everything was freed, threads alive (less is better)",
                          MIB, min),
    "drift_bytes": ("drift, bytes held more with each thread that was succeeded (less is better)", 1, min),
    "shared_line_fraction": ("64-byte lines with objects of several threads, % (less is better)", 0.01, min),
}


def title_and_scale(metric, medians):
    """The title of a table of TABLES and what its values are divided by."""
    title, scale, _ = TABLES[metric]
    if not callable(scale):
        return title, scale
    scale, unit = scale(medians)
    return title.format(unit=unit), scale


def title_of(rows, metric):
    """title_and_scale of the rows of one table, which says of latencies under a rate what was timed."""
    title, scale = title_and_scale(metric, rows["median"])
    rates = rows["rate_per_s"].dropna()
    if metric not in LATENCIES or rates.empty:
        return title, scale
    ops = rows["transaction_ops"].dropna()
    name, unit = title.split(",", 1)
    length = f"of {_span(ops)} operations, " if len(ops) else ""
    return f"{name}, transactions {length}from when due, {_span(rates)} a second,{unit}", scale


CALLS_TITLE = "system calls for each thousand operations, by name; all has every name (fewer is better)"

DETERMINISTIC = {"shared_line_fraction"}
"""Metrics whose single values of the audit may be ranked. Of any other, one value without its noise names no
winner."""


def three_digits(value):
    """The value with three significant digits and no exponent: 0.0123, 1.23, 12.3, 123, 1230."""
    if value == 0:
        return "0"
    if value < 0:
        return "-" + three_digits(-value)
    decimals = 2 - math.floor(math.log10(abs(value)))
    rounded = round(value, decimals)
    decimals = 2 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:.{max(decimals, 0)}f}"


def bounds(row):
    """The interval of a summary row that says how well its median is known: the confidence interval, or the
    range where n is too small for one, or None where there is no second value."""
    if not pd.isna(row["ci_lo"]):
        return row["ci_lo"], row["ci_hi"]
    return (row["min"], row["max"]) if row["n"] > 1 else None


def find_best(cells, better):
    """The summary row with the best median among the cells that may win: no reference, nothing failed."""
    eligible = [r for r in cells if r["n"] > 0 and r["n_failed"] == 0 and not style.is_reference(r["label"])]
    if len(eligible) < 2:
        return None
    return better(eligible, key=lambda r: r["median"])


def best_of(cells, metric):
    """find_best by a metric of TABLES; None also where memory stands at different numbers of operations."""
    measured = pd.DataFrame([c for c in cells if c["n"] > 0])
    if metric == "peak_rss_bytes" and len(measured) and not has_equal_ops(measured):
        return None
    return find_best(cells, TABLES[metric][2])


def mark(row, best, cells):
    """`*` for the best of these cells. `~` where this run cannot tell the row from it: their intervals
    overlap, or the medians are no further apart than the measurement can see; then the best is `~` too."""
    if best is None or row["n"] == 0 or style.is_reference(row["label"]):
        return " "
    if best["n"] == 1 and not (best["metric"] in DETERMINISTIC and best["pass"] == "audit"):
        return " "
    if row is best:
        others = (c for c in cells if c is not best and c["n"] > 0 and not style.is_reference(c["label"]))
        return "~" if any(_is_unseen(other, best) for other in others) else "*"
    if _is_unseen(row, best):
        return "~"
    if row["median"] == best["median"]:
        return "*"
    mine, its = bounds(row), bounds(best)
    if mine and its and mine[0] <= its[1] and its[0] <= mine[1]:
        return "~"
    return " "


def _is_unseen(row, best):
    """Whether the medians are no further apart than the coarser of the two measurements can see. What is
    below 0, as a resident set less its start can be, is as good as 0."""
    known = [r["resolution"] for r in (row, best) if not pd.isna(r["resolution"])]
    return bool(known) and abs(max(row["median"], 0) - max(best["median"], 0)) <= max(known)


def cell_parts(row, best, scale, cells):
    """(value, mark, noise, flags) of a cell among these cells of its column, which has a value."""
    flags = ("!" if row["n_failed"] else "") + ("#" if row["missed_fraction"] > 0 else "")
    limits = bounds(row)
    if limits is None:
        noise = ""
    elif needs_ends(row):
        noise = f"[{three_digits(limits[0] / scale)},{three_digits(limits[1] / scale)}]"
    else:
        half = (limits[1] - limits[0]) / 2
        noise = f"±{half / row['median'] * 100 if half else 0:.0f}%"
    return three_digits(row["median"] / scale), mark(row, best, cells), noise, flags


def needs_ends(row):
    """Whether ± would mislead about the bounds of a summary row: they reach 0, or one lies more than a fifth
    further from the median than the other and ± would be wrong by more than 5 % of the median."""
    if bounds(row) is None:
        return False
    low, high = bounds(row)
    if low == high:
        return False
    below, above = row["median"] - low, high - row["median"]
    differ = abs(above - below)
    return low <= 0 or (differ > 0.2 * max(below, above) and differ / 2 > 0.05 * row["median"])


def cell_text(row, best, scale, cells):
    """One cell of the table: value, mark, noise, flags; or why there is no value."""
    return status_text(row) if row["n"] == 0 else "".join(cell_parts(row, best, scale, cells))


def status_text(row):
    """The most frequent failure of a cell without a value."""
    if not row["statuses"]:
        return "none"
    counts = [part.split(":") for part in row["statuses"].split(";")]
    return max(counts, key=lambda c: int(c[1]))[0]


def format_run(run, summary, width=WIDTH):
    """The whole text, `width` columns wide: a head, a table a comparison and metric, failures with their
    reasons, and what the marks mean."""
    lines = [f"run {run.run_id} on {run.host}"
             + (f" ({run.topology.describe()})" if run.topology else "")]
    n_rows = len(run.samples.drop_duplicates(["cell_id", "repetition"]))
    if run.n_planned is not None and n_rows < run.n_planned:
        lines.append(f"INCOMPLETE: {n_rows} of {run.n_planned} planned processes were measured")
    for comparison in summary["comparison"].unique():
        measured = set(summary.loc[summary["comparison"] == comparison, "metric"])
        for metric in TABLES:
            of_table = summary[(summary["comparison"] == comparison) & (summary["metric"] == metric)]
            if len(of_table) and not (metric == "retained_1s_bytes" and "retained_5s_bytes" in measured):
                lines += [""] + format_table(of_table, metric, width)
        of_calls = summary[(summary["comparison"] == comparison) & summary["metric"].isin(PER_KOP)]
        if len(of_calls):
            lines += [""] + format_calls(of_calls, width)
    failures = format_failures(run.samples, width)
    lines += [""] + failures if failures else []
    lines += ["", "how to read this:"] + format_legend(run, summary, width)
    return "\n".join(line.rstrip() for line in lines)


def format_table(of_table, metric, width):
    """The lines of one table, broken into blocks of thread counts where it is wider than `width`."""
    title, scale = title_of(of_table, metric)
    first = of_table.iloc[0]
    rows = {(r["label"], r["threads"]): r for r in of_table.to_dict("records")}
    labels = list(style.looks(of_table["label"]))
    columns = [_format_column(rows, labels, threads, metric, scale)
               for threads in sorted(of_table["threads"].unique())]
    lines = textwrap.wrap(f"{first['comparison']}: {title}", width, subsequent_indent="  ")
    lines += _wrap(_conditions(first), width)
    names = ["threads"] + list(style.short_names(labels).values())
    names_width = max(map(len, names))
    while columns:
        block = _take_block(columns, width - names_width)
        lines += [names[i].ljust(names_width) + "".join(c[i] for c in block) for i in range(len(names))]
        columns = columns[len(block):]
    return lines


def _conditions(row):
    return " ".join(row[c] for c in ("params", "load", "placement", "membind", "wrap", "ambient") if row[c])


def format_calls(of_calls, width):
    """The lines of one table of system calls by name, a block a thread count."""
    first = of_calls.iloc[0]
    lines = [f"{first['comparison']}: {CALLS_TITLE}"] + _wrap(_conditions(first), width)
    rows = call_rows(of_calls)
    names = style.short_names(dict.fromkeys(label for label, _, _, _ in rows))
    table = []
    for i, (label, threads, is_over, values) in enumerate(rows):
        if i == 0 or threads != rows[i - 1][1]:
            count = f"{threads:.0f} thread{'' if threads == 1 else 's'}"
            table.append([count + ("+" if is_over else "")] + list(CALLS.values()))
        table.append([names[label]] + ["-" if v != v else three_digits(v) for v in values])
    widths = [max(len(line[i]) for line in table) for i in range(len(CALLS) + 1)]
    return lines + ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
                    for line in table]


def _format_column(rows, labels, threads, metric, scale):
    """Head and cells of one thread count, padded to one width with a gap before."""
    cells = [rows.get((label, threads)) for label in labels]
    present = [c for c in cells if c is not None]
    best = best_of(present, metric)
    is_over = any(c["oversubscribed"] == 1 for c in present)
    texts = [f"{threads:.0f}" + ("+" if is_over else " ")]
    texts += ["-" if c is None else cell_text(c, best, scale, present) for c in cells]
    return _align(texts)


def _align(texts):
    """Numbers under one another: right-aligned up to the mark, noise left-aligned after it."""
    heads, tails = [], []
    for text in texts:
        cut = next((i for i, c in enumerate(text) if c in " *~+" and i > 0), None)
        heads.append(text[:cut + 1] if cut is not None else text + " ")
        tails.append(text[cut + 1:] if cut is not None else "")
    is_word = [not h.lstrip("-")[:1].isdigit() for h in heads]
    head_width = max((len(h) for h, w in zip(heads, is_word) if not w), default=0)
    tail_width = max(map(len, tails))
    width = max([head_width + tail_width] + [len(h) for h, w in zip(heads, is_word) if w])
    out = []
    for head, tail, word in zip(heads, tails, is_word):
        body = head.rjust(width) if word else (head.rjust(width - tail_width) + tail.ljust(tail_width))
        out.append("  " + body)
    return out


def _take_block(columns, room):
    n, used = 0, 0
    while n < len(columns) and (n == 0 or used + len(columns[n][0]) <= room):
        used += len(columns[n][0])
        n += 1
    return columns[:n]


def _wrap(text, width):
    return textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)


def format_failures(samples, width):
    """A line for each allocator and status that is not ok: how often, where, and the reason first given."""
    bad = samples[samples["status"] != "ok"]
    lines = []
    for (allocator, config, status), rows in bad.groupby(["allocator", "config", "status"], sort=True):
        where = ", ".join(f"{w} at {_numbers(r['threads'])} threads" for w, r in rows.groupby("workload"))
        reason = next((f": {why}" for why in rows["why"] if why), "")
        name = f"{allocator}[{config}]" if config else allocator
        lines += _wrap(f"{name} {status} {len(rows)}x ({where}){reason}", width)
    return ["not ok, and in no number above:"] + lines if lines else []


def _numbers(threads):
    return ",".join(f"{t:.0f}" for t in sorted(threads.unique()))


def format_legend(run, summary, width):
    """What the marks of the tables mean, and n; only marks that can occur."""
    shown = summary[summary["metric"].isin(TABLES) & (summary["n"] > 0)]
    lines = []
    for metric, (title, _, _) in TABLES.items():
        n = shown.loc[shown["metric"] == metric, "n"]
        if len(n):
            name = title.partition(",")[0]
            line = f"{name}: median of n = {_span(n)} processes; {_noise(shown, metric)}"
            lines += [line] if line not in lines else []  # what is retained at 1 and at 5 s
    lines += _clock_cost(run.samples)
    n = summary.loc[summary["metric"].isin(PER_KOP), "n"]
    if len(n):
        lines.append(f"system calls: median of n = {_span(n)} processes under strace, which slows every "
                     "call: those that wait for others (futex, sched_yield) tell no rate (docs/syscalls.md)")
    if any(needs_ends(row) for row in shown.to_dict("records")):
        lines.append("[low,high] the ends themselves, where they reach 0 or lie so unevenly about the "
                     "median that ± would mislead")
    lines += _marks(shown)
    lines += _unseen(shown)
    if (shown["n_failed"] > 0).any():
        lines.append("! some repetitions failed: the number stands for the others only and is never best")
    if (shown["missed_fraction"] > 0).any():
        most = shown["missed_fraction"].max() * 100
        lines.append(f"# up to {most:.2g} % of the transactions were not done by the "
                     "end: where that is not near 0 the rate cannot be borne, and percentiles grow with the "
                     "length of the run (docs/latency.md)")
    if (summary.loc[summary["metric"] == "ops_per_s", "n_unmeasured"] > 0).any():
        lines.append("none: the threads never all ran together, so there is no rate")
    if has_gaps(summary[summary["metric"].isin(TABLES)]):
        lines.append("- not measured")
    if (summary["oversubscribed"] == 1).any():
        pus = f" ({run.topology.n_pus})" if run.topology else ""
        lines.append(f"+ oversubscribed: more threads than processing units{pus}; tells of scheduling "
                     "as much as of the allocator")
    if summary["label"].map(style.is_reference).any():
        lines.append("null and floor are references (a speed of light that shares nothing), never best")
    lines += style.explain_names(style.short_names(style.looks(summary["label"])))
    return [line for text in lines for line in _wrap(text, width)]


def _clock_cost(samples):
    """A line on what is in the latencies of single calls beside the calls; none where none were timed."""
    if not {"lat_timer_median_ns", "rate_per_s"} <= set(samples.columns):
        return []
    is_call = (samples["pass"] == "latency") & (samples["status"] == "ok") & samples["rate_per_s"].isna()
    costs = samples.loc[is_call, "lat_timer_median_ns"].dropna()
    if costs.empty:
        return []
    cost = three_digits(costs.median())
    return [f"latencies of single calls have the clock's own cost in them, {cost} ns: "
            "what is near it is not told apart (docs/latency.md)"]


def _marks(shown):
    """What `*` and `~` say, by what decides in the cells: intervals, or ranges where there is none."""
    has_ci = shown["ci_lo"].notna()
    is_range = ~has_ci & (shown["n"] > 1)
    told = ": this run cannot tell them apart"
    if has_ci.any() and is_range.any():
        return ["* best median, where n < 6 a hint and no more; ~ its interval, or its range where n < 6, "
                "overlaps that of the best" + told]
    if has_ci.any():
        return ["* best median; ~ its interval overlaps that of the best" + told]
    if is_range.any():
        return ["* best median, a hint and no more: with n < 6 nobody is shown best; ~ its range overlaps "
                "that of the best" + told]
    return ["* best value"] if shown["metric"].isin(DETERMINISTIC).any() else []


def _unseen(shown):
    """Lines on differences that no measurement of the run could see; none where nothing is known of it."""
    steps = shown.loc[shown["metric"].isin(LATENCIES), "resolution"].dropna()
    lines = []
    if len(steps):
        lines.append(f"~ too where medians differ by no more than the clock's step, {span_digits(steps)} ns: "
                     "of those none is best")
    batches = shown.loc[~shown["metric"].isin(LATENCIES), "resolution"].dropna() / MIB
    if len(batches):
        lines.append("~ too where what is retained differs by no more than the kernel's count of it can lag, "
                     f"{span_digits(batches)} MiB, or is below 0: of those none is best")
    return lines


def span_digits(values):
    """`10` or `10 to 20`, to three digits."""
    low, high = f"{values.min():.3g}", f"{values.max():.3g}"
    return low if low == high else f"{low} to {high}"


def has_gaps(summary):
    """Whether an allocator of some table has no row for one of that table's thread counts."""
    tables = summary.groupby(["comparison", "metric"])
    return any(len(t) < t["label"].nunique() * t["threads"].nunique() for _, t in tables)


def _span(n):
    return f"{n.min():.0f}" if n.min() == n.max() else f"{n.min():.0f} to {n.max():.0f}"


def _noise(shown, metric):
    """What ± stands for in the cells of that metric."""
    of_metric = shown[shown["metric"] == metric]
    has_ci = of_metric["ci_lo"].notna()
    if (of_metric["n"] <= 1).all():
        return "one value has no noise to show, so no best is marked"
    if has_ci.all():
        return "± half the 95 % confidence interval of the median"
    if not has_ci.any():
        return "± half the range (n < 6 gives no 95 % interval: differences are hints)"
    return "± half the 95 % confidence interval, or half the range where n < 6"
