"""Measures what whole programs pay for each allocator under LD_PRELOAD, and holds arena to its targets.

Writes samples.csv, manifest.json and table.txt into the folder, and prints the table. Repetitions are
outermost; in each, the allocators are run in an order of its own. Exit codes: 0; 2 for a wrong command line
or a library that cannot be proved; 4 when a program failed: samples.csv has its message.
"""
import argparse
import csv
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

from heapdyno import preload, programs, redis_program
from heapdyno.engine import find_driver
from heapdyno.run import RunError, main_guard

SEED = 20060401
N_STARTS = 50
N_THREADS = 2000
DECAY = {"arena": "dirty_decay_ms:500", "jemalloc": "dirty_decay_ms:500,muzzy_decay_ms:0"}
"""MALLOC_CONF of `retain`; idle also has background_thread:true."""


def positive(text):
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"'{text}': write a whole number above 0")
    return int(text)


def parse_arguments(argv):
    parser = argparse.ArgumentParser(prog="bar_programs.py", description=__doc__.splitlines()[0])
    folder = time.strftime("results/programs-%Y%m%d-%H%M%S", time.gmtime())
    parser.add_argument("--out", type=Path, default=Path(folder), metavar="DIR",
                        help="new folder (default: results/programs- and the time)")
    parser.add_argument("--reps", type=positive, default=10, metavar="N",
                        help="repetitions of everything but redis (default: 10; 6 and more give intervals)")
    parser.add_argument("--redis-reps", type=positive, default=6, metavar="N",
                        help="repetitions of redis, each with a server of its own (default: 6)")
    return parser.parse_args(argv)


def find_libraries(driver):
    """{name: {"path", "version", "build"}} of the allocators that are compared and installed."""
    done = subprocess.run([driver, "--list"], capture_output=True, text=True)
    if done.returncode != 0:
        raise RunError(f"{driver} --list: exit code {done.returncode}: {done.stderr.strip()}")
    found = preload.parse_list(done.stdout)
    libraries = {name: found[name] for name in preload.ALLOCATORS if name in found}
    for name in (programs.OF, programs.BASE):
        if name not in libraries:
            raise RunError(f"{name} is not in the list of {driver} --list")
    return libraries


def median_start_ns(program, path):
    """From posix_spawn to the end of a program that does nothing; the median of N_STARTS."""
    env, times = preload.environment(path), []
    for _ in range(N_STARTS):
        start = time.perf_counter_ns()
        _, status = os.waitpid(os.posix_spawn(program, [program, "start"], env), 0)
        times.append(time.perf_counter_ns() - start)
        if status != 0:
            raise RunError(f"{program} start with {path}: wait status {status}")
    return statistics.median(times)


def measure_program(program, name, path):
    """Yields (measure, value) of one repetition."""
    def ask(*words, conf=""):
        return preload.run([program, *words], path, conf)

    yield "idle_peak_rss_bytes", float(ask("idle"))
    yield "start_ns", median_start_ns(program, path)
    yield "churn_us", float(ask("churn", str(N_THREADS)))
    for size, n in programs.SIZES.items():
        yield f"bytes_per_object_{size}", float(ask("bytes", str(size), str(n)))
    for mode in ("light", "idle"):
        conf = DECAY.get(name, "")
        if conf and mode == "idle":
            conf += ",background_thread:true"
        for line in ask("retain", mode, conf=conf).splitlines():
            ms, held = line.split()
            yield f"retained_{mode}_{ms}_bytes", float(held)


def repeat(libraries, reps, measure, order):
    """Yields rows of samples.csv; `measure(name, path)` yields the values of one allocator. What fails is a
    row with the message as its status, and ends that allocator's repetition only."""
    for repetition in range(1, reps + 1):
        names = list(libraries)
        order.shuffle(names)
        for name in names:
            try:
                for key, value in measure(name, libraries[name]["path"]):
                    yield repetition, name, key, value, "ok"
            except RunError as error:
                print(f"bar_programs: {name}, repetition {repetition}: {error}", file=sys.stderr)
                yield repetition, name, "", "", str(error)


def measure_all(args, libraries, program, redis):
    """The rows of samples.csv, each written as soon as it is there."""
    order = random.Random(SEED)
    rows = []
    with open(args.out / "samples.csv", "w", encoding="utf-8", newline="") as f:
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(programs.COLUMNS)
        for measure, reps in ((lambda name, path: measure_program(program, name, path), args.reps),
                              (lambda _, path: redis_program.measure(redis, path),
                               args.redis_reps if redis else 0)):
            for row in repeat(libraries, reps, measure, order):
                rows.append(row)
                writer.writerow(row)
                f.flush()
    return rows


def write_manifest(path, args, libraries, redis, started, argv):
    redis_version = subprocess.run([redis[0], "--version"], capture_output=True,
                                   text=True).stdout.strip() if redis else None
    uname = platform.uname()
    thp = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    path.write_text(json.dumps({
        "command": ["scripts/bar_programs.py", *argv], "started_utc": started,
        "ended_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"kernel": f"{uname.system} {uname.release}", "architecture": uname.machine,
                    "n_cpus": len(os.sched_getaffinity(0)), "load_average_at_end": os.getloadavg(),
                    "thp": thp.read_text(encoding="ascii").strip() if thp.exists() else None},
        "repetitions": args.reps, "redis_repetitions": args.redis_reps if redis else 0, "seed": SEED,
        "starts_per_repetition": N_STARTS, "threads_per_repetition": N_THREADS,
        "malloc_conf_of_retain": DECAY, "malloc_conf_added_for_retain_idle": "background_thread:true",
        "allocators": libraries, "redis": redis_version}, indent=2) + "\n", encoding="utf-8")


def main(argv):
    args = parse_arguments(argv)
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    driver = find_driver()
    program = str(driver.parent / "stress" / "bar_program")
    if not os.access(program, os.X_OK):
        raise RunError(f"{program} is not built: make bar builds it first")
    libraries, redis = find_libraries(driver), redis_program.find_redis()
    for entry in libraries.values():
        preload.prove([program, "start"], entry["path"])
        if redis:
            preload.prove([redis[0], "--version"], entry["path"])
    try:
        args.out.mkdir(parents=True)
    except FileExistsError:
        raise RunError(f"--out {args.out}: exists already; name a new folder") from None
    if not redis:
        print("bar_programs: redis-server or redis-benchmark is not installed: not measured",
              file=sys.stderr)
    rows = measure_all(args, libraries, program, redis)
    write_manifest(args.out / "manifest.json", args, libraries, redis, started, argv)
    text = programs.format_programs(programs.to_samples(rows), list(libraries))
    (args.out / "table.txt").write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0 if all(row[-1] == "ok" for row in rows) else 4


if __name__ == "__main__":
    main_guard("bar_programs", main)
