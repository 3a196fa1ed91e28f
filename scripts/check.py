"""Lists what makes this machine unfit for measuring, what it does to results, and what would mend it.

Changes nothing. Exit codes: 0; with --strict 3 if anything is unfit.
"""
import argparse
import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from heapdyno.doctor import FIT, UNFIT, UNKNOWN, Machine, examine

EXIT_UNFIT = 3


def as_text(findings):
    width = max(len(f.name) for f in findings)
    lines = []
    for f in findings:
        lines.append(f"{f.state:7}  {f.name.ljust(width)}  {f.value}")
        if f.state != FIT and f.effect:
            lines.append(f"{'':9}{'':{width}}    {f.effect}")
        if f.command:
            lines.append(f"{'':9}{'':{width}}    to change it: {f.command}")
    return lines


def main(argv):
    parser = argparse.ArgumentParser(prog="run-bench check", description=__doc__.splitlines()[0],
                                     epilog=" ".join(__doc__.splitlines()[2:]), allow_abbrev=False)
    parser.add_argument("--strict", action="store_true", help="exit code 3 if anything is unfit")
    parser.add_argument("--json", action="store_true", help="the findings as JSON")
    parser.add_argument("--root", type=Path, default=Path("/"), help="where proc and sys are (/)")
    args = parser.parse_args(argv)
    findings = examine(Machine(args.root))
    if args.json:
        print(json.dumps([asdict(f) for f in findings], indent=2))
    else:
        n_of = Counter(f.state for f in findings)
        print("\n".join(as_text(findings) + ["", f"of {len(findings)}: {n_of[UNFIT]} unfit, {n_of[UNKNOWN]} "
                                             f"unknown, {n_of[FIT]} fit"]))
    return EXIT_UNFIT if args.strict and any(f.state == UNFIT for f in findings) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
