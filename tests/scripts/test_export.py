"""Each format against what its reader documents."""
import json
import re
import xml.etree.ElementTree as ElementTree

import golden
import pytest

from heapdyno import export
from heapdyno.run import read_run


@pytest.fixture
def run(tmp_path):
    times = {"ops": 1000, "user_ns": 3000, "sys_ns": 1000}
    rows = (golden.timed("glibc", 8, [10e6, 11e6, 12e6, 13e6, 14e6, 15e6], **times)
            + golden.timed("arena", 8, [20e6], config="MALLOC_CONF=a b/c", **times)
            + golden.audit("glibc", 8, 5 * golden.MIB, ops=500)
            + [golden.row(**{"pass": "latency", "threads": 8, "ops": 900, "lat_p50_ns": 40, "lat_p99_ns": 95,
                             "lat_p999_ns": 300})]
            + golden.failed("scudo", 8, "crash", "a<b") + golden.failed("null", 8, "skip", "no"))
    return read_run(golden.write_run(tmp_path / "run", rows))


def test_gobench_lines_are_what_benchstat_reads(run):
    """Name, iterations, then value and unit in turn; no blank in a name, no hyphen before its last number."""
    lines = export.to_gobench(run).splitlines()
    assert lines[:2] == ["host: testbox", "cpu: Test CPU"]
    pattern = re.compile(r"Benchmark[A-Z]\S*=\d+ [1-9]\d*( [0-9.e+-]+ [a-zA-Z][\w/-]*)+")
    assert len(lines) == 2 + 9 and all(pattern.fullmatch(line) for line in lines[2:])
    assert lines[2] == "BenchmarkLarson/alloc=glibc/threads=8 1000 100 ns/op 1e+07 ops/sec"
    assert "BenchmarkLarson/alloc=arena[MALLOC_CONF=a_b_c]/threads=8 1000 50 ns/op 2e+07 ops/sec" in lines
    assert "BenchmarkLarson/alloc=glibc/threads=8 500 5242880 peak-bytes" in lines
    assert ("BenchmarkLarson/alloc=glibc/threads=8 900 40 p50-latency-ns 95 p99-latency-ns "
            "300 p999-latency-ns") in lines


def test_gobench_tells_parameter_sets_apart(tmp_path):
    rows = (golden.timed("glibc", 1, [1e6], ops=1)
            + golden.timed("glibc", 1, [1e6], ops=1, params="min_bytes=16;max_bytes=1000"))
    text = export.to_gobench(read_run(golden.write_run(tmp_path / "r", rows)))
    assert "/set=min_bytes=8/" in text and "/set=min_bytes=16/" in text


def test_gbench_has_the_fields_of_schema_version_1(run):
    report = json.loads(export.to_gbench(run))
    assert report["context"]["json_schema_version"] == 1 and report["context"]["num_cpus"] == golden.N_PUS
    glibc = [b for b in report["benchmarks"] if "glibc" in b["name"]]
    assert [b["repetition_index"] for b in glibc] == list(range(6))
    assert {k: glibc[0][k] for k in ("run_type", "repetitions", "threads", "iterations", "time_unit",
                                     "real_time", "cpu_time")} == {
        "run_type": "iteration", "repetitions": 6, "threads": 8, "iterations": 1000, "time_unit": "ns",
        "real_time": 100.0, "cpu_time": 4.0}
    assert all(b["name"] == b["run_name"] for b in report["benchmarks"])


def test_bencher_metric_format_has_ordered_bounds(run):
    report = json.loads(export.to_bencher(run))
    cell = report["glibc, larson, 8 threads"]
    assert cell["time-per-op"] == {"value": 80.0, "lower_value": pytest.approx(1e9 / 15e6),
                                   "upper_value": 100.0}
    assert cell["peak-rss"] == {"value": 5 * golden.MIB}
    assert [cell[f"latency-p{p}"]["value"] for p in (50, 99, 999)] == [40, 95, 300]


def test_github_action_benchmark_is_a_list_of_entries(run):
    entries = json.loads(export.to_github(run))
    assert all({"name", "unit", "value"} <= set(e) for e in entries)
    assert {e["name"]: e["value"] for e in entries}["glibc, larson, 8 threads: time-per-op"] == 80.0


def test_junit_counts(run):
    suite = ElementTree.fromstring(export.to_junit(run))
    assert {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "6", "failures": "0", "errors": "1", "skipped": "1"}
    assert suite.find(".//error").get("message") == "crash: a<b"


def test_markdown_row(run):
    rows = export.to_markdown(run).splitlines()
    assert "| glibc, larson, 8 threads | time-per-op, ns/op | 80 | 66.67 to 100 | 6 |" in rows


@pytest.mark.parametrize("name", export.FORMATS)
def test_no_failed_row_becomes_a_number(tmp_path, name):
    rows = golden.failed("scudo", 8, "crash", "x", ops_per_s=1234567, ops=1, peak_rss_bytes=1234567)
    assert "1234567" not in export.FORMATS[name](read_run(golden.write_run(tmp_path / "r", rows)))


def test_command_line(tmp_path, script, run):
    done = script("export.py", run.folder, "--format", "markdown", "--out", tmp_path / "x.md")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "x.md").read_text() == export.to_markdown(run)
    done = script("export.py", run.folder, "--format", "junit", "--out", tmp_path / "x.md")
    assert done.returncode == 2 and "x.md: there is such a file" in done.stderr
    assert (tmp_path / "x.md").read_text() == export.to_markdown(run)
    done = script("export.py", run.folder, "--format", "junit", "--out", tmp_path / "x.md", "--force")
    assert done.returncode == 0 and (tmp_path / "x.md").read_text() == export.to_junit(run)
    assert script("export.py", run.folder, "--format", "pdf").returncode == 2
    assert script("export.py", tmp_path, "--format", "gbench").returncode == 2
