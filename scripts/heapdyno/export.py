"""A run in the formats of other people's tools. Converts and judges nothing.

Everything here is lower-is-better, because several of the formats know one direction only: time per
operation, which is 1e9 / ops_per_s (of the whole program, not of a thread), peak RSS, and, where there was a
latency pass, percentiles of the latency of single calls or transactions.
"""
import json
import xml.etree.ElementTree as ElementTree

from heapdyno import columns
from heapdyno.gate import cell_name
from heapdyno.summary import name_comparisons, summarize

UNITS = {"ops_per_s": "ns/op", "peak_rss_bytes": "bytes", "lat_p50_ns": "ns", "lat_p99_ns": "ns",
         "lat_p999_ns": "ns"}
MEASURES = {"ops_per_s": "time-per-op", "peak_rss_bytes": "peak-rss", "lat_p50_ns": "latency-p50",
            "lat_p99_ns": "latency-p99", "lat_p999_ns": "latency-p999"}
LATENCIES = tuple(metric for metric in MEASURES if metric.startswith("lat_"))
OF_PASS = {"timed": ("ops_per_s",), "audit": ("peak_rss_bytes",), "latency": LATENCIES}


def ns_per_op(ops_per_s):
    return 1e9 / ops_per_s


def to_gobench(run):
    """The Go benchmark format, a line for each measured process: for benchstat. /threads= comes last, since a
    number after a hyphen at the end would be read as GOMAXPROCS."""
    lines = [f"host: {run.host}"]
    if run.topology and run.topology.cpu_model:
        lines.append(f"cpu: {run.topology.cpu_model}")
    for row, comparison, label in _ok_rows(run):
        rest = comparison[len(row["workload"]) + 1:]
        camel = "".join(part.capitalize() for part in row["workload"].split("-"))
        name = f"Benchmark{camel}" + (f"/set={rest}" if rest else "") + f"/alloc={_word(label)}"
        name += f"/threads={row['threads']:.0f}"
        lines.append(f"{name} {row['ops']:.0f} {_gobench_values(row)}")
    return "\n".join(lines) + "\n"


def _gobench_values(row):
    if row["pass"] == "timed":
        return f"{ns_per_op(row['ops_per_s']):.6g} ns/op {row['ops_per_s']:.6g} ops/sec"
    if row["pass"] == "audit":
        return f"{row['peak_rss_bytes']:.0f} peak-bytes"
    return " ".join(f"{row[metric]:.6g} {metric[4:-3]}-latency-ns"
                    for metric in LATENCIES if is_there(row, metric))


def is_there(row, metric):
    return metric in row and row[metric] == row[metric]


def _word(text):
    """Without what separates words or parts of a name."""
    return "".join("_" if c.isspace() or c == "/" else c for c in text)


def _ok_rows(run):
    """(row, comparison, label) of each row with a number: of the timed, audit and latency passes."""
    names = name_comparisons(run.samples)
    for row in run.samples.to_dict("records"):
        has_value = any(is_there(row, metric) for metric in OF_PASS.get(row["pass"], ()))
        if row["status"] == "ok" and has_value and row["ops"] == row["ops"]:
            yield (row, names[tuple(row[c] for c in columns.COMPARISON)],
                   columns.label(row["allocator"], row["config"]))


def to_gbench(run):
    """JSON of google-benchmark, an entry for each timed process whose processor time is known too: for its
    compare.py."""
    rows = [(row, f"{comparison}/alloc:{_word(label)}/threads:{row['threads']:.0f}")
            for row, comparison, label in _ok_rows(run)
            if row["pass"] == "timed" and row["user_ns"] == row["user_ns"]]
    n_of = {}
    for _, name in rows:
        n_of[name] = n_of.get(name, 0) + 1
    seen, benchmarks = {}, []
    for row, name in rows:
        seen[name] = seen.get(name, -1) + 1
        cpu_ns = row["user_ns"] + row["sys_ns"]
        real = ns_per_op(row["ops_per_s"])
        benchmarks.append({
            "name": name, "family_index": list(n_of).index(name), "per_family_instance_index": 0,
            "run_name": name, "run_type": "iteration", "repetitions": n_of[name],
            "repetition_index": seen[name], "threads": int(row["threads"]), "iterations": int(row["ops"]),
            "real_time": real, "cpu_time": cpu_ns / row["ops"], "time_unit": "ns"})
    context = {"date": run.manifest.get("started"), "host_name": run.host, "executable": "run-bench",
               "num_cpus": run.topology.n_pus if run.topology else 0, "caches": [], "load_avg": [],
               "library_build_type": "release", "json_schema_version": 1}
    return json.dumps({"context": context, "benchmarks": benchmarks}, indent=2) + "\n"


