"""Reads and validates a run folder.

Whatever cannot be trusted is either refused (RunError: the message names file and line) or left out with a
named warning; it never becomes a number. Knows nothing of statistics.
"""
import csv
import io
import json
import math
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from heapdyno import columns
from heapdyno.topology import Topology, TopologyError, read_topology


class RunError(Exception):
    """The folder holds something no number may be computed from."""


@dataclass(frozen=True)
class RunWarning:
    """Something that was left out. `name` is stable: torn-line, duplicate, bad-value, no-manifest, ..."""
    name: str
    text: str

    def __str__(self):
        return f"[{self.name}] {self.text}"


@dataclass
class Run:
    """A validated run. `samples` has a row a measured repetition: identity and texts as str, numbers as float
    (NaN = not measured), the line of the file as index."""
    folder: Path
    samples: pd.DataFrame
    manifest: dict
    topology: Topology | None
    n_planned: int | None
    warnings: list = field(default_factory=list)

    @property
    def run_id(self):
        return " ".join(self.samples["run_id"].unique())

    @property
    def host(self):
        return self.samples["host"].iloc[0]


def read_run(folder, need_manifest=False):
    """Reads the run in `folder`. RunError when it cannot be read, is of an unknown schema, contradicts
    itself, or (need_manifest) says nothing of where it comes from."""
    folder = Path(folder)
    if not folder.is_dir():
        raise RunError(f"{folder}: no such folder")
    warnings = []
    samples = read_samples(folder / "samples.csv", warnings)
    manifest = _read_manifest(folder / "manifest.json", need_manifest, warnings)
    topology = _read_topology(folder / "topology.xml", warnings)
    n_planned = _count_planned(folder / "plan.csv", warnings)
    return Run(folder, samples, manifest, topology, n_planned, warnings)


def read_samples(path, warnings):
    """The rows of one samples.csv as Run.samples describes them; appends to `warnings`."""
    header, lines, records = read_records(path, warnings)
    missing = [c for c in columns.REQUIRED if c not in header]
    if missing:
        raise RunError(f"{path}: required columns are missing: {', '.join(missing)}")
    if len(set(header)) != len(header):
        twice = sorted({c for c in header if header.count(c) > 1})
        raise RunError(f"{path}: columns appear twice in the header: {', '.join(twice)}")
    if not records:
        raise RunError(f"{path}: no measured rows yet")
    samples = pd.DataFrame(records, columns=header, index=pd.Index(lines, name="line"), dtype=str)
    _check_schema(path, samples)
    _convert_numbers(path, samples, warnings)
    _check_statuses(path, samples, warnings)
    samples = _drop_duplicates(path, samples, warnings)
    _check_one_source(path, samples)
    return samples


