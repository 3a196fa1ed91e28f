"""Makes small run folders with known numbers, in the form the driver writes."""
import csv
import hashlib
import json

HEADER = """
    schema, run_id, cell_id, pass, host, allocator, allocator_version, config, library_path,
    library_build_id, library_sha256, canary, load, workload, workload_version, params, threads,
    placement, membind, pus, pinned, on_node_fraction, oversubscribed, start_skew_ns, generations,
    block, slot, repetition, seed, start_unix_ns, duration_ns, ops_target, ops, ops_per_s,
    window_ops, window_ns, expected_allocs, counted_allocs, counted_frees, remote_free_fraction,
    wall_ns, user_ns, sys_ns, run_delay_ns, nvcsw, nivcsw, minflt, majflt, syscalls, instructions,
    alloc_instructions, cycles, cache_misses, dtlb_misses, peak_live_bytes, start_rss_bytes,
    peak_rss_bytes, peak_anon_bytes, end_rss_bytes, retained_rss_bytes, fragmentation, peak_live_rss_bytes,
    table_bytes, retained_100ms_rss_bytes, retained_1s_rss_bytes, retained_5s_rss_bytes, freed_ns,
    rss_interval_ns, rss_samples, rss_sampling_ns, anon_huge_bytes, alloc_allocated_bytes,
    alloc_active_bytes, alloc_resident_bytes, alloc_metadata_bytes, shared_line_fraction,
    lat_p50_ns, lat_p90_ns, lat_p99_ns, lat_p999_ns, lat_p9999_ns, lat_max_ns, lat_samples,
    lat_timer, lat_timer_step_ns, lat_timer_min_ns, lat_timer_median_ns, startup_ns, transactions,
    late_fraction, missed_fraction, min_thread_ops, max_thread_ops, status, exit_code, signal, why,
    wrap, ambient, passive_line_fraction, sys_mmap, sys_munmap, sys_mremap, sys_madvise,
    sys_mprotect, sys_brk, sys_futex, sys_sched_yield, alloc_tcache_bytes, alloc_fills,
    alloc_flushes, alloc_contended, alloc_purge_calls, alloc_purged_bytes, alloc_bins, alloc_arenas,
    sample_every, rate_per_s, transaction_ops, arrivals
""".replace(",", " ").split()

IDENTITY = ("allocator", "config", "load", "workload", "workload_version", "params", "threads", "placement",
            "membind", "wrap", "ambient", "pass")

MIB = 1024 * 1024
N_PUS = 2


def row(**values):
    """A row of samples.csv: defaults for an ok timed repetition, overridden by `values`; cell_id follows."""
    full = dict.fromkeys(HEADER, "")
    full.update({"schema": "1", "run_id": "golden", "host": "testbox", "allocator": "glibc", "load": "dlopen",
                 "workload": "larson", "workload_version": "1", "params": "min_bytes=8;max_bytes=1000",
                 "threads": 1, "placement": "cores", "membind": "first-touch", "pass": "timed", "block": 1,
                 "slot": 0, "repetition": 1, "status": "ok"})
    full.update(values)
    full.setdefault("oversubscribed", "")
    if full["oversubscribed"] == "":
        full["oversubscribed"] = int(int(full["threads"]) > N_PUS)
    if full["library_sha256"] == "":
        full["library_sha256"] = hashlib.sha256(full["allocator"].encode()).hexdigest()
    if full["cell_id"] == "":
        identity = "\0".join(str(full[c]) for c in IDENTITY)
        full["cell_id"] = hashlib.sha256(identity.encode()).hexdigest()[:12]
    return full


def timed(allocator, threads, rates, **values):
    """One ok row a rate, in operations per second."""
    return [row(allocator=allocator, threads=threads, repetition=i + 1, ops_per_s=rate,
                duration_ns=1000000000, **values) for i, rate in enumerate(rates)]


def audit(allocator, threads, peak_bytes, retained_bytes=1 * MIB, ops_target=100000, **values):
    """One ok audit row."""
    return [row(**{"allocator": allocator, "threads": threads, "pass": "audit", "block": 0,
                   "peak_rss_bytes": peak_bytes, "retained_rss_bytes": retained_bytes,
                   "ops_target": ops_target, **values})]


