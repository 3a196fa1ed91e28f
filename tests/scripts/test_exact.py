"""The exact gate: thresholds by metric, what varies, what cannot be counted."""
import golden
import numpy as np
import pytest

from heapdyno import exact
from heapdyno.exact import METRICS, ExactGate, judge_counts
from heapdyno.gate import make_cells
from heapdyno.judge import Verdict, overall

INSTRUCTIONS, CALLS, FAULTS, RSS = METRICS
SIDES = [("base", ""), ("cand", "")]
MIB = golden.MIB


@pytest.mark.parametrize("metric, baseline, candidate, verdict", [
    (INSTRUCTIONS, [100] * 5, [100] * 5, Verdict.PASS),
    (INSTRUCTIONS, [100] * 5, [100.4] * 5, Verdict.PASS),
    (INSTRUCTIONS, [100] * 5, [101] * 5, Verdict.FAIL),
    (INSTRUCTIONS, [100] * 5, [90] * 5, Verdict.PASS),
    (INSTRUCTIONS, [100, 100, 100, 100, 102], [101] * 5, Verdict.INCONCLUSIVE),
    (INSTRUCTIONS, [0] * 5, [1] * 5, Verdict.FAIL),
    (FAULTS, [0] * 5, [32] * 5, Verdict.PASS),
    (FAULTS, [0] * 5, [33] * 5, Verdict.FAIL),
    (FAULTS, [175, 281, 175, 175, 281], [281, 281, 281, 281, 175], Verdict.PASS),
    (FAULTS, [175, 281, 175, 175, 281], [281] * 5, Verdict.INCONCLUSIVE),
    (FAULTS, [10000] * 5, [10200] * 5, Verdict.PASS),
    (FAULTS, [10000] * 5, [10201] * 5, Verdict.FAIL),
    (CALLS, [10] * 3, [18] * 3, Verdict.PASS),
    (CALLS, [10] * 3, [19] * 3, Verdict.FAIL),
    (CALLS, [1000] * 3, [1021] * 3, Verdict.FAIL),
    (RSS, [64 * MIB] * 5, [64 * MIB + 131072] * 5, Verdict.PASS),
    (RSS, [64 * MIB] * 5, [64 * MIB + 131073] * 5, Verdict.FAIL),
    (RSS, [2 * MIB, 3 * MIB, 3 * MIB], [3 * MIB, 3 * MIB, 2 * MIB], Verdict.PASS),
    (RSS, [2 * MIB, 2 * MIB, 3 * MIB, 2 * MIB, 2 * MIB], [2 * MIB + 200000] * 5, Verdict.INCONCLUSIVE)])
def test_thresholds(metric, baseline, candidate, verdict):
    assert judge_counts(metric, baseline, candidate)[0] is verdict


def test_the_reason_has_both_numbers_and_the_limit():
    assert judge_counts(INSTRUCTIONS, [40.0] * 5, [42.0] * 5)[1] == "40 -> 42 (+5.00 %), allowed 40.2"
    assert judge_counts(FAULTS, [0] * 5, [3] * 5)[1] == "0 -> 3, allowed 32"


class FakeEngine:
    def __init__(self, change=lambda row: {}):
        self.change, self.rows = change, []

    def measure(self, row):
        self.rows.append(row)
        sample = {**row, "ops": "1000", "minflt": "50", "peak_anon_bytes": str(2 * MIB),
                  "alloc_instructions": "40000" if row["pass"] == "instructions" else "", "status": "ok",
                  "why": "", **{c: "1" if row["pass"] == "syscalls" else "" for c in CALLS.columns}}
        return {**sample, **self.change(row)}


def run(change=lambda row: {}, passes=("audit", "timed", "instructions", "syscalls")):
    rows = [golden.row(**{"allocator": a, "pass": p, "threads": "1", "workload_version": "1"})
            for a, _ in SIDES for p in passes]
    gate = ExactGate(make_cells(rows, SIDES), FakeEngine(change), np.random.default_rng(1),
                     missing={"syscalls": "strace is not installed"})
    gate.run()
    return gate


def test_equal_counts_pass():
    gate = run()
    assert [v.verdict for v in gate.verdicts] == [Verdict.PASS] * 4
    assert len(gate.engine.rows) == 2 * sum(exact.REPETITIONS.values())
    assert {r["pass"] for r in gate.engine.rows} == {"audit", "instructions", "syscalls"}


def test_without_strace_its_calls_are_skipped_by_name():
    gate = run(passes=("audit", "timed", "instructions"))
    assert [v.verdict for v in gate.verdicts] == [Verdict.PASS] * 3
    assert gate.skipped == {"larson, 1 thread: calls that map memory": "strace is not installed"}


def test_one_percent_of_instructions_is_found():
    gate = run(lambda row: {"alloc_instructions": "40400"}
               if (row["allocator"], row["pass"]) == ("cand", "instructions") else {})
    assert {v.name.partition(": ")[2]: v.verdict.value for v in gate.verdicts} == {
        "minor page faults": "pass", "peak RSS without file pages, in bytes": "pass",
        "calls that map memory": "pass",
        "allocator instructions per operation": "fail"}


def test_what_does_not_run_under_valgrind_is_skipped_with_its_reason():
    gate = run(lambda row: {"status": "skip", "why": "does not run under callgrind"}
               if (row["allocator"], row["pass"]) == ("cand", "instructions") else {})
    assert gate.skipped == {"larson, 1 thread: allocator instructions per operation":
                            "candidate: skip: does not run under callgrind"}
    assert overall(gate.verdicts) is Verdict.PASS


def test_a_crash_is_an_error_of_all_that_the_pass_counts():
    gate = run(lambda row: {"status": "crash", "why": "signal 11"}
               if (row["allocator"], row["pass"]) == ("cand", "audit") else {})
    assert [v.verdict for v in gate.verdicts].count(Verdict.ERROR) == 2
    assert overall(gate.verdicts) is Verdict.ERROR


def test_what_a_single_side_cannot_run_is_an_error():
    gate = run(lambda row: {"status": "skip", "why": "the allocator has no calloc"}
               if row["allocator"] == "cand" else {})
    assert overall(gate.verdicts) is Verdict.ERROR
    assert {v.why for v in gate.verdicts} == {"candidate: skip: the allocator has no calloc"}


def test_an_empty_count_is_not_taken_for_zero():
    gate = run(lambda row: {"minflt": ""})
    assert gate.skipped == {"larson, 1 thread: minor page faults": "not measured here"}


def test_nothing_counted_is_inconclusive():
    gate = run(lambda row: {"status": "skip", "why": "no"})
    assert gate.verdicts == [] and overall(gate.verdicts) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("option", ["--threads=2", "--delta=1%", "--max-pairs=20", "--replay=x"])
def test_options_of_times_are_refused(script, option):
    done = script("gate.py", "--exact", "--baseline", "a", "--candidate", "b", option)
    assert done.returncode == 2
    assert f"--exact and {option.partition('=')[0]} exclude each other" in done.stderr


def test_the_one_thread_of_an_exact_gate_may_be_said(script):
    done = script("gate.py", "--exact", "--baseline", "a", "--candidate", "a", "--threads=1")
    assert done.returncode == 2 and "--baseline and --candidate are the same" in done.stderr
