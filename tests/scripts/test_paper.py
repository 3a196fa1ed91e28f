"""The comparison for a paper: its plan, its statistics on known numbers, and its tables."""
import csv
import dataclasses
import json
import math
import re

import golden
import numpy as np
import pytest
from scipy.stats import bootstrap

from heapdyno import paper, paper_plan, paper_report
from heapdyno.paper import ClaimError, all_ratios, bca_interval, judge_claims, parse_claim, ratio_of_medians
from heapdyno.paper_plan import LONG, MIN_REPS, N_PILOT_BLOCKS, SHORT, make_groups
from heapdyno.progress import Progress
from heapdyno.run import read_run

LABELS = ("glibc", "arena", "mimalloc")
WINDOW_NS = 200_000_000


def plan(labels=LABELS, cells=(("larson", 1), ("pair", 2))):
    return [golden.row(**{"allocator": a, "workload": w, "threads": t, "pass": p, "workload_version": "1",
                          "oversubscribed": "0", "ops_target": "1000" if p == "audit" else "",
                          "duration_ns": str(WINDOW_NS) if p == "timed" else ""})
            for w, t in cells for a in labels for p in ("audit", "timed")]


def test_latin_squares_have_each_once_in_each_order_and_place():
    for seed in range(20):
        square = paper_plan.latin_square(5, np.random.default_rng(seed))
        assert all(sorted(line) == list(range(5)) for line in square + list(map(list, zip(*square))))
    assert paper_plan.latin_square(5, np.random.default_rng(1)) != paper_plan.latin_square(
        5, np.random.default_rng(2))


def test_blocks_are_complete_and_each_allocator_is_at_each_place_as_often():
    groups = make_groups(plan())
    for g in groups:
        g.n, g.window_ns = 6, 7
    rows = paper_plan.main_rows(groups, np.random.default_rng(1))
    assert len(rows) == 2 * 3 * 2 * 6 and rows == paper_plan.main_rows(groups, np.random.default_rng(1))
    for workload in ("larson", "pair"):
        for in_pass in ("audit", "timed"):
            mine = [r for r in rows if (r["workload"], r["pass"]) == (workload, in_pass)]
            places = [(r["allocator"], r["slot"]) for r in mine]
            assert {places.count((a, i)) for a in LABELS for i in range(3)} == {2}
            for block in range(1, 7):
                of_block = [r for r in mine if r["block"] == block]
                assert sorted(r["allocator"] for r in of_block) == sorted(LABELS)
                assert len({r["seed"] for r in of_block}) == 1
    assert {r["duration_ns"] for r in rows if r["pass"] == "timed"} == {7}
    keys = [(r["cell_id"], r["repetition"]) for r in rows]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("inside, between", [(0.02, 0.01), (0.0, 0.01), (0.02, 0.0), (0.001, 0.03)])
def test_the_two_levels_of_variance_are_told_apart(inside, between):
    rng = np.random.default_rng(4)
    n, ratio = 100_000, LONG / SHORT
    short = rng.normal(0, between, n) + rng.normal(0, inside, n)
    long = rng.normal(0, between, n) + rng.normal(0, inside / math.sqrt(ratio), n)
    found = paper_plan.components(short, long, ratio)
    assert [math.sqrt(v) for v in found] == pytest.approx([inside, between], abs=0.002)


def test_variances_are_never_negative():
    assert paper_plan.components([0, 1], [0, 2], 4) == (0.0, 1.25)
    assert min(paper_plan.components([0, 1], [0, 0.0001], 4)) == 0.0


def test_a_costly_process_measures_longer_and_a_varying_one_shorter():
    assert paper_plan.best_units(1.0, 1.0, 100, 100) == 1
    assert paper_plan.best_units(1.0, 1.0, 100, 900) == 3
    assert paper_plan.best_units(1.0, 100.0, 100, 900) == 1
    assert paper_plan.best_units(1.0, 0.0, 100, 900) == paper_plan.MAX_UNITS
    assert paper_plan.best_units(0.0, 0.0, 100, 900) == 1


