"""Sets two stored runs side by side: medians, their ratio B/A and its bounds, for each cell that both have.

Describes, and decides nothing: whether a candidate is slower is asked of run-bench gate. Runs that cannot be
compared (machine, conditions, parameters, load mode) are refused with the reason. With --paper it is
run-bench paper, which measures allocators anew. Exit codes: 0, or 2 when refused.
"""
import argparse
import sys
from pathlib import Path

from heapdyno.compare import compare
from heapdyno.run import main_guard, print_warnings, read_run

TITLES = {"ops_per_s": ("throughput, million operations per second", 1e6),
          "peak_rss_bytes": ("peak RSS, MiB after a fixed number of operations", 2 ** 20),
          "retained_rss_bytes": ("RSS after everything was freed, MiB", 2 ** 20)}
LEGEND = """Medians.
Bounds: what the two 95 % intervals leave for the ratio (at least 90 %); -: under 6 values.
=: the same library in both runs, so that its ratio shows what the time between the runs did.
+: more threads than processing units.
This describes; run-bench gate judges."""
HEAD = ("cell", "A", "B", "B/A", "bounds", "n")


def cells(change):
    """The words of one row."""
    scale = TITLES[change.metric][1]
    mark = "+" if change.is_oversubscribed else ""
    bounds = "-" if change.low is None else f"{change.low:.3f} to {change.high:.3f}"
    same = "" if change.is_other_library else " ="
    return (f"{change.label}, {change.comparison}, {change.threads}{mark}{same}",
            f"{change.a / scale:.3g}", f"{change.b / scale:.3g}", f"{change.ratio:.3f}", bounds,
            f"{change.n_a}, {change.n_b}")


def as_text(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    return ["  ".join(word.ljust(w) if i == 0 else word.rjust(w)
                      for i, (word, w) in enumerate(zip(row, widths))).rstrip() for row in rows]


def as_markdown(rows):
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return lines[:1] + ["|---|" + "---:|" * (len(HEAD) - 1)] + lines[1:]


def main(argv):
    parser = argparse.ArgumentParser(prog="run-bench compare", description=__doc__.splitlines()[0],
                                     epilog=" ".join(__doc__.splitlines()[2:]), allow_abbrev=False)
    parser.add_argument("a", type=Path, metavar="A", help="a run folder")
    parser.add_argument("b", type=Path, metavar="B", help="another")
    parser.add_argument("--markdown", action="store_true", help="tables in Markdown")
    args = parser.parse_args(argv)
    runs = [read_run(folder, need_manifest=True) for folder in (args.a, args.b)]
    changes, reasons = compare(*runs)
    for run in runs:
        print_warnings("compare", run.warnings)
    print(f"A: run {runs[0].run_id}\nB: run {runs[1].run_id}\n")
    for metric, (title, _) in TITLES.items():
        of_metric = [c for c in changes if c.metric == metric]
        if of_metric:
            rows = [HEAD] + [cells(c) for c in of_metric]
            print("\n".join([f"{'## ' if args.markdown else ''}{title}", *[""] * args.markdown,
                             *(as_markdown if args.markdown else as_text)(rows), ""]))
    print(LEGEND)
    for reason in reasons:
        print(f"compare: left out: {reason}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    main_guard("compare", main)
