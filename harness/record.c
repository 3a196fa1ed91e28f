#include "harness/record.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

static const char *const status_names[] = {
    [STATUS_OK] = "ok",           [STATUS_CONTAMINATED] = "contaminated", [STATUS_SKIP] = "skip",
    [STATUS_CRASH] = "crash",     [STATUS_TIMEOUT] = "timeout",           [STATUS_OOM] = "oom",
    [STATUS_BADBIND] = "badbind", [STATUS_UNPROVEN] = "unproven",
};
#define N_STATUSES (sizeof status_names / sizeof status_names[0])

const char *status_name(enum cell_status status) {
    return (size_t)status < N_STATUSES ? status_names[status] : "crash";
}

int status_parse(const char *text, enum cell_status *out) {
    for (size_t i = 0; i < N_STATUSES; i++) {
        if (strcmp(text, status_names[i]) == 0) {
            *out = (enum cell_status)i;
            return 0;
        }
    }
    return -EINVAL;
}

bool status_is_failure(enum cell_status status) {
    return status != STATUS_OK && status != STATUS_SKIP;
}

/* Everything "not measured", as the protocol says it. */
static void result_clear(struct cell_result *r) {
    *r = (struct cell_result){
        .ops = UINT64_MAX,
        .wall_ns = UINT64_MAX,
        .window_ns = UINT64_MAX,
        .window_ops = UINT64_MAX,
        .min_thread_ops = UINT64_MAX,
        .max_thread_ops = UINT64_MAX,
        .start_skew_ns = UINT64_MAX,
        .n_generations_min = UINT64_MAX,
        .remote_free_fraction = NAN,
        .shared_line_fraction = NAN,
        .passive_line_fraction = NAN,
        .expected_allocs = UINT64_MAX,
        .counted_allocs = UINT64_MAX,
        .counted_frees = UINT64_MAX,
        .user_ns = UINT64_MAX,
        .sys_ns = UINT64_MAX,
        .run_delay_ns = UINT64_MAX,
        .nvcsw = UINT64_MAX,
        .nivcsw = UINT64_MAX,
        .minflt = UINT64_MAX,
        .majflt = UINT64_MAX,
        .start_rss_bytes = UINT64_MAX,
        .table_bytes = UINT64_MAX,
        .peak_rss_bytes = UINT64_MAX,
        .peak_anon_bytes = UINT64_MAX,
        .end_rss_bytes = UINT64_MAX,
        .retained_rss_bytes = UINT64_MAX,
        .anon_huge_bytes = UINT64_MAX,
        .on_node_fraction = NAN,
        .instructions = UINT64_MAX,
        .cycles = UINT64_MAX,
        .cache_misses = UINT64_MAX,
        .dtlb_misses = UINT64_MAX,
        .stats = ALLOC_STATS_UNKNOWN,
    };
}

void record_init(struct record *r, const struct run_identity *run, const struct options *o,
                 const struct plan_cell *cell) {
    memset(r, 0, sizeof *r);
    r->run = run;
    r->options = o;
    r->cell = cell;
    r->exit_code = -1;
    r->alloc_instructions = UINT64_MAX;
    syscall_counts_clear(&r->syscalls);
    watch_init(&r->watch);
    r->startup_ns = UINT64_MAX;
    result_clear(&r->result);
}

void record_forget_memory(struct record *r) {
    struct cell_result *x = &r->result;
    x->start_rss_bytes = x->peak_rss_bytes = x->end_rss_bytes = x->retained_rss_bytes = UINT64_MAX;
    x->peak_anon_bytes = x->anon_huge_bytes = UINT64_MAX;
    x->on_node_fraction = NAN;
}

void record_forget_rates(struct record *r) {
    struct cell_result *x = &r->result;
    x->window_ns = x->window_ops = x->min_thread_ops = x->max_thread_ops = UINT64_MAX;
}

void record_forget_costs(struct record *r) {
    const struct cell_result kept = r->result;
    result_clear(&r->result);
    r->result.ops = kept.ops;
    r->result.expected_allocs = kept.expected_allocs;
    r->result.counted_allocs = kept.counted_allocs;
    r->result.counted_frees = kept.counted_frees;
    r->result.n_generations_min = kept.n_generations_min;
    r->result.remote_free_fraction = kept.remote_free_fraction;
    r->result.shared_line_fraction = kept.shared_line_fraction;
    r->result.passive_line_fraction = kept.passive_line_fraction;
    r->result.instructions = kept.instructions;
    r->result.stats = kept.stats;
}

void record_drop_numbers(struct record *r) {
    const struct cell_result kept = r->result;
    result_clear(&r->result);
    r->result.expected_allocs = kept.expected_allocs;
    r->result.counted_allocs = kept.counted_allocs;
    r->result.counted_frees = kept.counted_frees;
    syscall_counts_clear(&r->syscalls);
    r->alloc_instructions = UINT64_MAX;
    r->startup_ns = UINT64_MAX;
    r->has_latency = false;
    watch_result_clear(&r->watch.result);
}

void record_settle(struct record *r, enum cell_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): clang-tidy 14 forgets va_start after its first file
    vsnprintf(r->why, sizeof r->why, format, args);
    va_end(args);
    r->status = status;
    for (char *c = r->why; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ')
            *c = ' ';
    }
}
