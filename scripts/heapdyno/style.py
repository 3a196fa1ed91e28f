"""The look of an allocator: one colour and marker in every figure, by matplotlib and by gnuplot.

The colours are those of Okabe and Ito (Color Universal Design, 2008) without the yellow, which vanishes on
white, and more of the same kind, chosen so that any two differ also to readers with protanopia or
deuteranopia.
"""
from dataclasses import dataclass

from heapdyno import columns


@dataclass(frozen=True)
class Look:
    colour: str
    marker: str       # matplotlib's
    point_type: int   # gnuplot's number for the same shape
    is_filled: bool = True
    is_reference: bool = False


KNOWN = {
    "arena": Look("#D55E00", "D", 13),
    "arena[MALLOC_CONF=tcache:false]": Look("#EE1A43", "d", 12, is_filled=False),
    "glibc": Look("#000000", "o", 7),
    "jemalloc": Look("#0072B2", "s", 5),
    "mimalloc": Look("#009E73", "^", 9),
    "tcmalloc": Look("#CC79A7", "v", 11),
    "tbbmalloc": Look("#56B4E9", "p", 15),
    "scudo": Look("#E69F00", "o", 6, is_filled=False),
    "biglock-dl": Look("#70076B", "h", 15),
    "biglock-phk": Look("#60C169", "P", 3),
    "null": Look("#8C8C8C", "x", 2, is_filled=False, is_reference=True),
    "floor": Look("#8C8C8C", "+", 1, is_filled=False, is_reference=True),
}
"""In the order of tables and legends."""

NAME_WIDTH = 22
SPARE_COLOURS = ("#4B0092", "#543005", "#1A85FF", "#882255", "#117733")
SPARE_SHAPES = (("s", 4), ("^", 8), ("v", 10), ("D", 12), ("p", 14), ("o", 6))


def looks(labels, among=()):
    """{label: Look} in the order of tables and legends: known allocators and configurations, then others
    (libraries from the command line) by name, each with the next spare colour and shape, references last.
    `among` are all labels of the run: a label then looks the same in each of its figures."""
    labels = set(labels)
    others = sorted((labels | set(among)) - set(KNOWN))
    # 5 colours and 6 shapes have no common factor: 30 labels pass before a pair of both comes again.
    spare = {name: Look(SPARE_COLOURS[i % len(SPARE_COLOURS)], *SPARE_SHAPES[i % len(SPARE_SHAPES)],
                        is_filled=False, is_reference=is_reference(name)) for i, name in enumerate(others)}
    known = {name: look for name, look in KNOWN.items() if name in labels}
    mine = {name: look for name, look in {**known, **spare}.items() if name in labels}
    return dict(sorted(mine.items(), key=lambda item: item[1].is_reference))


def faded(colour, share):
    """The colour as it looks on white with this opacity."""
    parts = (int(colour[i:i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(255 + (part - 255) * share):02X}" for part in parts)


def is_reference(label):
    """Whether `label` shows a bound (null[...] too) instead of competing."""
    return label.partition("[")[0] in columns.REFERENCES


def short_names(labels):
    """{label: name of at most NAME_WIDTH characters}: the label, else without the names of its variables
    (`arena[tcache:false]`), else numbered (`arena[1]`). Different labels keep different names."""
    names = {}
    for label in labels:
        base, _, config = label.partition("[")
        values = ";".join(part.partition("=")[2] for part in config.rstrip("]").split(";"))
        candidates = [label, f"{base}[{values}]"] + [f"{base[:NAME_WIDTH - 5]}[{i}]" for i in range(1, 1000)]
        names[label] = next(c for c in candidates if len(c) <= NAME_WIDTH and c not in names.values())
    return names


def explain_names(names):
    """`arena[1] = arena[MALLOC_CONF=...]` for each name that is not its label."""
    return [f"{name} = {label}" for label, name in names.items() if name != label]
