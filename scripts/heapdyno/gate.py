"""The course of a gate: which measurement comes next, and when to stop.

Interleaves the two sides in blocks of ABBA or BAAB by a seeded coin, goes round the cells in random order,
and asks judge.py at each look. Measures through anything that has Engine's measure(row).
"""
import math
from collections import deque
from dataclasses import dataclass, field

import pandas as pd

from heapdyno import columns, judge
from heapdyno.judge import Verdict
from heapdyno.run import RunError
from heapdyno.summary import name_comparisons

WINDOW_S = 0.4
"""Wall time that the operation count of a cell is to give the baseline, within a quarter."""

ACCEPTED = (1 / 8, 12.5)
"""Shares of it that are put up with, where operations come in large pieces."""

PROCESS_S = 0.06
"""What a process costs beside its window: loading, proof, probes, its row."""

N_CALIBRATIONS = 3
"""Usual number of processes to calibrate a cell."""

JUDGED = ("block", "slot", "ops", "wall_ns", "run_delay_ns")
"""Columns that a verdict stands on."""

MAX_CALIBRATIONS = 6
BLOCKS = (("AB", "BA"), ("BA", "AB"))


def duration_s(n_cells, n_pairs, window_s):
    """About how long a gate takes in which each cell needs so many pairs and none is dropped."""
    return n_cells * ((2 * n_pairs + N_CALIBRATIONS) * (window_s + PROCESS_S) + 2 * (0.1 + PROCESS_S))


@dataclass(frozen=True)
class Pair:
    """Two measurements, as they were made: what pairs.csv has a row for."""
    cell: str
    block: int
    order: str       # AB: the baseline first
    baseline: judge.Measurement
    candidate: judge.Measurement
    is_used: bool


@dataclass
class GateCell:
    """One cell of the gate: a workload with its parameters at a number of threads, on both sides."""
    name: str
    plan: dict                      # rows of the plan, by (side, pass)
    trial: judge.Cell
    ops: int = 0
    orders: deque = field(default_factory=deque)    # pairs owed: of a block begun, or to be repeated
    repetitions: dict = field(default_factory=dict)

    @property
    def is_open(self):
        return self.trial.verdict is Verdict.OPEN


def cell_name(comparison, threads):
    return f"{comparison}, {threads:.0f} thread{'s' if threads > 1 else ''}"


def make_cells(rows, sides):
    """The cells of a plan made for the two `sides`, the (allocator, config) of the baseline and of the
    candidate."""
    # A plan names no wrapper and no ambient settings: they are those of whoever runs it.
    names = name_comparisons(pd.DataFrame(rows).assign(wrap="", ambient=""))
    cells = {}
    for row in rows:
        comparison = names[tuple(row.get(c, "") for c in columns.COMPARISON)]
        name = cell_name(comparison, int(row["threads"]))
        cell = cells.setdefault(name, GateCell(name, {}, judge.Cell(name)))
        cell.plan["AB"[sides.index((row["allocator"], row["config"]))], row["pass"]] = row
    return sorted(cells.values(), key=lambda c: c.name)


def measurement(sample):
    """A row of samples.csv, as text or read, as judge.py wants it. The cost is the wall time by the
    operations."""
    wanted = ("wall_ns", "ops", "run_delay_ns", "threads")
    wall_ns, ops, run_delay_ns, threads = (math.nan if sample[c] == "" else float(sample[c]) for c in wanted)
    cost = wall_ns / ops if ops > 0 and wall_ns > 0 else math.nan
    return judge.Measurement(cost, run_delay_ns, wall_ns if wall_ns > 0 else math.nan, int(threads))


