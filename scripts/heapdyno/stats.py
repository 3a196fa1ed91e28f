"""The statistics of one cell: the median and how well it is known."""
import numpy as np
from scipy.special import bdtr

CONFIDENCE = 0.95


def interval_rank(n, confidence=CONFIDENCE):
    """The rank k (from 1) for which the k-th smallest and the k-th largest of n values enclose the median
    of any continuous distribution with at least this confidence; None when n is too small (under 6 for 95
    %).

    The number of values below the median is binomial(n, 1/2) (David and Nagaraja, Order Statistics, 7.1).
    """
    alpha = (1 - confidence) / 2
    if n < 1 or bdtr(0, n, 0.5) > alpha:
        return None
    k = 1
    while 2 * (k + 1) <= n and bdtr(k, n, 0.5) <= alpha:
        k += 1
    return k


def median_interval(values):
    """(median, ci_lo, ci_hi) of the values; the interval is (None, None) when there are too few for one."""
    ordered = np.sort(np.asarray(values, dtype=float))
    median = float(np.median(ordered))
    k = interval_rank(len(ordered))
    if k is None:
        return median, None, None
    return median, float(ordered[k - 1]), float(ordered[-k])
