/* The one table of columns: header, rows and dictionary come from it. A column is never moved or reused;
 * a new meaning is a new column and a higher schema. */
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "harness/csv.h"
#include "harness/latency_csv.h"
#include "harness/record.h"

struct column {
    const char *name, *unit, *type, *help;
    void (*emit)(FILE *out, const struct record *r, size_t offset);
    size_t offset; /* of the value in struct record, for the emitters that take it from there */
};

static const void *value_at(const struct record *r, size_t offset) {
    return (const char *)r + offset;
}

static void emit_u64(FILE *out, const struct record *r, size_t offset) {
    uint64_t value;
    memcpy(&value, value_at(r, offset), sizeof value);
    if (value != UINT64_MAX)
        fprintf(out, "%" PRIu64, value);
}

static void emit_stat(FILE *out, const struct record *r, size_t offset) {
    int64_t value;
    memcpy(&value, value_at(r, offset), sizeof value);
    if (value >= 0)
        fprintf(out, "%" PRId64, value);
}

static void emit_fraction(FILE *out, const struct record *r, size_t offset) {
    double value;
    memcpy(&value, value_at(r, offset), sizeof value);
    if (isfinite(value))
        fprintf(out, "%.6g", value);
}

static void emit_text(FILE *out, const struct record *r, size_t offset) {
    csv_write_field(out, value_at(r, offset));
}

static void emit_later(FILE *out, const struct record *r, size_t offset) {
    (void)out;
    (void)r;
    (void)offset;
}

/* The small ones: an expression of `r`. */
#define EMIT(name, ...)                                                                                      \
    static void name(FILE *out, const struct record *r, size_t offset) {                                     \
        (void)offset;                                                                                        \
        __VA_ARGS__;                                                                                         \
    }

EMIT(emit_schema, (void)r; fprintf(out, "%d", RECORD_SCHEMA))
EMIT(emit_run_id, csv_write_field(out, r->run->run_id))
EMIT(emit_host, csv_write_field(out, r->run->host))
EMIT(emit_cell_id, fputs(r->cell->cell_id, out))
EMIT(emit_pass, fputs(pass_name(r->cell->pass), out))
EMIT(emit_allocator, csv_write_field(out, r->cell->allocator->name))
EMIT(emit_config, csv_write_field(out, r->cell->allocator->config))
EMIT(emit_load, fputs(load_name(r->cell->load), out))
EMIT(emit_workload, csv_write_field(out, r->cell->workload->row->name))
EMIT(emit_workload_version, fprintf(out, "%u", r->cell->workload->row->version))
EMIT(emit_params, plan_write_params(out, r->cell->workload))
EMIT(emit_threads, fprintf(out, "%u", r->cell->slots->n_threads))
EMIT(emit_placement, fputs(placement_name(r->cell->slots->placement), out))
EMIT(emit_membind, membind_write(out, &r->cell->slots->membind))
EMIT(emit_pus, plan_write_pus(out, r->cell->slots))
EMIT(emit_pinned, if (r->has_proof) fprintf(out, "%d", r->is_pinned))
EMIT(emit_oversubscribed, fprintf(out, "%d", r->cell->slots->is_oversubscribed))
EMIT(emit_block, fprintf(out, "%u", r->cell->block))
EMIT(emit_slot, fprintf(out, "%u", r->cell->slot))
EMIT(emit_repetition, fprintf(out, "%u", r->cell->repetition))
EMIT(emit_seed, fprintf(out, "%" PRIu64, r->cell->seed))
EMIT(emit_start, if (r->start_unix_ns != 0) fprintf(out, "%" PRIu64, r->start_unix_ns))
EMIT(emit_duration, if (r->cell->duration_ns != 0) fprintf(out, "%" PRIu64, r->cell->duration_ns))
EMIT(emit_ops_target, if (r->cell->ops_total != 0) fprintf(out, "%" PRIu64, r->cell->ops_total))
EMIT(emit_wrap, if (r->options->wrap != NULL) csv_write_field(out, r->options->wrap))
EMIT(emit_ambient, if (r->options->ambient != NULL) csv_write_field(out, r->options->ambient))
EMIT(emit_status, fputs(status_name(r->status), out))
EMIT(emit_exit_code, if (r->exit_code >= 0) fprintf(out, "%d", r->exit_code))
EMIT(emit_signal, if (r->signal > 0) fprintf(out, "%d", r->signal))

