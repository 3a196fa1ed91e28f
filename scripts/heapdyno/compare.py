"""Sets two stored runs side by side, or says why they cannot be.

Describes, and judges nothing: the runs were made one after the other, so what changed on the machine between
them is in every ratio. Whether something became slower is asked of the gate.
"""
from dataclasses import dataclass

from heapdyno import columns
from heapdyno.gate import cell_name
from heapdyno.run import RunError
from heapdyno.summary import METRICS, summarize

MACHINE = ("host", "machine.cpu.model", "machine.cpu.microcode", "machine.cpu.online",
           "machine.memory.total_bytes")
CONDITIONS = (
    "machine.libc", "machine.kernel.release", "machine.kernel.command_line", "machine.cpu.mitigations",
    "machine.cpu.governor", "machine.cpu.boost", "machine.cpu.smt", "machine.memory.thp_enabled",
    "machine.memory.thp_defrag", "machine.memory.overcommit", "machine.memory.numa_balancing", "machine.aslr",
    "machine.clock_source", "machine.affinity", "machine.cgroup.cpu.max", "machine.cgroup.memory.max",
    "environment", "build.variant", "build.compiler", "build.workload_flags")
"""Facts of the manifest that must be the same: other machines, other conditions, other numbers."""

PLACES = ("HEAPDYNO_BUILD", "HEAPDYNO_ROOT")
"""Variables that reach no allocator: which build was measured is in the manifest's `build`."""

WANTED = ("ops_per_s", "peak_rss_bytes", "retained_rss_bytes")


@dataclass(frozen=True)
class Change:
    """One metric of one cell: medians of both runs, B over A, and the bounds that the two 95 % intervals
    leave for that ratio (None: one of them has too few values). They hold with at least 90 % (Bonferroni)."""
    comparison: str
    label: str
    threads: int
    metric: str
    a: float
    b: float
    n_a: int
    n_b: int
    ratio: float
    low: float | None
    high: float | None
    is_oversubscribed: bool
    is_other_library: bool


def fact(manifest, path):
    """manifest["machine"]["cpu"]["model"] for "machine.cpu.model"; a key may have dots of its own. None
    where a part is missing."""
    while isinstance(manifest, dict):
        if path in manifest:
            return manifest[path]
        key, _, path = path.partition(".")
        manifest = manifest.get(key)
    return None


def _differing(path, x, y):
    """A line for each fact at or below `path` that differs, but for where a build lies."""
    if path.removeprefix("environment.") in PLACES:
        return []
    if isinstance(x, dict) and isinstance(y, dict):
        return [line for key in sorted(x.keys() | y.keys())
                for line in _differing(f"{path}.{key}", x.get(key), y.get(key))]
    words = ["not set" if value is None else repr(value) for value in (x, y)]
    return [] if x == y else [f"{path} is {words[0]} in A and {words[1]} in B"]


def check_conditions(a, b):
    """RunError naming each fact in which the manifests of two runs differ."""
    differing = [line for path in MACHINE + CONDITIONS
                 for line in _differing(path, fact(a.manifest, path), fact(b.manifest, path))]
    if a.samples["schema"].iloc[0] != b.samples["schema"].iloc[0]:
        schemas = [run.samples["schema"].iloc[0] for run in (a, b)]
        differing.append("schema is {} in A and {} in B".format(*schemas))
    if differing:
        kind = "machine differs" if any(d.startswith(MACHINE) for d in differing) else "conditions differ"
        raise RunError(f"these runs cannot be compared, the {kind}: " + "; ".join(differing))


def compare(a, b):
    """(changes, reasons) of two Runs: a Change for each metric of each cell that both have, and in words what
    was left out and why. RunError when the runs, or all their cells, cannot be compared."""
    check_conditions(a, b)
    rows = [{_key(r): r for r in summarize(run).to_dict("records") if r["metric"] in WANTED}
            for run in (a, b)]
    libraries = [_libraries(run.samples) for run in (a, b)]
    changes, reasons = [], []
    for key, row_a in rows[0].items():
        row_b = rows[1].get(key)
        why = _why_not(row_a, row_b, a, b)
        if why:
            reasons.append(f"{_name(row_a)}: {why}")
            continue
        of_label = row_a["allocator"], row_a["config"]
        changes.append(_change(row_a, row_b, libraries[0].get(of_label) != libraries[1].get(of_label)))
    reasons += [f"{_name(row)}: only in B" for key, row in rows[1].items() if key not in rows[0]]
    if not changes:
        raise RunError("these runs have no cell in common: " + (nearest(rows[0], rows[1]) or reasons[0]))
    return changes, reasons


def _key(row):
    return tuple(row[c] for c in columns.IDENTITY) + (row["metric"],)


def _name(row):
    return f"{row['label']}, {cell_name(row['comparison'], row['threads'])}, {row['metric']}"


def _libraries(samples):
    ok = samples[(samples["status"] == "ok") & (samples["library_sha256"] != "")]
    return {key: rows["library_sha256"].iloc[0] for key, rows in ok.groupby(["allocator", "config"])}


def _length(run, row):
    """What ended the cells of a summary row: (durations, operations)."""
    of_cell = run.samples
    for column in columns.IDENTITY:
        of_cell = of_cell[of_cell[column] == row[column]]
    return tuple(frozenset(of_cell[c].dropna()) for c in ("duration_ns", "ops_target"))


def _why_not(row_a, row_b, a, b):
    """Why a cell cannot be compared; "" when it can."""
    if row_b is None:
        return "only in A"
    for name, row in (("A", row_a), ("B", row_b)):
        if row["n"] == 0:
            return f"no value in {name}" + (f" ({row['statuses']})" if row["statuses"] else "")
        if row["n_failed"]:
            return f"repetitions failed in {name} ({row['statuses']})"
    if _length(a, row_a) != _length(b, row_b):
        return "the cells are not of one length (duration_ns, ops_target)"
    if METRICS[row_a["metric"]] == "audit" and not row_a["ops_target"] == row_b["ops_target"]:
        return "memory compares at one number of operations only"
    return ""


def _change(a, b, is_other_library):
    has_both = a["ci_lo"] == a["ci_lo"] and b["ci_lo"] == b["ci_lo"] and a["ci_lo"] > 0
    ratio = b["median"] / a["median"] if a["median"] else float("nan")
    return Change(a["comparison"], a["label"], int(a["threads"]), a["metric"], a["median"], b["median"],
                  a["n"], b["n"], ratio, b["ci_lo"] / a["ci_hi"] if has_both else None,
                  b["ci_hi"] / a["ci_lo"] if has_both else None, a["oversubscribed"] == 1, is_other_library)


def nearest(rows_a, rows_b):
    """In words, what keeps the two most similar cells of two runs apart."""
    best = None
    for key_a in rows_a:
        for key_b in rows_b:
            differing = [i for i, (x, y) in enumerate(zip(key_a, key_b)) if x != y]
            if best is None or len(differing) < len(best[0]):
                best = differing, key_a, key_b
    if best is None:
        return ""
    names = columns.IDENTITY + ("metric",)
    return "; ".join(f"{names[i]} is {best[1][i]!r} in A and {best[2][i]!r} in B" for i in best[0])
