"""What many gates on known differences say about the gate: rates of answers with their intervals."""
import csv
import json

import numpy as np

from heapdyno.judge import Rule, Verdict, clopper_pearson, replay, swap_labels


def read_gate(folder):
    """(what gate.json says, {cell: log ratios of the used pairs}) of a finished gate."""
    verdict = json.loads((folder / "gate.json").read_text(encoding="utf-8"))
    ratios = {cell["name"]: [] for cell in verdict["cells"]}
    with (folder / "pairs.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["is_used"] == "1":
                ratios[row["cell"]].append(float(row["log_ratio"]))
    return verdict, ratios


def is_unfit(verdict):
    """Whether the guard against other load ended a cell of it."""
    return any(cell["why"].startswith("unfit machine") for cell in verdict["cells"])


def rate(k, n):
    """3 of 60 = 5.0 % (1.0 to 13.9 %)"""
    if n == 0:
        return "0 of 0"
    low, high = clopper_pearson(k, n)
    return f"{k} of {n} = {100 * k / n:.1f} % ({100 * low:.1f} to {100 * high:.1f} %)"


def swapped_fails(gates, n_runs, seed):
    """(how many of n_runs pseudo-gates end with FAIL, n_runs): the pairs of randomly chosen gates, their
    sides exchanged at random. A gate that was decided early is judged at the looks that it has pairs for.
    (0, 0): no gate has pairs enough."""
    rng = np.random.default_rng(seed)
    usable = [ratios for ratios in gates if all(len(r) >= Rule().looks[0] for r in ratios.values())]
    if not usable:
        return 0, 0
    n_fails = 0
    for _ in range(n_runs):
        ratios = usable[int(rng.integers(len(usable)))]
        n_fails += any(c.verdict is Verdict.FAIL for c in replay(swap_labels(ratios, rng), Rule()))
    return n_fails, n_runs


def markdown(gates, n_swaps, seed):
    """The table: `gates` is {slowdown in percent: [(verdict, ratios), ...]}."""
    lines = ["| injected slowdown | runs | FAIL, of runs on a fit machine | PASS | INCONCLUSIVE "
             "| of these unfit | median of medians |", "|---:|---:|---|---:|---:|---:|---:|"]
    for slowdown, runs in sorted(gates.items()):
        answers = [verdict["verdict"] for verdict, _ in runs]
        n_unfit = sum(is_unfit(verdict) and verdict["verdict"] != "fail" for verdict, _ in runs)
        medians = [cell["median"] for verdict, _ in runs for cell in verdict["cells"]]
        medians = [median for median in medians if median is not None]
        middle = f"{100 * np.median(medians):+.1f} %" if medians else "-"
        fails = rate(answers.count("fail"), len(runs) - n_unfit)
        lines.append(f"| {slowdown:g} % | {len(runs)} | {fails} | {answers.count('pass')} "
                     f"| {answers.count('inconclusive')} | {n_unfit} | {middle} |")
    n_fails, n_runs = swapped_fails([ratios for _, ratios in gates.get(0, [])], n_swaps, seed)
    lines += ["", "Sides exchanged at random in the pairs of the runs without a slowdown: FAIL in "
              f"{rate(n_fails, n_runs)} pseudo-runs.", "", "Intervals are 95 % Clopper-Pearson."]
    return "\n".join(lines) + "\n"
