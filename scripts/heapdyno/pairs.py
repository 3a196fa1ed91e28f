"""What a malloc/free pair costs, from the rows of the workload `pair` with one thread."""
import math

import pandas as pd

from heapdyno import columns

MEASURES = {
    "instructions": ("instructions in the allocator per pair", "{:.1f}"),
    "faults": ("minor page faults per pair", "{:.4f}"),
    "ns": ("nanoseconds per pair, the loop included, medians", "{:.2f}"),
}

PATTERNS = {"0": "lifo", "1": "batch", "2": "reversed"}
CALLS = {"0": "", "1": " calloc", "2": " realloc"}


def pair_costs(samples):
    """A DataFrame with measure, pattern, size_bytes, label, value (the median), in that order."""
    ok = samples[(samples["workload"] == "pair") & (samples["threads"] == 1) & (samples["status"] == "ok")]
    counted, timed = ok[ok["pass"] == "instructions"], ok[ok["pass"] == "timed"]
    parts = [_costs(counted, "instructions", counted["alloc_instructions"] / counted["ops"]),
             _costs(timed, "faults", timed["minflt"] / timed["ops"]),
             _costs(timed, "ns", 1e9 / timed["ops_per_s"])]
    costs = pd.concat(parts, ignore_index=True).dropna(subset=["value"])
    keys = ["measure", "order", "pattern", "size_bytes", "label"]
    return costs.groupby(keys, as_index=False)["value"].median().drop(columns="order")


def _costs(rows, measure, values):
    names = [_name_pattern(params) for params in rows["params"]]
    return pd.DataFrame({
        "measure": measure, "order": [order for order, _, _ in names],
        "pattern": [name for _, name, _ in names],
        "size_bytes": [size for _, _, size in names],
        "label": [columns.label(a, c) for a, c in zip(rows["allocator"], rows["config"])],
        "value": values.to_numpy(dtype=float)})


def _name_pattern(params):
    """(order, name, size): what is not the default of a pattern is part of its name."""
    p = dict(part.split("=") for part in params.split(";"))
    name = PATTERNS[p["pattern"]] + CALLS[p["call"]]
    if p["pattern"] != "0" and p["batch"] != "1000":
        name += f" of {p['batch']}"
    if p.get("idle_threads", "0") != "0":
        name += f" +{p['idle_threads']} idle"
    return f"{p['pattern']}{p['call']}{name}", name, int(p["size_bytes"])


def ratio_to_best_other(table, of, references):
    """(geometric mean over the rows of `of` over the smallest other, number of rows); (None, 0) without one.

    `table`: a row a pattern, a column an allocator. Rows in which `of` or every other is missing, or one is
    0, do not count.
    """
    if of not in table:
        return None, 0
    others = table.drop(columns=[of, *(r for r in references if r in table)])
    best = others.min(axis=1)
    pairs = [(mine, its) for mine, its in zip(table[of], best) if mine > 0 and its > 0]
    if not pairs:
        return None, 0
    return math.exp(sum(math.log(mine / its) for mine, its in pairs) / len(pairs)), len(pairs)


def format_measure(costs, measure, of, references):
    """The table of one measure as text; a * at the best of a row, references apart."""
    title, number = MEASURES[measure]
    rows = costs[costs["measure"] == measure]
    if rows.empty:
        return f"{title}: not measured"
    table = rows.set_index(["pattern", "size_bytes", "label"])["value"].unstack("label")
    order = list(dict.fromkeys(zip(rows["pattern"], rows["size_bytes"])))
    table = table.loc[order]
    competing = table.drop(columns=[r for r in references if r in table])
    width = max([10, *(len(c) + 2 for c in table)])
    lines = [title, f"{'pattern':24}{'bytes':>9}" + "".join(f"{c:>{width}}" for c in table)]
    for (pattern, size), values in table.iterrows():
        best = competing.loc[(pattern, size)].min()
        cells = (_cell(number, v, v == best and c in competing and len(competing.columns) > 1)
                 for c, v in values.items())
        lines.append(f"{pattern:24}{size:9}" + "".join(f"{cell:>{width}}" for cell in cells))
    ratio, n = ratio_to_best_other(table, of, references)
    if ratio is not None:
        lines.append(f"geometric mean of {of} over the best other of each row: {ratio:.3f} (n = {n})")
    return "\n".join(lines)


def _cell(number, value, is_best):
    if value != value:
        return "- "
    return number.format(value) + ("*" if is_best else " ")
