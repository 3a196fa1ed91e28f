"""How far a long measurement is: one line that is written over on a terminal, a line a minute elsewhere."""
import sys
import time

WIDTH = 79
QUIET_S = 60


class Progress:
    """Counts steps of about equal length. `n_past` of them were done before."""

    def __init__(self, program, n_total, n_past=0, out=sys.stderr, clock=time.monotonic):
        self.program, self.n_total, self.n_past, self.out, self.clock = program, n_total, n_past, out, clock
        self.n_done = 0
        self.started = self.said = clock()

    def step(self, text):
        """One step has ended: `text` says which."""
        self.n_done += 1
        now = self.clock()
        if self.n_done <= self.n_past:
            self.started = now
            return
        line = f"{self.program}: [{self.n_done}/{self.n_total}] {self._left(now)} left  {text}"
        if self.out.isatty():
            self.out.write(f"\r\033[K{line[:WIDTH]}")
            self.out.flush()
        elif now - self.said >= QUIET_S or self.n_done == self.n_total:
            self.said = now
            print(line, file=self.out, flush=True)

    def _left(self, now):
        n_here = self.n_done - self.n_past
        left_s = (now - self.started) / n_here * (self.n_total - self.n_done)
        return f"{left_s / 60:.0f} min" if left_s >= 90 else f"{left_s:.0f} s"

    def end(self):
        if self.out.isatty():
            self.out.write("\r\033[K")
            self.out.flush()
