"""Prints what a malloc/free pair costs in each pattern of `pair`: instructions, page faults, nanoseconds.

Instructions are those of the allocator alone (pass instructions), faults and nanoseconds those of the timed
pass, medians; the nanoseconds hold the loop, the same for all. Under each table stands the geometric mean of
one allocator over the best other.
Exit codes: 0, or 2 when the run cannot be read or has no such rows.
"""
import argparse
from pathlib import Path

from heapdyno import columns
from heapdyno.pairs import MEASURES, format_measure, pair_costs
from heapdyno.run import RunError, main_guard, print_warnings, read_run


def main(argv):
    parser = argparse.ArgumentParser(prog="pair_table.py", description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a run folder: results/...")
    parser.add_argument("--of", default="arena", metavar="LABEL",
                        help="the allocator that is held against the best other (default: arena)")
    args = parser.parse_args(argv)
    run = read_run(args.run)
    costs = pair_costs(run.samples)
    print_warnings("pair_table", run.warnings)
    if costs.empty:
        raise RunError(f"{args.run}: no row of the workload pair with one thread was measured")
    print("\n\n".join(format_measure(costs, measure, args.of, columns.REFERENCES) for measure in MEASURES))
    return 0


if __name__ == "__main__":
    main_guard("pair_table", main)
