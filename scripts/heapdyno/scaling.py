"""How throughput grows with threads: the speed-up of each allocator against itself with one thread, and
the Universal Scalability Law fitted to it.

The law (Gunther, Guerrilla Capacity Planning, 2007, chapter 4): with N threads the relative capacity is
C(N) = N / (1 + sigma (N - 1) + kappa N (N - 1)), where sigma is the share that is serial (waiting for one
another) and kappa the price of keeping each pair of threads coherent. It is a law of processors that work at
once, so only thread counts up to the processing units are fitted, and only where there are MIN_POINTS.
"""
import math
from dataclasses import dataclass

import numpy as np

from heapdyno import style
from heapdyno.ratio import rates
from heapdyno.stats import interval_rank

MIN_POINTS = 4
N_RESAMPLES = 500
SEED = 20070901
NOUGHT = 1e-5
NO_INTERVAL = (math.nan, math.nan)


@dataclass(frozen=True)
class Speedup:
    """Throughput at `threads` over that at one thread: of medians, with the bounds of a 95 % interval (NaN
    under 6 repetitions) and the lowest and highest within one repetition."""
    threads: int
    value: float
    ci: tuple
    extremes: tuple
    n: int


@dataclass(frozen=True)
class Law:
    """A fit: sigma and kappa with 95 % intervals (NaN under 6 repetitions), the largest relative error of a
    fitted point, and the thread counts that were fitted."""
    sigma: float
    kappa: float
    sigma_ci: tuple
    kappa_ci: tuple
    worst_error: float
    threads: tuple

    def peak_threads(self):
        """Threads at which capacity is greatest; infinite where nothing makes it fall."""
        return math.sqrt((1 - self.sigma) / self.kappa) if self.kappa > 0 and self.sigma < 1 else math.inf


@dataclass(frozen=True)
class Scaling:
    """One allocator in one comparison. `law` is None where `why` says what there is too little of."""
    comparison: str
    label: str
    speedups: tuple
    law: Law | None
    why: str


def capacity(threads, sigma, kappa):
    """C(N) of the law."""
    n = np.asarray(threads, dtype=float)
    return n / (1 + sigma * (n - 1) + kappa * n * (n - 1))


def scalings(samples, topology, has_law_intervals=True):
    """[Scaling], by comparison, then in the order of tables; only of allocators measured with one thread,
    and not at rate 0. The intervals of a law take some seconds: without them its coefficients stand alone."""
    lines = {}
    for (comparison, threads), cell in rates(samples).items():
        for label, values in cell.items():
            lines.setdefault((comparison, label), {})[threads] = values
    order = list(style.looks({label for _, label in lines}))
    keys = sorted(lines, key=lambda k: (k[0], order.index(k[1])))
    return [_scaling(*key, lines[key], topology, has_law_intervals) for key in keys
            if min(lines[key].get(1, {}).values(), default=0) > 0]


def _scaling(comparison, label, line, topology, has_law_intervals):
    threads = sorted(line)
    blocks = sorted(set.intersection(*(set(values) for values in line.values())))
    table = np.array([[line[t][b] for t in threads] for b in blocks]).reshape(len(blocks), len(threads))
    drawn = _resample(table) if interval_rank(len(blocks)) else None
    speedups = tuple(_speedup(line, threads, i, drawn, table) for i in range(len(threads)))
    law, why = fit_law(threads, [s.value for s in speedups],
                       drawn if has_law_intervals else None, topology)
    return Scaling(comparison, label, speedups, law, why)


def _resample(table):
    """Relative capacities of bootstrap samples: whole repetitions are drawn, so that what one has in common
    stays together. One row a sample, one column a thread count."""
    picks = np.random.default_rng(SEED).integers(0, len(table), (N_RESAMPLES, len(table)))
    medians = np.median(table[picks], axis=1)
    return medians / medians[:, :1]


def _interval(values):
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _speedup(line, threads, i, drawn, table):
    value = np.median(list(line[threads[i]].values())) / np.median(list(line[1].values()))
    within = table[:, i] / table[:, 0]
    extremes = (float(within.min()), float(within.max())) if len(within) else NO_INTERVAL
    return Speedup(threads[i], float(value), NO_INTERVAL if drawn is None else _interval(drawn[:, i]),
                   extremes, len(line[threads[i]]))


def fit_law(threads, capacities, drawn, topology):
    """(Law, "") or (None, why not). `drawn` are resampled capacities, one row a sample, or None."""
    if topology is None:
        return None, "the number of processing units is not known: no topology.xml"
    fitted = [i for i, t in enumerate(threads) if t <= topology.n_pus]
    if len(fitted) < MIN_POINTS:
        return None, (f"not enough points on this machine: {len(fitted)} thread counts up to its "
                      f"{topology.n_pus} processing units, {MIN_POINTS} are the fewest")
    n = np.array([threads[i] for i in fitted], dtype=float)
    medians = np.array([capacities[i] for i in fitted])
    if not (medians > 0).all():
        return None, "a thread count that would be fitted has no throughput"
    sigma, kappa = _fit(n, medians)
    errors = capacity(n, sigma, kappa) / medians - 1
    sigma_ci = kappa_ci = NO_INTERVAL
    if drawn is not None:
        fits = np.array([_fit(n, row[fitted]) for row in drawn if (row[fitted] > 0).all()])
        sigma_ci, kappa_ci = _interval(fits[:, 0]), _interval(fits[:, 1])
    return Law(sigma, kappa, sigma_ci, kappa_ci, float(np.abs(errors).max()), tuple(map(int, n))), ""


def _fit(n, capacities):
    """Least squares of relative errors, both coefficients at least 0. The solver stops a little inside of
    that bound; what is so small is nought."""
    from scipy.optimize import curve_fit   # 85 ms to load, which every summary would take
    found, _ = curve_fit(capacity, n, capacities, p0=(0.05, 0.001), sigma=capacities, bounds=(0, np.inf))
    return tuple(float(c) if c >= NOUGHT else 0.0 for c in found)