def _medians(run):
    """(name, metric, value, low, high, n) of each cell and metric with a value; low and high are None without
    an interval."""
    for row in summarize(run).to_dict("records"):
        if row["metric"] not in UNITS or not row["n"]:
            continue
        values = [row["median"], row["ci_lo"], row["ci_hi"]]
        if row["metric"] == "ops_per_s":
            values = [ns_per_op(v) for v in (row["median"], row["ci_hi"], row["ci_lo"])]
        value, low, high = (v if v == v else None for v in values)
        name = f"{row['label']}, {cell_name(row['comparison'], row['threads'])}"
        yield name, row["metric"], value, low, high, int(row["n"])


def to_bencher(run):
    """Bencher Metric Format: medians with the bounds of their 95 % intervals where there are any."""
    report = {}
    for name, metric, value, low, high, _ in _medians(run):
        measure = {"value": value}
        if low is not None:
            measure.update(lower_value=low, upper_value=high)
        report.setdefault(name, {})[MEASURES[metric]] = measure
    return json.dumps(report, indent=2) + "\n"


def to_github(run):
    """For github-action-benchmark with `tool: customSmallerIsBetter`."""
    entries = []
    for name, metric, value, low, high, n in _medians(run):
        entry = {"name": f"{name}: {MEASURES[metric]}", "unit": UNITS[metric], "value": value,
                 "extra": f"median of {n} processes"}
        if low is not None:
            entry["range"] = f"{low:.6g} to {high:.6g}"
        entries.append(entry)
    return json.dumps(entries, indent=2) + "\n"


def to_markdown(run):
    """A table of medians."""
    lines = ["| cell | measure | median | 95 % interval | n |", "|---|---|---:|---:|---:|"]
    for name, metric, value, low, high, n in _medians(run):
        interval = "-" if low is None else f"{low:.4g} to {high:.4g}"
        lines.append(f"| {name} | {MEASURES[metric]}, {UNITS[metric]} | {value:.4g} | {interval} | {n} |")
    return "\n".join(lines) + "\n"


def to_junit(run):
    """A test case a cell and pass: error = a repetition failed, skipped = it was not run. A run has no
    regressions: those are the gate's."""
    names = name_comparisons(run.samples)
    cases = []
    for cell_id, rows in run.samples.groupby("cell_id", sort=False):
        first = rows.iloc[0]
        name = (f"{columns.label(first['allocator'], first['config'])}, "
                + cell_name(names[tuple(first[c] for c in columns.COMPARISON)], first["threads"]))
        case = ElementTree.Element("testcase", {"classname": f"heapdyno.{first['pass']}", "name": name})
        bad = rows[~rows["status"].isin(("ok", "contaminated"))]
        if len(bad):
            row = bad.iloc[0]
            kind = "skipped" if (bad["status"] == "skip").all() else "error"
            ElementTree.SubElement(case, kind, {"message": f"{row['status']}: {row['why']}"})
        cases.append(case)
    suite = ElementTree.Element("testsuite", {
        "name": run.run_id, "tests": str(len(cases)), "failures": "0",
        "errors": str(sum(c.find("error") is not None for c in cases)),
        "skipped": str(sum(c.find("skipped") is not None for c in cases))})
    suite.extend(cases)
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True).decode() + "\n"


FORMATS = {"gobench": to_gobench, "gbench": to_gbench, "junit": to_junit, "markdown": to_markdown,
           "bencher": to_bencher, "github-action-benchmark": to_github}
