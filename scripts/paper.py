"""Compares allocators for a paper: a pilot, a plan, Latin-square blocks, tables with intervals.

Measures everything anew, on this machine, and writes paper.md, paper.tex and ratios.csv into the run's
folder. A run that was killed goes on with --resume. Exit codes: 0 measured (whatever the claims came to), 2
usage, 4 a cell failed, 130 interrupted. docs/judging.md explains the procedure.
"""
import argparse
import json
import math
import sys
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from heapdyno import columns, paper, paper_plan, paper_report
from heapdyno.arguments import allocators_of, fraction, one_of, seconds
from heapdyno.engine import Engine, EngineError, find_driver, print_plan
from heapdyno.gate import cell_name
from heapdyno.progress import Progress
from heapdyno.run import RunError, main_guard, print_warnings, read_run
from heapdyno.summary import summarize, write_summary

EXIT_FAILED, EXIT_INTERRUPTED = 4, 130
BUSY = 0.02
PLANNED = ("workloads", "param", "threads", "load", "placement", "membind", "duration", "allocators")
STATE = "paper.json"


class UsageError(RunError):
    """What was asked for makes no sense."""


def whole(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}': write a whole number from 1")
    return int(text)


def parse(argv):
    parser = argparse.ArgumentParser(prog="run-bench paper", description=__doc__.splitlines()[0],
                                     epilog=" ".join(__doc__.splitlines()[2:]), allow_abbrev=False)
    what = parser.add_argument_group("what to compare, in the words of run-bench")
    what.add_argument("--allocators", action="append", metavar="LIST",
                      help="two or more; the first is the baseline")
    what.add_argument("--workloads", action="append", metavar="LIST", help="default: core")
    what.add_argument("--threads", action="append", metavar="LIST",
                      help="default: 1 up to the processing units")
    what.add_argument("--param", action="append", metavar="WORKLOAD.NAME=N")
    what.add_argument("--load", action="append", **one_of("dlopen", "preload"))
    what.add_argument("--placement", action="append", **one_of("cores", "compact", "scatter", "none"))
    what.add_argument("--membind", action="append", metavar="WHERE")
    how = parser.add_argument_group("how well")
    how.add_argument("--baseline", metavar="LABEL", help="what the others are set against")
    how.add_argument("--precision", type=fraction, default=0.01, metavar="SHARE",
                     help="half the width that an interval should have (1%%)")
    how.add_argument("--max-reps", type=whole, default=100, metavar="N",
                     help="processes of a cell, at most (100)")
    how.add_argument("--reps", type=whole, metavar="N",
                     help=f"exactly so many, in place of a plan; under {paper_plan.MIN_REPS} the tables say "
                     "so")
    how.add_argument("--duration", action="append", metavar="TIME",
                     help="window of a process, in place of the planned one")
    how.add_argument("--budget", type=seconds, metavar="TIME", help="plan no more than this beside the pilot")
    how.add_argument("--claim", action="append", default=[], metavar="CLAIM",
                     help="[throughput:|rss:]A>B@WORKLOAD[,THREADS], tested with Holm's correction; may be "
                     "given again")
    how.add_argument("--correction", **one_of("bh", "holm"), default="bh",
                     help="of all other differences (bh)")
    parser.add_argument("--seed", type=int, default=20060401, help="of the order (20060401)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="new folder (results/paper-DATE-TIME)")
    parser.add_argument("--resume", type=Path, metavar="DIR", help="go on with an interrupted one, alone")
    parser.add_argument("stored", nargs="*", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.stored:
        parser.error(f"{' '.join(args.stored)}: everything is measured anew, with the allocators of "
                     "--allocators; two stored runs are set side by side by run-bench compare A B, without "
                     "--paper")
    if args.resume and len([word for word in argv if word.startswith("--")]) > 1:
        parser.error("--resume stands alone: what to run is in its folder")
    if not args.resume and not args.allocators:
        parser.error("--allocators is needed: two or more, the baseline first")
    return args


def driver_options(args):
    options = ["--reps", "1"]
    for name in PLANNED:
        for value in getattr(args, name) or []:
            options += [f"--{name}", value]
    return options


def begin(args):
    """The state of a new comparison: all that decides the plan, as paper.json keeps it."""
    rows = print_plan(find_driver(), driver_options(args))
    groups = paper_plan.make_groups(rows)
    there = {columns.label(r["allocator"], r["config"]) for r in rows}
    wanted = [columns.label(a["name"], a["config"]) for a in allocators_of(",".join(args.allocators))]
    labels = [label for label in wanted if label in there] or sorted(there)
    baseline = args.baseline or labels[0]
    if baseline not in labels:
        raise UsageError(f"--baseline {baseline}: there are {', '.join(labels)}")
    if len(labels) < 2:
        raise UsageError("--allocators: two or more are needed for a comparison")
    claims = [paper.parse_claim(text) for text in args.claim]
    for claim in claims:
        paper.check_claim(claim, groups)
    return {"schema": 1, "options": driver_options(args), "seed": args.seed, "baseline": baseline,
            "precision": args.precision, "max_reps": args.max_reps, "reps": args.reps,
            "budget_s": args.budget, "claims": args.claim, "correction": args.correction,
            "named": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")}


def load_state(folder):
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{folder}: no run of run-bench paper: {STATE} is missing") from error
    except ValueError as error:
        raise UsageError(f"{folder / STATE}: cannot be read: {error}") from error
    if state.get("schema") != 1:
        raise UsageError(f"{folder / STATE}: schema {state.get('schema')!r} is not one this program "
                         "understands")
    return state


def save_state(folder, state):
    new = folder / (STATE + ".new")
    new.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
    new.replace(folder / STATE)


def say(text):
    print(f"paper: {text}", file=sys.stderr, flush=True)


def measure(engine, rows, title):
    """The samples of the rows, in their order."""
    progress = Progress("paper", len(rows), engine.n_past)
    samples = []
    for row in rows:
        sample = engine.measure(row)
        samples.append(sample)
        progress.step(f"{title}, {row['workload']}, {columns.label(row['allocator'], row['config'])}, "
                      f"{row['threads']}")
    progress.end()
    return samples


def run_pilot(state, folder, rows, groups, rng):
    """Measures the pilot in folder/pilot and plans the groups by it; {cell: reason} of those without a
    plan."""
    pilot = folder / "pilot"
    is_there = (pilot / "manifest.json").exists()
    engine = Engine(find_driver(), pilot, list(rows[0]), is_resumed=is_there)
    try:
        planned = paper_plan.pilot_rows(groups, rng)
        say(f"pilot: {len(planned)} processes, into {pilot}")
        samples = measure(engine, planned, "pilot")
    finally:
        engine.close()
    without = {}
    units = paper_plan.DEFAULT_UNITS if "--duration" in state["options"] else None
    for group in groups:
        why = paper_plan.learn(group, samples, state["baseline"], units)
        if why:
            without[cell_name(group.name, group.threads)] = why
    return without


def settle_reps(state, groups):
    budget_s = state["budget_s"] or math.inf
    if state["reps"]:
        for group in groups:
            group.n = state["reps"]
    elif not paper_plan.choose_reps(groups, state["precision"], state["max_reps"], budget_s):
        minutes = math.ceil(paper_plan.total_s(groups) / 60)
        raise UsageError(f"--budget: {paper_plan.MIN_REPS} processes a cell, the fewest for a paper, take "
                         f"about {minutes} minutes; give it that, fewer cells, or say --reps")
    wide = [g for g in groups if g.half_width(g.n) > state["precision"]]
    say(f"plan: {min(g.n for g in groups)} to {max(g.n for g in groups)} processes a cell, about "
        f"{math.ceil(paper_plan.total_s(groups) / 60)} minutes"
        + (f"; {len(wide)} of {len(groups)} comparisons will not reach intervals of "
           f"±{100 * state['precision']:g} %" if wide else ""))


def describe(group):
    """What was planned for a group, as paper.json keeps it."""
    return {"cell": cell_name(group.name, group.threads), "labels": group.labels, "n": group.n,
            "window_ns": group.window_ns, "sd_inside": group.sd_inside, "sd_between": group.sd_between,
            "sd_worst": group.sd_worst, "half_width": group.half_width(group.n), "left_out": group.left_out}


def run_all(state, folder, is_resumed):
    """Everything that is measured; (groups, {cell: reason} of those without a plan)."""
    rows = print_plan(find_driver(), state["options"])
    groups = paper_plan.make_groups(rows)
    rng = np.random.default_rng(state["seed"])
    # The run's folder is made first, so that the pilot can lie inside of it.
    engine = Engine(find_driver(), folder, list(rows[0]), is_resumed=is_resumed)
    try:
        engine.wait_until_ready()
        if not is_resumed:
            save_state(folder, state)
        without = run_pilot(state, folder, rows, groups, rng)
        groups = [g for g in groups if cell_name(g.name, g.threads) not in without]
        if not groups:
            raise EngineError("no cell can be compared: "
                              + "; ".join(f"{name}: {why}" for name, why in without.items()), EXIT_FAILED)
        settle_reps(state, groups)
        state["plan"] = [describe(g) for g in groups]
        save_state(folder, state)
        measure(engine, paper_plan.main_rows(groups, rng), "run")
    finally:
        engine.close()
    return groups, without


def failures(run, groups, without):
    """In words, what has no value and why."""
    found = [f"{name}: {why}" for name, why in without.items()]
    found += [f"{cell_name(g.name, g.threads)}, {label}: {why}"
              for g in groups for label, why in g.left_out.items()]
    bad = run.samples[run.samples["status"] != "ok"]
    keys = ["workload", "params", "threads", "allocator", "config", "pass", "status"]
    for key, rows in bad.groupby(keys, sort=False):
        name = dict(zip(keys, key))
        found.append(f"{cell_name(name['workload'], name['threads'])}, "
                     f"{columns.label(name['allocator'], name['config'])}, {name['pass']}: {len(rows)} times "
                     f"{name['status']}: {rows['why'].iloc[0]}")
    return found


def has_failed(folders):
    """Whether a process failed, in the pilot or after it; what was skipped did not."""
    statuses = {s for folder in folders for s in read_run(folder).samples["status"]}
    return not statuses <= {"ok", "skip"}


def notes_on(run, groups):
    """What a reader has to know of this run."""
    notes = paper_report.few_notes(groups)
    ok = run.samples[(run.samples["status"] == "ok") & (run.samples["pass"] == "timed")]
    share = ok["run_delay_ns"] / (ok["threads"] * ok["wall_ns"])
    fits = ok["oversubscribed"] != 1
    n_busy = int((share[fits] > BUSY).sum())
    if n_busy:
        notes.append(f"{n_busy} of {int(fits.sum())} timed processes waited for a processor for more than "
                     f"{100 * BUSY:g} % of their time: other load was there. They are in the numbers.")
    if (ok["oversubscribed"] == 1).any():
        notes.append("+ marks more threads than processing units: behaviour under contention for the "
                     "processor. Such cells are in no geometric mean.")
    if run.samples["ambient"].any():
        notes.append(f"Set outside, reached every allocator: {run.samples['ambient'].iloc[0]}")
    return notes


def given(state):
    """What the user chose in place of the pilot."""
    chosen = {"window": "--duration" in state["options"], "number": bool(state["reps"])}
    return tuple(what for what, is_given in chosen.items() if is_given)


def report(state, folder, groups, without):
    """Writes everything; the Paper."""
    run = read_run(folder, need_manifest=True)
    write_summary(summarize(run), folder / "summary.csv")
    seed = state["seed"]
    ratios = paper.all_ratios(run.samples, state["baseline"], seed)
    claims = paper.judge_claims([paper.parse_claim(text) for text in state["claims"]], run.samples, seed)
    topology = run.topology
    machine = f"Measured on {run.host}" + (f": {topology.describe()}" if topology else "") + "."
    found = paper_report.Paper(
        run.run_id, machine, state["baseline"], state["correction"], groups, ratios,
        paper.explore(ratios, state["correction"]), claims,
        paper.geometric_means(run.samples, state["baseline"], seed), failures(run, groups, without),
        notes_on(run, groups), given(state))
    print_warnings("paper", run.warnings)
    (folder / "paper.md").write_text(paper_report.markdown(found), encoding="utf-8")
    (folder / "paper.tex").write_text(paper_report.latex(found), encoding="utf-8")
    paper_report.write_ratios(found, folder / "ratios.csv")
    return found


def main(argv):
    args = parse(argv)
    folder = args.resume or args.out or (find_driver().parents[1] / "results"
                                         / datetime.now(timezone.utc).strftime("paper-%Y%m%d-%H%M%S"))
    try:
        state = load_state(folder) if args.resume else begin(args)
        groups, without = run_all(state, folder, bool(args.resume))
    except paper.ClaimError as error:
        raise UsageError(error) from error
    except EngineError as error:
        say(error)
        if (folder / STATE).exists():
            say(f"what was measured is kept; go on with:\n  ./run-bench paper --resume {folder}")
        return error.code if error.code in (2, EXIT_INTERRUPTED) else EXIT_FAILED
    except KeyboardInterrupt:
        say(f"stopped. What was measured is kept; go on with:\n  ./run-bench paper --resume {folder}")
        return EXIT_INTERRUPTED
    found = report(state, folder, groups, without)
    print(paper_report.markdown(found))
    for name in ("paper.md", "paper.tex", "ratios.csv", "samples.csv"):
        print(f"  {folder / name}")
    return EXIT_FAILED if has_failed((folder, folder / "pilot")) else 0


if __name__ == "__main__":
    main_guard("paper", main)