def pilot_samples(groups, sd=0.01, overhead_ns=30_000_000, change=lambda row: {}, rng=None):
    rng = rng or np.random.default_rng(3)
    samples, now = [], 0
    for row in paper_plan.pilot_rows(groups, np.random.default_rng(1)):
        rate = 1e7 * math.exp(rng.normal(0, sd))
        sample = {**row, "status": "ok", "why": "", "start_unix_ns": str(now), "ops_per_s": str(rate)}
        samples.append({k: str(v) for k, v in {**sample, **change(row)}.items()})
        now += overhead_ns + int(row["duration_ns"] or 0)
    return samples


def test_the_pilot_measures_both_windows_in_each_block():
    rows = paper_plan.pilot_rows(make_groups(plan()), np.random.default_rng(1))
    timed = [r for r in rows if r["pass"] == "timed"]
    assert len(rows) - len(timed) == 6 and len(timed) == 6 * 2 * N_PILOT_BLOCKS
    assert {r["duration_ns"] for r in timed} == {WINDOW_NS * SHORT, WINDOW_NS * LONG}
    keys = [(r["cell_id"], r["repetition"]) for r in rows]
    assert len(set(keys)) == len(keys)


def test_what_the_pilot_says_becomes_the_plan():
    groups = make_groups(plan())
    samples = pilot_samples(groups, sd=0.02)
    assert [paper_plan.learn(g, samples, "glibc") for g in groups] == [None, None]
    for g in groups:
        assert g.overhead_ns == pytest.approx(30_000_000)
        assert 0.01 < g.sd_worst < 0.08 and g.window_ns % (WINDOW_NS * SHORT) == 0
    assert paper_plan.choose_reps(groups, 0.01, 500)
    assert all(g.n % 3 == 0 and g.n >= MIN_REPS and g.half_width(g.n) <= 0.01 for g in groups)
    assert paper_plan.choose_reps(groups, 0.5, 500) and [g.n for g in groups] == [30, 30]
    assert not paper_plan.choose_reps(groups, 0.01, 500, budget_s=1)
    assert paper_plan.choose_reps(groups, 0.001, 500, budget_s=100)
    assert paper_plan.total_s(groups) <= 100 and all(MIN_REPS <= g.n < 500 for g in groups)


def test_a_window_that_was_asked_for_is_the_window():
    for duration in (WINDOW_NS, 2 * WINDOW_NS):
        groups = make_groups([{**r, "duration_ns": r["duration_ns"] and str(duration)} for r in plan()])
        samples = pilot_samples(groups, sd=0.02)
        assert [paper_plan.learn(g, samples, "glibc", paper_plan.DEFAULT_UNITS) for g in groups] == [None] * 2
        assert {g.window_ns for g in groups} == {duration}


def test_what_cannot_run_is_left_out_with_its_reason():
    groups = make_groups(plan())

    def change(row):
        bad = (row["allocator"], row["workload"], row["pass"]) == ("arena", "larson", "timed")
        worse = (row["allocator"], row["workload"]) == ("glibc", "pair")
        return {"status": "crash", "why": "signal 11", "ops_per_s": ""} if bad or worse else {}
    samples = pilot_samples(groups, change=change)
    assert paper_plan.learn(groups[0], samples, "glibc") is None
    assert groups[0].labels == ["glibc", "mimalloc"]
    assert groups[0].left_out == {"arena": "in the pilot, timed: crash: signal 11"}
    assert "the baseline glibc does not run it" in paper_plan.learn(groups[1], samples, "glibc")


def test_the_interval_is_scipys_where_that_has_one():
    rng = np.random.default_rng(1)
    a, b = rng.lognormal(0.1, 0.05, 31), rng.lognormal(0, 0.05, 31)
    theirs = bootstrap((a, b), ratio_of_medians, paired=True, vectorized=True, method="BCa", n_resamples=9999,
                       random_state=np.random.default_rng(7)).confidence_interval
    assert bca_interval((a, b), ratio_of_medians, 7, paired=True) == tuple(theirs)


def test_values_that_repeat_have_an_interval_too():
    ones = np.ones(30)
    assert bca_interval((2 * ones, ones), ratio_of_medians, 1, paired=True) == (2.0, 2.0)
    mixed = np.r_[np.ones(16), np.full(14, 2.0)]
    assert bca_interval((mixed, ones), ratio_of_medians, 1, paired=True) == (1.0, 2.0)


