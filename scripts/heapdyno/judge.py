"""Decides whether a candidate is slower than a baseline: from pairs of measurements to PASS, FAIL or
INCONCLUSIVE.

Pure: knows nothing of processes, files or time, and never which side it would rather see win. The procedure
and the reasons for it are in docs/judging.md.
"""
import enum
import math
from dataclasses import dataclass, field

import numpy as np
from scipy.special import bdtrc
from scipy.stats import binomtest

from heapdyno.stats import median_interval

LOOKS = (12, 24, 40)


class Verdict(enum.Enum):
    """What is known of a cell. OPEN: more pairs may tell."""
    OPEN = "open"
    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"


EXIT_CODES = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 3, Verdict.ERROR: 4}
EXIT_USAGE = 2


class RuleError(ValueError):
    """Thresholds that contradict each other, or that no data could ever meet."""


@dataclass(frozen=True)
class Rule:
    """The thresholds, fixed before anything is measured."""
    delta: float = 0.02           # a slowdown up to this is no regression
    big_delta: float = 0.05       # a slowdown from this on must not pass
    alpha: float = 0.05           # chance of any false FAIL in the whole gate
    looks: tuple = LOOKS          # clean pairs at which a decision may be taken
    max_run_delay: float = 0.02   # of threads x wall time, beyond which a measurement is contaminated
    max_dropped: float = 0.30     # share of contaminated pairs beyond which the machine is unfit

    @property
    def level(self):
        """Alpha is divided among the looks (Bonferroni), each of which could raise a false alarm."""
        return self.alpha / len(self.looks)

    def check(self, n_cells):
        """RuleError when the thresholds make no sense, or when even unanimous pairs could not FAIL."""
        if not 0 <= self.delta < self.big_delta:
            raise RuleError(f"delta ({self.delta:g}) must be at least 0 and below Delta ({self.big_delta:g})")
        if not 0 < self.alpha < 0.5:
            raise RuleError(f"alpha ({self.alpha:g}) must lie between 0 and 0.5")
        needed = math.ceil(-math.log2(self.level / max(1, n_cells)))
        if self.looks[-1] < needed:
            raise RuleError(f"with {n_cells} cells at alpha {self.alpha:g}, {needed} pairs are the fewest "
                            f"that could show a regression; {self.looks[-1]} are too few")


def looks_up_to(max_pairs):
    """The looks of a gate that may take `max_pairs` pairs a cell: the standard ones below it, then itself."""
    return tuple(n for n in LOOKS if n < max_pairs) + (max_pairs,)


@dataclass(frozen=True)
class Measurement:
    """One invocation. `cost` is what rises when things get worse: time per operation."""
    cost: float
    run_delay_ns: float
    wall_ns: float
    threads: int

    def delay_share(self):
        """Time its threads waited for a processor, as a share of the time they could have run."""
        return self.run_delay_ns / (self.threads * self.wall_ns)


def is_contaminated(measurements, rule):
    """Whether another load disturbed one of a pair. Takes the pair as a set: which side it was must not
    matter. A delay or a cost that was not measured (NaN) cannot vouch for anything."""
    return any(not (m.delay_share() <= rule.max_run_delay and m.cost > 0) for m in measurements)


def log_ratio(baseline, candidate):
    """ln(cost of the candidate) - ln(cost of the baseline): above 0 the candidate is worse."""
    return math.log(candidate.cost) - math.log(baseline.cost)


@dataclass
class Cell:
    """What is known of one cell: the log ratios of its clean pairs, in the order of measuring."""
    name: str
    ratios: list = field(default_factory=list)
    n_dropped: int = 0
    verdict: Verdict = Verdict.OPEN
    why: str = ""
    n_judged: int = 0          # pairs that the verdict stands on
    p_fail: float = math.nan   # at the last look, Holm-adjusted
    p_pass: float = math.nan   # at the last look

    def add_pair(self, baseline, candidate, rule):
        """Takes a pair; False when it was dropped and has to be repeated."""
        if is_contaminated((baseline, candidate), rule):
            self.n_dropped += 1
            return False
        self.ratios.append(log_ratio(baseline, candidate))
        return True

    def is_unfit(self, rule):
        """Whether too many pairs were dropped to go on; not asked before a first look's worth of them."""
        n = len(self.ratios) + self.n_dropped
        return n >= rule.looks[0] and self.n_dropped > rule.max_dropped * n

    def settle(self, verdict, why):
        self.verdict, self.why = verdict, why


def p_above(ratios, bound):
    """Exact sign test of "the median is at most `bound`": the chance that a fair coin shows "above" as
    often as it was seen. Small when the median is above. A tie speaks for the hypothesis."""
    n_above = sum(r > bound for r in ratios)
    return float(bdtrc(n_above - 1, len(ratios), 0.5))


