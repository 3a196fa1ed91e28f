/*
 * calloc-fresh, calloc-recycled: who clears memory, and how often?
 *
 * Origin   Defined here. Memory from the system is zero already: an allocator that knows it need not clear it, and one that
 *          does not pays a page fault and a write for each page before the program's own. Memory that was used must be
 *          cleared, or given back and faulted in anew.
 * Threads  All alike; none sees another's block.
 *            fresh      blocks are kept, so that each calloc needs memory that was never used, until the thread's share of
 *                       total_bytes is reached: then the thread is done, also in a run by the clock. More operations
 *                       than fit are refused.
 *            recycled   each block is freed before the next calloc; with touch = 1 it was filled with other bytes
 * Timed    calloc, a look at the first, the last and one random byte (touch = 0: not at that one), and what is written:
 *          everything (touch = 1) or the first and the last byte (0); recycled: free.
 * Op       One calloc; recycled: and its free.
 * Verify   The bytes looked at must be zero.
 * Allocs   One per op.
 * Live     fresh: total_bytes, and at least 64 blocks a thread; recycled: one block a thread.
 */
#include "workloads/block.h"

enum { SIZE_BYTES, TOUCH, TOTAL_BYTES };

#define CALLOC_PARAMS                                                                                        \
    [SIZE_BYTES] = {"size_bytes", "bytes", 4096, 1, 1 << 30, "size of each block"},                          \
    [TOUCH] = {"touch", "", 1, 0, 1, "1: the whole block is written, 0: its two ends"}

static const struct param fresh_params[] = {
    CALLOC_PARAMS,
    [TOTAL_BYTES] = {"total_bytes", "bytes", 1 << 30, 4096, INT64_C(1) << 40, "most that is live, in all"},
    {0},
};
static const struct param recycled_params[] = {CALLOC_PARAMS, {0}};

#define MIN_BLOCKS 64          /* room for a warm-up, whatever the size */
#define BATCH_BYTES (64 << 10) /* between two looks at the stop flag, or one block */
#define FILL_BYTE 0x5a

static int calloc_fail_contents(struct worker *w) {
    return cell_fail(w->cell, EBADMSG, "calloc: a byte was not zero");
}

/* False after cell_fail. */
static bool calloc_one(struct worker *w, struct block *b) {
    const size_t size_bytes = (size_t)w->cell->params[SIZE_BYTES];
    unsigned char *at = w->heap->calloc(1, size_bytes);
    if (!at) {
        cell_fail(w->cell, ENOMEM, "calloc returned NULL");
        return false;
    }
    unsigned char seen = at[0] | at[size_bytes - 1];
    if (w->cell->params[TOUCH]) {
        seen |= at[prng_below(&w->prng, size_bytes)];
        memset(at, FILL_BYTE, size_bytes);
    }
    at[0] = at[size_bytes - 1] = FILL_BYTE;
    *b = (struct block){.at = at, .size_bytes = (uint32_t)size_bytes, .tag = FILL_BYTE};
    worker_live_add(w, (int64_t)size_bytes);
    return seen == 0 || calloc_fail_contents(w) == 0;
}

static uint64_t calloc_batch(const struct worker *w, uint64_t done) {
    return worker_batch(w, done, BATCH_BYTES / (uint64_t)w->cell->params[SIZE_BYTES] + 1);
}

/* ---- fresh ------------------------------------------------------------------------------------------ */

static uint64_t fresh_blocks(const int64_t *p, uint64_t share_bytes) {
    return max_u64(MIN_BLOCKS, share_bytes / (uint64_t)p[SIZE_BYTES]);
}

static int fresh_setup(struct cell *c) {
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct worker *w = &c->workers[i];
        uint64_t share_bytes = worker_share(w, c->params[TOTAL_BYTES]);
        if (!block_slot_create(w, sizeof(struct block_set), fresh_blocks(c->params, share_bytes)))
            return -ENOMEM;
    }
    return 0;
}

static enum run_result fresh_run(struct worker *w) {
    struct block_set *set = w->state;
    uint64_t done = worker_ops(w);

    if (w->ops_budget != UINT64_MAX && w->ops_budget > set->n_max - set->n_blocks) {
        cell_fail(w->cell, EINVAL, "calloc-fresh: more operations than total_bytes has room for");
        return RUN_FAILED;
    }
    while (worker_continue(w, done) && set->n_blocks < set->n_max) {
        uint64_t n_ops = min_u64(calloc_batch(w, done), set->n_max - set->n_blocks);
        for (uint64_t i = 0; i < n_ops; i++) {
            struct block b = {0};
            bool is_good = calloc_one(w, &b);
            if (b.at)
                set->blocks[set->n_blocks++] = b;
            if (!is_good)
                return RUN_FAILED;
        }
        done += n_ops;
    }
    return RUN_DONE;
}

static uint64_t fresh_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    return max_u64((uint64_t)p[TOTAL_BYTES], n_threads * (uint64_t)MIN_BLOCKS * (uint64_t)p[SIZE_BYTES]);
}

/* ---- recycled --------------------------------------------------------------------------------------- */

static bool recycled_pair(struct worker *w) {
    struct block b = {0};
    bool is_good = calloc_one(w, &b);
    if (!b.at)
        return false;
    w->heap->free(b.at);
    worker_live_add(w, -(int64_t)b.size_bytes);
    worker_count_frees(w, 1, 0);
    return is_good;
}

static enum run_result recycled_run(struct worker *w) {
    uint64_t done = worker_ops(w);
    while (worker_continue(w, done)) {
        uint64_t n_ops = calloc_batch(w, done);
        for (uint64_t i = 0; i < n_ops; i++)
            if (!recycled_pair(w))
                return RUN_FAILED;
        done += n_ops;
    }
    return RUN_DONE;
}

static uint64_t recycled_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    return n_threads * (uint64_t)p[SIZE_BYTES];
}

static const struct preset fresh_presets[] = {
    {"small", "blocks of 64 bytes", {{"size_bytes", 64}, {"total_bytes", 128 << 20}}},
    {"large", "blocks of 64 KiB", {{"size_bytes", 64 << 10}}},
    {0},
};

static const struct preset recycled_presets[] = {
    {"small", "blocks of 64 bytes", {{"size_bytes", 64}}},
    {"large", "blocks of 64 KiB", {{"size_bytes", 64 << 10}}},
    {0},
};

#define CALLOC_COMMON                                                                                        \
    .version = 1, .origin = "heapdyno", .groups = "speed", .min_threads = 1, .needs = NEEDS_CALLOC,          \
    .warmup_ops = 16, .expected_allocs = cell_ops_total

const struct workload workload_calloc_fresh = {
    CALLOC_COMMON,
    .name = "calloc-fresh",
    .summary = "calloc of memory that was never used",
    .op = "calloc",
    .params = fresh_params,
    .presets = fresh_presets,
    .audit_ops = 60000,
    .setup = fresh_setup,
    .run = fresh_run,
    .verify = block_slots_verify,
    .teardown = block_slots_teardown,
    .peak_live_bytes = fresh_peak_live_bytes,
};

const struct workload workload_calloc_recycled = {
    CALLOC_COMMON,
    .name = "calloc-recycled",
    .summary = "calloc of memory that was just used and freed",
    .op = "calloc/free pair",
    .params = recycled_params,
    .presets = recycled_presets,
    .audit_ops = 200000,
    .run = recycled_run,
    .peak_live_bytes = recycled_peak_live_bytes,
};
