"""Measures on demand: the driver, fed with one row of a plan at a time (run-bench --plan -).

Knows nothing of what the rows are good for.
"""
import csv
import os
import subprocess
from collections import deque
from pathlib import Path


class EngineError(Exception):
    """The driver refused or ended early; message and exit code are its own."""
    def __init__(self, text, code):
        super().__init__(text)
        self.code = code


def find_driver():
    """The driver that ./run-bench would start."""
    root = Path(__file__).resolve().parents[2]
    return root / os.environ.get("HEAPDYNO_BUILD", "build") / "run-bench"


def print_plan(driver, options):
    """The rows, as {column: text}, that the driver would plan for these options. EngineError when it refuses
    them."""
    done = subprocess.run([driver, "--print-plan", *options], capture_output=True, text=True)
    if done.returncode != 0:
        text = done.stderr.strip().removeprefix("run-bench: ") or f"{driver} does not work"
        raise EngineError(text, done.returncode)
    return list(csv.DictReader(done.stdout.splitlines()))


class Engine:
    """A run that measures the rows it is given, one after another. Close it, also after an error."""

    def __init__(self, driver, folder, columns, options=(), is_resumed=False):
        """`columns` are those of the rows to come. A run that is resumed must be given its rows from the
        beginning: those that were measured are answered from what is there."""
        self.folder = Path(folder)
        self._lines = []
        self._samples = None
        self._past = self._read_past() if is_resumed else deque()
        command = ["--resume", str(folder)] if is_resumed else ["--plan", "-", "--out", str(folder), *options]
        self._process = subprocess.Popen([driver, *command], stdin=subprocess.PIPE,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self._writer = csv.DictWriter(self._process.stdin, columns, lineterminator="\n")
        self._send(dict(zip(columns, columns)))

    def _send(self, row):
        try:
            self._writer.writerow(row)
            self._process.stdin.flush()
        except BrokenPipeError:
            self._fail()

    def _fail(self):
        self._lines += self._process.stderr.read().splitlines()
        said = [line for line in self._lines if line.startswith("run-bench: ")]
        last = said[-1].removeprefix("run-bench: ") if said else "no word"
        code = self._process.wait()
        raise EngineError(f"the driver ended with {code}: {last}", code)

    def _open_samples(self):
        """Whether there is a samples.csv with a whole header."""
        path = self.folder / "samples.csv"
        if self._samples is None and path.exists():
            file = path.open(newline="", encoding="utf-8")
            header = file.readline()
            if header.endswith("\n"):
                self._samples, self._header = file, next(csv.reader([header]))
            else:
                file.close()
        return self._samples is not None

    def _next_sample(self):
        """The row written since, or None."""
        line = self._samples.readline() if self._open_samples() else ""
        return dict(zip(self._header, next(csv.reader([line])))) if line else None

    def _read_past(self):
        """The whole rows that are there. A torn last one is left to the driver, which cuts it off."""
        past = deque()
        while self._open_samples():
            start = self._samples.tell()
            line = self._samples.readline()
            if not line.endswith("\n"):
                self._samples.seek(start)
                break
            past.append(dict(zip(self._header, next(csv.reader([line])))))
        return past

    @property
    def n_past(self):
        """Measured rows of a resumed run that were not asked for yet."""
        return len(self._past)

    def wait_until_ready(self):
        """Until the driver has made or opened the folder."""
        for line in self._process.stderr:
            self._lines.append(line.rstrip("\n"))
            if ", into " in line:
                return
        self._fail()

    def measure(self, row):
        """Measures one row of a plan; what came of it, as a row of samples.csv, {column: text}."""
        self._send(row)
        if self._past:
            return self._past.popleft()
        # A line for each cell comes after its row was written: nothing here has to poll.
        for line in self._process.stderr:
            self._lines.append(line.rstrip("\n"))
            sample = self._next_sample()
            if sample is not None:
                return sample
        return self._fail()

    def close(self):
        """Ends the run, which lets the driver close its books."""
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        self._process.stderr.read()
        self._process.stderr.close()
        self._process.wait()
        if self._samples is not None:
            self._samples.close()
