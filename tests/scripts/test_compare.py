"""Two stored runs: what is set side by side, and what is refused with which words."""
import json

import golden
import pytest

from heapdyno.compare import compare
from heapdyno.run import RunError, read_run

MANIFEST = {"host": "testbox", "machine": {"cpu": {"model": "Test CPU", "governor": "performance"},
                                           "memory": {"thp_enabled": "madvise"}}, "environment": {}}


def run(tmp_path, name, rows, **manifest):
    folder = golden.write_run(tmp_path / name, rows)
    (folder / "manifest.json").write_text(json.dumps({**MANIFEST, **manifest}))
    return read_run(folder)


def rates(values, **more):
    return golden.timed("arena", 1, values, **more)


def test_ratio_and_its_bounds(tmp_path):
    a = run(tmp_path, "a", rates([10e6, 11e6, 12e6, 13e6, 14e6, 15e6]))
    b = run(tmp_path, "b", rates([20e6, 22e6, 24e6, 26e6, 28e6, 30e6], library_sha256="ff"))
    (change,), reasons = compare(a, b)
    assert (change.a, change.b, change.ratio, change.n_a, change.n_b) == (12.5e6, 25e6, 2.0, 6, 6)
    assert (change.low, change.high) == (20e6 / 15e6, 30e6 / 10e6)
    assert change.is_other_library and reasons == []


def test_where_a_build_lies_makes_no_difference(tmp_path):
    a, b = run(tmp_path, "a", rates([1e6])), run(tmp_path, "b", rates([1e6]),
                                                 environment={"HEAPDYNO_BUILD": "build/x"})
    assert len(compare(a, b)[0]) == 1


def test_few_values_have_no_bounds(tmp_path):
    (change,), _ = compare(run(tmp_path, "a", rates([1e6, 2e6])), run(tmp_path, "b", rates([1e6, 2e6])))
    assert change.low is None and change.ratio == 1 and not change.is_other_library


@pytest.mark.parametrize("manifest, words", [
    ({"host": "other"}, "the machine differs: host is 'testbox' in A and 'other' in B"),
    ({"machine": {**MANIFEST["machine"], "cpu": {"model": "Test CPU", "governor": "powersave"}}},
     "the conditions differ: machine.cpu.governor is 'performance' in A and 'powersave' in B"),
    ({"environment": {"MALLOC_CONF": "x"}}, "environment.MALLOC_CONF is not set in A and 'x' in B"),
    ({"machine": {**MANIFEST["machine"], "memory": {"thp_enabled": "always"}}},
     "memory.thp_enabled is 'madvise' in A and 'always' in B")])
def test_other_machines_and_conditions_are_refused(tmp_path, manifest, words):
    a, b = run(tmp_path, "a", rates([1e6])), run(tmp_path, "b", rates([1e6]), **manifest)
    with pytest.raises(RunError) as error:
        compare(a, b)
    assert words in str(error.value)


@pytest.mark.parametrize("change, words", [
    ({"load": "preload"}, "load is 'dlopen' in A and 'preload' in B"),
    ({"params": "min_bytes=16"}, "params is 'min_bytes=8;max_bytes=1000' in A and 'min_bytes=16' in B"),
    ({"workload_version": "2"}, "workload_version is 1.0 in A and 2.0 in B")])
def test_no_common_cell_is_refused_by_what_differs(tmp_path, change, words):
    with pytest.raises(RunError) as error:
        compare(run(tmp_path, "a", rates([1e6])), run(tmp_path, "b", rates([1e6], **change)))
    assert str(error.value) == f"these runs have no cell in common: {words}"


def test_what_is_left_out_is_named(tmp_path):
    a = run(tmp_path, "a", rates([1e6]) + golden.timed("glibc", 1, [1e6]) + golden.timed("glibc", 2, [1e6]))
    b = run(tmp_path, "b", rates([1e6]) + golden.failed("glibc", 1, "crash", "x")
            + golden.timed("jemalloc", 1, [1e6]))
    changes, reasons = compare(a, b)
    assert [c.label for c in changes] == ["arena"]
    assert sorted(reasons) == ["glibc, larson, 1 thread, ops_per_s: no value in B (crash:1)",
                               "glibc, larson, 2 threads, ops_per_s: only in A",
                               "jemalloc, larson, 1 thread, ops_per_s: only in B"]


def test_memory_at_other_numbers_of_operations_is_left_out(tmp_path):
    a = run(tmp_path, "a", rates([1e6]) + golden.audit("arena", 1, 5e6, ops_target=1000))
    b = run(tmp_path, "b", rates([1e6]) + golden.audit("arena", 1, 5e6, ops_target=2000))
    changes, reasons = compare(a, b)
    assert {c.metric for c in changes} == {"ops_per_s"}
    assert "arena, larson, 1 thread, peak_rss_bytes: the cells are not of one length" in reasons[0]


def test_a_run_without_a_manifest_is_refused(tmp_path, script):
    run(tmp_path, "a", rates([1e6]))
    run(tmp_path, "b", rates([1e6]))
    (tmp_path / "b" / "manifest.json").unlink()
    done = script("compare.py", tmp_path / "a", tmp_path / "b")
    assert (done.returncode, done.stdout) == (2, "") and "manifest.json: missing" in done.stderr


@pytest.mark.parametrize("options, row", [
    ([], "arena, larson, 1 =  1.5  1.5  1.000       -  2, 2"),
    (["--markdown"], "| arena, larson, 1 = | 1.5 | 1.5 | 1.000 | - | 2, 2 |")])
def test_what_is_printed(tmp_path, script, options, row):
    for name in "ab":
        run(tmp_path, name, rates([1e6, 2e6]))
    done = script("compare.py", *options, tmp_path / "a", tmp_path / "b")
    assert (done.returncode, done.stderr) == (0, "")
    assert row in done.stdout.splitlines() and "This describes; run-bench gate judges." in done.stdout
