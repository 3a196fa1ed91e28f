"""Measures on demand: the driver, fed with one row of a plan at a time (run-bench --plan -).

Knows nothing of what the rows are good for.
"""
import csv
import os
import subprocess
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

    def __init__(self, driver, folder, columns, options=()):
        """`columns` are those of the rows to come."""
        self.folder = Path(folder)
        self._lines = []
        self._samples = None
        self._process = subprocess.Popen(
            [driver, "--plan", "-", "--out", str(folder), *options], stdin=subprocess.PIPE,
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

    def _next_sample(self):
        """The row written since, or None."""
        if self._samples is None:
            path = self.folder / "samples.csv"
            if not path.exists():
                return None
            self._samples = path.open(newline="", encoding="utf-8")
            self._header = next(csv.reader([self._samples.readline()]))
        line = self._samples.readline()
        return dict(zip(self._header, next(csv.reader([line])))) if line else None

    def measure(self, row):
        """Measures one row of a plan; what came of it, as a row of samples.csv, {column: text}."""
        self._send(row)
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
