"""System calls by name, for each thousand operations, of the pass under strace (docs/syscalls.md)."""
from heapdyno import style

CALLS = {"syscalls": "all", "sys_mmap": "mmap", "sys_munmap": "munmap", "sys_mremap": "mremap",
         "sys_madvise": "madvise", "sys_mprotect": "mprotect", "sys_brk": "brk", "sys_futex": "futex",
         "sys_sched_yield": "sched_yield"}
"""{column of samples.csv: name in tables}."""

PER_KOP = {f"{column}_per_kop": name for column, name in CALLS.items()}
"""{metric of summary.csv: name}: calls for each thousand operations."""


def per_kop(samples):
    """{metric: its values for the rows of samples}, NaN where not counted."""
    is_counted = (samples["pass"] == "syscalls") & (samples["status"] == "ok") & (samples["ops"] > 0)
    return {f"{column}_per_kop": (samples[column] / samples["ops"] * 1000).where(is_counted)
            for column in CALLS if column in samples}


def call_rows(cells):
    """[(label, threads, is oversubscribed, [value by CALLS, NaN = not counted])] of the summary rows of a
    comparison, in the order of tables."""
    cells = cells[cells["metric"].isin(PER_KOP)]
    values = {(r["label"], r["threads"], r["metric"]): r for r in cells.to_dict("records")}
    rows = []
    for threads in sorted(cells["threads"].unique()):
        for label in style.looks(cells["label"]):
            found = [values.get((label, threads, metric)) for metric in PER_KOP]
            if any(found):
                rows.append((label, threads, any(r and r["oversubscribed"] == 1 for r in found),
                             [r["median"] if r else float("nan") for r in found]))
    return rows
