import numpy as np
import pytest
from scipy.stats import binom

from heapdyno.stats import interval_rank, median_interval


def test_under_six_values_there_is_no_interval():
    assert [interval_rank(n) for n in range(6)] == [None] * 6
    assert median_interval([3, 1, 2]) == (2, None, None)


@pytest.mark.parametrize("n, rank", [(6, 1), (8, 1), (9, 2), (12, 3), (15, 4), (20, 6), (30, 10), (100, 40)])
def test_rank_is_that_of_the_published_tables(n, rank):
    assert interval_rank(n) == rank


@pytest.mark.parametrize("n", range(6, 200))
def test_rank_is_the_largest_that_keeps_95_percent(n):
    def coverage(k):
        return 1 - 2 * binom.cdf(k - 1, n, 0.5)
    k = interval_rank(n)
    assert coverage(k) >= 0.95
    assert coverage(k + 1) < 0.95 or 2 * (k + 1) > n


def test_interval_of_nine_is_second_and_eighth():
    assert median_interval([9, 1, 8, 2, 7, 3, 6, 4, 5]) == (5, 2, 8)


def test_interval_covers_the_median_of_a_skewed_distribution():
    generator = np.random.default_rng(20060401)
    samples = generator.lognormal(0, 1, size=(4000, 10))  # its median is 1
    intervals = [median_interval(s) for s in samples]
    covered = np.mean([lo <= 1 <= hi for _, lo, hi in intervals])
    assert covered == pytest.approx(0.9785, abs=0.01)     # 1 - 2 P(binomial(10, 1/2) <= 1)
