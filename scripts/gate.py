"""Tells whether a candidate allocator is slower than a baseline: PASS, FAIL or INCONCLUSIVE.

Measures both on this machine, interleaved, one process a measurement. Exit codes: 0 pass, 1 regression, 2
usage, 3 inconclusive or unfit machine, 4 a cell failed to run. docs/judging.md explains the procedure.
"""
import argparse
import csv
import json
import shutil
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from heapdyno import columns, exact, gate_report
from heapdyno.arguments import allocator_parts, fraction, one_of, seconds
from heapdyno.engine import Engine, EngineError, find_driver, print_plan
from heapdyno.gate import Gate, duration_s, make_cells, replay
from heapdyno.judge import EXIT_CODES, EXIT_USAGE, Rule, RuleError, Verdict, looks_up_to, overall
from heapdyno.run import RunError, main_guard, print_warnings, read_run
from heapdyno.summary import summarize, write_summary


class UsageError(RunError):
    """What was asked for makes no sense."""


def parse(argv):
    parser = argparse.ArgumentParser(prog="run-bench gate", description=__doc__.splitlines()[0],
                                     epilog=" ".join(__doc__.splitlines()[2:]), allow_abbrev=False)
    side = "NAME, NAME=PATH.so, each with an optional [VAR=VALUE;VAR2=VALUE]"
    parser.add_argument("--baseline", required=True, metavar="ALLOCATOR", help=side)
    parser.add_argument("--candidate", required=True, metavar="ALLOCATOR", help="the same for what is judged")
    what = parser.add_argument_group("what to compare by, in the words of run-bench")
    what.add_argument("--workloads", action="append", metavar="LIST", help="default: core")
    what.add_argument("--threads", metavar="LIST",
                      help="at most the processing units of this machine (default: 1 up to those)")
    what.add_argument("--param", action="append", metavar="WORKLOAD.NAME=N")
    what.add_argument("--load", **one_of("dlopen", "preload"))
    what.add_argument("--placement", **one_of("cores", "compact", "scatter"))
    parser.add_argument("--exact", action="store_true",
                        help="compare counts in place of times: the allocator's instructions, calls that map "
                        "memory, page faults, peak RSS; one thread; needs no quiet machine")
    rule = parser.add_argument_group("when to say what (times; counts have thresholds of their own)")
    rule.add_argument("--delta", type=fraction, default=0.02, help="slowdown that is no regression (2%%)")
    rule.add_argument("--Delta", dest="big_delta", type=fraction, default=0.05,
                      help="slowdown that must not pass (5%%)")
    rule.add_argument("--alpha", type=fraction, default=0.05, help="chance of any false FAIL (0.05)")
    rule.add_argument("--max-pairs", type=int, default=40, metavar="N", help="of a cell (40)")
    rule.add_argument("--max-run-delay", type=fraction, default=0.02, metavar="SHARE",
                      help="share of its time that a process may wait for a processor before its pair is "
                      "dropped and repeated (2%%)")
    rule.add_argument("--window", type=seconds, default=0.4, metavar="TIME",
                      help="wall time of a measurement, to which the operations are calibrated, within a "
                      "quarter (0.4)")
    rule.add_argument("--budget", type=seconds, metavar="TIME",
                      help="stop measuring after this time; what is not told by then is INCONCLUSIVE")
    parser.add_argument("--seed", type=int, default=20060401, help="of the order (20060401)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="new folder (results/gate-DATE-TIME)")
    parser.add_argument("--replay", type=Path, metavar="RUN",
                        help="judge the rows of a stored gate again; measures and writes nothing")
    args = parser.parse_args(argv)
    args.argv = ["gate", *argv]
    of_times = ("--delta", "--Delta", "--alpha", "--max-pairs", "--max-run-delay", "--window", "--budget",
                "--replay", "--threads")
    if args.exact and args.threads == "1":
        args.threads = None
        of_times = tuple(option for option in of_times if option != "--threads")
    clash = [option for option in of_times if any(word.split("=")[0] == option for word in argv)]
    if args.exact and clash:
        parser.error(f"--exact and {clash[0]} exclude each other")
    return args


def split_side(text, option):
    side = allocator_parts(text)
    if side is None:
        raise UsageError(f"{option} {text}: write NAME or NAME=PATH.so, with [VAR=VALUE] if need be")
    return side


def settle_sides(args):
    """The two sides as dicts. Two builds under one name get names of their own, both in the same way, so that
    their rows can be told apart."""
    a, b = split_side(args.baseline, "--baseline"), split_side(args.candidate, "--candidate")
    if (a["name"], a["config"]) == (b["name"], b["config"]):
        if args.replay is None and a["path"] == b["path"]:
            raise UsageError("--baseline and --candidate are the same; give two builds as NAME=PATH.so")
        for s, suffix in ((a, ".base"), (b, ".cand")):
            s["name"] += suffix if s["path"] or args.replay else ""
    return a, b


def written(side):
    """As --allocators wants it."""
    return (side["name"] + (f"={side['path']}" if side["path"] else "")
            + (f"[{side['config']}]" if side["config"] else ""))


def plan(args, sides):
    """The cells, from the driver's own plan for these options."""
    options = ["--allocators", ",".join(map(written, sides)), "--reps", "1", "--duration", "0.2"]
    if args.exact:
        options += ["--threads", "1", "--instructions", "callgrind"]
        options += ["--syscalls"] if shutil.which("strace") else []
    for name in ("workloads", "param"):
        for value in getattr(args, name) or []:
            options += [f"--{name}", value]
    for name in ("threads", "load", "placement"):
        if getattr(args, name):
            options += [f"--{name}", getattr(args, name)]
    rows = print_plan(find_driver(), options)
    over = sorted({int(r["threads"]) for r in rows if r["oversubscribed"] == "1"})
    if over:
        raise UsageError(f"--threads: {', '.join(map(str, over))} are more than this machine's processing "
                         "units; scheduling would be judged, not the allocator")
    return rows


def mark_contaminated(path, rows):
    """Sets the status of the rows of dropped pairs, so that no reader takes them for good."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        samples = list(reader)
    for sample in samples:
        if (sample["cell_id"], sample["repetition"]) in rows:
            sample.update(status="contaminated", why="one of its pair waited for a processor")
    new = path.with_name(path.name + ".new")
    with new.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, reader.fieldnames, lineterminator="\n")
        writer.writeheader()
        writer.writerows(samples)
    new.replace(path)


def write_all(gate, folder, rule, args, names):
    """Everything beside samples.csv; the names of the files."""
    from heapdyno.draw import save
    trials = [cell.trial for cell in gate.cells]
    mark_contaminated(folder / "samples.csv", gate.contaminated)
    run = read_run(folder)
    write_summary(summarize(run), folder / "summary.csv")
    print_warnings("gate", run.warnings)
    gate_report.write_pairs(gate.pairs, folder / "pairs.csv")
    (folder / "gate.xml").write_text(
        gate_report.junit(trials, gate.skipped, f"{names[1]} against {names[0]}"), encoding="utf-8")
    (folder / "gate.md").write_text(gate_report.markdown(trials, gate.skipped, rule, *names),
                                    encoding="utf-8")
    verdict = {"argv": args.argv, "verdict": overall(trials).value,
               "baseline": names[0], "candidate": names[1],
               "seed": args.seed, "delta": rule.delta, "Delta": rule.big_delta, "alpha": rule.alpha,
               "looks": rule.looks, "max_run_delay": rule.max_run_delay, "window_s": args.window,
               "cells": [{"name": c.name, "verdict": c.trial.verdict.value, "why": c.trial.why, "ops": c.ops,
                          "n_dropped": c.trial.n_dropped, **vars(gate_report.effect(c.trial.ratios))}
                         for c in gate.cells], "skipped": gate.skipped}
    write_json(folder, verdict)
    figure = gate_report.forest(trials, rule, *names)
    if figure is not None:
        save(figure, folder / "gate")
    else:
        say("no gate.svg and gate.png: no pair of any cell was kept")
    return sorted(p.name for p in folder.iterdir())


def say(text):
    print(f"gate: {text}", file=sys.stderr)


def count(args, sides, names, rows, folder):
    """An exact gate from start to end; a cell for each count, and what was skipped."""
    cells = make_cells(rows, [(s["name"], s["config"]) for s in sides])
    say(f"{names[1]} against {names[0]}, counts of {len(cells)} cells, into {folder}")
    engine = Engine(find_driver(), folder, list(rows[0]))
    gate = exact.ExactGate(cells, engine, np.random.default_rng(args.seed), say,
                           missing={"syscalls": "strace is not installed"})
    try:
        gate.run()
    finally:
        engine.close()
    verdict = overall(gate.verdicts)
    (folder / "gate.xml").write_text(
        gate_report.junit(gate.verdicts, gate.skipped, f"{names[1]} against {names[0]}, counted"),
        encoding="utf-8")
    (folder / "gate.md").write_text(
        exact.markdown(gate.verdicts, gate.skipped, gate_report.SIGN, verdict, *names), encoding="utf-8")
    write_json(folder, {"argv": args.argv, "verdict": verdict.value,
                        "baseline": names[0], "candidate": names[1],
                        "cells": [{"name": c.name, "verdict": c.verdict.value, "why": c.why}
                                  for c in gate.verdicts], "skipped": gate.skipped})
    for name in sorted(p.name for p in folder.iterdir()):
        print(f"  {folder / name}")
    return gate.verdicts, gate.skipped


def write_json(folder, verdict):
    (folder / "gate.json").write_text(json.dumps(verdict, indent=2) + "\n", encoding="utf-8")


def measure(args, rule, sides, names):
    """A gate from start to end; its cells, and what was skipped."""
    rows = plan(args, sides)
    folder = args.out or (find_driver().parents[1] / "results"
                          / datetime.now(timezone.utc).strftime("gate-%Y%m%d-%H%M%S"))
    if args.exact:
        return count(args, sides, names, rows, folder)
    cells = make_cells(rows, [(s["name"], s["config"]) for s in sides])
    rule.check(len(cells))
    fewest_s, most_s = (duration_s(len(cells), n, args.window) for n in (rule.looks[0], rule.looks[-1]))
    say(f"{names[1]} against {names[0]}, {len(cells)} cells, {fewest_s / 60:.1f} to {most_s / 60:.1f} "
        f"minutes, into {folder}")
    engine = Engine(find_driver(), folder, list(rows[0]))
    gate = Gate(cells, rule, engine, np.random.default_rng(args.seed), time.monotonic, args.budget, say,
                args.window)
    try:
        gate.run()
    finally:
        engine.close()
    for name in write_all(gate, folder, rule, args, names):
        print(f"  {folder / name}")
    return [cell.trial for cell in gate.cells], gate.skipped


def main(argv):
    args = parse(argv)
    try:
        rule = Rule(args.delta, args.big_delta, args.alpha, looks_up_to(args.max_pairs), args.max_run_delay)
        rule.check(1)
        sides = settle_sides(args)
        names = [columns.label(s["name"], s["config"]) for s in sides]
        if args.replay:
            run = read_run(args.replay)
            print_warnings("gate", run.warnings)
            trials, skipped = replay(run.samples, [(s["name"], s["config"]) for s in sides], rule), {}
        else:
            trials, skipped = measure(args, rule, sides, names)
    except RuleError as error:
        print(f"gate: {error}", file=sys.stderr)
        return EXIT_USAGE
    except EngineError as error:
        print(f"gate: {error}", file=sys.stderr)
        return EXIT_USAGE if error.code == EXIT_USAGE else EXIT_CODES[Verdict.ERROR]
    except KeyboardInterrupt:
        print("gate: interrupted; the rows measured so far are kept, nothing was judged", file=sys.stderr)
        return 130
    print(gate_report.table(trials, skipped))
    verdict = overall(trials)
    print(f"\n{gate_report.SIGN[verdict]}: {names[1]} against {names[0]}")
    return EXIT_CODES[verdict]


if __name__ == "__main__":
    main_guard("gate", main)
