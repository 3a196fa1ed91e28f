"""Writes one self-contained HTML file about one or more runs: verdict, tables, figures, conditions, data.

Fetches nothing and needs no JavaScript. Several runs are shown one after the other, never pooled. Exit
codes: 0, or 2 when a run cannot be read or has no manifest, or when the page would overwrite a file that
is no report. docs/report.md explains the page.
"""
import argparse
from pathlib import Path

from heapdyno.report import render
from heapdyno.run import RunError, main_guard, print_warnings, write_output


def is_report(head):
    return head.startswith(b"<!DOCTYPE html>") and b"<title>heapdyno report: " in head


def main(argv):
    parser = argparse.ArgumentParser(prog="run-bench report", description=__doc__.splitlines()[0],
                                     epilog=" ".join(__doc__.splitlines()[2:]), allow_abbrev=False)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="a run folder, of a gate too")
    parser.add_argument("--out", type=Path, metavar="FILE.html",
                        help="default: RUN/report.html; needed with several runs")
    parser.add_argument("--force", action="store_true", help="overwrite a file that is no report, too")
    args = parser.parse_args(argv)
    if len({folder.resolve() for folder in args.runs}) < len(args.runs):
        raise RunError("a run is given twice")
    if args.out is None and len(args.runs) > 1:
        raise RunError("--out FILE.html is needed with several runs")
    text, warnings = render(args.runs)
    print_warnings("report", warnings)
    out = args.out or args.runs[0] / "report.html"
    write_output(out, text, is_report, args.force)
    print(out)
    return 0


if __name__ == "__main__":
    main_guard("report", main)
