"""The part of the report about a gate: reads its verdict from the folder and repeats it. Decides nothing."""
import csv
import json
from dataclasses import dataclass

from markupsafe import Markup

from heapdyno import columns, inline_svg
from heapdyno.gate import cell_name
from heapdyno.gate_report import SIGN, forest, percent
from heapdyno.judge import Cell, Rule, Verdict
from heapdyno.run import RunError
from heapdyno.summary import name_comparisons
from heapdyno.table import MIB, three_digits

SENTENCES = {
    Verdict.PASS: "{b} is shown to be less than {Delta:g} % slower than {a}, in every cell.",
    Verdict.FAIL: "{b} is shown to be more than {delta:g} % slower than {a}, in {n} of {cells}.",
    Verdict.INCONCLUSIVE: "This gate cannot tell whether {b} is slower than {a}: {n} of {cells} stayed open.",
    Verdict.ERROR: "{n} of {cells} could not be measured."}
EXACT_SENTENCES = {
    Verdict.PASS: "Nothing that was counted exceeds what {b} may have more than {a}.",
    Verdict.FAIL: "{b} needs more than it may: {n} of {cells} exceed what {a} allows.",
    Verdict.INCONCLUSIVE: "This gate cannot tell: {n} of {cells} vary too much from run to run.",
    Verdict.ERROR: "{n} of {cells} could not be counted."}


@dataclass(frozen=True)
class StoredGate:
    """What gate.json says, and the cells with the log ratios of their used pairs."""
    verdict: dict
    cells: list

    @property
    def is_exact(self):
        return "delta" not in self.verdict


def read_gate(folder):
    """The StoredGate of a run folder, None where it holds none. RunError when it is damaged."""
    path = folder / "gate.json"
    if not path.exists():
        return None
    try:
        verdict = json.loads(path.read_text(encoding="utf-8"))
        Verdict(verdict["verdict"])
        gate = StoredGate(verdict, [Cell(c["name"], n_dropped=c.get("n_dropped", 0),
                                         verdict=Verdict(c["verdict"]), why=c["why"])
                                    for c in verdict["cells"]])
        if not gate.is_exact:
            _read_pairs(folder / "pairs.csv", {cell.name: cell for cell in gate.cells})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: cannot be read as the verdict of a gate ({error!r})") from error
    return gate


def _read_pairs(path, cells):
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file, strict=True):
            if row["is_used"] == "1":
                cells[row["cell"]].ratios.append(float(row["log_ratio"]))


def gate_view(run, gate, prefix, colours):
    """What the template wants of a gate."""
    verdict = Verdict(gate.verdict["verdict"])
    n = sum(cell.verdict is verdict for cell in gate.cells)
    sentences = EXACT_SENTENCES if gate.is_exact else SENTENCES
    shares = {name: 100 * gate.verdict.get(name, 0) for name in ("delta", "Delta")}
    n_cells = len(gate.cells)
    noun = "count" if gate.is_exact else "cell"
    text = sentences[verdict].format(a=gate.verdict["baseline"], b=gate.verdict["candidate"], n=n,
                                     cells=f"{n_cells} {noun}{'' if n_cells == 1 else 's'}", **shares)
    peaks = {} if gate.is_exact else _peaks(run, gate)
    return {"sign": SIGN[verdict], "kind": verdict.value, "text": text, "is_exact": gate.is_exact,
            "baseline": gate.verdict["baseline"], "candidate": gate.verdict["candidate"],
            "delta": shares["delta"], "Delta": shares["Delta"], "alpha": gate.verdict.get("alpha"),
            "looks": ", ".join(map(str, gate.verdict.get("looks", []))),
            "rows": [_row(stored, peaks) for stored in gate.verdict["cells"]],
            "skipped": list(gate.verdict.get("skipped", {}).items()),
            "figure": None if gate.is_exact else _figure(gate, prefix, colours)}


def _row(stored, peaks):
    """A cell of gate.json in words, and beside the time what was counted of memory."""
    verdict = Verdict(stored["verdict"])
    low, high = stored.get("ci_lo"), stored.get("ci_hi")
    return {"name": stored["name"], "sign": SIGN[verdict], "kind": verdict.value, "why": stored["why"],
            "median": percent(stored.get("median")),
            "interval": "-" if low is None else f"{percent(low)} to {percent(high)}",
            "n": stored.get("n", 0), "n_dropped": stored.get("n_dropped", 0),
            "memory": peaks.get(stored["name"], "-")}


def _peaks(run, gate):
    """{name of a cell: `1.2 to 1.3`} from the one audit of each side, in MiB."""
    audits = run.samples[(run.samples["pass"] == "audit") & (run.samples["status"] == "ok")]
    names = name_comparisons(run.samples)
    found = {}
    for row in audits.to_dict("records"):
        name = cell_name(names[tuple(row[c] for c in columns.COMPARISON)], row["threads"])
        label = columns.label(row["allocator"], row["config"])
        found.setdefault(name, {})[label] = three_digits(row["peak_rss_bytes"] / MIB)
    sides = gate.verdict["baseline"], gate.verdict["candidate"]
    return {name: " to ".join(peaks[s] for s in sides) for name, peaks in found.items()
            if all(s in peaks for s in sides)}


def _figure(gate, prefix, colours):
    rule = Rule(gate.verdict["delta"], gate.verdict["Delta"], gate.verdict["alpha"],
                tuple(gate.verdict["looks"]), gate.verdict["max_run_delay"])
    figure = forest(gate.cells, rule, gate.verdict["baseline"], gate.verdict["candidate"])
    if figure is None:
        return None
    text = "Change of time per operation of each cell, with its 95 % interval; the table has the numbers."
    return Markup(inline_svg.inline(figure, f"{prefix}-g-", text, colours))
