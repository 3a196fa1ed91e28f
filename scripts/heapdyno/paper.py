"""The statistics of a comparison that can be printed: ratios of medians with intervals over whole blocks,
claims that were named in advance, and everything else as exploration.

No value is ever left out as an outlier. Pure: knows nothing of processes or files. docs/judging.md has the
reasons.
"""
import math
import re
import warnings
from dataclasses import dataclass

import numpy as np
from scipy.stats import DegenerateDataWarning, bootstrap, norm

from heapdyno import columns
from heapdyno.arguments import hint
from heapdyno.judge import p_above, p_below
from heapdyno.summary import name_comparisons

METRICS = {"throughput": ("timed", "ops_per_s"), "rss": ("audit", "peak_rss_bytes")}
"""Metric: the pass and the column it is taken from. More throughput is better, less RSS."""

MIN_BLOCKS = 6
"""Under so many blocks there is no interval."""

N_RESAMPLES = 9999
CONFIDENCE = 0.95
CLAIM = re.compile(r"(?:(?P<metric>\w+):)?(?P<left>[^<>@]+)(?P<sign>[<>])(?P<right>[^<>@]+)"
                   r"@(?P<comparison>[^@]+?)(?:,(?P<threads>\d+))?")


class ClaimError(ValueError):
    """A claim that cannot be read or that nothing in the plan could decide."""


@dataclass(frozen=True)
class Claim:
    """`left` has more (">") or less ("<") of the metric than `right` in a comparison, at one number of
    threads or, with None, at each."""
    text: str
    metric: str
    left: str
    sign: str
    right: str
    comparison: str
    threads: int | None

    def is_about(self, comparison, threads):
        return self.comparison == comparison and self.threads in (None, threads)


def parse_claim(text):
    """rss:arena<glibc@larson,2 ; without a metric it is throughput."""
    match = CLAIM.fullmatch(text.replace(" ", ""))
    if match is None:
        raise ClaimError(f"--claim '{text}': write [throughput:|rss:]A>B@WORKLOAD[,THREADS], such as "
                         "'arena>jemalloc@larson' or 'rss:arena<glibc@larson,2'")
    metric = match["metric"] or "throughput"
    if metric not in METRICS:
        raise ClaimError(f"--claim '{text}': '{metric}' is none of {', '.join(METRICS)}")
    if match["left"] == match["right"]:
        raise ClaimError(f"--claim '{text}': both sides are {match['left']}")
    threads = int(match["threads"]) if match["threads"] else None
    return Claim(text, metric, match["left"], match["sign"], match["right"], match["comparison"], threads)


def check_claim(claim, groups):
    """ClaimError unless the groups of the plan have what the claim names."""
    about = [g for g in groups if claim.is_about(g.name, g.threads)]
    if not about:
        known = ", ".join(sorted({f"{g.name},{g.threads}" for g in groups}))
        near = hint(claim.comparison, {g.name for g in groups} - {claim.comparison})
        raise ClaimError(f"--claim '{claim.text}': there is no such cell{near}; the plan has {known}")
    for label in (claim.left, claim.right):
        if label not in about[0].labels:
            labels = about[0].labels
            raise ClaimError(f"--claim '{claim.text}': {label}{hint(label, labels)} is none of "
                             f"{', '.join(labels)}")


@dataclass(frozen=True)
class Ratio:
    """`label` over `base` in one cell. low, high: 95 % interval, None under MIN_BLOCKS blocks. p_more,
    p_less: exact one-sided sign tests over the blocks against "not more" and "not less". n_lost: blocks in
    which one of both has no value."""
    comparison: str
    threads: int
    is_oversubscribed: bool
    metric: str
    label: str
    base: str
    value: float
    low: float | None
    high: float | None
    n: int
    n_lost: int
    base_median: float
    p_more: float
    p_less: float

    @property
    def p_differs(self):
        return min(1.0, 2 * min(self.p_more, self.p_less))


@dataclass(frozen=True)
class Tested:
    """A hypothesis with its p-value as adjusted for all of its family."""
    ratio: Ratio
    claim: Claim | None
    p: float
    p_adjusted: float

    @property
    def is_shown(self):
        return self.p_adjusted <= 1 - CONFIDENCE


def ratio_of_medians(a, b, axis=-1):
    return np.median(a, axis=axis) / np.median(b, axis=axis)


