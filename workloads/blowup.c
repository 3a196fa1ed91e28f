/*
 * blowup: does a thread find again what its predecessor freed?
 *
 * Origin   The blowup test of allocbench (Fischer et al.), after the definition of blowup in Berger et al., "Hoard: A
 *          Scalable Memory Allocator for Multithreaded Applications" (ASPLOS 2000): memory that grows with the number of
 *          threads while the live set does not.
 * Threads  T chains. Each thread allocates its share of live_bytes in blocks of at most max_bytes, does its share of
 *          `pairs` malloc/free pairs of such blocks, frees everything, does as many pairs again, makes its successor, and
 *          ends. What the ideal allocator needs does not depend on the length of the chains.
 * Course   `generations` threads one after another in each chain. Otherwise the chains have no end.
 * Timed    Everything, also the making of threads.
 * Op       One malloc: of the live set or of a pair.
 * Allocs   One per op.
 * Live     At most live_bytes and one block a chain more.
 */
#include "workloads/block.h"
#include "workloads/course.h"
#include "workloads/draw.h"

enum { LIVE_BYTES, MAX_BYTES, PAIRS, GENERATIONS };

static const struct param params[] = {
    [LIVE_BYTES] = {"live_bytes", "bytes", 100 << 20, 1 << 12, INT64_C(1) << 40, "live set, over all chains"},
    [MAX_BYTES] = {"max_bytes", "bytes", 16 << 10, 1, 1 << 24, "sizes are uniform up to this"},
    [PAIRS] = {"pairs", "pairs", 100000, 0, INT64_C(1) << 40, "before and after the free, over all chains"},
    [GENERATIONS] = {"generations", "threads", 12, 1, 1 << 20, "length of a chain in a course"},
    {0},
};

#define BATCH_BLOCKS 256

enum stage { FILL, PAIRS_LIVE, DRAIN, PAIRS_EMPTY, SUCCEED, OVER };

struct blowup_slot {
    struct block_set set;
    enum stage stage;
    uint64_t share_bytes, share_pairs;
    uint64_t n_pairs; /* of this stage */
    uint32_t owner;   /* number of the thread that serves the slot now */
    int64_t n_generations;
};

static int blowup_setup(struct cell *c) {
    int err = course_create(c);
    for (unsigned i = 0; i < c->n_threads && err == 0; i++) {
        struct worker *w = &c->workers[i];
        uint64_t share_bytes = worker_share(w, c->params[LIVE_BYTES]);
        uint64_t n_mean = share_bytes / ((uint64_t)c->params[MAX_BYTES] / 2 + 1);
        struct blowup_slot *s = block_slot_create(w, sizeof *s, n_mean + n_mean / 8 + 64);
        if (!s)
            return -ENOMEM;
        s->share_bytes = share_bytes;
        s->share_pairs = worker_share(w, c->params[PAIRS]);
        s->owner = i;
    }
    return err;
}

static size_t blowup_draw(struct worker *w) {
    return draw_uniform(&w->prng, 1, (uint64_t)w->cell->params[MAX_BYTES]);
}

/* ---- stages: each does up to n_ops operations and returns how many, or -1 after cell_fail ------------ */

static int64_t stage_fill(struct worker *w, struct blowup_slot *s, uint64_t n_ops) {
    uint64_t n = 0;
    for (; n < n_ops && (uint64_t)worker_live(w) < s->share_bytes && s->set.n_blocks < s->set.n_max; n++)
        if (!block_set_add(w, &s->set, blowup_draw(w), s->owner))
            return -1;
    if (n < n_ops)
        s->stage = PAIRS_LIVE;
    return (int64_t)n;
}

static int64_t stage_pairs(struct worker *w, struct blowup_slot *s, uint64_t n_ops) {
    uint64_t n = min_u64(n_ops, s->share_pairs - s->n_pairs);
    for (uint64_t i = 0; i < n; i++) {
        struct block block;
        if (!block_make(w, &block, blowup_draw(w), s->owner) || !block_free(w, &block, s->owner))
            return -1;
    }
    s->n_pairs += n;
    if (s->n_pairs == s->share_pairs) {
        s->n_pairs = 0;
        s->stage++;
    }
    return (int64_t)n;
}

static int64_t stage_drain(struct worker *w, struct blowup_slot *s) {
    for (unsigned n = 0; n < BATCH_BLOCKS && s->set.n_blocks > 0; n++)
        if (!block_set_free_at(w, &s->set, s->set.n_blocks - 1, s->owner))
            return -1;
    if (s->set.n_blocks == 0)
        s->stage = PAIRS_EMPTY;
    return 0;
}

static int64_t blowup_stage(struct worker *w, struct blowup_slot *s, uint64_t n_ops) {
    switch (s->stage) {
    case FILL:
        return stage_fill(w, s, n_ops);
    case DRAIN:
        return stage_drain(w, s);
    default:
        return stage_pairs(w, s, n_ops);
    }
}

/* The slot's next thread is another owner; each slot counts in steps of the number of slots. */
static void blowup_next_thread(struct worker *w, struct blowup_slot *s) {
    s->owner += w->cell->n_threads;
    s->n_generations++;
    s->stage = course_is_on(w) && s->n_generations == w->cell->params[GENERATIONS] ? OVER : FILL;
}

static enum run_result blowup_run(struct worker *w) {
    struct blowup_slot *s = w->state;
    uint64_t done = worker_ops(w);

    while (worker_continue(w, done) && s->stage != OVER) {
        int64_t n_ops = blowup_stage(w, s, worker_batch(w, done, BATCH_BLOCKS));
        if (n_ops < 0)
            return RUN_FAILED;
        done += (uint64_t)n_ops;
        if (s->stage == SUCCEED) {
            worker_continue(w, done);
            blowup_next_thread(w, s);
            if (s->stage != OVER)
                return RUN_SUCCEED;
        }
    }
    return RUN_DONE;
}

static uint64_t blowup_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    return (uint64_t)p[LIVE_BYTES] + 2 * n_threads * (uint64_t)p[MAX_BYTES];
}

static const struct preset presets[] = {
    {"allocbench", "the defaults, with one thread", {{"generations", 12}}},
    {0},
};

const struct workload workload_blowup = {
    .name = "blowup",
    .version = 1,
    .summary = "threads that fill, free and end, one after another",
    .origin = "allocbench; Berger et al. 2000",
    .op = "malloc, with its share of frees",
    .groups = "memory",
    .params = params,
    .presets = presets,
    .flags = WORKLOAD_COURSE | WORKLOAD_SUCCESSORS,
    .min_threads = 1,
    .warmup_ops = 2000,
    .audit_ops = 220000,
    .setup = blowup_setup,
    .run = blowup_run,
    .verify = block_slots_verify,
    .teardown = block_slots_teardown,
    .expected_allocs = cell_ops_total,
    .peak_live_bytes = blowup_peak_live_bytes,
};