class Gate:
    """One gate run. After run(), the cells have their verdicts and `pairs` what they stand on."""

    def __init__(self, cells, rule, engine, rng, clock, budget_s=None, say=lambda text: None,
                 window_s=WINDOW_S):
        self.cells, self.rule, self.engine, self.rng = cells, rule, engine, rng
        self.clock, self.say, self.window_ns = clock, say, 1e9 * window_s
        self.deadline = math.inf if budget_s is None else clock() + budget_s
        self.pairs = []
        self.skipped = {}         # {name: reason} of cells that neither side can run
        self.contaminated = set()  # (cell_id, repetition) of the rows of dropped pairs
        self.n_blocks = 0

    def run(self):
        """Everything: proof, calibration, pairs."""
        for cell in self.cells:
            self._audit(cell)
        self.cells = [cell for cell in self.cells if cell.name not in self.skipped]
        for cell in self.cells:
            if cell.is_open:
                self._calibrate(cell)
        for n_pairs in self.rule.looks:
            self._measure_up_to(n_pairs)
            if not any(cell.is_open for cell in self.cells):
                return
            judge.look([cell.trial for cell in self.cells], self.rule, n_pairs)
            self._say_look(n_pairs)

    def _measure(self, cell, side, **values):
        """One invocation. None, and the cell settled, when it fails."""
        row = dict(cell.plan[side, values.get("pass", "timed")])
        n = cell.repetitions[side, row["pass"]] = cell.repetitions.get((side, row["pass"]), 0) + 1
        row.update(values, repetition=n)
        sample = self.engine.measure(row)
        if sample["status"] == "ok":
            return sample
        who = {"A": "baseline", "B": "candidate"}[side]
        cell.trial.settle(Verdict.ERROR, f"{who}: {sample['status']}: {sample['why']}")
        return sample if sample["status"] == "skip" else None

    def _audit(self, cell):
        """Each side proves once that it does the work. A cell that neither can do is no cell of this gate."""
        samples = [self._measure(cell, side, **{"pass": "audit"}) for side in "AB"]
        if all(sample and sample["status"] == "skip" for sample in samples):
            self.skipped[cell.name] = samples[0]["why"]
            self.say(f"{cell.name}: skipped: {samples[0]['why']}")
        elif not cell.is_open:
            self.say(f"{cell.name}: error: {cell.trial.why}")

    def _calibrate(self, cell):
        """Finds the operation count at which the baseline takes the window; both sides get it."""
        sample = self._measure(cell, "A", block=0, slot=0)
        for i in range(MAX_CALIBRATIONS):
            if sample is None or not cell.is_open:
                return
            wall_ns = float(sample["wall_ns"])
            if cell.ops and 0.75 * self.window_ns <= wall_ns <= 1.25 * self.window_ns:
                break
            cell.ops = max(1, round(float(sample["ops"]) * self.window_ns / max(wall_ns, 1.0)))
            sample = self._measure(cell, "A", block=0, slot=i + 1, duration_ns="", ops_target=cell.ops)
        else:
            shares = [limit * self.window_ns for limit in ACCEPTED]
            if sample is None or not shares[0] <= float(sample["wall_ns"]) <= shares[1]:
                cell.trial.settle(Verdict.ERROR, "no number of operations takes the baseline about "
                                  f"{self.window_ns / 1e9:g} s")
                return
        self.say(f"{cell.name}: {cell.ops} operations, {float(sample['wall_ns']) / 1e9:.2f} s")

    def _measure_up_to(self, n_pairs):
        """Until every open cell has that many clean pairs."""
        def due():
            return [c for c in self.cells if c.is_open and len(c.trial.ratios) < n_pairs]
        while cells := due():
            for i in self.rng.permutation(len(cells)):
                if self.clock() >= self.deadline:
                    self._run_out_of_time()
                    return
                self._measure_block(cells[i])

    def _run_out_of_time(self):
        for cell in self.cells:
            if cell.is_open:
                cell.trial.settle(Verdict.INCONCLUSIVE,
                                  f"the time is up after {len(cell.trial.ratios)} pairs")

    def _measure_block(self, cell):
        """Two pairs: those owed to the cell, else of a new block."""
        if not cell.orders:
            cell.orders.extend(BLOCKS[int(self.rng.integers(2))])
        self.n_blocks += 1
        for first_slot in (0, 2):
            if cell.orders and cell.is_open:
                self._measure_pair(cell, cell.orders.popleft(), first_slot)

    def _measure_pair(self, cell, order, first_slot):
        seed = int(self.rng.integers(2 ** 62))
        samples = {}
        for i, side in enumerate(order):
            samples[side] = self._measure(cell, side, block=self.n_blocks, slot=first_slot + i, seed=seed,
                                          duration_ns="", ops_target=cell.ops)
            if not cell.is_open:
                self.say(f"{cell.name}: error: {cell.trial.why}")
                return
        baseline, candidate = measurement(samples["A"]), measurement(samples["B"])
        is_used = cell.trial.add_pair(baseline, candidate, self.rule)
        self.pairs.append(Pair(cell.name, self.n_blocks, order, baseline, candidate, is_used))
        if not is_used:
            cell.orders.append(order)
            self.contaminated.update((s["cell_id"], s["repetition"]) for s in samples.values())
        if cell.trial.is_unfit(self.rule):
            cell.trial.settle(Verdict.INCONCLUSIVE, unfit_text(cell.trial))
            self.say(f"{cell.name}: {cell.trial.why}")

    def _say_look(self, n_pairs):
        counts = [f"{sum(c.trial.verdict is v for c in self.cells)} {v.value}" for v in Verdict]
        self.say(f"{n_pairs} pairs: " + ", ".join(c for c in counts if not c.startswith("0 ")))


