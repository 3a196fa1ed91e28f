"""Draws the figures of a run with matplotlib, as PNG and SVG, into RUN/figures, and prints their names.

Exit codes: 0, or 2 when the run cannot be read (the message names the file). Warnings go to stderr.
"""
import argparse
import sys
from pathlib import Path

from heapdyno.draw import draw_overview, draw_picture, save
from heapdyno.picture import METRICS, picture
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
    for metric, style in METRICS.items():
        pictures = [picture(run, summary, c, metric) for c in summary["comparison"].unique()]
        pictures = [p for p in pictures if p is not None]
        n_drawn += len(pictures)
        for p in pictures:
            print_names(save(draw_picture(p), out / f"{style.file_name}-{p.comparison}"))
        if len(pictures) > 1:
            print_names(save(draw_overview(pictures), out / f"overview-{style.file_name}"))
    if n_drawn == 0:
        print("plot: no figure: no cell of the run has a value", file=sys.stderr)
    return 0


def print_names(paths):
    for path in paths:
        print(path)


if __name__ == "__main__":
    main_guard("plot", main)