def bca_interval(data, statistic, seed, **options):
    """(low, high): the 95 % BCa bootstrap interval (Efron 1987). Where leaving out single values never
    changes the statistic, as with medians of values that repeat, the acceleration is not defined; it is 0
    then, which leaves the bias-corrected interval."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateDataWarning)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = bootstrap(data, statistic, vectorized=True, n_resamples=N_RESAMPLES, method="BCa",
                              confidence_level=CONFIDENCE, random_state=np.random.default_rng(seed),
                              **options)
    low, high = map(float, found.confidence_interval)
    if math.isnan(low) or math.isnan(high):
        drawn, value = found.bootstrap_distribution, statistic(*data, axis=-1)
        below = np.mean(drawn < value) + np.mean(drawn == value) / 2
        z = norm.ppf((1 - CONFIDENCE) / 2) * np.array([1, -1])
        low, high = map(float, np.quantile(drawn, norm.cdf(2 * norm.ppf(below) + z)))
    return low, high


def table_of(samples, metric):
    """{(comparison, threads, is_oversubscribed): {label: {block: value}}} of the rows that are ok."""
    in_pass, column = METRICS[metric]
    names = name_comparisons(samples)
    tables = {}
    of_pass = samples[(samples["pass"] == in_pass) & (samples["block"] > 0)]
    for row in of_pass.to_dict("records"):
        key = (names[tuple(row[c] for c in columns.COMPARISON)], int(row["threads"]),
               row["oversubscribed"] == 1)
        values = tables.setdefault(key, {}).setdefault(columns.label(row["allocator"], row["config"]), {})
        if row["status"] == "ok" and row[column] == row[column]:
            values[row["block"]] = row[column]
    return dict(sorted(tables.items()))


def compare_in_blocks(key, metric, cell, label, base, seed):
    """The Ratio of two labels over the blocks that have both; None when there is no such block."""
    mine, its = cell.get(label, {}), cell.get(base, {})
    blocks = sorted(mine.keys() & its.keys())
    if not blocks:
        return None
    a, b = np.array([mine[i] for i in blocks]), np.array([its[i] for i in blocks])
    low = high = None
    if len(blocks) >= MIN_BLOCKS:
        low, high = bca_interval((a, b), ratio_of_medians, seed, paired=True)
    logs = list(np.log(a) - np.log(b))
    return Ratio(*key, metric, label, base, float(ratio_of_medians(a, b)), low, high, len(blocks),
                 len(mine.keys() | its.keys()) - len(blocks), float(np.median(b)), p_above(logs, 0.0),
                 p_below(logs, 0.0))


def all_ratios(samples, baseline, seed):
    """A Ratio to the baseline for each metric, cell and other label, in this order."""
    found = []
    for metric in METRICS:
        for key, cell in table_of(samples, metric).items():
            found += [compare_in_blocks(key, metric, cell, label, baseline, seed)
                      for label in sorted(cell) if label != baseline]
    return [r for r in found if r is not None]


def judge_claims(claims, samples, seed):
    """Each claim in each of its cells, Holm-adjusted over all of them. A cell without a common block is
    there with p = 1 and no ratio."""
    hypotheses = []
    for claim in claims:
        for key, cell in table_of(samples, claim.metric).items():
            if claim.is_about(*key[:2]):
                ratio = compare_in_blocks(key, claim.metric, cell, claim.left, claim.right, seed)
                if ratio is None:
                    ratio = Ratio(*key, claim.metric, claim.left, claim.right, math.nan, None, None, 0, 0,
                                  math.nan, 1.0, 1.0)
                hypotheses.append((ratio, claim, ratio.p_more if claim.sign == ">" else ratio.p_less))
    return _adjust(hypotheses, "holm")


def explore(ratios, method):
    """"They differ" for each ratio, adjusted over all of them: method "bh" (false discovery rate) or "holm".
    References show a bound and are not tested."""
    return _adjust([(r, None, r.p_differs) for r in ratios if r.label not in columns.REFERENCES],
                   {"bh": "fdr_bh", "holm": "holm"}[method])


def _adjust(hypotheses, method):
    if not hypotheses:
        return []
    from statsmodels.stats.multitest import multipletests   # takes a second to load
    adjusted = multipletests([p for _, _, p in hypotheses], method=method)[1]
    return [Tested(*h, float(p)) for h, p in zip(hypotheses, adjusted)]


@dataclass(frozen=True)
class Mean:
    """The geometric mean of a label's ratios over n cells, with its 95 % interval (None: too few blocks)."""
    metric: str
    label: str
    value: float
    low: float | None
    high: float | None
    n: int


def geometric_means(samples, baseline, seed):
    """A Mean for each metric and label over the cells that are not oversubscribed; none where a label has
    no value in one of them, or where there is only one. The interval resamples blocks, in each cell apart;
    it says nothing of other workloads."""
    found = []
    for metric in METRICS:
        cells = {k: c for k, c in table_of(samples, metric).items() if not k[2]}
        for label in sorted({label for c in cells.values() for label in c} - {baseline, *columns.REFERENCES}):
            pairs = []
            for cell in cells.values():
                mine, its = cell.get(label, {}), cell.get(baseline, {})
                blocks = sorted(mine.keys() & its.keys())
                pairs.append((np.array([mine[b] for b in blocks]), np.array([its[b] for b in blocks])))
            if len(pairs) > 1 and all(len(a) for a, _ in pairs):
                found.append(_mean(metric, label, pairs, seed))
    return found


def _mean(metric, label, pairs, seed):
    def statistic(*drawn, axis=-1):
        logs = [np.log(ratio_of_medians(a[i.astype(int)], b[i.astype(int)], axis))
                for (a, b), i in zip(pairs, drawn)]
        return np.exp(np.mean(logs, axis=0))
    indices = tuple(np.arange(len(a)) for a, _ in pairs)
    low = high = None
    if min(map(len, indices)) >= MIN_BLOCKS:
        low, high = bca_interval(indices, statistic, seed)
    return Mean(metric, label, float(statistic(*indices)), low, high, len(pairs))
