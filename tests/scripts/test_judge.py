"""The decisions: exact levels, precedence, the guard, and how often the whole procedure errs."""
import math

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from heapdyno.judge import (Cell, Measurement, Rule, RuleError, Verdict, clopper_pearson, effect,
                            hodges_lehmann, holm, is_contaminated, look, looks_up_to, overall, p_above,
                            p_below, replay, swap_labels)

RULE = Rule()
LN = math.log1p


def measurement(cost=1.0, delay=0.0, threads=2, wall_ns=1e9):
    return Measurement(cost, delay * threads * wall_ns, wall_ns, threads)


def verdicts(ratios_by_cell, rule=RULE):
    return {c.name: c.verdict for c in replay(ratios_by_cell, rule)}


def test_sign_test_is_the_exact_binomial_one():
    assert p_above([1.0] * 12, 0) == pytest.approx(2 ** -12)
    assert p_above([1.0] * 11 + [-1.0], 0) == pytest.approx(13 * 2 ** -12)
    assert p_below([-1.0] * 12, 0) == pytest.approx(2 ** -12)


def test_a_tie_speaks_for_the_hypothesis_on_both_sides():
    assert p_above([0.5] * 12, 0.5) == 1
    assert p_below([0.5] * 12, 0.5) == 1


def test_unanimous_pairs_decide_at_the_first_look():
    cells = replay({"same": [0.0] * 40, "slow": [LN(0.10)] * 40}, RULE)
    assert [(c.verdict, c.n_judged) for c in cells] == [(Verdict.PASS, 12), (Verdict.FAIL, 12)]


def test_pass_needs_eleven_of_the_first_twelve():
    """P(X >= 11) = 0.0032, P(X >= 10) = 0.0193; the level is 0.05 / 3 = 0.0167."""
    for n_good, expected in ((11, 12), (10, 24)):
        ratios = [0.0] * n_good + [LN(0.08)] * (12 - n_good) + [0.0] * 28
        assert replay({"x": ratios}, RULE)[0].n_judged == expected


def test_fail_takes_precedence_where_both_tests_reject():
    ratios = [LN(0.035)] * 12
    assert p_above(ratios, LN(0.02)) <= RULE.level and p_below(ratios, LN(0.05)) <= RULE.level
    assert verdicts({"between": ratios}) == {"between": Verdict.FAIL}


def test_holm_makes_a_cell_among_many_harder_to_fail():
    """11 of 12 above: p = 0.0032, enough alone (0.0167), not among 40 (0.00042)."""
    slow = [LN(0.10)] * 11 + [0.0] + [LN(0.10)] * 28
    assert replay({"x": slow}, RULE)[0].n_judged == 12
    many = {"x": slow, **{f"calm{i}": [0.0] * 40 for i in range(39)}}
    x = replay(many, RULE)[0]
    assert (x.verdict, x.n_judged) == (Verdict.FAIL, 24)


def test_holm_is_that_of_statsmodels():
    rng = np.random.default_rng(8)
    for n in (1, 2, 7):
        p_values = list(rng.random(n) ** 4) + [1.0, 1.0]
        assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_cells_decided_before_stay_in_the_family():
    cells = [Cell("done", [0.0] * 24, verdict=Verdict.PASS), Cell("x", [LN(0.1)] * 17 + [0.0] * 7)]
    look(cells, RULE, 24)
    assert cells[1].p_fail == pytest.approx(2 * p_above(cells[1].ratios, LN(0.02)))
    assert cells[0].n_judged == 0


def test_half_and_half_is_inconclusive_after_the_last_look():
    cell = replay({"x": [LN(-0.1), LN(0.1)] * 20}, RULE)[0]
    assert (cell.verdict, cell.n_judged, cell.why) == (Verdict.INCONCLUSIVE, 40, "40 pairs do not tell")


def test_too_few_pairs_are_inconclusive():
    cell = replay({"x": [0.0] * 11}, RULE)[0]
    assert (cell.verdict, cell.why) == (Verdict.INCONCLUSIVE, "only 11 pairs are there")


def test_overall_precedence():
    def cells(*names):
        return [Cell("x", verdict=Verdict(n)) for n in names]
    assert overall(cells("pass", "pass")) is Verdict.PASS
    assert overall(cells("pass", "inconclusive")) is Verdict.INCONCLUSIVE
    assert overall(cells("pass", "open")) is Verdict.INCONCLUSIVE
    assert overall(cells("error", "inconclusive", "pass")) is Verdict.ERROR
    assert overall(cells("fail", "error", "inconclusive")) is Verdict.FAIL
    assert overall([]) is Verdict.INCONCLUSIVE


def test_guard_is_two_percent_of_threads_times_wall():
    assert not is_contaminated([measurement(delay=0.02), measurement()], RULE)
    assert is_contaminated([measurement(delay=0.0201), measurement()], RULE)


@pytest.mark.parametrize("delay", [0.0, 0.019, 0.021, 0.5, math.nan])
def test_guard_does_not_look_at_the_side(delay):
    a, b = measurement(cost=1.0, delay=delay), measurement(cost=2.0)
    assert is_contaminated([a, b], RULE) == is_contaminated([b, a], RULE)