static void emit_ops_per_s(FILE *out, const struct record *r, size_t offset) {
    (void)offset;
    const struct cell_result *x = &r->result;
    if (x->window_ops != UINT64_MAX && x->window_ns != UINT64_MAX && x->window_ns > 0)
        fprintf(out, "%.10g", (double)x->window_ops / (double)x->window_ns * 1e9);
}

/* The same form for every list: elements divided by semicolons, their parts by colons. Bins without runs are left out. */
static void emit_bins(FILE *out, const struct record *r, size_t offset) {
    (void)offset;
    const char *before = "";
    for (uint32_t i = 0; i < r->result.stats.n_bins; i++) {
        const struct alloc_bin *bin = &r->result.stats.bins[i];
        if (bin->n_runs == 0)
            continue;
        fprintf(out, "%s%" PRId64 ":%" PRId64 ":%" PRId64, before, bin->region_bytes, bin->n_regions,
                bin->n_runs);
        before = ";";
    }
}

static void emit_arenas(FILE *out, const struct record *r, size_t offset) {
    (void)offset;
    for (uint32_t i = 0; i < r->result.stats.n_arenas; i++)
        fprintf(out, "%s%" PRId64, i == 0 ? "" : ";", r->result.stats.arena_active_bytes[i]);
}

/* Of the latency pass, at a share of `ppm` millionths. */
static void emit_latency(FILE *out, const struct record *r, size_t ppm) {
    double ns = latency_at(latency_main_row(r), (uint32_t)ppm);
    if (isfinite(ns))
        fprintf(out, "%.1f", ns);
}

static void emit_latency_samples(FILE *out, const struct record *r, size_t offset) {
    (void)offset;
    const struct latency_row *row = latency_main_row(r);
    if (row != NULL)
        fprintf(out, "%" PRIu64, row->n);
}

/* Transactions of this kind, as a share of those that were due. */
static void emit_due_share(FILE *out, const struct record *r, size_t offset) {
    uint64_t n;
    memcpy(&n, value_at(r, offset), sizeof n);
    if (r->has_latency && r->latency.n_due > 0)
        fprintf(out, "%.6g", (double)n / (double)r->latency.n_due);
}

static void emit_timer_ns(FILE *out, const struct record *r, size_t offset) {
    double ns;
    memcpy(&ns, value_at(r, offset), sizeof ns);
    if (r->has_latency)
        fprintf(out, "%.1f", ns);
}

static bool is_latency(const struct record *r) {
    return r->cell->pass == PASS_LATENCY;
}

static bool is_open_loop(const struct record *r) {
    return is_latency(r) && r->options->latency.rate_per_s > 0;
}

EMIT(emit_timer, if (r->has_latency) fputs(latency_timer_name(r->latency.timer), out))
EMIT(emit_due, if (r->has_latency && is_open_loop(r)) fprintf(out, "%" PRIu64, r->latency.n_due))
EMIT(emit_sample_every, if (is_latency(r)) fprintf(out, "%" PRIu32, r->options->latency.sample_every))
EMIT(emit_rate, if (is_open_loop(r)) fprintf(out, "%" PRIu64, r->options->latency.rate_per_s))
EMIT(emit_transaction_ops, if (is_open_loop(r)) fprintf(out, "%" PRIu32, r->options->latency.transaction_ops))
EMIT(emit_arrivals, if (is_open_loop(r)) fputs(r->options->latency.is_fixed_rate ? "fixed" : "poisson", out))

/* What the process holds beyond what it held before the workload and what the workload's own tables take. */
static void emit_fragmentation(FILE *out, const struct record *r, size_t offset) {
    (void)offset;
    const struct watch_result *w = &r->watch.result;
    uint64_t start_bytes = r->result.start_rss_bytes, table_bytes = r->result.table_bytes;
    if (w->peak_live_bytes == UINT64_MAX || w->peak_live_bytes == 0 || start_bytes == UINT64_MAX ||
        table_bytes == UINT64_MAX)
        return;
    double held_bytes = (double)w->peak_live_rss_bytes - (double)start_bytes - (double)table_bytes;
    fprintf(out, "%.6g", held_bytes / (double)w->peak_live_bytes);
}

