"""Plans a comparison that can be printed: how long a process measures, how many processes, in which order.

After Kalibera and Jones, Rigorous Benchmarking in Reasonable Time (ISMM 2013): a pilot estimates at which
level the variance arises, inside a process or from process to process, and repetitions go where they pay.
Pure: knows nothing of processes or files.
"""
import math
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.stats import norm

from heapdyno import columns
from heapdyno.summary import name_comparisons

MIN_REPS = 30
"""Processes a cell, unless the user says fewer."""

N_PILOT_BLOCKS = 6
SHORT, LONG = 0.5, 2.0
"""Windows of the pilot, in windows of the driver's own choice or --duration. The short one is the unit of
the level inside a process; a planned window is a whole number of it, MAX_UNITS at most."""
MAX_UNITS = 8
DEFAULT_UNITS = round(1 / SHORT)

Z = float(norm.ppf(0.975))
MEDIAN_VARIANCE = math.pi / 2
"""Variance of a median over that of a mean, of normally distributed values."""


@dataclass
class Group:
    """What is compared with each other: one workload with its parameters at one number of threads."""
    name: str
    threads: int
    is_oversubscribed: bool
    plan: dict                                   # row of the driver's plan, by (label, pass)
    labels: list
    left_out: dict = field(default_factory=dict)  # reason by label
    n: int = 0
    window_ns: int = 0
    overhead_ns: float = math.nan   # of a timed process, beside its window
    audit_ns: float = math.nan      # of an audit, as a whole
    sd_inside: float = math.nan     # of ln(ratio to the baseline), from window to window of a process
    sd_between: float = math.nan    # from process to process
    sd_worst: float = math.nan      # both together at the planned window, of the noisiest pair

    def half_width(self, n):
        """Half a 95 % interval of the ratio of medians that n blocks are expected to give, as a share."""
        return Z * math.sqrt(MEDIAN_VARIANCE / n) * self.sd_worst

    def ns_per_block(self):
        return len(self.labels) * (self.window_ns + self.overhead_ns + self.audit_ns)


def make_groups(rows):
    """The groups of a plan with one repetition, in its order of workloads, labels in that of `rows`."""
    names = name_comparisons(pd.DataFrame(rows).assign(wrap="", ambient=""))
    groups = {}
    for row in rows:
        comparison = names[tuple(row.get(c, "") for c in columns.COMPARISON)]
        threads = int(row["threads"])
        group = groups.setdefault((comparison, threads), Group(
            comparison, threads, row["oversubscribed"] == "1", {}, []))
        label = columns.label(row["allocator"], row["config"])
        if label not in group.labels:
            group.labels.append(label)
        group.plan[label, row["pass"]] = row
    return [groups[key] for key in sorted(groups)]


def latin_square(n, rng):
    """A random one: n orders of n things, each once at each place. Rows, columns and things of the cyclic
    square are permuted."""
    rows, places, things = (rng.permutation(n) for _ in range(3))
    return [[int(things[(i + j) % n]) for j in places] for i in rows]


def orders(n_things, n_blocks, rng):
    """An order for each block; each run of n_things blocks is a Latin square."""
    found = []
    while len(found) < n_blocks:
        found += latin_square(n_things, rng)
    return found[:n_blocks]


def pilot_rows(groups, rng):
    """Rows of the pilot: an audit of each cell, then N_PILOT_BLOCKS blocks with both windows."""
    rows = [{**g.plan[label, "audit"], "block": 0, "slot": 0, "repetition": 1}
            for g in groups for label in g.labels]
    of_group = {id(g): orders(len(g.labels), N_PILOT_BLOCKS, rng) for g in groups}
    for block in range(1, N_PILOT_BLOCKS + 1):
        for i in rng.permutation(len(groups)):
            group = groups[i]
            seed, slot = int(rng.integers(2 ** 62)), 0
            for place in of_group[id(group)][block - 1]:
                row = group.plan[group.labels[place], "timed"]
                windows = [(1, SHORT), (2, LONG)][::1 if rng.integers(2) else -1]
                for n, factor in windows:
                    rows.append({**row, "block": block, "slot": slot, "seed": seed,
                                 "repetition": 2 * (block - 1) + n,
                                 "duration_ns": round(int(row["duration_ns"]) * factor)})
                    slot += 1
    return rows


def main_rows(groups, rng):
    """Rows of the run: in each block, in random order of the groups, the audits and then the timed
    processes of a group, both in the order of its Latin square."""
    rows = []
    of_group = {id(g): orders(len(g.labels), g.n, rng) for g in groups}
    for block in range(1, max(g.n for g in groups) + 1):
        for i in rng.permutation(len(groups)):
            group = groups[i]
            if block > group.n:
                continue
            seed = int(rng.integers(2 ** 62))
            order = [group.labels[place] for place in of_group[id(group)][block - 1]]
            for in_pass in ("audit", "timed"):
                for slot, label in enumerate(order):
                    row = {**group.plan[label, in_pass], "block": block, "slot": slot, "seed": seed,
                           "repetition": block}
                    if in_pass == "timed":
                        row["duration_ns"] = group.window_ns
                    rows.append(row)
    return rows


