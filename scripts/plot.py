"""Draws the figures of a run with matplotlib, as PNG and SVG, into RUN/figures, and prints their names.
Figures that the run has no data for are named on stderr with the reason.

Exit codes: 0, or 2 when the run cannot be read (the message names the file). Warnings go to stderr.
"""
import argparse
import sys
from pathlib import Path

from heapdyno.draw import save
from heapdyno.figures import LeftOut, all_figures
from heapdyno.run import main_guard, print_warnings, read_run
from heapdyno.summary import summarize


def main(argv):
    parser = argparse.ArgumentParser(prog="plot.py", description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a run folder: results/...")
    parser.add_argument("--out", type=Path, help="folder for the figures (RUN/figures)")
    args = parser.parse_args(argv)
    run = read_run(args.run)
    summary = summarize(run)
    print_warnings("plot", run.warnings)
    out = args.out or args.run / "figures"
    out.mkdir(parents=True, exist_ok=True)
    n_drawn = 0
    for found in all_figures(run, summary):
        if isinstance(found, LeftOut):
            print(f"plot: left out: {found.name}: {found.why}", file=sys.stderr)
            continue
        n_drawn += 1
        for path in save(found.draw(), out / found.name):
            print(path)
    if n_drawn == 0:
        print("plot: no figure: no cell of the run has a value", file=sys.stderr)
    return 0


if __name__ == "__main__":
    main_guard("plot", main)