def test_whole_blocks_are_resampled():
    """What the allocators of a block have in common cancels: without that, the interval would be wide."""
    rng = np.random.default_rng(2)
    drift = np.exp(rng.normal(0, 0.5, 40))
    low, high = bca_interval((1.1 * drift, drift), ratio_of_medians, 1, paired=True)
    assert (low, high) == pytest.approx((1.1, 1.1))


def test_intervals_hold_what_they_promise(monkeypatch):
    monkeypatch.setattr(paper, "N_RESAMPLES", 999)
    rng = np.random.default_rng(6)
    n_held = 0
    for i in range(200):
        a, b = rng.lognormal(0.1, 0.05, 30), rng.lognormal(0, 0.05, 30)
        low, high = bca_interval((a, b), ratio_of_medians, i, paired=True)
        n_held += low <= math.exp(0.1) <= high
    assert n_held >= 180


def stored(tmp_path, cells, n=30, seed=5, extra=(), **values):
    """A run: `cells` is {(workload, threads): {label: (rate, peak)}}."""
    rng = np.random.default_rng(seed)
    rows = list(extra)
    for (workload, threads), of in cells.items():
        for block in range(1, n + 1):
            for label, (rate, peak) in of.items():
                common = {"allocator": label, "workload": workload, "threads": threads, "block": block,
                          "repetition": block, **values}
                rows.append(golden.row(**common, ops_per_s=rate * math.exp(rng.normal(0, 0.01)), wall_ns=1e9,
                                       run_delay_ns=0))
                rows.append(golden.row(**{**common, "pass": "audit"}, peak_rss_bytes=peak, ops_target=1000))
    return read_run(golden.write_run(tmp_path / "run", rows))


CELLS = {("larson", 1): {"glibc": (1e7, 4e6), "arena": (1.2e7, 3e6), "mimalloc": (1e7, 4e6)},
         ("larson", 2): {"glibc": (2e7, 4e6), "arena": (1.8e7, 3e6), "mimalloc": (2e7, 4e6)},
         ("pair", 4): {"glibc": (2e7, 4e6), "arena": (4e7, 3e6), "mimalloc": (2e7, 4e6)}}


def test_ratios_of_known_differences(tmp_path):
    ratios = all_ratios(stored(tmp_path, CELLS).samples, "glibc", 1)
    found = {(r.metric, r.comparison, r.threads, r.label): r for r in ratios}
    assert len(found) == len(ratios) == 12
    r = found["throughput", "larson", 1, "arena"]
    assert r.value == pytest.approx(1.2, abs=0.02) and 1.17 < r.low < r.value < r.high < 1.23 and r.n == 30
    assert found["rss", "larson", 2, "arena"].value == 0.75
    tested = {(t.ratio.metric, t.ratio.comparison, t.ratio.threads, t.ratio.label): t.is_shown
              for t in paper.explore(ratios, "bh")}
    assert {k for k, shown in tested.items() if shown} == {k for k in found if k[3] == "arena"}


def test_no_value_is_left_out_as_an_outlier(tmp_path):
    run = stored(tmp_path, {("larson", 1): {"glibc": (1e7, 4e6), "arena": (1e7, 4e6)}})
    run.samples.loc[run.samples["ops_per_s"].idxmax(), "ops_per_s"] = 1e12
    (ratio,) = [r for r in all_ratios(run.samples, "glibc", 1) if r.metric == "throughput"]
    assert ratio.n == 30 and ratio.n_lost == 0


def test_a_failed_process_costs_its_block_and_is_counted(tmp_path):
    run = stored(tmp_path, {("larson", 1): {"glibc": (1e7, 4e6), "arena": (1e7, 4e6), "x": (1e7, 4e6)}})
    bad = (run.samples["allocator"] == "arena") & (run.samples["block"] == 7)
    run.samples.loc[bad, "status"] = "crash"
    found = [r for r in all_ratios(run.samples, "glibc", 1) if r.metric == "throughput"]
    assert [(r.label, r.n, r.n_lost) for r in found] == [("arena", 29, 1), ("x", 30, 0)]


