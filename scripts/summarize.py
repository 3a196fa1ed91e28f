"""Writes RUN/summary.csv, and for gnuplot RUN/summary.gp and figures.gp, and prints the results as tables.

Where the run has latencies, latency-summary.csv and latency-summary.gp too; where memory was watched,
memory-summary.csv.

Exit codes: 0, or 2 when the run cannot be read (the message names the file). Warnings go to stderr.
"""
import argparse
import shutil
import sys
from pathlib import Path

from heapdyno.gnuplot import write_latency_settings, write_settings
from heapdyno.gnuplot_figures import write_figures
from heapdyno.latency import latency_pictures, write_latency_summary
from heapdyno.run import main_guard, print_warnings, read_run
from heapdyno.summary import summarize, write_summary
from heapdyno.table import WIDTH, format_run


def main(argv):
    parser = argparse.ArgumentParser(prog="summarize.py", description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a run folder: results/...")
    parser.add_argument("--quiet", action="store_true", help="write the files, print no table")
    args = parser.parse_args(argv)
    run = read_run(args.run)
    summary = summarize(run)
    print_warnings("summarize", run.warnings)
    write_summary(summary, args.run / "summary.csv")
    write_settings(run, summary, args.run / "summary.gp")
    write_figures(run, summary, args.run)
    pictures = latency_pictures(run)
    if pictures:
        write_latency_summary(pictures, args.run / "latency-summary.csv")
        write_latency_settings(pictures, args.run / "latency-summary.gp")
    if not args.quiet:
        print_text(format_run(run, summary, width()))
    return 0


def width():
    """Columns of the terminal, where it is one, within reason."""
    if sys.stdout is None or not sys.stdout.isatty():
        return WIDTH
    return max(60, min(WIDTH, shutil.get_terminal_size().columns - 1))


def print_text(text):
    """Prints the text also where the terminal knows no plus-minus sign; nothing where output is closed."""
    if sys.stdout is None:
        return
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        text = text.replace("±", "+-").replace("µ", "u").encode("ascii", "replace").decode("ascii")
    print(text, flush=True)


if __name__ == "__main__":
    main_guard("summarize", main)