def test_unmeasured_delay_is_contaminated():
    assert is_contaminated([measurement(delay=math.nan), measurement()], RULE)


def test_dropped_pairs_are_counted_and_give_no_ratio():
    cell = Cell("x")
    assert not cell.add_pair(measurement(delay=0.03), measurement(), RULE)
    assert cell.add_pair(measurement(cost=1.0), measurement(cost=1.5), RULE)
    assert (cell.n_dropped, cell.ratios) == (1, [pytest.approx(math.log(1.5))])


def test_unfit_is_more_than_thirty_percent_of_at_least_twelve():
    assert not Cell("x", [0.0] * 5, n_dropped=6).is_unfit(RULE)
    assert Cell("x", [0.0] * 8, n_dropped=4).is_unfit(RULE)
    assert not Cell("x", [0.0] * 14, n_dropped=6).is_unfit(RULE)


def test_effect_is_in_ratios():
    e = effect([LN(0.10)] * 9)
    assert (e.n, e.median, e.ci_lo, e.ci_hi) == (9, *[pytest.approx(0.10)] * 3)
    assert e.hodges_lehmann == pytest.approx(0.10)
    assert effect([0.1]).ci_lo is None and effect([]).median is None


def test_hodges_lehmann_by_hand():
    """Averages of 0, 1, 5: 0, 0.5, 1, 2.5, 3, 5."""
    assert hodges_lehmann([5, 0, 1]) == 1.75


def test_looks_end_with_the_most_pairs():
    assert looks_up_to(40) == (12, 24, 40)
    assert looks_up_to(24) == (12, 24)
    assert looks_up_to(100) == (12, 24, 40, 100)
    assert looks_up_to(8) == (8,)


@pytest.mark.parametrize("rule, n_cells, words", [
    (Rule(delta=0.05, big_delta=0.05), 1, "below Delta"),
    (Rule(delta=-0.01), 1, "at least 0"),
    (Rule(alpha=0.7), 1, "between 0 and 0.5"),
    (Rule(looks=(4,)), 1, "5 pairs are the fewest"),
    (Rule(looks=looks_up_to(12)), 1000, "15 pairs are the fewest")])
def test_rules_that_cannot_work_are_refused(rule, n_cells, words):
    with pytest.raises(RuleError, match=words):
        rule.check(n_cells)


def test_standard_rule_is_sound_for_forty_cells():
    RULE.check(40)


def simulate(rng, n_cells, slowdown):
    """Pairs of cells with noise of their own and noise in common, heavy in the tails."""
    shared = 0.01 * rng.standard_t(3, 40)
    return {f"c{i}": list(LN(slowdown) + shared + 0.015 * rng.standard_t(3, 40)) for i in range(n_cells)}


def test_no_false_alarm_without_a_slowdown():
    rng = np.random.default_rng(1)
    runs = [verdicts(simulate(rng, 8, 0.0)) for _ in range(100)]
    assert all(Verdict.FAIL not in run.values() for run in runs)
    assert sum(v is Verdict.PASS for run in runs for v in run.values()) > 0.95 * 100 * 8


def test_false_alarms_at_the_threshold_keep_to_alpha():
    """The worst case that the test must hold: a slowdown of exactly delta in every cell."""
    rng = np.random.default_rng(2)
    n = 300
    n_false = sum(Verdict.FAIL in verdicts(simulate(rng, 4, 0.02)).values() for _ in range(n))
    assert clopper_pearson(n_false, n)[0] <= RULE.alpha


def test_ten_percent_is_found():
    rng = np.random.default_rng(3)
    found = [v for _ in range(50) for v in verdicts(simulate(rng, 8, 0.10)).values()]
    assert found.count(Verdict.FAIL) >= 0.99 * len(found)


def test_five_percent_never_passes_more_often_than_the_level():
    rng = np.random.default_rng(4)
    found = [v for _ in range(200) for v in verdicts(simulate(rng, 1, 0.05)).values()]
    assert clopper_pearson(found.count(Verdict.PASS), len(found))[0] <= RULE.alpha


def test_exchanged_labels_raise_no_alarm_and_depend_on_the_seed_alone():
    rng = np.random.default_rng(5)
    pairs = simulate(rng, 4, 0.0)
    first = [verdicts(swap_labels(pairs, np.random.default_rng(7))) for _ in range(2)]
    assert first[0] == first[1]
    runs = [verdicts(swap_labels(pairs, rng)) for _ in range(300)]
    assert all(Verdict.FAIL not in run.values() for run in runs)


def test_exchanged_labels_hide_a_slowdown():
    """What the check would be worth nothing without: it is the sides that are judged."""
    pairs = {"x": [LN(0.2)] * 40}
    rng = np.random.default_rng(6)
    found = [verdicts(swap_labels(pairs, rng))["x"] for _ in range(200)]
    assert verdicts(pairs)["x"] is Verdict.FAIL
    assert clopper_pearson(found.count(Verdict.FAIL), len(found))[0] <= RULE.alpha
