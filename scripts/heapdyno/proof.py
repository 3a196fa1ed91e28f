"""What many gates on known differences say about the gate: rates of answers with their intervals."""
import csv
import json

import numpy as np

from heapdyno.compare import fact
from heapdyno.judge import Rule, Verdict, clopper_pearson, replay, swap_labels


def read_gate(folder):
    """(what gate.json says, {cell: log ratios of the used pairs}) of a finished gate."""
    verdict = json.loads((folder / "gate.json").read_text(encoding="utf-8"))
    ratios = {cell["name"]: [] for cell in verdict["cells"]}
    if not (folder / "pairs.csv").exists():    # of an exact gate
        return verdict, {}
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


def of_time(gates):
    """The table of gates on time: `gates` is {slowdown in percent: [(verdict, ratios), ...]}."""
    lines = ["| injected slowdown | runs | FAIL, of runs on a fit machine | PASS | INCONCLUSIVE "
             "| of these unfit | median of medians | pairs |", "|---:|---:|---|---:|---:|---:|---:|---:|"]
    for slowdown, runs in sorted(gates.items()):
        answers = [verdict["verdict"] for verdict, _ in runs]
        n_unfit = sum(is_unfit(verdict) and verdict["verdict"] != "fail" for verdict, _ in runs)
        medians = [cell["median"] for verdict, _ in runs for cell in verdict["cells"]]
        medians = [median for median in medians if median is not None]
        middle = f"{100 * np.median(medians):+.1f} %" if medians else "-"
        fails = rate(answers.count("fail"), len(runs) - n_unfit)
        n_pairs = np.mean([len(r) for _, ratios in runs for r in ratios.values()] or [0])
        lines.append(f"| {slowdown:g} % | {len(runs)} | {fails} | {answers.count('pass')} "
                     f"| {answers.count('inconclusive')} | {n_unfit} | {middle} | {n_pairs:.0f} |")
    return lines


def of_counts(gates):
    """The table of exact gates."""
    lines = ["| injected instructions | runs | FAIL | PASS | INCONCLUSIVE | FAIL by instructions |",
             "|---:|---:|---|---|---:|---|"]
    for slowdown, runs in sorted(gates.items()):
        answers = [verdict["verdict"] for verdict, _ in runs]
        by_instructions = sum(any("instructions" in cell["name"] and cell["verdict"] == "fail"
                                  for cell in verdict["cells"]) for verdict, _ in runs)
        n = len(runs)
        lines.append(f"| {slowdown:g} % | {n} | {rate(answers.count('fail'), n)} "
                     f"| {rate(answers.count('pass'), n)} | {answers.count('inconclusive')} "
                     f"| {rate(by_instructions, n)} |")
    return lines


def where(manifest):
    """What measured, in words: the machine, the date and the build, by the manifest of one of the gates."""
    facts = [fact(manifest, "machine.cpu.model"), f"CPUs {fact(manifest, 'machine.affinity')}",
             f"hypervisor {fact(manifest, 'machine.cpu.hypervisor') or 'none shown'}",
             f"Linux {fact(manifest, 'machine.kernel.release')}", f"glibc {fact(manifest, 'machine.libc')}",
             f"{fact(manifest, 'build.compiler')}"]
    return (f"Measured from {manifest.get('started')} on: {', '.join(facts)}; heapdyno "
            f"{fact(manifest, 'build.revision') or 'of no revision'}.")


def page(times, counts, n_swaps, seed, options, manifests, command):
    """The page with all results. `times` and `counts` are {slowdown in percent: [(verdict, ratios), ...]},
    `options` those of prove_gate.py, `manifests` has that of the first gate by kind, `command` is what makes
    the page again."""
    n_fails, n_runs = swapped_fails([ratios for _, ratios in times.get(0, [])], n_swaps, seed)
    return "\n".join([
        "# The gate on known differences", "",
        "Written by `scripts/prove_gate.py`, which anyone can run ([judging.md](judging.md)). Both sides are "
        "one library under two paths of one length; the candidate spins a calibrated number of steps for "
        "each allocation. Where nothing is injected, every FAIL is a false alarm.", "",
        f"One cell, {options['workload']} with one thread. In brackets: 95 % Clopper-Pearson intervals, what "
        "so many runs leave for the true rate.", "",
        *(_time_section(times, n_fails, n_runs, options, manifests["time"]) if times else []),
        *(_count_section(counts, manifests["exact"]) if counts else []),
        "## Again", "", "The kinds of gates take turns; a course that was stopped goes on where it was.", "",
        "    make all fixtures", f"    {command}"]) + "\n"


def _time_section(times, n_fails, n_runs, options, manifest):
    return [
        "## Time", "", where(manifest), "",
        f"Windows of {options['window']:g} s, at most {options['max_pairs']} pairs. A pair in which a "
        f"process waited for a processor for more than {options['max_run_delay']} of its time is dropped; a "
        "gate that lost too many is unfit, and INCONCLUSIVE.", "", *of_time(times), "",
        "A slowdown of 2 % is delta itself, which is no regression, and one of 5 % is Delta, which must not "
        "pass. The median of medians shows what the injection really came to.", "",
        "Sides exchanged at random in the pairs of the runs without a slowdown: FAIL in "
        f"{rate(n_fails, n_runs)} pseudo-runs.", ""]


def _count_section(counts, manifest):
    return [
        "## Counts: `--exact`", "", where(manifest), "",
        "Injected are instructions of the allocator, of which 0.5 % are allowed; system calls, page faults "
        "and peak RSS stay as they are. PASS means all of them, FAIL any.", "", *of_counts(counts), ""]
