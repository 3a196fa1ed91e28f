"""Proves the gate on differences that are known: none (two copies of one library) and injected ones.

Runs many gates of one short cell, the kinds in turn, and counts their answers: gates on time, and exact gates
on counts. The candidate is tests/fixtures/spin.c with a spin that is calibrated here. Goes on where it was
stopped. Exit codes: 0, 2 when it cannot run, 130 when it was stopped.
"""
import argparse
import contextlib
import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np

import gate
from heapdyno import proof
from heapdyno.arguments import seconds
from heapdyno.engine import Engine, EngineError, find_driver, print_plan
from heapdyno.progress import Progress

CALIBRATION_SPIN = 100_000
N_CALIBRATIONS = 7
EXACT_SLOWDOWN = 1.0
"""Percent of the allocator's instructions that the exact gate must find."""


def parse(argv):
    parser = argparse.ArgumentParser(prog="prove_gate.py", description=__doc__.splitlines()[0],
                                     epilog=" ".join(__doc__.splitlines()[2:]), allow_abbrev=False)
    parser.add_argument("out", type=Path, help="folder for the gates and proof.md")
    parser.add_argument("--runs", type=int, default=20, help="for each slowdown (20)")
    parser.add_argument("--null-runs", type=int, default=60, help="without a slowdown (60)")
    parser.add_argument("--slowdowns", default="2,5,10", help="in percent (2,5,10)")
    parser.add_argument("--exact-runs", type=int, default=10,
                        help="exact gates without a slowdown, and as many with 1 %% (10)")
    parser.add_argument("--swaps", type=int, default=5000, help="pseudo-runs with exchanged sides (5000)")
    parser.add_argument("--workload", default="malloc-test")
    parser.add_argument("--window", type=seconds, default=0.3, help="as for the gate (0.3)")
    parser.add_argument("--max-pairs", default="40", help="as for the gate")
    parser.add_argument("--max-run-delay", default="2%", help="as for the gate")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the page here too")
    return parser.parse_args(argv)


def main(argv):
    args = parse(argv)
    library = find_driver().parent / "fixtures" / "spin.so"
    if not library.exists():
        print(f"prove_gate: {library} is not there: run make fixtures", file=sys.stderr)
        return 2
    args.out.mkdir(parents=True, exist_ok=True)
    copies = [args.out / "a.so", args.out / "b.so"]
    for copy in copies:
        if not copy.exists():
            shutil.copy(library, copy)
    try:
        spins = calibrate(args, copies[0])
        run_all(args, copies, spins, jobs(args))
    except EngineError as error:
        print(f"prove_gate: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nprove_gate: stopped; the same command goes on", file=sys.stderr)
        return 130
    gates = {kind: collect(args, kind) for kind in ("time", "exact")}
    text = proof.page(gates["time"], gates["exact"], args.swaps, 1, vars(args), manifests(args),
                      command(args))
    for path in [args.out / "proof.md"] + ([args.page] if args.page else []):
        path.write_text(text, encoding="utf-8")
    print(text)
    return 0


def manifests(args):
    """That of the first gate, by kind."""
    first = {}
    for job in sorted(jobs(args)):
        first.setdefault(job[0], folder_of(args, *job) / "manifest.json")
    return {kind: json.loads(path.read_text(encoding="utf-8")) for kind, path in first.items()}


def command(args):
    """The command line with what is not as by default, but for where the results lie."""
    usual = vars(parse([""]))
    options = [f"--{name.replace('_', '-')} {value:g}" if isinstance(value, float)
               else f"--{name.replace('_', '-')} {value}" for name, value in vars(args).items()
               if name not in ("out", "page") and value != usual[name]]
    return " ".join(["scripts/python scripts/prove_gate.py results/proof", *options])


def jobs(args):
    """(kind, slowdown in percent, number) of each gate; the kinds in turn, so that all meet the same
    machine."""
    n_of = {("time", 0.0): args.null_runs, ("exact", 0.0): args.exact_runs,
            ("exact", EXACT_SLOWDOWN): args.exact_runs}
    n_of.update({("time", float(s)): args.runs for s in args.slowdowns.split(",")})
    most = max(n_of.values())
    # A kind with fewer gates has them spread over the whole course.
    return sorted((kind + (i,) for kind, n in n_of.items() for i in range(n)),
                  key=lambda job: ((job[2] + 0.5) * most / n_of[job[:2]], job))


