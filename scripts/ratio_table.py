"""Prints the throughput of one allocator over the best other of each cell, with intervals and means.

Exit codes: 0, or 2 when the run cannot be read or has nothing to compare.
"""
import argparse
from pathlib import Path

from heapdyno.ratio import format_ratios
from heapdyno.run import RunError, main_guard, print_warnings, read_run


def main(argv):
    parser = argparse.ArgumentParser(prog="ratio_table.py", description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a run folder: results/...")
    parser.add_argument("--of", default="arena", metavar="LABEL",
                        help="the allocator that is held against the others (default: arena)")
    args = parser.parse_args(argv)
    run = read_run(args.run)
    text = format_ratios(run.samples, args.of)
    print_warnings("ratio_table", run.warnings)
    if not text:
        raise RunError(f"{args.run}: no cell has a throughput of {args.of} and of another")
    print(text)
    return 0


if __name__ == "__main__":
    main_guard("ratio_table", main)