static void emit_generations(FILE *out, const struct record *r, size_t offset) {
    if (r->result.n_generations_min >= WORKLOAD_MIN_GENERATIONS)
        emit_u64(out, r, offset);
}

#define PROOF(member) emit_text, offsetof(struct record, proof.proof.member)
#define COUNT(member) emit_u64, offsetof(struct record, result.member)
#define FRACTION(member) emit_fraction, offsetof(struct record, result.member)
#define WATCH(member) emit_u64, offsetof(struct record, watch.result.member)
#define STAT(member) emit_stat, offsetof(struct record, result.stats.member)
#define SYSCALLS(member) emit_u64, offsetof(struct record, syscalls.member)
#define LATER emit_later, 0

/* clang-format off */
static const struct column column_table[] = {
    {"schema", "", "integer", "Version of this table; rises when a column changes its meaning", emit_schema, 0},
    {"run_id", "", "text", "The run that made the row", emit_run_id, 0},
    {"cell_id", "", "text", "First 12 hex digits of the SHA-256 over allocator, config, load, workload, workload_version, params, threads, placement, membind, pass, and wrap and ambient when there are any", emit_cell_id, 0},
    {"pass", "", "text", "timed: throughput counts; audit: fixed operations behind counting entries, the pass in which memory is compared; rss: watched from outside, memory over time, its times are compared with nothing; instructions: under callgrind, nothing but instructions is measured; syscalls: under strace, nothing but system calls; sharing: behind entries that note where each block lies, nothing but lines", emit_pass, 0},
    {"host", "", "text", "Name of the machine", emit_host, 0},
    {"allocator", "", "text", "Name in the registry, or the label given with NAME=PATH.so", emit_allocator, 0},
    {"allocator_version", "", "text", "As the library says; empty: it does not say", PROOF(version)},
    {"config", "", "text", "Environment given to this allocator alone, VAR=VALUE;VAR2=VALUE", emit_config, 0},
    {"library_path", "", "text", "File that holds malloc, found by the dynamic linker in the measured process", PROOF(path)},
    {"library_build_id", "", "hex", "GNU build-id of the loaded image", PROOF(build_id)},
    {"library_sha256", "", "hex", "SHA-256 of that file", emit_text, offsetof(struct record, library_sha256)},
    {"canary", "", "text", "Who saw the counted allocations that prove the allocator once it is opened, and their frees, in bytes; none: nobody can tell", PROOF(canary)},
    {"load", "", "text", "dlopen: only the workload's objects go to the allocator; preload: the whole process", emit_load, 0},
    {"workload", "", "text", "Name of the workload", emit_workload, 0},
    {"workload_version", "", "integer", "Rises with every change of what the workload does", emit_workload_version, 0},
    {"params", "", "text", "All parameters of the workload, NAME=VALUE;NAME2=VALUE", emit_params, 0},
    {"threads", "threads", "integer", "Threads that call the allocator at one time", emit_threads, 0},
    {"placement", "", "text", "How threads were laid on processing units: cores, compact, scatter, none", emit_placement, 0},
    {"membind", "", "text", "Where pages come from: first-touch, interleave, or the NUMA node they are bound to", emit_membind, 0},
    {"pus", "", "text", "OS index of the processing unit of each slot, 0;1;0;1; empty when not pinned", emit_pus, 0},
    {"pinned", "", "0 or 1", "1: the first thread of every slot was bound and its mask read back equal; successors inherit it", emit_pinned, 0},
    {"on_node_fraction", "", "fraction", "Share of the anonymous pages on the node expected: the one of membind or, with first-touch, the one that all threads are pinned to; empty where no one node is expected, and on a machine that has one", FRACTION(on_node_fraction)},
    {"oversubscribed", "", "0 or 1", "1: more threads than processing units", emit_oversubscribed, 0},
    {"start_skew_ns", "ns", "integer", "From the first thread's start to the last one's", COUNT(start_skew_ns)},
    {"generations", "threads", "integer", "Fewest successors any slot had; empty below 3", emit_generations, offsetof(struct record, result.n_generations_min)},
    {"block", "", "integer", "Block of the plan, from 0: for each repetition one of audits and one of timed cells", emit_block, 0},
    {"slot", "", "integer", "Position in the shuffled block", emit_slot, 0},
    {"repetition", "", "integer", "Counts from 1 within the pass", emit_repetition, 0},
    {"seed", "", "integer", "Of the workload's random numbers; the same for every allocator", emit_seed, 0},
    {"start_unix_ns", "ns", "integer", "When the process was started, since 1970", emit_start, 0},
    {"duration_ns", "ns", "integer", "Window asked for; empty when a number of operations ends the cell", emit_duration, 0},
    {"ops_target", "operations", "integer", "Operations asked for; empty when a clock ends the cell", emit_ops_target, 0},
    {"ops", "operations", "integer", "Operations done in the measured phase, all threads", COUNT(ops)},
    {"ops_per_s", "1/s", "number", "window_ops / window_ns: the rate while all threads ran", emit_ops_per_s, 0},
    {"window_ops", "operations", "integer", "Operations done while all threads ran", COUNT(window_ops)},
    {"window_ns", "ns", "integer", "From the last start to the first finish; empty if the threads never all ran", COUNT(window_ns)},
    {"expected_allocs", "calls", "integer", "Allocations the workload must make, from its parameters and operations", COUNT(expected_allocs)},
    {"counted_allocs", "calls", "integer", "Allocations counted (audit)", COUNT(counted_allocs)},
    {"counted_frees", "calls", "integer", "Frees counted (audit)", COUNT(counted_frees)},
    {"remote_free_fraction", "", "fraction", "Share of frees by a thread that did not allocate the block; empty where successors should make them and are below 3", FRACTION(remote_free_fraction)},
    {"wall_ns", "ns", "integer", "From the first start to the last finish", COUNT(wall_ns)},
    {"user_ns", "ns", "integer", "User time of the measured phase, all threads", COUNT(user_ns)},
    {"sys_ns", "ns", "integer", "System time of the measured phase, all threads", COUNT(sys_ns)},
    {"run_delay_ns", "ns", "integer",
     "Time threads waited for a processor though they could run; of a successor thread from its first step on, and its birth "
     "if that took a millisecond or more",
     COUNT(run_delay_ns)},
    {"nvcsw", "switches", "integer", "Voluntary context switches of the measured phase", COUNT(nvcsw)},
    {"nivcsw", "switches", "integer", "Involuntary context switches of the measured phase", COUNT(nivcsw)},
    {"minflt", "faults", "integer", "Minor page faults of the measured phase", COUNT(minflt)},
    {"majflt", "faults", "integer", "Major page faults of the measured phase", COUNT(majflt)},
    {"syscalls", "calls", "integer", "System calls of the measured phase, of every name (pass syscalls, docs/syscalls.md)", SYSCALLS(total)},
    {"instructions", "instructions", "integer", "Instructions of the measured phase in user mode: the workload's loop and the allocator (docs/instructions.md)", COUNT(instructions)},
    {"alloc_instructions", "instructions", "integer", "Of these, the ones executed in the allocator and in what it calls (pass instructions)", emit_u64, offsetof(struct record, alloc_instructions)},
    {"cycles", "cycles", "integer", "Cycles of the measured phase in user mode (--instructions perf)", COUNT(cycles)},
    {"cache_misses", "misses", "integer", "Last-level cache misses of the measured phase in user mode (--instructions perf)", COUNT(cache_misses)},
    {"dtlb_misses", "misses", "integer", "Data TLB misses of loads in the measured phase in user mode (--instructions perf)", COUNT(dtlb_misses)},
    {"peak_live_bytes", "bytes", "integer", "Most bytes live in a sample of the rss pass, where the workload counts them; asked for, not rounded", WATCH(peak_live_bytes)},
    {"start_rss_bytes", "bytes", "integer", "Resident set before the workload's setup, without the code that only loading and proving needed", COUNT(start_rss_bytes)},
    {"peak_rss_bytes", "bytes", "integer", "Largest resident set (VmHWM) from the workload's setup to the end of the run, with warm-up and the code in use; never below the other three", COUNT(peak_rss_bytes)},
    {"peak_anon_bytes", "bytes", "integer", "Of the same, what is not mapped from files: code is resident in windows whose places change from process to process (docs/judging.md)", COUNT(peak_anon_bytes)},
    {"end_rss_bytes", "bytes", "integer", "Resident set after the run, before anything is torn down", COUNT(end_rss_bytes)},
    {"retained_rss_bytes", "bytes", "integer", "Resident set after everything was freed, without code", COUNT(retained_rss_bytes)},
    {"fragmentation", "", "fraction", "At the peak of live bytes, what the process holds for each byte live: (peak_live_rss_bytes - start_rss_bytes - table_bytes) / peak_live_bytes", emit_fragmentation, 0},
    {"peak_live_rss_bytes", "bytes", "integer", "Resident in the sample that gave peak_live_bytes; of several such the largest", WATCH(peak_live_rss_bytes)},
    {"table_bytes", "bytes", "integer", "Resident bookkeeping of the workload, in all but start_rss_bytes: to be taken off where the allocator is meant", COUNT(table_bytes)},
    {"retained_100ms_rss_bytes", "bytes", "integer", "Resident 0.1 s after everything was freed, the threads alive and idle; rss pass", WATCH(kept_rss_bytes[MARK_100_MS])},
    {"retained_1s_rss_bytes", "bytes", "integer", "The same 1 s after", WATCH(kept_rss_bytes[MARK_1_S])},
    {"retained_5s_rss_bytes", "bytes", "integer", "The same 5 s after; not with --quick", WATCH(kept_rss_bytes[MARK_5_S])},
    {"freed_ns", "ns", "integer", "When everything had been freed, on the clock of rss.csv", WATCH(freed_ns)},
    {"rss_interval_ns", "ns", "integer", "From one sample to the next, as asked for; rss pass", WATCH(interval_ns)},
    {"rss_samples", "", "integer", "Samples taken of this process: its rows in rss.csv", WATCH(n_samples)},
    {"rss_sampling_ns", "ns", "integer", "The driver's time in taking them: an upper bound of how long they can have held the process up", WATCH(sampling_ns)},
    {"anon_huge_bytes", "bytes", "integer", "In transparent huge pages after the run", COUNT(anon_huge_bytes)},
    {"alloc_allocated_bytes", "bytes", "integer", "In live objects, as the allocator counts them", STAT(allocated_bytes)},
    {"alloc_active_bytes", "bytes", "integer", "In pages with live objects, as the allocator counts them", STAT(active_bytes)},
    {"alloc_resident_bytes", "bytes", "integer", "Resident, as the allocator counts it", STAT(resident_bytes)},
    {"alloc_metadata_bytes", "bytes", "integer", "In the allocator's own structures, as it counts them", STAT(metadata_bytes)},
    {"shared_line_fraction", "", "fraction", "Of the 64-byte lines with live objects, the share that holds those of more than one thread: pass sharing, after each allocation of the measured phase; elsewhere by the probe of the false-sharing workloads (docs/workloads.md)", FRACTION(shared_line_fraction)},
    {"lat_p50_ns", "ns", "number", "Latency, median: of all calls that were sampled or, with rate_per_s, of transactions from the time they were due (pass latency; by operation and size in latency.csv)", emit_latency, 500000},
    {"lat_p90_ns", "ns", "number", "Latency, 90th percentile", emit_latency, 900000},
    {"lat_p99_ns", "ns", "number", "Latency, 99th percentile; as those below it, empty where there are fewer samples than it takes to have one beyond", emit_latency, 990000},
    {"lat_p999_ns", "ns", "number", "Latency, 99.9th percentile", emit_latency, 999000},
    {"lat_p9999_ns", "ns", "number", "Latency, 99.99th percentile", emit_latency, 999900},
    {"lat_max_ns", "ns", "number", "Latency, largest sampled", emit_latency, 1000000},
    {"lat_samples", "samples", "integer", "Calls sampled, or transactions, that these are percentiles of", emit_latency_samples, 0},
    {"lat_timer", "", "text", "Clock of the sampled calls, the cheaper one: rdtscp, clock_gettime", emit_timer, 0},
    {"lat_timer_step_ns", "ns", "number", "Least change of that clock: no latency is known better than this", emit_timer_ns, offsetof(struct record, latency.timer_step_ns)},
    {"lat_timer_min_ns", "ns", "number", "Least cost of a sample: from one reading of that clock to the next; taken off nothing", emit_timer_ns, offsetof(struct record, latency.timer_min_ns)},
    {"lat_timer_median_ns", "ns", "number", "Median cost of a sample", emit_timer_ns, offsetof(struct record, latency.timer_median_ns)},
    {"startup_ns", "ns", "integer", "From exec to main, and from opening the allocator's library to a first malloc (pass latency); compare with glibc's", emit_u64, offsetof(struct record, startup_ns)},
    {"transactions", "transactions", "integer", "Due by the end of the run (rate_per_s)", emit_due, 0},
    {"late_fraction", "", "fraction", "Of these, the ones that had to wait for another of their thread", emit_due_share, offsetof(struct record, latency.n_late)},
    {"missed_fraction", "", "fraction", "Of these, the ones that were not done by the end; they count with the time they had waited then", emit_due_share, offsetof(struct record, latency.n_missed)},
    {"min_thread_ops", "operations", "integer", "Fewest operations of a slot in the window; 0 where some threads count none, such as the producers of prodcons", COUNT(min_thread_ops)},
    {"max_thread_ops", "operations", "integer", "Most operations of a slot in the window", COUNT(max_thread_ops)},
    {"status", "", "text", "ok, contaminated, skip, crash, timeout, oom, badbind, unproven; only ok rows are compared", emit_status, 0},
    {"exit_code", "", "integer", "Of the process; empty when a signal ended it or it was never started", emit_exit_code, 0},
    {"signal", "", "integer", "That ended the process", emit_signal, 0},
    {"why", "", "text", "Reason of a status that is not ok", emit_text, offsetof(struct record, why)},
    {"wrap", "", "text", "Command under which the process ran, as given with --wrap", emit_wrap, 0},
    {"ambient", "", "text", "Variables that allocators or workloads read and that were set where run-bench was started, VAR=VALUE;VAR2=VALUE: they reach every cell", emit_ambient, 0},
    {"passive_line_fraction", "", "fraction", "Of the same lines, the share that is shared and in which a block was once freed by another thread than had allocated it (pass sharing)", FRACTION(passive_line_fraction)},
    {"sys_mmap", "calls", "integer", "Of the system calls, those of mmap (pass syscalls)", SYSCALLS(by_name[SYSCALL_MMAP])},
    {"sys_munmap", "calls", "integer", "munmap (pass syscalls)", SYSCALLS(by_name[SYSCALL_MUNMAP])},
    {"sys_mremap", "calls", "integer", "mremap (pass syscalls)", SYSCALLS(by_name[SYSCALL_MREMAP])},
    {"sys_madvise", "calls", "integer", "madvise (pass syscalls)", SYSCALLS(by_name[SYSCALL_MADVISE])},
    {"sys_mprotect", "calls", "integer", "mprotect (pass syscalls)", SYSCALLS(by_name[SYSCALL_MPROTECT])},
    {"sys_brk", "calls", "integer", "brk (pass syscalls)", SYSCALLS(by_name[SYSCALL_BRK])},
    {"sys_futex", "calls", "integer", "futex (pass syscalls)", SYSCALLS(by_name[SYSCALL_FUTEX])},
    {"sys_sched_yield", "calls", "integer", "sched_yield (pass syscalls)", SYSCALLS(by_name[SYSCALL_SCHED_YIELD])},
    {"alloc_tcache_bytes", "bytes", "integer", "In thread caches after the run, as the allocator counts it", STAT(tcache_bytes)},
    {"alloc_fills", "calls", "integer", "Fills of thread caches from bins over the process's life, as the allocator counts them", STAT(n_fills)},
    {"alloc_flushes", "calls", "integer", "Flushes of thread caches to bins over the process's life, as the allocator counts them", STAT(n_flushes)},
    {"alloc_contended", "calls", "integer", "Times that the lock of a bin was waited for, as the allocator counts them", STAT(n_contended)},
    {"alloc_purge_calls", "calls", "integer", "System calls by which the allocator gave pages back, as it counts them", STAT(n_purge_calls)},
    {"alloc_purged_bytes", "bytes", "integer", "Given back by these", STAT(purged_bytes)},
    {"alloc_bins", "", "text", "Bins with runs after the run, over all arenas, as the allocator counts them: SIZE:REGIONS:RUNS;... with the regions in use or cached", emit_bins, 0},
    {"alloc_arenas", "bytes", "text", "Active bytes of each arena that has been made, the first 64 of them, as the allocator counts them: A;B;...", emit_arenas, 0},
    {"sample_every", "calls", "integer", "From one call that is timed to the next, on average (pass latency)", emit_sample_every, 0},
    {"rate_per_s", "1/s", "integer", "Transactions that arrive by a schedule, all threads together (pass latency with --rate)", emit_rate, 0},
    {"transaction_ops", "operations", "integer", "Of the workload, in a transaction", emit_transaction_ops, 0},
    {"arrivals", "", "text", "poisson or fixed", emit_arrivals, 0},
};
/* clang-format on */
#define N_COLUMNS (sizeof column_table / sizeof column_table[0])

