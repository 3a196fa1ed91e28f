"""Writes a run in the format of another tool: time per operation, peak RSS, latencies.

Exit codes: 0, or 2 when the run cannot be read or has no manifest, or when --out names a file that is
there already. docs/results.md lists the formats.
"""
import argparse
import sys
from pathlib import Path

from heapdyno.arguments import one_of
from heapdyno.export import FORMATS
from heapdyno.run import main_guard, print_warnings, read_run, write_output


def main(argv):
    parser = argparse.ArgumentParser(prog="run-bench export", description=__doc__.splitlines()[0],
                                     epilog=" ".join(__doc__.splitlines()[2:]), allow_abbrev=False)
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder")
    parser.add_argument("--format", required=True, **one_of(*FORMATS))
    parser.add_argument("--out", type=Path, metavar="FILE", help="new file; default: standard output")
    parser.add_argument("--force", action="store_true", help="overwrite the file if it is there")
    args = parser.parse_args(argv)
    run = read_run(args.run, need_manifest=True)
    text = FORMATS[args.format](run)
    print_warnings("export", run.warnings)
    if args.out:
        write_output(args.out, text, is_forced=args.force)
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    main_guard("export", main)
