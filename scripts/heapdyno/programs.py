"""What whole programs under LD_PRELOAD are held to: targets, their verdicts, and the table."""
from dataclasses import dataclass

import numpy as np
import pandas as pd

from heapdyno import table
from heapdyno.stats import median_interval

OF = "arena"
BASE = "glibc"
COLUMNS = ["repetition", "allocator", "measure", "value", "status"]
MIB = 1024 * 1024


@dataclass(frozen=True)
class Measure:
    """A line of the table. `divisor` makes the unit of display of the values in samples.csv."""
    name: str
    title: str
    unit: str
    divisor: float = 1


@dataclass(frozen=True)
class Target:
    """What the median of `form` over the repetitions is held to.

    form: "value"; "minus base" and "over base", against the base allocator of the same repetition;
    "over best", against the other with the best median. The first three are met at or below the limit (in
    the unit of samples.csv), the last at or above.
    """
    form: str
    limit: float

    @property
    def is_floor(self):
        return self.form == "over best"


@dataclass(frozen=True)
class Verdict:
    """The median of the target's form, with the 95 % interval (None where there are too few repetitions)."""
    value: float
    low: float
    high: float
    word: str


SIZES = {16: 2000000, 100: 1000000, 5000: 12000}
"""{bytes: number of live objects}"""
RETAIN_MS = (0, 500, 1000, 2000)
REDIS_TESTS = {"set": "SET", "get": "GET", "lpush": "LPUSH", "lrange_100": "LRANGE_100 (first 100 elements)"}
"""{name for redis-benchmark -t: how its report names it}"""

MEASURES = [
    Measure("idle_peak_rss_bytes", "peak RSS of a program that allocates nothing", "MiB", MIB),
    Measure("start_ns", "start-up, exec to exit", "ms", 1e6),
    *[Measure(f"bytes_per_object_{size}", f"resident bytes of an object of {size} B", "B") for size in SIZES],
    *[Measure(f"retained_{mode}_{ms}_bytes", f"retained {ms} ms after freeing all, {text}", "MiB", MIB)
      for mode, text in (("light", "few calls"), ("idle", "no call")) for ms in RETAIN_MS],
    Measure("churn_us", "thread made, 64 sizes, joined", "us"),
    *[Measure(f"redis_{test}_rps", f"redis {test}", "1000/s", 1000) for test in REDIS_TESTS],
    Measure("redis_filled_rss_bytes", "redis RSS with 1,000,000 keys of 100 B", "MiB", MIB),
    Measure("redis_flushed_rss_bytes", "redis RSS 2 s after FLUSHALL", "MiB", MIB),
]

TARGETS = {
    "idle_peak_rss_bytes": Target("minus base", 0.4 * MIB),
    "start_ns": Target("minus base", 0.3e6),
    "bytes_per_object_16": Target("value", 16.2),
    "bytes_per_object_100": Target("value", 112.5),
    "bytes_per_object_5000": Target("value", 5150),
    "retained_light_1000_bytes": Target("value", 2 * MIB),
    "retained_idle_1000_bytes": Target("value", 2 * MIB),
    "churn_us": Target("over base", 30 / 23),
    "redis_flushed_rss_bytes": Target("value", 20 * MIB),
    **{f"redis_{test}_rps": Target("over best", 1) for test in REDIS_TESTS},
}


def values_of(samples, measure):
    """{allocator: {repetition: value}} of one measure."""
    rows = samples[samples["measure"] == measure]
    return {name: dict(zip(group["repetition"], group["value"]))
            for name, group in rows.groupby("allocator", sort=False)}


def judge(values, target):
    """The Verdict on OF in the values of one measure; None where it, or what it is held against, was not
    measured.

    "met" and "missed" need an interval that lies wholly on one side of the limit. "over best" asks for
    "within noise of or above": it is met unless the interval lies wholly below.
    """
    mine = values.get(OF, {})
    other = {}
    if target.form in ("minus base", "over base"):
        other = values.get(BASE, {})
    elif target.form == "over best":
        others = {name: np.median(list(its.values())) for name, its in values.items() if name != OF}
        other = values[max(others, key=others.get)] if others else {}
    repetitions = sorted(mine if target.form == "value" else mine.keys() & other.keys())
    if not repetitions:
        return None
    combine = {"value": lambda r: mine[r], "minus base": lambda r: mine[r] - other[r]}
    held = combine.get(target.form, lambda r: mine[r] / other[r])
    value, low, high = median_interval([held(r) for r in repetitions])
    return Verdict(value, low, high, _word(low, high, target))


def _word(low, high, target):
    if low is None:
        return "too few repetitions"
    if target.is_floor:
        return "met" if high >= target.limit else "missed"
    if high <= target.limit:
        return "met"
    return "missed" if low > target.limit else "inconclusive"


def _say_target(measure, target, verdict):
    is_ratio = target.form.startswith("over")
    scale, unit = (1, "") if is_ratio else (measure.divisor, " " + measure.unit)
    what = {"value": "", "minus base": f" above {BASE}", "over base": f" of {BASE}'s",
            "over best": " of the best other's"}[target.form]
    line = f"target: {'at least' if target.is_floor else 'at most'} {target.limit / scale:.4g}{unit}{what}; "
    if verdict is None:
        return line + "not measured"
    line += f"{OF} {verdict.value / scale:.4g}{unit}"
    if verdict.low is not None:
        line += f" [{verdict.low / scale:.4g}, {verdict.high / scale:.4g}]"
    return line + f": {verdict.word}"


def _say_median(values, divisor):
    median, low, high = median_interval(list(values.values()))
    text = _digits(median / divisor)
    return text if low is None else f"{text} [{_digits(low / divisor)}, {_digits(high / divisor)}]"


def _digits(value):
    if abs(value) >= 10:
        return f"{value:.1f}" if abs(value) < 10000 else f"{value:.0f}"
    return table.three_digits(value) if value >= 0 else "-" + table.three_digits(-value)


def format_programs(samples, allocators):
    """For each measure: its medians with 95 % intervals, one line an allocator, and its target."""
    width = max(len(name) for name in allocators) + 2
    lines = ["whole programs under LD_PRELOAD: median [95 % interval] over the repetitions"]
    for measure in MEASURES:
        values = values_of(samples, measure.name)
        if not values:
            continue
        lines += ["", f"{measure.title}, {measure.unit}"]
        lines += [f"  {name:{width}}{_say_median(values[name], measure.divisor)}"
                  for name in allocators if name in values]
        if measure.name in TARGETS:
            target = TARGETS[measure.name]
            lines.append("  " + _say_target(measure, target, judge(values, target)))
    return "\n".join(lines)


def to_samples(rows):
    """The rows that have a value, as a table."""
    return pd.DataFrame([row for row in rows if row[-1] == "ok"], columns=COLUMNS)