def p_below(ratios, bound):
    """Exact sign test of "the median is at least `bound`"; small when it is below."""
    return p_above([-r for r in ratios], -bound)


def holm(p_values):
    """The p-values of a family, adjusted by Holm (1979): the k-th smallest of m times m - k + 1, never below
    one before it. statsmodels has this too, at 15 ms a call; the tests hold the two against each other."""
    p_values = np.asarray(p_values, dtype=float)
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    return np.minimum(adjusted, 1.0)


def look(cells, rule, n_pairs):
    """Takes the decisions that are due when every open cell has `n_pairs` clean pairs.

    FAIL takes Holm's correction over all cells of the gate. Cells decided before stay in the family with
    p = 1, which can only make it stricter. PASS takes none: the gate passes only if every cell does
    (intersection-union; Berger 1982), so that more cells make a false PASS of the whole less likely.
    """
    is_last = n_pairs >= rule.looks[-1]
    p_values = []
    for cell in cells:
        is_due = cell.verdict is Verdict.OPEN
        p_values.append(p_above(cell.ratios[:n_pairs], math.log1p(rule.delta)) if is_due else 1.0)
    for cell, p_fail in zip(cells, holm(p_values)):
        if cell.verdict is not Verdict.OPEN:
            continue
        cell.n_judged = n_pairs
        cell.p_fail = float(p_fail)
        cell.p_pass = float(p_below(cell.ratios[:n_pairs], math.log1p(rule.big_delta)))
        if cell.p_fail <= rule.level:
            cell.settle(Verdict.FAIL, f"slower by more than {100 * rule.delta:g} %")
        elif cell.p_pass <= rule.level:
            cell.settle(Verdict.PASS, f"less than {100 * rule.big_delta:g} % slower")
        elif is_last:
            cell.settle(Verdict.INCONCLUSIVE, f"{n_pairs} pairs do not tell")


def overall(cells):
    """The verdict of the gate. A shown regression stands whatever else happened; then comes what could not be
    measured, then what could not be told. No cell at all is INCONCLUSIVE: nothing was shown."""
    verdicts = {cell.verdict for cell in cells}
    for verdict in (Verdict.FAIL, Verdict.ERROR, Verdict.OPEN, Verdict.INCONCLUSIVE):
        if verdict in verdicts:
            return Verdict.INCONCLUSIVE if verdict is Verdict.OPEN else verdict
    return Verdict.PASS if verdicts else Verdict.INCONCLUSIVE


@dataclass(frozen=True)
class Effect:
    """How much worse the candidate is, as ratios less one: 0.03 is 3 % slower. None: too few pairs."""
    n: int
    median: float | None
    ci_lo: float | None
    ci_hi: float | None
    hodges_lehmann: float | None


def effect(ratios):
    """The effect in all clean pairs: the median with its 95 % order-statistic interval, Hodges-Lehmann beside
    it. The interval describes; it takes no account of the looks and decides nothing."""
    if not ratios:
        return Effect(0, None, None, None, None)
    numbers = (*median_interval(ratios), hodges_lehmann(ratios))
    return Effect(len(ratios), *(None if v is None else math.expm1(v) for v in numbers))


def hodges_lehmann(values):
    """The median of all pairwise averages (Hodges and Lehmann 1963), each value paired with itself too."""
    values = np.asarray(values, dtype=float)
    i, j = np.triu_indices(len(values))
    return float(np.median((values[i] + values[j]) / 2))


def replay(ratios_by_cell, rule):
    """The cells a gate would have ended with, had it measured these log ratios ({name: [ratio, ...]}). A cell
    whose ratios end before its look stays INCONCLUSIVE."""
    cells = [Cell(name, list(ratios)) for name, ratios in ratios_by_cell.items()]
    for n_pairs in rule.looks:
        for cell in cells:
            if cell.verdict is Verdict.OPEN and len(cell.ratios) < n_pairs:
                cell.settle(Verdict.INCONCLUSIVE, f"only {len(cell.ratios)} pairs are there")
        if any(cell.verdict is Verdict.OPEN for cell in cells):
            look(cells, rule, n_pairs)
    return cells


def swap_labels(ratios_by_cell, rng):
    """The same pairs with the sides of each exchanged by a fair coin: under "both sides are the same" this is
    as likely as what was measured, so that judging it again and again shows the rate of false alarms. The
    coin of a pair is one for all cells, which keeps what they have in common."""
    n = max(map(len, ratios_by_cell.values()))
    signs = rng.choice((-1.0, 1.0), n)
    return {name: list(np.asarray(r) * signs[:len(r)]) for name, r in ratios_by_cell.items()}


def clopper_pearson(k, n, confidence=0.95):
    """The exact interval of a rate of which k in n were seen."""
    interval = binomtest(k, n).proportion_ci(confidence, method="exact")
    return interval.low, interval.high