def components(short, long, ratio):
    """(variance inside a process at the short window, variance between processes) from samples at two
    windows, the long one `ratio` times the short: the first falls with the window, the second does not.
    Neither is negative."""
    v_short, v_long = np.var(short, ddof=1), np.var(long, ddof=1)
    if v_long >= v_short:
        return 0.0, float(v_short + v_long) / 2
    inside = min((v_short - v_long) / (1 - 1 / ratio), v_short)
    return float(inside), float(v_short - inside)


def learn(group, samples, baseline, units=None):
    """Takes what the pilot's `samples` (rows as text) say about a group: what it cannot run is left out, the
    window is planned unless its `units` are given, and the variances and costs are noted. None, or why the
    group cannot be compared."""
    cell_ids = {group.plan[label, p]["cell_id"]: label for label, p in group.plan}
    mine = [(cell_ids[s["cell_id"]], s) for s in samples if s["cell_id"] in cell_ids]
    for label, s in mine:
        if s["status"] != "ok" or (s["pass"] == "timed" and s["ops_per_s"] == ""):
            why = f"{s['status']}: {s['why']}" if s["status"] != "ok" else "its threads never all ran at once"
            group.left_out.setdefault(label, f"in the pilot, {s['pass']}: {why}")
    group.labels = [label for label in group.labels if label not in group.left_out]
    if baseline not in group.labels:
        return f"the baseline {baseline} does not run it: {group.left_out.get(baseline)}"
    if len(group.labels) < 2:
        return "no allocator is left to compare with the baseline"
    _learn_costs(group, samples, cell_ids)
    _learn_variances(group, mine, baseline, units)
    return None


def _learn_costs(group, samples, cell_ids):
    starts = [int(s["start_unix_ns"]) for s in samples]
    overheads, audits = [], []
    for s, start, following in zip(samples, starts, starts[1:]):
        if s["cell_id"] in cell_ids and s["status"] == "ok":
            if s["pass"] == "audit":
                audits.append(following - start)
            else:
                overheads.append(following - start - int(s["duration_ns"]))
    group.overhead_ns = max(0.0, float(np.median(overheads)))
    group.audit_ns = max(0.0, float(np.median(audits)))


def _learn_variances(group, mine, baseline, units):
    """Of the logarithm of ratios to the baseline within a block: what blocks have in common is no noise."""
    logs = {(label, int(s["block"]), int(s["repetition"]) % 2): math.log(float(s["ops_per_s"]))
            for label, s in mine if s["pass"] == "timed" and label in group.labels}
    found = []
    for label in group.labels:
        if label != baseline:
            short, long = ([logs[label, b, odd] - logs[baseline, b, odd]
                            for b in range(1, N_PILOT_BLOCKS + 1)] for odd in (1, 0))
            found.append(components(short, long, LONG / SHORT))
    inside, between = np.mean(found, axis=0)
    group.sd_inside, group.sd_between = math.sqrt(inside), math.sqrt(between)
    unit_ns = int(group.plan[baseline, "timed"]["duration_ns"]) * SHORT
    units = units or best_units(inside, between, unit_ns, group.overhead_ns)
    group.window_ns = round(units * unit_ns)
    group.sd_worst = math.sqrt(max(b + i / units for i, b in found))


def best_units(inside, between, unit_ns, overhead_ns):
    """How many units a process should measure (Kalibera and Jones 2013, optimal repetition counts): the
    square root of (cost of another process / cost of another unit) times (variance inside / variance
    between)."""
    if between <= 0:
        return MAX_UNITS if inside > 0 else 1
    wanted = math.sqrt(overhead_ns / unit_ns * inside / between)
    return min(MAX_UNITS, max(1, math.ceil(wanted)))


def choose_reps(groups, precision, max_reps, budget_s=math.inf):
    """Sets the blocks of each group: as many as are expected to give half an interval of `precision`, at
    least MIN_REPS, at most max_reps, fewer where the time does not last; whole Latin squares as far as that
    goes. False when MIN_REPS of each take more than the budget."""
    for group in groups:
        wanted = math.ceil(MEDIAN_VARIANCE * (Z * group.sd_worst / precision) ** 2)
        group.n = whole_squares(min(max(wanted, MIN_REPS), max_reps), len(group.labels))
    while total_s(groups) > budget_s:
        largest = max(groups, key=lambda g: g.n)
        if largest.n <= MIN_REPS:
            return False
        largest.n = max(MIN_REPS, largest.n - len(largest.labels))
    return True


def whole_squares(n, n_labels):
    return math.ceil(n / n_labels) * n_labels


def total_s(groups):
    return sum(g.n * g.ns_per_block() for g in groups) / 1e9
