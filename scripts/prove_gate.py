"""Proves the gate on differences that are known: none (two copies of one library) and injected ones.

Runs many gates of one short cell and counts their answers. The candidate is tests/fixtures/spin.c with a spin
that is calibrated here. Goes on where it was stopped. Exit codes: 0, or 2 when it cannot run.
"""
import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from heapdyno import proof
from heapdyno.engine import Engine, EngineError, find_driver, print_plan

ROOT = Path(__file__).resolve().parents[1]
CALIBRATION_SPIN = 100_000
N_CALIBRATIONS = 7


def main(argv):
    parser = argparse.ArgumentParser(prog="prove_gate.py", description=__doc__.splitlines()[0],
                                     epilog=" ".join(__doc__.splitlines()[2:]))
    parser.add_argument("out", type=Path, help="folder for the gates and proof.md")
    parser.add_argument("--runs", type=int, default=20, help="for each slowdown (20)")
    parser.add_argument("--null-runs", type=int, default=60, help="without a slowdown (60)")
    parser.add_argument("--slowdowns", default="2,5,10", help="in percent (2,5,10)")
    parser.add_argument("--swaps", type=int, default=5000, help="pseudo-runs with exchanged sides (5000)")
    parser.add_argument("--workload", default="malloc-test")
    parser.add_argument("--max-pairs", default="40", help="as for the gate")
    parser.add_argument("--max-run-delay", default="2%", help="as for the gate")
    args = parser.parse_args(argv)
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
        per_percent = calibrate(args, copies[0])
    except EngineError as error:
        print(f"prove_gate: {error}", file=sys.stderr)
        return 2
    gates = {}
    for slowdown in [0.0] + [float(s) for s in args.slowdowns.split(",")]:
        spins = (0, round(slowdown * per_percent))
        for run in range(args.runs if slowdown else args.null_runs):
            folder = args.out / f"slow-{slowdown:g}" / f"{run:03d}"
            gate(args, copies, spins, folder, seed=run)
            gates.setdefault(slowdown, []).append(proof.read_gate(folder))
    text = proof.markdown(gates, args.swaps, seed=1)
    (args.out / "proof.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


def calibrate(args, library):
    """The SPIN that slows the workload by one percent; kept in the folder, so that all runs have the same."""
    kept = args.out / "spin-per-percent"
    if kept.exists():
        return float(kept.read_text())
    sides = [f"x={library}[SPIN={spin}]" for spin in (0, CALIBRATION_SPIN)]
    rows = [r for r in print_plan(find_driver(), [
        "--allocators", ",".join(sides), "--workloads", args.workload, "--threads", "1", "--reps",
        str(N_CALIBRATIONS), "--duration", "0.2"]) if r["pass"] == "timed"]
    engine = Engine(find_driver(), args.out / "calibration", list(rows[0]))
    costs = {}
    try:
        for row in rows:
            sample = engine.measure(row)
            if sample["status"] == "ok":
                cpu_ns = float(sample["user_ns"]) + float(sample["sys_ns"])
                costs.setdefault(sample["config"], []).append(cpu_ns / float(sample["ops"]))
    finally:
        engine.close()
    plain, slow = (np.median(costs[f"SPIN={spin}"]) for spin in (0, CALIBRATION_SPIN))
    per_percent = 0.01 * plain * CALIBRATION_SPIN / (slow - plain)
    print(f"prove_gate: an operation takes {plain:.1f} ns of processor time, {per_percent:.0f} SPIN make 1 %")
    kept.write_text(f"{per_percent}\n")
    return per_percent


def gate(args, copies, spins, folder, seed):
    """One gate, unless it is there already. The two paths have one length, so that nothing else differs."""
    if (folder / "gate.json").exists():
        return
    if folder.exists():
        shutil.rmtree(folder)
    (folder.parent).mkdir(parents=True, exist_ok=True)
    base, cand = (f"x={copy}[SPIN={spin:06d}]" for copy, spin in zip(copies, spins))
    command = [ROOT / "run-bench", "gate", "--baseline", base, "--candidate", cand,
               "--workloads", args.workload, "--threads", "1", "--seed", str(seed),
               "--max-pairs", args.max_pairs, "--max-run-delay", args.max_run_delay, "--out", folder]
    done = subprocess.run(command, capture_output=True, text=True)
    if not (folder / "gate.json").exists():
        raise SystemExit(f"prove_gate: {folder}: the gate ended with {done.returncode}:\n{done.stderr}")
    print(f"{folder}: {done.stdout.splitlines()[-1]}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
