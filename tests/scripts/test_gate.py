"""The course of a gate against an engine that makes its times up, stored gates judged again, and what is
written about them."""
import csv
import io
import xml.etree.ElementTree as ElementTree

import golden
import numpy as np
import pytest

from heapdyno import gate_report
from heapdyno.gate import Gate, duration_s, make_cells, replay
from heapdyno.judge import EXIT_CODES, Cell, Rule, Verdict, overall
from heapdyno.run import read_run

SIDES = [("base", ""), ("cand", "")]


def plan(*cells):
    """Rows of a plan: (workload, threads) for both sides and both passes."""
    return [golden.row(**{"allocator": allocator, "workload": workload, "threads": str(threads), "pass": p,
                          "workload_version": "1", "ops_target": "1000" if p == "audit" else "",
                          "duration_ns": "200000000" if p == "timed" else ""})
            for workload, threads in cells for allocator, _ in SIDES for p in ("audit", "timed")]


class FakeEngine:
    """Takes `costs` ns per operation and side, with noise; `change(row, n)` gives values that override."""
    def __init__(self, costs=(20.0, 20.0), change=lambda row, n: {}, noise=0.01, seed=1):
        self.costs, self.change, self.noise = dict(zip(("base", "cand"), costs)), change, noise
        self.rng = np.random.default_rng(seed)
        self.rows = []

    def measure(self, row):
        self.rows.append(row)
        cost = self.costs[row["allocator"]]
        ops = int(row["ops_target"] or int(row["duration_ns"]) / cost)
        wall_ns = ops * cost * np.exp(self.noise * self.rng.standard_normal())
        sample = {**row, "ops": str(ops), "wall_ns": f"{wall_ns:.0f}", "run_delay_ns": "0", "status": "ok",
                  "why": ""}
        return {c: str(v) for c, v in {**sample, **self.change(row, len(self.rows))}.items()}

    def pairs(self, workload="larson"):
        """The rows of pairs, in the order of measuring."""
        return [r for r in self.rows if r["workload"] == workload and r["pass"] == "timed" and r["block"] > 0]


def run_gate(engine, rows, seed=3, **options):
    gate = Gate(make_cells(rows, SIDES), Rule(), engine, np.random.default_rng(seed), lambda: 0.0, **options)
    gate.run()
    return gate


def verdicts(gate):
    return [cell.trial.verdict for cell in gate.cells]


def test_same_cost_passes_at_the_first_look():
    gate = run_gate(FakeEngine(), plan(("larson", 1), ("pair", 2)))
    assert verdicts(gate) == [Verdict.PASS, Verdict.PASS]
    assert [len(c.trial.ratios) for c in gate.cells] == [12, 12]


def test_slower_fails_and_faster_passes():
    assert verdicts(run_gate(FakeEngine((20, 22)), plan(("larson", 1)))) == [Verdict.FAIL]
    assert verdicts(run_gate(FakeEngine((22, 20)), plan(("larson", 1)))) == [Verdict.PASS]


def test_a_decided_cell_is_measured_no_more():
    def slow_pair(row, n):
        noisy = row["workload"] == "pair" and row["allocator"] == "cand" and row["pass"] == "timed"
        return {"wall_ns": 20.0 * int(row["ops_target"]) * (1.1 if n % 2 else 0.9)} if noisy else {}
    engine = FakeEngine(change=slow_pair)
    gate = run_gate(engine, plan(("larson", 1), ("pair", 1)))
    assert verdicts(gate) == [Verdict.PASS, Verdict.INCONCLUSIVE]
    assert (len(engine.pairs("larson")), len(engine.pairs("pair"))) == (24, 80)


def test_blocks_are_abba_or_baab_and_both_occur():
    engine = FakeEngine()
    run_gate(engine, plan(("larson", 1)))
    sides = "".join(r["allocator"][0] for r in engine.pairs())
    blocks = {sides[i:i + 4] for i in range(0, len(sides), 4)}
    assert blocks == {"bccb", "cbbc"}
    assert [r["slot"] for r in engine.pairs()[:4]] == [0, 1, 2, 3]