def test_few_blocks_have_no_interval(tmp_path):
    ratios = all_ratios(stored(tmp_path, CELLS, n=5).samples, "glibc", 1)
    assert {(r.low, r.high) for r in ratios} == {(None, None)}


def test_claims_are_tested_one_sided_with_holm(tmp_path):
    samples = stored(tmp_path, CELLS).samples
    claims = list(map(parse_claim, ("arena>glibc@larson", "rss:arena<mimalloc@pair,4",
                                    "arena<glibc@larson,1")))
    tested = judge_claims(claims, samples, 1)
    assert [(t.claim.text, t.ratio.threads, t.is_shown) for t in tested] == [
        ("arena>glibc@larson", 1, True), ("arena>glibc@larson", 2, False),
        ("rss:arena<mimalloc@pair,4", 4, True), ("arena<glibc@larson,1", 1, False)]
    assert tested[0].p == pytest.approx(2 ** -30)
    assert tested[0].p_adjusted == pytest.approx(4 * 2 ** -30)


def test_a_claim_without_values_is_not_shown(tmp_path):
    run = stored(tmp_path, CELLS)
    run.samples.loc[run.samples["allocator"] == "arena", "status"] = "crash"
    (tested,) = judge_claims([parse_claim("arena>glibc@pair")], run.samples, 1)
    assert (tested.p, tested.is_shown, tested.ratio.n) == (1.0, False, 0)


@pytest.mark.parametrize("text, words", [
    ("arena=glibc@larson", "write [throughput:|rss:]A>B@WORKLOAD"), ("arena>glibc", "write ["),
    ("speed:arena>glibc@larson", "'speed' is none of throughput, rss"),
    ("arena>arena@larson", "both sides are arena"),
    ("arena>glibc@nothing", "no such cell; the plan has larson,1, pair,2"),
    ("arena>glibc@larson,2", "no such cell"),
    ("arena>hoard@larson", "hoard is none of glibc, arena, mimalloc"),
    ("arena>glbc@larson", "glbc (did you mean glibc?) is none of"),
    ("arena>glibc@larsn", "there is no such cell (did you mean larson?); the plan has larson,1")])
def test_claims_that_nothing_could_decide_are_refused(text, words):
    with pytest.raises(ClaimError) as error:
        paper.check_claim(parse_claim(text), make_groups(plan()))
    assert words in str(error.value)


def test_the_geometric_mean_leaves_out_oversubscribed_cells(tmp_path):
    means = paper.geometric_means(stored(tmp_path, CELLS).samples, "glibc", 1)
    arena = next(m for m in means if (m.metric, m.label) == ("throughput", "arena"))
    assert arena.n == 2 and arena.value == pytest.approx(math.sqrt(1.2 * 0.9), abs=0.01)
    assert arena.low < arena.value < arena.high and arena.high - arena.low < 0.03


def make_paper(run, n=30, claims=("arena>glibc@larson",), correction="bh"):
    groups = make_groups(plan(cells=(("larson", 1), ("larson", 2), ("pair", 4))))
    for g in groups:
        g.n, g.window_ns, g.sd_inside, g.sd_between, g.sd_worst = n, 10 ** 8, 0.01, 0.02, 0.03
    ratios = all_ratios(run.samples, "glibc", 1)
    return paper_report.Paper(
        "run_1", "Measured on box.", "glibc", correction, groups, ratios, paper.explore(ratios, correction),
        judge_claims([parse_claim(c) for c in claims], run.samples, 1),
        paper.geometric_means(run.samples, "glibc", 1), ["x: crash"], paper_report.few_notes(groups))


def test_markdown_has_claims_ratios_means_and_plan(tmp_path):
    text = paper_report.markdown(make_paper(stored(tmp_path, CELLS)))
    assert re.search(r"\| `arena>glibc@larson` \| larson, 1 thread \| 1\.\d{3} \| 1\.\d{3} to 1\.\d{3} "
                     r"\| 30 \| < 0.0001 \| < 0.0001 \| shown \|", text)
    assert re.search(r"\| larson, 1 thread \| \d+\.\d+ \| 1\.\d{3}\* \[1\.\d{3}, 1\.\d{3}\] \| "
                     r"(1\.00|0\.99)\d \[", text)
    assert "| pair, 4 threads + |" in text and "geometric mean of 2 cells" in text
    assert "| larson, 2 threads | 3.81 | 0.750* [0.750, 0.750] | 1.000 [1.000, 1.000] |" in text
    assert "| larson, 1 thread | 30 | 0.10 s | 1.00 % | 2.00 % | 3.00 % | 1.35 % |" in text
    assert "- x: crash" in text and "fewer than 30" not in text


