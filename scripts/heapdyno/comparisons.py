"""Which cells of a run may be compared, and what such a set of cells is called."""
from heapdyno import columns


def name_comparisons(samples):
    """A short name for each comparison (the tuple of columns.COMPARISON) in the run: the workload, and
    whatever else is needed to tell it from the others of that workload. Also the FILE names of figures."""
    keys = samples[list(columns.COMPARISON)].drop_duplicates()
    names = {}
    for workload, of_workload in keys.groupby("workload", sort=False):
        varying = [c for c in columns.COMPARISON if of_workload[c].nunique(dropna=False) > 1]
        for key in of_workload.itertuples(index=False):
            parts = [_describe(c, getattr(key, c), of_workload[c]) for c in varying]
            names[tuple(key)] = "-".join([workload] + [p for p in parts if p])
    return _make_unique(names)


def _describe(column, value, values):
    """What of `value` tells it from the other values of that column, fit for a file name."""
    if column == "workload_version":
        return f"v{value:g}"
    if column == "params":
        common = set.intersection(*(set(v.split(";")) for v in values))
        value = ",".join(p for p in value.split(";") if p not in common)
    return "".join(c if c.isalnum() or c in "=,._" else "_" for c in str(value))


def _make_unique(names):
    taken = {}
    for key, name in names.items():
        taken[name] = taken.get(name, 0) + 1
        names[key] = name if taken[name] == 1 else f"{name}-{taken[name]}"
    return names