void columns_write_header(FILE *out) {
    for (size_t i = 0; i < N_COLUMNS; i++)
        fprintf(out, "%s%s", i > 0 ? "," : "", column_table[i].name);
    fputc('\n', out);
}

void columns_write_row(FILE *out, const struct record *r) {
    for (size_t i = 0; i < N_COLUMNS; i++) {
        if (i > 0)
            fputc(',', out);
        column_table[i].emit(out, r, column_table[i].offset);
    }
    fputc('\n', out);
}

#define RSS_HEADER                                                                                           \
    "cell_id,repetition,allocator,config,workload,threads,t_ns,live_bytes,rss_bytes,pss_bytes,anon_huge_"    \
    "bytes,"                                                                                                 \
    "generations\n"

void columns_write_rss_header(FILE *out) {
    fputs(RSS_HEADER, out);
}

static void write_number(FILE *out, uint64_t value) {
    fputc(',', out);
    if (value != UINT64_MAX)
        fprintf(out, "%" PRIu64, value);
}

void columns_write_rss_rows(FILE *out, const struct record *r) {
    for (uint64_t i = 0; i < r->watch.result.n_samples; i++) {
        const struct watch_sample *s = &r->watch.samples[i];
        fprintf(out, "%s,%u,", r->cell->cell_id, r->cell->repetition);
        csv_write_field(out, r->cell->allocator->name);
        fputc(',', out);
        csv_write_field(out, r->cell->allocator->config);
        fprintf(out, ",%s,%u,%" PRIu64, r->cell->workload->row->name, r->cell->slots->n_threads, s->t_ns);
        write_number(out, s->live_bytes);
        write_number(out, s->rss_bytes);
        write_number(out, s->pss_bytes);
        write_number(out, s->anon_huge_bytes);
        write_number(out, s->n_generations);
        fputc('\n', out);
    }
}

void columns_write_markdown(FILE *out) {
    fputs(
        "# Columns of samples.csv\n\n"
        "One row for each process: RFC 4180, UTF-8, LF, dot decimals. Empty means not measured, never zero.\n"
        "Readers ignore columns they do not know. This page is the output of `./run-bench --columns`.\n\n"
        "| column | unit | type | meaning |\n|---|---|---|---|\n",
        out);
    for (size_t i = 0; i < N_COLUMNS; i++)
        fprintf(out, "| `%s` | %s | %s | %s%s |\n", column_table[i].name, column_table[i].unit,
                column_table[i].type, column_table[i].help,
                column_table[i].emit == emit_later ? " (not measured yet: empty)" : "");
}
