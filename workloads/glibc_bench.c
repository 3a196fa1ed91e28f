/*
 * glibc-simple and glibc-thread: the two malloc tests of glibc's own suite.
 *
 * Origin   benchtests/bench-malloc-simple and bench-malloc-thread of the GNU C library.
 * Threads  All alike; none sees another's block. (glibc-simple's original has one thread and compares the arena of
 *          main with another; here all calls are made by threads that are not main.)
 * Timed    simple: rounds of `blocks` mallocs of one size, then their frees in order.
 *          thread: a random entry of a working set is freed and malloc gives it another block, whose size comes from
 *          a table of TABLE_SIZES: density proportional to 1/size^2 between min_bytes and max_bytes.
 * Op       simple: one block allocated and freed. thread: one free and malloc of an entry.
 * Live     simple: blocks x size_bytes a thread. thread: a thread's working set.
 * Allocs   simple: one per op. thread: one per op and one per entry of the working sets.
 */
#include "workloads/block.h"
#include "workloads/rounds.h"
#include "workloads/size_table.h"

/* ---- simple ------------------------------------------------------------------------------------------ */

enum { SIZE_BYTES, BLOCKS, WRITE_ALL, ALTERNATE };

static const struct param simple_params[] = {
    [SIZE_BYTES] = {"size_bytes", "bytes", 16, 1, 1 << 20, "size of each block"},
    [BLOCKS] = {"blocks", "blocks", 100, 1, 1 << 20, "allocated before the first is freed, each thread"},
    [WRITE_ALL] = {"write_all", "", 0, 0, 1, "1: every byte is written, 0: the first"},
    [ALTERNATE] = {"alternate", "", 0, 0, 1, "1: each second round is freed in reverse"},
    {0},
};

static const struct preset simple_presets[] = {
    {"glibc-25", "25 blocks", {{"blocks", 25}}},
    {"glibc-400", "400 blocks", {{"blocks", 400}}},
    {"glibc-1600", "1600 blocks", {{"blocks", 1600}}},
    {"mimalloc-bench",
     "all bytes written, half of the rounds reversed",
     {{"write_all", 1}, {"alternate", 1}}},
    {0},
};

static int simple_setup(struct cell *c) {
    const int64_t *p = c->params;
    const struct rounds model = {.size_bytes = (size_t)p[SIZE_BYTES],
                                 .is_all_written = p[WRITE_ALL] != 0,
                                 .is_alternating = p[ALTERNATE] != 0};
    int err = 0;
    for (unsigned i = 0; i < c->n_threads && !err; i++)
        err = rounds_create(&c->workers[i], &model, (uint64_t)p[BLOCKS]);
    return err;
}

static uint64_t simple_expected_allocs(const struct cell *c) {
    return cell_ops_total(c);
}

static uint64_t simple_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    return (uint64_t)p[BLOCKS] * (uint64_t)p[SIZE_BYTES] * n_threads;
}

/* ---- thread ------------------------------------------------------------------------------------------ */

enum { MIN_BYTES, MAX_BYTES, ENTRIES };
#define BATCH_STEPS 512

static const struct param thread_params[] = {
    [MIN_BYTES] = {"min_bytes", "bytes", 4, 1, 1 << 20, "smallest block"},
    [MAX_BYTES] = {"max_bytes", "bytes", 32768, 1, 1 << 24, "largest block"},
    [ENTRIES] = {"entries", "blocks", 1024, 1, 1 << 20, "working set of a thread"},
    {0},
};

static int thread_bench_setup(struct cell *c) {
    const int64_t *p = c->params;
    if (p[MIN_BYTES] > p[MAX_BYTES])
        return cell_fail(c, EINVAL, "glibc-thread: min_bytes must not be above max_bytes");
    struct size_table *sizes = cell_scratch(c, sizeof *sizes, WORKER_ALIGN_BYTES);
    if (!sizes)
        return -ENOMEM;
    size_table_fill_inverse_square(sizes, (uint64_t)p[MIN_BYTES], (uint64_t)p[MAX_BYTES]);
    c->state = sizes;
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct block_set *set = cell_scratch(c, sizeof *set, _Alignof(struct block_set));
        if (!set || !block_set_create(c, set, (uint64_t)p[ENTRIES]))
            return -ENOMEM;
        c->workers[i].state = set;
    }
    return 0;
}

static int thread_bench_thread_setup(struct worker *w) {
    struct block_set *set = w->state;
    while (set->n_blocks < set->n_max)
        if (!block_set_add(w, set, size_table_draw(w->cell->state, &w->prng), w->idx))
            return -ENOMEM;
    return 0;
}

static bool thread_bench_step(struct worker *w, struct block_set *set) {
    struct block *b = &set->blocks[prng_below(&w->prng, set->n_max)];
    size_t size_bytes = size_table_draw(w->cell->state, &w->prng);
    return block_free(w, b, w->idx) && block_make(w, b, size_bytes, w->idx);
}

static enum run_result thread_bench_run(struct worker *w) {
    struct block_set *set = w->state;
    uint64_t done = worker_ops(w);

    while (worker_continue(w, done)) {
        for (uint64_t n = worker_batch(w, done, BATCH_STEPS); n > 0; n--, done++)
            if (!thread_bench_step(w, set))
                return RUN_FAILED;
    }
    return RUN_DONE;
}

static int thread_bench_verify(struct cell *c) {
    int err = 0;
    for (unsigned i = 0; i < c->n_threads && !err; i++)
        err = block_set_verify(c, c->workers[i].state);
    return err;
}

static void thread_bench_teardown(struct cell *c) {
    for (unsigned i = 0; i < c->n_threads; i++)
        if (c->workers[i].state)
            block_set_clear(&c->workers[i], c->workers[i].state);
}

static uint64_t thread_bench_expected_allocs(const struct cell *c) {
    return cell_ops_total(c) + c->n_threads * (uint64_t)c->params[ENTRIES];
}

const struct workload workload_glibc_simple = {
    .name = "glibc-simple",
    .version = 1,
    .summary = "short rounds of one size, allocated and freed in order",
    .origin = "glibc benchtests: bench-malloc-simple",
    .op = "block allocated and freed",
    .groups = "speed",
    .params = simple_params,
    .presets = simple_presets,
    .min_threads = 1,
    .warmup_ops = 10000,
    .audit_ops = 3000000,
    .setup = simple_setup,
    .run = rounds_run,
    .expected_allocs = simple_expected_allocs,
    .peak_live_bytes = simple_peak_live_bytes,
};

const struct workload workload_glibc_thread = {
    .name = "glibc-thread",
    .version = 1,
    .summary = "random replacement in a working set, sizes by an inverse-square law",
    .origin = "glibc benchtests: bench-malloc-thread",
    .op = "free and malloc of one entry",
    .groups = "speed,scaling",
    .params = thread_params,
    .min_threads = 1,
    .warmup_ops = 10000,
    .audit_ops = 1500000,
    .setup = thread_bench_setup,
    .thread_setup = thread_bench_thread_setup,
    .run = thread_bench_run,
    .verify = thread_bench_verify,
    .teardown = thread_bench_teardown,
    .expected_allocs = thread_bench_expected_allocs,
};