def failed(allocator, threads, status, why, n=1, **values):
    return [row(allocator=allocator, threads=threads, status=status, why=why, repetition=i + 1, **values)
            for i in range(n)]


def topology_xml(n_packages=1, n_cores=N_PUS, n_siblings=1, model="Test CPU"):
    """A topology as hwloc exports it, with n_cores cores a package."""
    n_pus = n_packages * n_cores * n_siblings
    everything = (1 << n_pus) - 1
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<!DOCTYPE topology SYSTEM "hwloc2.dtd">',
             '<topology version="2.0">', f'<object type="Machine" allowed_cpuset="{_bitmap(everything)}">']
    pu = 0
    for package in range(n_packages):
        per_package = n_cores * n_siblings
        cpuset = _bitmap(((1 << per_package) - 1) << (package * per_package))
        lines.append(f'<object type="Package" cpuset="{cpuset}"><info name="CPUModel" value="{model}"/>')
        for _ in range(n_cores):
            core = sum(1 << (pu + s) for s in range(n_siblings))
            lines.append(f'<object type="Core" cpuset="{_bitmap(core)}">')
            for _ in range(n_siblings):
                lines.append(f'<object type="PU" cpuset="{_bitmap(1 << pu)}"/>')
                pu += 1
            lines.append("</object>")
        lines.append("</object>")
    return "\n".join(lines + ["</object>", "</topology>", ""])


def _bitmap(value):
    words = []
    while value or not words:
        words.append(f"0x{value & 0xffffffff:08x}")
        value >>= 32
    return ",".join(reversed(words))


def write_run(folder, rows, header=HEADER, n_planned=None, topology=None):
    """Writes samples.csv, plan.csv, manifest.json and topology.xml; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "samples.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([[r.get(c, "") for c in header] for r in rows])
    with (folder / "plan.csv").open("w", newline="", encoding="utf-8") as file:
        file.write("position,cell_id,repetition\n")
        for i in range(len(rows) if n_planned is None else n_planned):
            file.write(f"{i},c{i},1\n")
    (folder / "manifest.json").write_text(json.dumps({"run_id": "golden"}), encoding="utf-8")
    (folder / "topology.xml").write_text(topology_xml() if topology is None else topology, encoding="utf-8")
    return folder


SERIES_HEADER = ("cell_id", "repetition", "allocator", "config", "workload", "threads", "t_ns", "live_bytes",
                 "rss_bytes", "pss_bytes", "anon_huge_bytes", "generations")
START_BYTES, TABLE_BYTES = 3 * MIB, 2 * MIB
"""What a watched process has resident before it holds anything."""


def watched(allocator, threads, **values):
    """One ok row of the rss pass; `values` in bytes as the process has them resident."""
    return [row(**{"allocator": allocator, "threads": threads, "pass": "rss", "block": 2,
                   "workload": "robson", "start_rss_bytes": START_BYTES, "table_bytes": TABLE_BYTES,
                   "rss_interval_ns": 10 ** 7, **values})]


def write_series(folder, series):
    """rss.csv of [(row of watched(), [(t_s, live bytes, held bytes, generations)])]."""
    with (folder / "rss.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(SERIES_HEADER)
        for of, samples in series:
            for t_s, live, held, generations in samples:
                rss = held + START_BYTES + TABLE_BYTES
                writer.writerow([*(of[c] for c in SERIES_HEADER[:6]), round(t_s * 1e9), live, rss, "", "",
                                 generations])


def watched_run(folder, series):
    """A run whose rss pass has these series, as of write_series, without rows of other passes."""
    folder.mkdir(parents=True, exist_ok=True)
    for of, samples in series:
        at_peak = max(samples, key=lambda s: (s[1], s[2]))
        base = START_BYTES + TABLE_BYTES
        found = {"rss_samples": len(samples), "peak_live_bytes": at_peak[1],
                 "peak_live_rss_bytes": at_peak[2] + base, "fragmentation": at_peak[2] / at_peak[1],
                 "peak_rss_bytes": max(s[2] for s in samples) + base, "freed_ns": round(samples[-1][0] * 1e9)}
        of.update((column, value) for column, value in found.items() if of[column] == "")
    write_series(folder, series)
    return write_run(folder, [of for of, _ in series])