def unfit_text(trial):
    n = len(trial.ratios) + trial.n_dropped
    return f"unfit machine: other load disturbed {trial.n_dropped} of {n} pairs"


def replay(samples, sides, rule):
    """The cells that a gate under `rule` would have ended with, had it measured these rows (a DataFrame as
    read_samples gives it): judges a stored gate again, under the same rule or another one. RunError when the
    rows do not have what a gate needs."""
    missing = [c for c in JUDGED if c not in samples]
    if missing:
        raise RunError(f"no rows of a gate: these columns are missing: {', '.join(missing)}")
    samples = samples[[side in sides for side in zip(samples["allocator"], samples["config"])]]
    names = name_comparisons(samples)
    trials = [_trial_of(cell_name(names[tuple(key)], threads), rows, sides, rule)
              for (*key, threads), rows in samples.groupby([*columns.COMPARISON, "threads"])]
    trials = [trial for trial in trials if trial is not None]
    judged = {c.name: c for c in judge.replay({t.name: t.ratios for t in trials if t.why == ""}, rule)}
    for trial in trials:
        again = judged.get(trial.name)
        if again is not None and again.verdict is Verdict.INCONCLUSIVE and trial.is_unfit(rule):
            again.settle(Verdict.INCONCLUSIVE, unfit_text(trial))
        if again is not None:
            again.n_dropped = trial.n_dropped
    return [judged.get(trial.name, trial) for trial in trials]


def _trial_of(name, rows, sides, rule):
    """The clean pairs of one cell, up to where it was found unfit; settled if a row of it failed, None if
    neither side could run it. Calibration (block 0) and half pairs are no pairs."""
    failed = rows[~rows["status"].isin(("ok", "contaminated"))]
    if len(failed):
        if (failed["status"] == "skip").all() and failed["allocator"].nunique() == len(set(sides)):
            return None
        row = failed.iloc[0]
        return judge.Cell(name, verdict=Verdict.ERROR,
                          why=f"{row['allocator']}: {row['status']}: {row['why']}")
    pairs = {}
    for _, row in rows[(rows["pass"] == "timed") & (rows["block"] > 0)].iterrows():
        pair = pairs.setdefault((row["block"], row["slot"] // 2), {})
        pair[sides.index((row["allocator"], row["config"]))] = measurement(row)
    trial = judge.Cell(name)
    for _, pair in sorted(pairs.items()):
        if len(pair) == 2 and not trial.is_unfit(rule):
            trial.add_pair(pair[0], pair[1], rule)
    return trial
