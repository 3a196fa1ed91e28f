"""How the throughput of a run grows with threads: speed-up of each allocator against itself with one
thread, and the Universal Scalability Law where the machine has points enough for it.

Thread counts above the processing units (+) are shown and never fitted. Exit codes: 0, or 2 when the run
cannot be read, has no manifest or no cell with one thread.
"""
import argparse
import csv
import math
import sys
from pathlib import Path

from heapdyno.arguments import one_of
from heapdyno.run import RunError, main_guard, print_warnings, read_run
from heapdyno.scaling import scalings

LEGEND = """Speed-up: throughput over that of the same allocator with one thread (medians).
In brackets: the 95 % interval (bootstrap over repetitions); without it there are under 6 repetitions.
sigma: the share that is serial; kappa: the price of coherence a pair of threads; both at least 0.
peak: the threads at which the fitted law is greatest. error: the largest of a fitted point."""
FORMATS = ("text", "markdown", "csv")


def number(value, ci, form):
    """`1.93 [1.90, 1.95]`"""
    return format(value, form) + (f" [{ci[0]:{form}}, {ci[1]:{form}}]" if ci[0] == ci[0] else "")


def speedup_rows(part, topology):
    threads = sorted({s.threads for line in part for s in line.speedups})
    n_pus = topology.n_pus if topology else math.inf
    rows = [["threads", *(f"{t}{'+' if t > n_pus else ''}" for t in threads)]]
    for line in part:
        by_threads = {s.threads: number(s.value, s.ci, ".2f") for s in line.speedups}
        rows.append([line.label, *(by_threads.get(t, "-") for t in threads)])
    return rows


def law_rows(part):
    rows = [["law", "sigma", "kappa", "peak", "error", "fitted"]]
    for line in part:
        law = line.law
        if law is not None:
            peak = law.peak_threads()
            rows.append([line.label, number(law.sigma, law.sigma_ci, ".3g"),
                         number(law.kappa, law.kappa_ci, ".3g"),
                         "none" if math.isinf(peak) else f"{peak:.0f}", f"{100 * law.worst_error:.1f} %",
                         ",".join(map(str, law.threads))])
    return rows


def reasons(part):
    """Why lines have no law: one line for all that share the reason."""
    labels = {}
    for line in part:
        if line.law is None:
            labels.setdefault(line.why, []).append(line.label)
    return [f"no law for {'any' if len(names) == len(part) else ', '.join(names)}: {why}"
            for why, names in labels.items()]


def as_text(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(w.ljust(n) if i == 0 else w.rjust(n) for i, (w, n) in enumerate(zip(row, widths)))
            for row in rows]


def as_markdown(rows):
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|---|" + "---:|" * (len(rows[0]) - 1), *lines[1:]]


def print_tables(found, topology, is_markdown):
    tabulate = as_markdown if is_markdown else as_text
    for comparison in dict.fromkeys(line.comparison for line in found):
        part = [line for line in found if line.comparison == comparison]
        print(("## " if is_markdown else "") + f"{comparison}: speed-up against one thread\n")
        print("\n".join(tabulate(speedup_rows(part, topology))) + "\n")
        laws = law_rows(part)
        if len(laws) > 1:
            print("\n".join(tabulate(laws)) + "\n")
        for reason in reasons(part):
            print(reason + "\n")
    print(LEGEND)


def csv_rows(found):
    """One row a quantity: `threads` is empty for those of the law."""
    def row(line, quantity, threads, value, ci, n="", note=""):
        return [line.comparison, line.label, quantity, threads,
                *("" if v is None or v != v or math.isinf(v) else f"{v:.6g}" for v in (value, *ci)), n, note]
    for line in found:
        for s in line.speedups:
            yield row(line, "speedup", s.threads, s.value, s.ci, s.n)
        if line.law is None:
            yield row(line, "sigma", "", None, (None, None), note=line.why)
            continue
        note = "fitted: " + " ".join(map(str, line.law.threads))
        none = (None, None)
        yield row(line, "sigma", "", line.law.sigma, line.law.sigma_ci, note=note)
        yield row(line, "kappa", "", line.law.kappa, line.law.kappa_ci, note=note)
        yield row(line, "peak_threads", "", line.law.peak_threads(), none, note=note)
        yield row(line, "worst_error", "", line.law.worst_error, none, note=note)


def main(argv):
    parser = argparse.ArgumentParser(prog="run-bench scaling", description=__doc__.splitlines()[0],
                                     epilog=" ".join(__doc__.splitlines()[3:]), allow_abbrev=False)
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder: results/...")
    parser.add_argument("--format", **one_of(*FORMATS), default="text", help="of the tables (default: text)")
    args = parser.parse_args(argv)
    run = read_run(args.run, need_manifest=True)
    print_warnings("scaling", run.warnings)
    found = scalings(run.samples, run.topology)
    if not found:
        raise RunError(f"{args.run}: no cell with one thread has a value, and speed-up is against that")
    if args.format == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("comparison", "label", "quantity", "threads", "value", "ci_lo", "ci_hi", "n",
                         "note"))
        writer.writerows(csv_rows(found))
    else:
        print_tables(found, run.topology, args.format == "markdown")
    return 0


if __name__ == "__main__":
    main_guard("scaling", main)
