"""The columns of samples.csv that the scripts read. The dictionary for people is results/columns.md."""

SCHEMAS = ("1",)
"""Values of the `schema` column that these scripts understand."""

IDENTITY = ("allocator", "config", "load", "workload", "workload_version", "params", "threads", "placement",
            "membind", "wrap", "ambient", "pass")
"""What makes two rows repetitions of one cell."""

COMPARISON = ("load", "workload", "workload_version", "params", "placement", "membind", "wrap", "ambient")
"""What two cells must share before their allocators may be compared at a thread count."""

INTEGERS = (
    "workload_version", "threads", "pinned", "oversubscribed", "start_skew_ns", "generations", "block",
    "slot", "repetition", "start_unix_ns", "duration_ns", "ops_target", "ops", "window_ops",
    "window_ns", "expected_allocs", "counted_allocs", "counted_frees", "wall_ns", "user_ns", "sys_ns",
    "run_delay_ns", "nvcsw", "nivcsw", "minflt", "majflt", "syscalls", "instructions", "alloc_instructions",
    "cycles",
    "cache_misses", "dtlb_misses", "peak_live_bytes", "start_rss_bytes", "peak_rss_bytes", "peak_anon_bytes",
    "end_rss_bytes", "retained_rss_bytes", "peak_live_rss_bytes", "table_bytes",
    "retained_100ms_rss_bytes", "retained_1s_rss_bytes", "retained_5s_rss_bytes", "freed_ns",
    "rss_interval_ns", "rss_samples", "rss_sampling_ns", "anon_huge_bytes", "alloc_allocated_bytes",
    "alloc_active_bytes", "alloc_resident_bytes", "alloc_metadata_bytes", "lat_samples", "startup_ns",
    "transactions", "min_thread_ops", "max_thread_ops", "sys_mmap", "sys_munmap", "sys_mremap", "sys_madvise",
    "sys_mprotect", "sys_brk", "sys_futex", "sys_sched_yield", "alloc_tcache_bytes", "alloc_fills",
    "alloc_flushes", "alloc_contended", "alloc_purge_calls", "alloc_purged_bytes", "sample_every",
    "rate_per_s", "transaction_ops")
LATENCIES = ("lat_p50_ns", "lat_p90_ns", "lat_p99_ns", "lat_p999_ns", "lat_p9999_ns", "lat_max_ns",
             "lat_timer_step_ns", "lat_timer_min_ns", "lat_timer_median_ns")
FRACTIONS = ("on_node_fraction", "ops_per_s", "remote_free_fraction", "fragmentation", "shared_line_fraction",
             "passive_line_fraction", "late_fraction", "missed_fraction")
NUMBERS = INTEGERS + LATENCIES + FRACTIONS
"""Read as float. `seed` is not among them: it has 64 bits that count."""

REQUIRED = ("schema", "run_id", "cell_id", "host") + IDENTITY + (
    "library_sha256", "oversubscribed", "repetition", "duration_ns", "ops_target", "ops_per_s",
    "peak_rss_bytes", "retained_rss_bytes", "status", "why")
"""A samples.csv without one of these is refused."""

POSITION = ("threads", "repetition")
"""Numbers without which a row has no place in any table: never empty."""

STATUSES = ("ok", "contaminated", "skip", "crash", "timeout", "oom", "badbind", "unproven")

REFERENCES = ("null", "floor")
"""Allocators that show a bound (the speed of light, the bare loop) and take no part in a comparison."""


def label(allocator, config):
    """The name in tables and figures, in the syntax of --allocators: `arena`,
    `arena[MALLOC_CONF=tcache:false]`."""
    return f"{allocator}[{config}]" if config else allocator