@pytest.mark.parametrize("given, words", [
    ((), "a pilot chose the window and the number (Kalibera and Jones 2013). R"),
    (("window",), "a pilot chose the number (Kalibera and Jones 2013); the window was given. R"),
    (("window", "number"), "Latin square; the window and the number were given. R")])
def test_the_method_says_what_the_pilot_chose(tmp_path, given, words):
    found = dataclasses.replace(make_paper(stored(tmp_path, CELLS)), given=given)
    assert words in paper_report.markdown(found)


def test_fewer_than_thirty_is_said(tmp_path):
    text = paper_report.markdown(make_paper(stored(tmp_path, CELLS, n=5), n=5, claims=()))
    assert "**n = 5: fewer than 30 processes a cell" in text and "Under 6 there are no intervals" in text
    assert "everything below is exploration" in text and "| 1.000 |" in text


def test_latex_tables_are_sound(tmp_path):
    text = paper_report.latex(make_paper(stored(tmp_path, CELLS), correction="holm"))
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 3
    for name in (r"\toprule", r"\midrule", r"\bottomrule", "tab:throughput", "tab:rss", "tab:claims"):
        assert name in text
    bare = re.sub(r"\\[\\{}&%$#_]", "", text)
    assert bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0
    for columns, body in re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", text, re.S):
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert rows and {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(columns) - 1}


def test_latex_shows_labels_literally():
    assert paper_report.tex("a_b[X=1;Y%]&") == r"a\_b[X=1;Y\%]\&"


def test_ratios_csv_has_a_row_a_ratio(tmp_path):
    found = make_paper(stored(tmp_path, CELLS))
    paper_report.write_ratios(found, tmp_path / "ratios.csv")
    rows = list(csv.DictReader((tmp_path / "ratios.csv").open(newline="")))
    assert len(rows) == 12 and float(rows[0]["ratio"]) == pytest.approx(found.ratios[0].value, rel=1e-5)
    assert all(float(r["p_adjusted"]) >= float(r["p"]) for r in rows)


def test_references_are_shown_and_not_tested(tmp_path):
    cells = {("larson", 1): {"glibc": (1e7, 4e6), "null": (9e7, 1e6)}}
    ratios = all_ratios(stored(tmp_path, cells).samples, "glibc", 1)
    assert [r.label for r in ratios] == ["null", "null"] and paper.explore(ratios, "bh") == []


@pytest.mark.parametrize("words, args", [
    ("--resume stands alone", ["--resume", "x", "--seed", "1"]),
    ("no run of run-bench paper", ["--resume", "/"]), ("two or more are needed", ["--allocators", "glibc"]),
    ("--baseline x: there are glibc, floor", ["--allocators", "glibc,floor", "--baseline", "x"]),
    ("there is no such cell", ["--allocators", "glibc,floor", "--workloads", "larson",
                               "--claim", "glibc>floor@x"])])
def test_usage_is_exit_code_2(script, words, args):
    done = script("paper.py", *args)
    assert (done.returncode, done.stdout) == (2, "") and words in done.stderr


def test_a_state_of_another_schema_is_refused(tmp_path, script):
    (tmp_path / "paper.json").write_text(json.dumps({"schema": 2}))
    done = script("paper.py", "--resume", tmp_path)
    assert done.returncode == 2 and "schema 2 is not one" in done.stderr


def test_progress_counts_from_where_it_was_stopped(capsys):
    ticks = iter([0, 0, 0, 100])
    progress = Progress("p", 4, n_past=2, clock=lambda: next(ticks))
    progress.out = type("Out", (), {"isatty": lambda self: False, "write": lambda self, t: print(t, end=""),
                                    "flush": lambda self: None})()
    for _ in range(3):
        progress.step("x")
    assert capsys.readouterr().out == "p: [3/4] 2 min left  x\n"
