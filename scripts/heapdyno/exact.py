"""The exact gate: what can be counted needs no quiet machine and no statistics.

Instructions of the allocator, page faults, calls that map memory and peak RSS at a fixed number of
operations, one thread. A count that differs from run to run by more than its threshold is not exact on this
machine, and says so.
"""
from dataclasses import dataclass
from statistics import median_low

from heapdyno.judge import Cell, Verdict

REPETITIONS = {"instructions": 3, "syscalls": 3, "audit": 7}
"""Processes a side, by pass. The first two repeat to the last digit where the allocator itself does."""


@dataclass(frozen=True)
class Metric:
    """What is counted: the sum of columns of the rows of one pass, per operation or as a whole. The candidate
    may have `share` more than the baseline, or `absolute` more, whichever is larger. `typical` takes from the
    counts of a side the one that stands for it: the middle one, or the lowest where all that disturbs a count
    adds to it."""
    name: str
    columns: tuple
    in_pass: str
    share: float
    absolute: float
    is_per_op: bool = False
    typical: callable = median_low

    def value(self, sample):
        """The number in a row of samples.csv; None when a part of it is empty."""
        parts = [sample.get(column, "") for column in self.columns]
        if "" in parts:
            return None
        return sum(map(float, parts)) / (float(sample["ops"]) if self.is_per_op else 1)

    def limit(self, baseline):
        """What the candidate may have."""
        return baseline + max(self.share * baseline, self.absolute)

    def format(self, value):
        return f"{value:.4g}" if self.is_per_op else f"{value:.0f}"


PAGE_BYTES = 4096
RSS_BYTES = 128 * 1024
METRICS = (
    Metric("allocator instructions per operation", ("alloc_instructions",), "instructions", 0.005, 0,
           is_per_op=True),
    Metric("calls that map memory", ("sys_mmap", "sys_munmap", "sys_mremap", "sys_madvise", "sys_mprotect",
                                     "sys_brk"), "syscalls", 0.02, 8),
    # What 128 KiB of peak RSS are in pages: as few faults are no more than as little memory. To faults and to
    # the peak a thread adds that starts before the one it succeeds has given everything back.
    Metric("minor page faults", ("minflt",), "audit", 0.02, RSS_BYTES / PAGE_BYTES, typical=min),
    # Without file pages: code becomes resident in windows of 64 KiB, at places that change with each process.
    Metric("peak RSS without file pages, in bytes", ("peak_anon_bytes",), "audit", 0, RSS_BYTES, typical=min))


def judge_counts(metric, baseline, candidate):
    """The verdict on repeated counts, and the reason in words. FAIL only if every count of the candidate
    exceeds what every count of the baseline allows; PASS if its typical one does not exceed what the typical
    one of the baseline allows; in between the counts are not exact enough."""
    a, b = metric.typical(baseline), metric.typical(candidate)
    change = f"{metric.format(a)} -> {metric.format(b)}" + (f" ({100 * (b / a - 1):+.2f} %)" if a else "")
    allowed = f"allowed {metric.format(metric.limit(a))}"
    if min(candidate) > metric.limit(max(baseline)):
        return Verdict.FAIL, f"{change}, {allowed}"
    if b <= metric.limit(a):
        return Verdict.PASS, f"{change}, {allowed}"
    return Verdict.INCONCLUSIVE, f"{change}, {allowed}, but the counts of one side differ by as much"


class ExactGate:
    """One exact gate run over cells as gate.make_cells gives them. After run(), `verdicts` has a judge.Cell
    for each cell and metric, `skipped` the reason for each that a side cannot be counted in."""

    def __init__(self, cells, engine, rng, say=lambda text: None, metrics=METRICS, missing=None):
        """`missing`: why a pass is not in the plan, by pass."""
        self.missing = missing or {}
        self.cells, self.engine, self.rng, self.say, self.metrics = cells, engine, rng, say, metrics
        self.verdicts, self.skipped = [], {}

    def run(self):
        for cell in self.cells:
            for in_pass in dict.fromkeys(m.in_pass for m in self.metrics):
                of_pass = [m for m in self.metrics if m.in_pass == in_pass]
                if ("A", in_pass) not in cell.plan:
                    self._skip(cell, of_pass, self.missing.get(in_pass, "not planned"))
                    continue
                self._judge(cell, of_pass, *self._count(cell, in_pass))

    def _count(self, cell, in_pass):
        """(rows by side, None), or (None, (side, first row that is not ok, whether that is no fault))."""
        samples = {"A": [], "B": []}
        for repetition in range(1, REPETITIONS[in_pass] + 1):
            for side in ("AB", "BA")[int(self.rng.integers(2))]:
                sample = self.engine.measure({**cell.plan[side, in_pass], "repetition": repetition})
                if sample["status"] != "ok":
                    is_skip = sample["status"] == "skip" and not (
                        in_pass == "audit" and self._other_runs(cell, side, samples, repetition))
                    return None, (side, sample, is_skip)
                samples[side].append(sample)
        return samples, None

    def _other_runs(self, cell, side, samples, repetition):
        """An instrument may be unable to watch a library, but a cell that a single side cannot run is an
        error."""
        other = {"A": "B", "B": "A"}[side]
        if samples[other]:
            return True
        row = {**cell.plan[other, "audit"], "repetition": repetition}
        return self.engine.measure(row)["status"] != "skip"

    def _skip(self, cell, metrics, why):
        for metric in metrics:
            name = f"{cell.name}: {metric.name}"
            self.skipped[name] = why
            self.say(f"{name}: skipped: {why}")

    def _judge(self, cell, metrics, samples, failed):
        for metric in metrics:
            trial = Cell(f"{cell.name}: {metric.name}")
            if failed:
                side = {"A": "baseline", "B": "candidate"}[failed[0]]
                why = f"{side}: {failed[1]['status']}: {failed[1]['why']}"
                if failed[2]:
                    self._skip(cell, [metric], why)
                    continue
                trial.settle(Verdict.ERROR, why)
            else:
                values = {side: [metric.value(s) for s in samples[side]] for side in "AB"}
                if None in values["A"] + values["B"]:
                    self._skip(cell, [metric], "not measured here")
                    continue
                trial.settle(*judge_counts(metric, values["A"], values["B"]))
            self.verdicts.append(trial)
            self.say(f"{trial.name}: {trial.verdict.value}: {trial.why}")


def markdown(verdicts, skipped, sign, verdict, baseline, candidate):
    """The summary for a pull request; `sign` names a verdict."""
    lines = [f"## {sign[verdict]}: {candidate} against {baseline}, counted", "",
             "At a fixed number of operations, one thread; "
             + ", ".join(f"{n} processes a side for {name}" for name, n in REPETITIONS.items()) + ".", "",
             "| cell and count | verdict | |", "|---|---|---|"]
    lines += [f"| {v.name} | {sign[v.verdict]} | {v.why} |" for v in verdicts]
    lines += [f"| {name} | skipped | {why} |" for name, why in skipped.items()]
    return "\n".join(lines) + "\n"
