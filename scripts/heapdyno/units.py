"""Units for people: the one in which the numbers of a table or an axis have few zeros."""
import math

RATES = ((1e6, "million operations per second"), (1e3, "thousand operations per second"),
         (1, "operations per second"))
LEAST = 0.01
"""In the unit that is chosen the smallest number is this or more."""


def rate_unit(rates):
    """(operations per second in a unit, its words): the largest unit in which the smallest of the rates (NaN
    and 0 apart) is LEAST or more, else single operations. Without any rate, millions."""
    known = [r for r in rates if r > 0 and math.isfinite(r)]
    if not known:
        return RATES[0]
    return next((unit for unit in RATES if min(known) / unit[0] >= LEAST), RATES[-1])
