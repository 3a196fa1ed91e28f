"""Exports read by the tools they are made for where Debian has them, and held to their documented form where
not."""
import json
import math
import subprocess
from pathlib import Path

import golden
import jsonschema
import pytest
from conftest import SCRIPTS

from heapdyno import export, gate_report
from heapdyno.judge import Cell, Verdict
from heapdyno.run import read_run

COMPARE = Path("/usr/share/benchmark/compare.py")


def run(folder, rate):
    times = {"ops": 1000, "user_ns": 3e9 / rate * 1e6, "sys_ns": 0}
    rows = (golden.timed("glibc", 8, [rate * f for f in (0.98, 1, 1.02, 1.01, 0.99, 1, 1, 1, 1)], **times)
            + golden.timed("mine-2", 1, [2 * rate], config="A_B=x-8", **times)
            + golden.audit("glibc", 8, 5 * golden.MIB, ops=500)
            + golden.failed("scudo", 8, "crash", "a<b & c")
            + golden.failed("null", 8, "skip", "no"))
    return read_run(golden.write_run(folder, rows))


@pytest.mark.skipif(not COMPARE.exists(), reason=f"{COMPARE} is not there (libbenchmark-tools)")
def test_compare_py_of_google_benchmark_finds_the_change(tmp_path):
    for name, rate in (("a", 10e6), ("b", 8e6)):
        (tmp_path / f"{name}.json").write_text(export.to_gbench(run(tmp_path / name, rate)))
    done = subprocess.run([SCRIPTS / "python", COMPARE, "--no-color", "benchmarks", tmp_path / "a.json",
                           tmp_path / "b.json"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()
             if line.startswith("larson/alloc:glibc/threads:8")]
    changes = [float(words[1]) for words in lines if len(words) == 7]
    assert len(changes) == 9 and changes == pytest.approx([0.25] * 9, abs=1e-3)
    p_value = next(words for words in lines if "pvalue" in words[0])
    assert float(p_value[1]) < 0.05


def read_gobench(text):
    """What golang.org/design/14313-benchmark-format allows and nothing else: ({key: value}, [(name, n, {unit:
    value})]). ValueError for any other line."""
    config, results = {}, []
    for line in text.splitlines():
        fields = line.split()
        if line.startswith("Benchmark"):
            name, n, rest = fields[0].removeprefix("Benchmark"), int(fields[1]), fields[2:]
            if name[:1].islower() or n < 1 or len(rest) < 2 or len(rest) % 2:
                raise ValueError(line)
            values = {unit: float(value) for value, unit in zip(rest[::2], rest[1::2])}
            if len(values) != len(rest) // 2 or not all(map(math.isfinite, values.values())):
                raise ValueError(line)
            parts = name.split("/")[1:]
            if any("=" not in part for part in parts) or parts[-1].rpartition("-")[2].isdigit():
                raise ValueError(line)    # a number after the last hyphen is taken for GOMAXPROCS
            results.append((name, n, values))
        else:
            key, colon, value = line.partition(": ")
            if not colon or results or not key[:1].islower() or any(c.isspace() or c.isupper() for c in key):
                raise ValueError(line)
            config[key] = value
    return config, results


def test_gobench_is_read_by_a_strict_reader(tmp_path):
    config, results = read_gobench(export.to_gobench(run(tmp_path, 10e6)))
    assert config == {"host": "testbox", "cpu": "Test CPU"}
    names = {name for name, _, _ in results}
    assert names == {"Larson/alloc=glibc/threads=8", "Larson/alloc=mine-2[A_B=x-8]/threads=1"}
    times = [v["ns/op"] for name, _, v in results if "mine" in name]
    assert times == [50.0] and len(results) == 11


@pytest.mark.parametrize("line", ["Benchmarklarson/threads=1 1 2 ns/op", "BenchmarkX/threads=1 0 2 ns/op",
                                  "BenchmarkX/threads=1 1 2", "BenchmarkX/alloc=a-8 1 2 ns/op", "Key: x",
                                  "word",
                                  "BenchmarkX/threads=1 1 nan ns/op"])
def test_the_strict_reader_is_strict(line):
    with pytest.raises(ValueError):
        read_gobench(line)


MEASURE = {"type": "object", "required": ["value"], "additionalProperties": False,
           "properties": {k: {"type": "number"} for k in ("value", "lower_value", "upper_value")}}
MEASURES = {"type": "object", "minProperties": 1, "additionalProperties": False,
            "patternProperties": {"^[a-z0-9-]{1,64}$": MEASURE}}
BENCHER = {"type": "object", "minProperties": 1, "additionalProperties": False,
           "patternProperties": {"^.{1,1024}$": MEASURES}}
"""After bencher.dev/docs/reference/bencher-metric-format, with measures as slugs."""

GITHUB = {"type": "array", "minItems": 1, "items": {
    "type": "object", "required": ["name", "unit", "value"], "additionalProperties": False,
    "properties": {"name": {"type": "string"}, "unit": {"type": "string"}, "value": {"type": "number"},
                   "range": {"type": ["string", "number"]}, "extra": {"type": "string"}}}}
"""After the README of github-action-benchmark, customSmallerIsBetter."""


@pytest.mark.parametrize("convert, schema", [(export.to_bencher, BENCHER), (export.to_github, GITHUB)])
def test_json_has_the_documented_form(tmp_path, convert, schema):
    def no_constant(name):
        raise AssertionError(f"{name} is no JSON")
    report = json.loads(convert(run(tmp_path, 10e6)), parse_constant=no_constant)
    jsonschema.validate(report, schema)


def test_bencher_bounds_enclose_the_value(tmp_path):
    report = json.loads(export.to_bencher(run(tmp_path, 10e6)))
    bounded = [m for cell in report.values() for m in cell.values() if "lower_value" in m]
    assert bounded and all(m["lower_value"] <= m["value"] <= m["upper_value"] for m in bounded)


def test_junit_of_run_and_gate_is_read_by_junitparser(tmp_path):
    parser = pytest.importorskip("junitparser")
    cells = [Cell("good, 1 thread", [0.0] * 12, verdict=Verdict.PASS),
             Cell("bad, 1 thread", [0.1] * 12, 2, Verdict.FAIL, "slower by more than 2 %"),
             Cell("odd, 1 thread", [], verdict=Verdict.ERROR, why="candidate: crash: a<b & c"),
             Cell("who, 1 thread", [0.1, -0.1] * 20, verdict=Verdict.INCONCLUSIVE, why="do not tell")]
    gate = parser.TestSuite.fromstring(
        gate_report.junit(cells, {"s": "needs 2 threads"}, "b against a").encode())
    stored = parser.TestSuite.fromstring(export.to_junit(run(tmp_path, 10e6)).encode())
    for suite, kinds in ((gate, ["Error", "Failure", "Skipped", "Skipped"]), (stored, ["Error", "Skipped"])):
        results = [type(r).__name__ for case in suite for r in case.result]
        said = (suite.tests, suite.failures, suite.errors, suite.skipped)
        assert sorted(results) == kinds
        assert said == (len(list(suite)), *map(results.count, ("Failure", "Error", "Skipped")))
