"""Arguments that several command lines have."""
import argparse
import difflib
import re

ALLOCATOR = re.compile(r"(?P<name>[^=\[,]+)(=(?P<path>[^\[,]+))?(\[(?P<config>[^\]]*)\])?")


def allocator_parts(text):
    """{"name", "path", "config"} of NAME=PATH.so[VAR=VALUE], "" for what is not there; None if it cannot be
    read."""
    match = ALLOCATOR.fullmatch(text)
    return match and {key: value or "" for key, value in match.groupdict().items()}


def allocators_of(text):
    """The same for each of a list as --allocators takes it."""
    return [{key: value or "" for key, value in match.groupdict().items()}
            for match in ALLOCATOR.finditer(text)]


def hint(written, known):
    """` (did you mean WORD?)` for the known word nearest to what was written; empty when none is near."""
    near = difflib.get_close_matches(written, known, n=1, cutoff=0.7)
    return f" (did you mean {near[0]}?)" if near else ""


def one_of(*allowed):
    """What add_argument takes for an argument that is one of these words."""
    def word(text):
        if text not in allowed:
            raise argparse.ArgumentTypeError(
                f"'{text}': allowed are {', '.join(allowed)}{hint(text, allowed)}")
        return text
    return {"type": word, "metavar": f"{{{','.join(allowed)}}}"}


def fraction(text):
    """0.02 or 2%."""
    try:
        value = float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = float("nan")
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"'{text}': write a share below one, such as 0.02 or 2%")
    return value


def seconds(text):
    """90, 90s or 5m."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([sm]?)", text)
    if match is None or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(f"'{text}': write a time such as 90, 90s or 5m")
    return float(match[1]) * (60 if match[2] == "m" else 1)
