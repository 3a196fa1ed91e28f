"""Units for people: the one in which the numbers of a table or an axis can be read."""
import math

RATES = ((1e6, "million operations per second"), (1e3, "thousand operations per second"),
         (1, "operations per second"))
TIMES = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1, "ns"))
"""In nanoseconds."""


def rate_unit(rates):
    """(operations per second in a unit, its words): the largest unit in which the smallest of the rates is
    0.01 or more, else single operations. Without any rate, millions."""
    return _unit(RATES, rates, 0.01) or RATES[0]


def time_unit(times_ns):
    """(nanoseconds in a unit, its name): the largest unit in which the smallest of the times is 1 or more,
    else nanoseconds."""
    return _unit(TIMES, times_ns, 1) or TIMES[-1]


def _unit(units, values, least):
    """Of units from the largest down; NaN and 0 among the values tell nothing. None without any value."""
    known = [v for v in values if v > 0 and math.isfinite(v)]
    if not known:
        return None
    return next((unit for unit in units if min(known) / unit[0] >= least), units[-1])