def test_both_of_a_pair_do_the_same_work():
    engine = FakeEngine()
    run_gate(engine, plan(("larson", 1)))
    rows = engine.pairs()
    for a, b in zip(rows[::2], rows[1::2]):
        assert (a["seed"], a["ops_target"]) == (b["seed"], b["ops_target"])
        assert {a["allocator"], b["allocator"]} == {"base", "cand"}
    assert len({r["seed"] for r in rows}) == len(rows) / 2


def test_calibration_finds_the_operations_for_the_baseline():
    engine = FakeEngine((3.7, 9.0))
    gate = run_gate(engine, plan(("larson", 1)))
    assert 0.3e9 <= gate.cells[0].ops * 3.7 <= 0.5e9
    assert {r["allocator"] for r in engine.rows if r["pass"] == "timed" and r["block"] == 0} == {"base"}


def test_another_window_gives_another_number_of_operations():
    assert run_gate(FakeEngine(), plan(("larson", 1)), window_s=0.1).cells[0].ops * 20 == pytest.approx(
        0.1e9, rel=0.25)


def test_six_cells_take_less_than_six_minutes():
    """Undecided to the end, and with as many pairs dropped as the guard puts up with."""
    rule = Rule()
    assert duration_s(6, rule.looks[-1] / (1 - rule.max_dropped), 0.4) < 360


def test_operations_that_cannot_be_made_to_fit_are_an_error():
    gate = run_gate(FakeEngine(change=lambda row, n: {"wall_ns": 1} if row["pass"] == "timed" else {}),
                    plan(("larson", 1)))
    assert verdicts(gate) == [Verdict.ERROR]