def read_records(path, warnings):
    """Header, line numbers and fields. A last line without its end is dropped: a number in it may be cut
    short."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path}: {error.strerror}") from error
    if not data:
        raise RunError(f"{path}: the file is empty")
    whole, _, torn = data.rpartition(b"\n")
    if torn:
        line = data.count(b"\n") + 1
        warnings.append(RunWarning("torn-line", f"{path}:{line}: the last line is half-written; left out"))
    try:
        reader = csv.reader(io.StringIO(whole.decode("utf-8"), newline=""), strict=True)
        header = next(reader, None)
        if not header:
            raise RunError(f"{path}: there is no whole header line")
        lines, records = [], []
        for record in reader:
            if not record:
                continue
            if len(record) != len(header):
                raise RunError(f"{path}:{reader.line_num}: {len(record)} fields, but the header has "
                               f"{len(header)}")
            lines.append(reader.line_num)
            records.append(record)
    except (csv.Error, UnicodeDecodeError) as error:
        raise RunError(f"{path}: not well-formed CSV: {error}") from error
    return header, lines, records


def _check_schema(path, samples):
    schemas = sorted(samples["schema"].unique())
    if len(schemas) > 1:
        raise RunError(f"{path}: rows of different schemas: {', '.join(schemas)}")
    if schemas[0] not in columns.SCHEMAS:
        known = ", ".join(columns.SCHEMAS)
        raise RunError(f"{path}: schema {schemas[0]!r} is not one these scripts understand ({known})")


def _number(text):
    """The number, NaN where the text is empty, None where it is not a finite number."""
    if text == "":
        return math.nan
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _convert_numbers(path, samples, warnings):
    for column in columns.NUMBERS:
        if column not in samples:
            continue
        numbers = samples[column].map(_number)
        # A pandas Series turns None into NaN, so the bad ones are found by asking again.
        bad = [line for line, text in samples[column].items() if _number(text) is None]
        if bad and column in columns.POSITION:
            raise RunError(f"{path}:{bad[0]}: {column} is {samples[column][bad[0]]!r}, not a number")
        if bad:
            example = samples[column][bad[0]]
            warnings.append(RunWarning(
                "bad-value", f"{path}:{bad[0]}: {column} is {example!r}, not a finite number; "
                f"{len(bad)} such value(s) count as not measured"))
        samples[column] = numbers.astype(float)
    for column in columns.POSITION:
        empty = samples.index[samples[column].isna()]
        if len(empty):
            raise RunError(f"{path}:{empty[0]}: {column} is empty")


def _check_statuses(path, samples, warnings):
    unknown = samples[~samples["status"].isin(columns.STATUSES)]
    if len(unknown):
        names = ", ".join(repr(s) for s in sorted(unknown["status"].unique()))
        warnings.append(RunWarning(
            "unknown-status", f"{path}:{unknown.index[0]}: status {names} is not known; "
            f"{len(unknown)} row(s) count as failed"))


def _drop_duplicates(path, samples, warnings):
    """One ok row a (cell_id, repetition): equal rows are merged, contradicting ones refused. A failed or
    contaminated row may stand beside the row of its repeated measurement."""
    identity = list(columns.IDENTITY)
    mixed = samples.groupby("cell_id")[identity].nunique(dropna=False).max(axis=1)
    if (mixed > 1).any():
        raise RunError(f"{path}: cell_id {mixed.idxmax()} is used for different cells")
    ok = samples[samples["status"] == "ok"]
    twice = ok[ok.duplicated(["cell_id", "repetition"], keep="first")]
    if not len(twice):
        return samples
    differing = twice[~twice.index.isin(ok.index[ok.duplicated(keep="first")])]
    if len(differing):
        row = differing.iloc[0]
        raise RunError(f"{path}:{differing.index[0]}: cell {row['cell_id']}, repetition "
                       f"{row['repetition']:.0f} is there twice, with different values")
    warnings.append(RunWarning(
        "duplicate", f"{path}:{twice.index[0]}: {len(twice)} row(s) repeat an earlier row word for word; "
        "each was counted once"))
    return samples.drop(index=twice.index)


def _check_one_source(path, samples):
    """Medians over two machines or two builds of a library would be numbers of neither."""
    hosts = samples["host"].unique()
    if len(hosts) > 1:
        names = ", ".join(sorted(hosts))
        raise RunError(f"{path}: rows of {len(hosts)} machines ({names}); one run is of one machine")
    ok = samples[(samples["status"] == "ok") & (samples["library_sha256"] != "")]
    builds = ok.groupby(["allocator", "config", "load"])["library_sha256"].nunique()
    if (builds > 1).any():
        allocator, config, load = builds.idxmax()
        raise RunError(f"{path}: {columns.label(allocator, config)} ({load}) was measured with "
                       f"{builds.max()} different builds of its library (library_sha256); "
                       "measure it again in a new run")


def _read_manifest(path, is_needed, warnings):
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(manifest, dict):
            raise ValueError("not an object")
        return manifest
    except FileNotFoundError:
        text = f"{path}: missing; nothing is known of how and where this was measured"
    except (OSError, ValueError) as error:
        text = f"{path}: cannot be read ({error}); nothing is known of how and where this was measured"
    if is_needed:
        raise RunError(text)
    warnings.append(RunWarning("no-manifest", text))
    return {}


def _read_topology(path, warnings):
    try:
        return read_topology(path)
    except TopologyError as error:
        warnings.append(RunWarning("no-topology", f"{error}; figures go without marks for cores and sockets"))
        return None


def _count_planned(path, warnings):
    """Rows of plan.csv, None without one."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return max(0, sum(1 for record in csv.reader(file) if record) - 1)
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        warnings.append(RunWarning("no-plan", f"{path}: {error}; whether the run is complete is not known"))
        return None


def main_guard(program, main):
    """Runs main(argv); a RunError, or a file that cannot be written, becomes one line on stderr and exit
    code 2. A closed standard output is 141, as of any program that SIGPIPE ends: never the 0 of a gate that
    passes."""
    try:
        code = main(sys.argv[1:])
        if sys.stdout is not None:
            sys.stdout.flush()
        sys.exit(code)
    except RunError as error:
        print(f"{program}: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        os._exit(128 + signal.SIGPIPE)
    except OSError as error:
        print(f"{program}: {error.filename or 'standard output'}: {error.strerror}", file=sys.stderr)
        sys.stdout = None  # what is left in its buffer cannot be written either
        os._exit(2)


def write_output(path, text, is_ours=lambda head: False, is_forced=False):
    """Writes text to the file path. A regular file that is there already is refused with a RunError, unless
    is_forced or is_ours(its first 1000 bytes) says that this command wrote it."""
    if path.is_file() and not is_forced:
        with path.open("rb") as file:
            if not is_ours(file.read(1000)):
                raise RunError(f"{path}: there is such a file already; name "
                               "another with --out, or overwrite it with --force")
    path.write_text(text, encoding="utf-8")


def print_warnings(program, warnings):
    for warning in warnings:
        print(f"{program}: warning {warning}", file=sys.stderr)