def folder_of(args, kind, slowdown, number):
    return args.out / f"{kind}-{slowdown:g}" / f"{number:03d}"


def collect(args, kind):
    """{slowdown: [(verdict, ratios), ...]} of the gates of a kind that are there."""
    gates = {}
    for job in sorted(jobs(args)):
        folder = folder_of(args, *job)
        if job[0] == kind and (folder / "gate.json").exists():
            gates.setdefault(job[1], []).append(proof.read_gate(folder))
    return gates


def calibrate(args, library):
    """The SPIN that slows the workload by one percent, by kind; kept in the folder, so that all runs have the
    same."""
    kept = args.out / "spin-per-percent.json"
    per_percent = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    if "time" not in per_percent and (args.runs or args.null_runs):
        per_percent["time"] = spin_by(args, library, "timed", ["--reps", str(N_CALIBRATIONS)], cpu_ns_per_op)
    if "exact" not in per_percent and args.exact_runs:
        per_percent["exact"] = spin_by(args, library, "instructions",
                                       ["--reps", "1", "--instructions", "callgrind"], instructions_per_op)
    kept.write_text(json.dumps(per_percent) + "\n", encoding="utf-8")
    print("prove_gate: SPIN for 1 %: " + ", ".join(f"{v:.0f} ({k})" for k, v in per_percent.items()))
    return per_percent


def cpu_ns_per_op(sample):
    return (float(sample["user_ns"]) + float(sample["sys_ns"])) / float(sample["ops"])


def instructions_per_op(sample):
    return float(sample["alloc_instructions"]) / float(sample["ops"])


def spin_by(args, library, in_pass, options, cost):
    """The SPIN that makes `cost` of the rows of a pass one percent larger."""
    sides = [f"x={library}[SPIN={spin}]" for spin in (0, CALIBRATION_SPIN)]
    rows = [r for r in print_plan(find_driver(), [
        "--allocators", ",".join(sides), "--workloads", args.workload, "--threads", "1", "--duration", "0.2",
        *options]) if r["pass"] == in_pass]
    folder = args.out / f"calibration-{in_pass}"
    if folder.exists():
        shutil.rmtree(folder)
    engine = Engine(find_driver(), folder, list(rows[0]))
    costs = {}
    try:
        for row in rows:
            sample = engine.measure(row)
            if sample["status"] != "ok":
                raise EngineError(f"calibration: {sample['status']}: {sample['why']}", 2)
            costs.setdefault(sample["config"], []).append(cost(sample))
    finally:
        engine.close()
    plain, slow = (np.median(costs[f"SPIN={spin}"]) for spin in (0, CALIBRATION_SPIN))
    if not slow > plain:
        raise EngineError(f"calibration: {CALIBRATION_SPIN} SPIN do not show; is the machine busy?", 2)
    return 0.01 * plain * CALIBRATION_SPIN / (slow - plain)


def run_all(args, copies, spins, todo):
    done = [job for job in todo if (folder_of(args, *job) / "gate.json").exists()]
    progress = Progress("prove_gate", len(todo), len(done))
    for job in done + [job for job in todo if job not in done]:
        kind, slowdown, number = job
        said = ""
        if job not in done:
            spin = round(slowdown * spins[kind])
            said = run_gate(args, copies, spin, kind, folder_of(args, *job), seed=number)
        progress.step(f"{kind} {slowdown:g} % {number}: {said}")
    progress.end()


def run_gate(args, copies, spin, kind, folder, seed):
    """One gate; its last line. The two paths have one length, so that nothing else differs."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    base, cand = (f"x={copy}[SPIN={n:06d}]" for copy, n in zip(copies, (0, spin)))
    options = ["--baseline", base, "--candidate", cand, "--workloads", args.workload, "--seed", str(seed),
               "--out", str(folder)]
    if kind == "exact":
        options.append("--exact")
    else:
        options += ["--threads", "1", "--window", str(args.window), "--max-pairs", args.max_pairs,
                    "--max-run-delay", args.max_run_delay]
    out, err = io.StringIO(), io.StringIO()
    # In this process: loading numpy and matplotlib a hundred times would take longer than the gates.
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = gate.main(options)
    if code == 130:
        raise KeyboardInterrupt
    if not (folder / "gate.json").exists():
        raise EngineError(f"{folder}: the gate ended with {code}: {err.getvalue()}", 2)
    return out.getvalue().splitlines()[-1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
