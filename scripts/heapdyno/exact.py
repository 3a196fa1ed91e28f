"""The exact gate: what can be counted needs no quiet machine and no statistics.

Instructions of the allocator, page faults and peak RSS at a fixed number of operations, one thread. A count
that differs from run to run by more than its threshold is not exact on this machine, and says so.
"""
from dataclasses import dataclass

from heapdyno.judge import Cell, Verdict

REPETITIONS = 5


@dataclass(frozen=True)
class Metric:
    """What is counted: a column of the rows of one pass, per operation or as a whole. The candidate may have
    `share` more than the baseline, or `absolute` more, whichever is larger."""
    name: str
    column: str
    in_pass: str
    share: float
    absolute: float
    is_per_op: bool = False

    def value(self, sample):
        """The number in a row of samples.csv; None when it is empty."""
        if sample[self.column] == "":
            return None
        return float(sample[self.column]) / (float(sample["ops"]) if self.is_per_op else 1)

    def limit(self, baseline):
        """What the candidate may have."""
        return baseline + max(self.share * baseline, self.absolute)

    def format(self, value):
        return f"{value:.4g}" if self.is_per_op else f"{value:.0f}"


PAGE_BYTES = 4096
RSS_BYTES = 128 * 1024
METRICS = (
    Metric("allocator instructions per operation", "alloc_instructions", "instructions", 0.005, 0,
           is_per_op=True),
    # Few faults differ by chance, as peak RSS does: the same memory in pages.
    Metric("minor page faults", "minflt", "audit", 0.02, RSS_BYTES / PAGE_BYTES),
    Metric("peak RSS in bytes", "peak_rss_bytes", "audit", 0, RSS_BYTES))


def judge_counts(metric, baseline, candidate):
    """The verdict on repeated counts, and the reason in words. FAIL only if every count of the candidate
    exceeds what every count of the baseline allows; PASS if the middle one does not exceed what the middle
    one allows; in between the counts are not exact enough."""
    a, b = sorted(baseline)[len(baseline) // 2], sorted(candidate)[len(candidate) // 2]
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

    def __init__(self, cells, engine, rng, say=lambda text: None, metrics=METRICS):
        self.cells, self.engine, self.rng, self.say, self.metrics = cells, engine, rng, say, metrics
        self.verdicts, self.skipped = [], {}

    def run(self):
        for cell in self.cells:
            for in_pass in dict.fromkeys(m.in_pass for m in self.metrics):
                of_pass = [m for m in self.metrics if m.in_pass == in_pass]
                self._judge(cell, of_pass, *self._count(cell, in_pass))

    def _count(self, cell, in_pass):
        """(rows by side, None), or (None, the first row that is not ok and its side)."""
        samples = {"A": [], "B": []}
        for repetition in range(1, REPETITIONS + 1):
            for side in ("AB", "BA")[int(self.rng.integers(2))]:
                sample = self.engine.measure({**cell.plan[side, in_pass], "repetition": repetition})
                if sample["status"] != "ok":
                    return None, (side, sample)
                samples[side].append(sample)
        return samples, None

    def _judge(self, cell, metrics, samples, failed):
        for metric in metrics:
            trial = Cell(f"{cell.name}: {metric.name}")
            if failed:
                side = {"A": "baseline", "B": "candidate"}[failed[0]]
                why = f"{side}: {failed[1]['status']}: {failed[1]['why']}"
                if failed[1]["status"] == "skip":
                    self.skipped[trial.name] = why
                    self.say(f"{trial.name}: skipped: {why}")
                    continue
                trial.settle(Verdict.ERROR, why)
            else:
                values = {side: [metric.value(s) for s in samples[side]] for side in "AB"}
                if None in values["A"] + values["B"]:
                    self.skipped[trial.name] = "not measured here"
                    continue
                trial.settle(*judge_counts(metric, values["A"], values["B"]))
            self.verdicts.append(trial)
            self.say(f"{trial.name}: {trial.verdict.value}: {trial.why}")


def markdown(verdicts, skipped, sign, verdict, baseline, candidate):
    """The summary for a pull request; `sign` names a verdict."""
    lines = [f"## {sign[verdict]}: {candidate} against {baseline}, counted", "",
             f"Medians of {REPETITIONS} processes at a fixed number of operations, one thread.", "",
             "| cell and count | verdict | |", "|---|---|---|"]
    lines += [f"| {v.name} | {sign[v.verdict]} | {v.why} |" for v in verdicts]
    lines += [f"| {name} | skipped | {why} |" for name, why in skipped.items()]
    return "\n".join(lines) + "\n"