def test_a_disturbed_pair_is_dropped_and_repeated_in_its_order():
    disturbed = []

    def disturb(row, n):
        if row["pass"] == "timed" and row["block"] and not disturbed and row["slot"] == 3:
            disturbed.append(row)
            return {"run_delay_ns": 1e8}
        return {}
    engine = FakeEngine(change=disturb)
    gate = run_gate(engine, plan(("larson", 1)))
    trial = gate.cells[0].trial
    assert (trial.verdict, len(trial.ratios), trial.n_dropped) == (Verdict.PASS, 12, 1)
    orders = [p.order for p in gate.pairs]
    assert orders.count("AB") - orders.count("BA") == (1 if gate.pairs[1].order == "AB" else -1)
    rows = [r for r in engine.rows if (r["cell_id"], str(r["repetition"])) in gate.contaminated]
    assert sorted(r["allocator"] for r in rows) == ["base", "cand"]
    assert {(r["block"], r["slot"] // 2) for r in rows} == {(disturbed[0]["block"], 1)}


def test_an_unfit_machine_ends_a_cell_early():
    engine = FakeEngine(change=lambda row, n: {"run_delay_ns": 1e8} if n % 4 == 0 else {})
    gate = run_gate(engine, plan(("larson", 1)))
    trial = gate.cells[0].trial
    assert trial.verdict is Verdict.INCONCLUSIVE
    assert trial.why.startswith("unfit machine: other load disturbed")
    assert len(trial.ratios) + trial.n_dropped == 12


def test_a_crash_is_an_error_of_its_cell_alone():
    def crash(row, n):
        bad = row["workload"] == "pair" and row["allocator"] == "cand" and row["pass"] == "timed"
        return {"status": "crash", "why": "signal 11", "wall_ns": "", "ops": ""} if bad else {}
    gate = run_gate(FakeEngine(change=crash), plan(("larson", 1), ("pair", 1)))
    assert verdicts(gate) == [Verdict.PASS, Verdict.ERROR]
    assert gate.cells[1].trial.why == "candidate: crash: signal 11"


def test_what_neither_side_can_run_is_no_cell():
    def skip(row, n):
        return {"status": "skip", "why": "needs at least 2 threads"} if row["workload"] == "pair" else {}
    gate = run_gate(FakeEngine(change=skip), plan(("larson", 1), ("pair", 1)))
    assert verdicts(gate) == [Verdict.PASS]
    assert gate.skipped == {"pair, 1 thread": "needs at least 2 threads"}


def test_what_only_one_side_can_run_is_an_error():
    gate = run_gate(FakeEngine(change=lambda row, n: {"status": "skip", "why": "no"}
                               if row["allocator"] == "cand" else {}), plan(("larson", 1)))
    assert verdicts(gate) == [Verdict.ERROR]


def test_without_time_left_nothing_passes():
    ticks = iter(range(1000))
    gate = Gate(make_cells(plan(("larson", 1)), SIDES), Rule(), FakeEngine(), np.random.default_rng(3),
                lambda: next(ticks), budget_s=4)
    gate.run()
    assert verdicts(gate) == [Verdict.INCONCLUSIVE]
    assert gate.cells[0].trial.why == "the time is up after 6 pairs"


def test_the_seed_alone_makes_the_order():
    def order(seed):
        engine = FakeEngine()
        run_gate(engine, plan(("larson", 1), ("pair", 1)), seed=seed)
        return [(r["workload"], r["allocator"], r["seed"]) for r in engine.rows if r["pass"] == "timed"]
    assert order(1) == order(1) and order(1) != order(2)


def stored(slowdown=0.0, noise=0.004, n_pairs=12, delay=lambda i: 0, **values):
    """Rows of a gate: `n_pairs` of one cell, in blocks of two."""
    rng = np.random.default_rng(11)
    rows = [golden.row(allocator=a, ops=1, wall_ns=1e9, block=0, **{"pass": "audit"}) for a, _ in SIDES]
    for i in range(n_pairs):
        for j, (allocator, _) in enumerate(SIDES):
            wall_ns = 4e8 * (1 + slowdown * j) * np.exp(noise * rng.standard_normal())
            rows.append(golden.row(**{"allocator": allocator, "block": 1 + i // 2, "slot": i % 2 * 2 + j,
                                      "repetition": i + 1, "ops": 10 ** 7, "ops_per_s": 1e16 / wall_ns,
                                      "wall_ns": wall_ns, "run_delay_ns": delay(i) if j else 0, **values}))
    return rows


@pytest.mark.parametrize("code, rows", [
    (0, stored()), (1, stored(slowdown=0.10)), (3, stored(noise=0.2, n_pairs=40)), (3, stored(n_pairs=11)),
    (3, stored(n_pairs=20, delay=lambda i: 1e8 * (i % 2)))])
def test_golden_rows_and_their_exit_codes(tmp_path, script, code, rows):
    golden.write_run(tmp_path, rows)
    done = script("gate.py", "--replay", tmp_path, "--baseline", "base", "--candidate", "cand")
    assert (done.returncode, done.stderr) == (code, "")
    names = {0: "PASS", 1: "FAIL", 3: "INCONCLUSIVE"}
    assert done.stdout.endswith(f"\n{names[code]}: cand against base\n")


def test_golden_rows_with_a_crash(tmp_path, script):
    rows = stored() + golden.failed("cand", 1, "crash", "signal 6", block=9)
    golden.write_run(tmp_path, rows)
    done = script("gate.py", "--replay", tmp_path, "--baseline", "base", "--candidate", "cand")
    assert done.returncode == 4 and "ERROR: cand: crash: signal 6" in done.stdout


def test_sides_exchanged_are_another_question(tmp_path):
    run = read_run(golden.write_run(tmp_path, stored(slowdown=0.10)))
    assert overall(replay(run.samples, SIDES, Rule())) is Verdict.FAIL
    assert overall(replay(run.samples, SIDES[::-1], Rule())) is Verdict.PASS


def test_replay_says_what_the_gate_said(tmp_path):
    """Live and stored, the same rows give the same cells, dropped pairs included."""
    rows = []

    class Recorder(FakeEngine):
        def measure(self, row):
            sample = super().measure(row)
            rows.append({**sample, "ops_per_s": "1"})
            return sample
    engine = Recorder((20, 20.6), noise=0.05,
                      change=lambda row, n: {"run_delay_ns": 1e8} if n % 9 == 0 else {})
    gate = run_gate(engine, plan(("larson", 1), ("pair", 2)))
    run = read_run(golden.write_run(tmp_path, rows))
    again = replay(run.samples, SIDES, Rule())
    assert [(c.name, c.verdict, c.n_judged) for c in again] == [
        (c.name, c.trial.verdict, c.trial.n_judged) for c in gate.cells]


@pytest.mark.parametrize("words, args", [
    ("--baseline and --candidate are the same", ["--baseline", "glibc", "--candidate", "glibc"]),
    ("delta (0.05) must be at least 0 and below Delta",
     ["--baseline", "a", "--candidate", "b", "--delta", "5%"]),
    ("are the fewest that could show a regression",
     ["--baseline", "a", "--candidate", "b", "--max-pairs", "3"]),
    ("'2.5': write a share below one", ["--baseline", "a", "--candidate", "b", "--delta", "2.5"]),
    ("'soon': write a time such as", ["--baseline", "a", "--candidate", "b", "--budget", "soon"]),
    ("required: --candidate", ["--baseline", "a"])])
def test_usage_is_exit_code_2(script, words, args):
    done = script("gate.py", *args)
    assert (done.returncode, done.stdout) == (2, "") and words in done.stderr


def some_cells():
    return [Cell("good, 1 thread", [0.0] * 12, verdict=Verdict.PASS),
            Cell("bad, 1 thread", [0.1] * 12, 2, Verdict.FAIL, "slower by more than 0.02"),
            Cell("odd, 1 thread", [], verdict=Verdict.ERROR, why="candidate: crash: a<b & c"),
            Cell("who, 1 thread", [0.1, -0.1] * 20, verdict=Verdict.INCONCLUSIVE, why="40 pairs do not tell")]


def test_junit_counts_and_kinds():
    suite = ElementTree.fromstring(gate_report.junit(some_cells(), {"s": "needs 2 threads"}, "b against a"))
    assert {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5", "failures": "1", "errors": "1", "skipped": "2"}
    kinds = {case.get("name"): [child.tag for child in case if child.tag != "system-out"] for case in suite}
    assert kinds == {"good, 1 thread": [], "bad, 1 thread": ["failure"], "odd, 1 thread": ["error"],
                     "who, 1 thread": ["skipped"], "s": ["skipped"]}
    assert "a<b & c" in suite.find(".//error").get("message")


def test_markdown_has_the_verdict_first_and_the_worst_on_top():
    lines = gate_report.markdown(some_cells(), {"s": "x"}, Rule(), "a", "b").splitlines()
    assert lines[0] == "## FAIL: b against a"
    rows = [line.split(" | ")[0] for line in lines if line.startswith("| ")][1:]
    assert rows == ["| bad, 1 thread", "| odd, 1 thread", "| who, 1 thread", "| good, 1 thread", "| s"]
    bad = next(line for line in lines if line.startswith("| bad"))
    assert bad.startswith("| bad, 1 thread | FAIL | +10.5 % | +10.5 % to +10.5 % | +10.5 % | 12 | 2 |")


def test_forest_shows_each_cell_with_pairs():
    figure = gate_report.forest(some_cells(), Rule(), "a", "b")
    out = io.BytesIO()
    figure.savefig(out, format="svg")
    for text in (b"good, 1 thread", b"FAIL", b"b against a", b"shaded: 2 to 5 %"):
        assert text in out.getvalue()
    assert gate_report.forest([Cell("x")], Rule(), "a", "b") is None


def test_pairs_csv_has_a_row_a_pair(tmp_path):
    gate = run_gate(FakeEngine(), plan(("larson", 1)))
    gate_report.write_pairs(gate.pairs, tmp_path / "pairs.csv")
    rows = list(csv.DictReader((tmp_path / "pairs.csv").open(newline="")))
    assert [float(r["log_ratio"]) for r in rows] == pytest.approx(gate.cells[0].trial.ratios, abs=1e-4)


def test_exit_codes_are_the_documented_ones():
    codes = {verdict.value: code for verdict, code in EXIT_CODES.items()}
    assert codes == {"pass": 0, "fail": 1, "inconclusive": 3, "error": 4}
