/*
 * large-saw, malloc-large: large blocks that come and go.
 *
 * Origin   malloc-large: the program of that name in mimalloc-bench: 20 places, 2000 times a random one gets another vector
 *          of 5 to 25 MiB, cleared. large-saw: defined here; from 64 KiB to 1 GiB, so that an allocator's threshold between
 *          its own pages and the system's is crossed in either direction.
 * Threads  All alike; none sees another's block. Each has its share of the places, and at least one.
 * Timed    Steps: free what is in a random place, allocate another block, write to it: large-saw to each page,
 *          malloc-large to all of it.
 * Op       One step.
 * Allocs   One per op.
 * Live     large-saw: at most total_bytes, for before a block is allocated random places are emptied until it fits into
 *          the thread's share; no block is larger than a share, unless it is of min_bytes. malloc-large: places x max_bytes.
 */
#include "workloads/block.h"
#include "workloads/draw.h"

enum { PLACES, MIN_BYTES, MAX_BYTES, TOTAL_BYTES, TOUCH };

#define LARGE_MAX_BYTES INT64_C(4294967295) /* what struct block can say */

#define LARGE_PARAMS(min_default, max_default)                                                               \
    [PLACES] = {"places", "blocks", 20, 1, 1 << 20, "blocks that may be live, over all threads"},            \
    [MIN_BYTES] = {"min_bytes", "bytes", min_default, 4096, LARGE_MAX_BYTES, "smallest block"},              \
    [MAX_BYTES] = {"max_bytes", "bytes", max_default, 4096, LARGE_MAX_BYTES, "largest block"}

static const struct param saw_params[] = {
    LARGE_PARAMS(64 << 10, 1 << 30),
    [TOTAL_BYTES] = {"total_bytes", "bytes", 1 << 30, 4096, INT64_C(1) << 40, "most that is live, in all"},
    [TOUCH] = {"touch", "", 1, 0, 1, "1: each page is written to, 0: the first and the last"},
    {0},
};
static const struct param clear_params[] = {LARGE_PARAMS(5 << 20, 25 << 20), {0}};

struct large_slot {
    struct block_set set; /* holes at first */
    uint64_t share_bytes;
};

static int large_setup(struct cell *c) {
    if (c->params[MIN_BYTES] > c->params[MAX_BYTES])
        return cell_fail(c, EINVAL, "min_bytes must not be above max_bytes");
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct worker *w = &c->workers[i];
        struct large_slot *s =
            block_slot_create(w, sizeof *s, max_u64(1, worker_share(w, c->params[PLACES])));
        if (!s)
            return -ENOMEM;
        s->set.n_blocks = s->set.n_max;
    }
    return 0;
}

static int saw_setup(struct cell *c) {
    int err = large_setup(c);
    for (unsigned i = 0; i < c->n_threads && err == 0; i++) {
        struct large_slot *s = c->workers[i].state;
        s->share_bytes =
            max_u64(worker_share(&c->workers[i], c->params[TOTAL_BYTES]), (uint64_t)c->params[MIN_BYTES]);
    }
    return err;
}

static struct block *any_place(struct worker *w, struct large_slot *s) {
    return &s->set.blocks[prng_below(&w->prng, s->set.n_blocks)];
}

static bool place_empty(struct worker *w, struct block *b) {
    return !b->at || block_free(w, b, w->idx);
}

static bool saw_step(struct worker *w, struct large_slot *s) {
    const int64_t *p = w->cell->params;
    uint64_t max_bytes = min_u64((uint64_t)p[MAX_BYTES], s->share_bytes);
    size_t size_bytes = draw_log_uniform(&w->prng, (uint64_t)p[MIN_BYTES], max_bytes);
    struct block *b = any_place(w, s);

    if (!place_empty(w, b))
        return false;
    while ((uint64_t)worker_live(w) + size_bytes > s->share_bytes)
        if (!place_empty(w, any_place(w, s)))
            return false;
    return p[TOUCH] ? block_make(w, b, size_bytes, w->idx) : block_make_ends(w, b, size_bytes, w->idx);
}

static bool clear_step(struct worker *w, struct large_slot *s) {
    const int64_t *p = w->cell->params;
    size_t size_bytes = draw_uniform(&w->prng, (uint64_t)p[MIN_BYTES], (uint64_t)p[MAX_BYTES]);
    struct block *b = any_place(w, s);

    if (!place_empty(w, b) || !block_make_ends(w, b, size_bytes, w->idx))
        return false;
    memset(b->at + 1, 0, size_bytes - 2);
    return true;
}

/* A step may take milliseconds: the stop flag is looked at before each. */
static enum run_result large_run(struct worker *w, bool (*step)(struct worker *w, struct large_slot *s)) {
    for (uint64_t done = worker_ops(w); worker_continue(w, done); done++)
        if (!step(w, w->state))
            return RUN_FAILED;
    return RUN_DONE;
}

static enum run_result saw_run(struct worker *w) {
    return large_run(w, saw_step);
}

static enum run_result clear_run(struct worker *w) {
    return large_run(w, clear_step);
}

static uint64_t saw_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    return (uint64_t)p[TOTAL_BYTES] + n_threads * (uint64_t)p[MIN_BYTES];
}

static uint64_t clear_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    return max_u64((uint64_t)p[PLACES], n_threads) * (uint64_t)p[MAX_BYTES];
}

#define LARGE_COMMON                                                                                         \
    .version = 1, .op = "free and malloc of one place", .groups = "speed,memory", .min_threads = 1,          \
    .warmup_ops = 2, .verify = block_slots_verify, .teardown = block_slots_teardown,                         \
    .expected_allocs = cell_ops_total

const struct workload workload_large_saw = {
    LARGE_COMMON,
    .name = "large-saw",
    .summary = "blocks of 64 KiB to 1 GiB come and go, each page written",
    .origin = "heapdyno",
    .params = saw_params,
    .audit_ops = 10,
    .setup = saw_setup,
    .run = saw_run,
    .peak_live_bytes = saw_peak_live_bytes,
};

static const struct preset clear_presets[] = {
    {"mimalloc-bench", "the defaults; 2000 operations with one thread", {{"places", 20}}},
    {0},
};

const struct workload workload_malloc_large = {
    LARGE_COMMON,
    .name = "malloc-large",
    .summary = "blocks of 5 to 25 MiB come and go, cleared",
    .origin = "mimalloc-bench",
    .params = clear_params,
    .presets = clear_presets,
    .audit_ops = 40,
    .setup = large_setup,
    .run = clear_run,
    .peak_live_bytes = clear_peak_live_bytes,
};
