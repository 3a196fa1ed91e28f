/*
 * robson: the worst that sizes of powers of two can do to an allocator that moves nothing.
 *
 * Origin   Robson, "Bounds for some functions concerning dynamic storage allocation", J. ACM 21(3), 1974. Whatever the
 *          allocator does, live data of at most M units in blocks of 1, 2, 4 ... n units can be made to need
 *          M (log2(n) / 2 + 1) - n + 1 units.
 * Threads  All alike; none sees another's block. Each is an adversary of its own with its share of M.
 * Course   Fill M with blocks of one unit. Then for i = 1 .. phases: of the offsets f and f + 2^(i-1) take the worse, that is
 *          the one where the blocks that cover an address equal to it modulo 2^i keep most space from blocks of 2^i; free
 *          all other blocks; fill up to M with blocks of 2^i. Then free everything. While a course is on the threads meet
 *          after each fill and hold for hold_ms; otherwise course follows course.
 * Timed    All stages, with the adversary's looking at its blocks: a workload for memory, its rates say little.
 * Op       One malloc, with the frees of its stage. The choice depends on the allocator's addresses, so unlike in other
 *          workloads no two allocators see the same requests: each sees those that are bad for it.
 * Allocs   One per op.
 * Live     At most M, and at least one block of the largest size a thread.
 */
#include "workloads/block.h"
#include "workloads/course.h"

enum { TOTAL_BYTES, UNIT_BYTES, PHASES, HOLD_MS };

static const struct param params[] = {
    [TOTAL_BYTES] = {"total_bytes", "bytes", 64 << 20, 1 << 12, INT64_C(1) << 40, "M, in all"},
    [UNIT_BYTES] = {"unit_bytes", "bytes", 16, 8, 1 << 16, "size of the smallest block"},
    [PHASES] = {"phases", "", 16, 1, 16, "the largest block has 2^phases units"},
    [HOLD_MS] = {"hold_ms", "ms", 100, 0, 3600000, "after each fill, while a course is on"},
    {0},
};

#define BATCH_BLOCKS 1024

enum stage { FILL, THIN, CLEAR, OVER };

struct robson_slot {
    struct block_set set;
    uint64_t share_bytes;
    enum stage stage;
    unsigned phase;
    uint64_t offset; /* in units, below 2^phase */
    uint64_t at;     /* thin: blocks looked at, */
    uint64_t n_kept; /* and those that stay, at the front of the set */
};

static uint64_t robson_share(const int64_t *p, uint64_t share_bytes) {
    return max_u64(share_bytes, (uint64_t)p[UNIT_BYTES] << p[PHASES]);
}

static int robson_setup(struct cell *c) {
    int err = course_create(c);
    for (unsigned i = 0; i < c->n_threads && err == 0; i++) {
        struct worker *w = &c->workers[i];
        uint64_t share_bytes = robson_share(c->params, worker_share(w, c->params[TOTAL_BYTES]));
        uint64_t n_max = share_bytes / (uint64_t)c->params[UNIT_BYTES];
        struct robson_slot *s = block_slot_create(w, sizeof *s, n_max);
        if (s)
            s->share_bytes = share_bytes;
        else
            err = -ENOMEM;
    }
    return err;
}

/* ---- the adversary ---------------------------------------------------------------------------------- */

/* Does the block cover an address, in units, that is `offset` modulo 2^phase? */
static bool block_covers(const struct block *b, uint64_t unit_bytes, uint64_t offset, unsigned phase) {
    uint64_t first = (uintptr_t)b->at / unit_bytes, n_units = b->size_bytes / unit_bytes;
    return ((offset - first) & ((UINT64_C(1) << phase) - 1)) < n_units;
}

/* Units that the covering blocks keep from blocks of 2^phase over what they fill themselves. */
static uint64_t units_denied(const struct block_set *set, uint64_t unit_bytes, uint64_t offset,
                             unsigned phase) {
    uint64_t n_units = 0;
    for (uint64_t i = 0; i < set->n_blocks; i++)
        if (block_covers(&set->blocks[i], unit_bytes, offset, phase))
            n_units += (UINT64_C(1) << phase) - set->blocks[i].size_bytes / unit_bytes;
    return n_units;
}

static void phase_begin(struct worker *w, struct robson_slot *s) {
    uint64_t unit_bytes = (uint64_t)w->cell->params[UNIT_BYTES];
    uint64_t other = s->offset + (UINT64_C(1) << s->phase);
    s->phase++;
    if (units_denied(&s->set, unit_bytes, other, s->phase) >
        units_denied(&s->set, unit_bytes, s->offset, s->phase))
        s->offset = other;
    s->at = s->n_kept = 0;
    s->stage = THIN;
}

/* ---- stages: each does up to n_ops operations and returns how many, or -1 after cell_fail ------------ */

static int64_t stage_fill(struct worker *w, struct robson_slot *s, uint64_t n_ops) {
    const int64_t *p = w->cell->params;
    uint64_t size_bytes = (uint64_t)p[UNIT_BYTES] << s->phase, n = 0;

    for (; n < n_ops && (uint64_t)worker_live(w) + size_bytes <= s->share_bytes; n++)
        if (!block_set_add(w, &s->set, size_bytes, w->idx))
            return -1;
    if (n < n_ops) {
        course_meet(w, p[HOLD_MS]);
        if (s->phase < (unsigned)p[PHASES])
            phase_begin(w, s);
        else
            s->stage = CLEAR;
    }
    return (int64_t)n;
}

static int64_t stage_thin(struct worker *w, struct robson_slot *s) {
    const uint64_t unit_bytes = (uint64_t)w->cell->params[UNIT_BYTES];
    struct block *blocks = s->set.blocks;
    bool is_intact = true;

    for (unsigned n = 0; n < BATCH_BLOCKS && s->at < s->set.n_blocks && is_intact; n++, s->at++) {
        struct block *b = &blocks[s->at];
        if (!block_covers(b, unit_bytes, s->offset, s->phase)) {
            is_intact = block_free(w, b, w->idx);
        } else if (s->n_kept++ != s->at) {
            blocks[s->n_kept - 1] = *b;
            b->at = NULL;
        }
    }
    if (is_intact && s->at == s->set.n_blocks) {
        s->set.n_blocks = s->n_kept;
        s->stage = FILL;
    }
    return is_intact ? 0 : -1;
}

static int64_t stage_clear(struct worker *w, struct robson_slot *s) {
    for (unsigned n = 0; n < BATCH_BLOCKS && s->set.n_blocks > 0; n++)
        if (!block_set_free_at(w, &s->set, s->set.n_blocks - 1, w->idx))
            return -1;
    if (s->set.n_blocks == 0) {
        s->phase = 0;
        s->offset = 0;
        s->stage = course_is_on(w) ? OVER : FILL;
    }
    return 0;
}

static int64_t robson_stage(struct worker *w, struct robson_slot *s, uint64_t n_ops) {
    switch (s->stage) {
    case FILL:
        return stage_fill(w, s, n_ops);
    case THIN:
        return stage_thin(w, s);
    case CLEAR:
    case OVER:
        break;
    }
    return stage_clear(w, s);
}

static enum run_result robson_run(struct worker *w) {
    struct robson_slot *s = w->state;
    uint64_t done = worker_ops(w);

    while (worker_continue(w, done) && s->stage != OVER) {
        int64_t n_ops = robson_stage(w, s, worker_batch(w, done, BATCH_BLOCKS));
        if (n_ops < 0)
            return RUN_FAILED;
        done += (uint64_t)n_ops;
    }
    return RUN_DONE;
}

static uint64_t robson_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    return max_u64((uint64_t)p[TOTAL_BYTES], n_threads * robson_share(p, 0)) + n_threads;
}

static uint64_t robson_course_hold_ms(const int64_t *p, unsigned n_threads) {
    (void)n_threads;
    return ((uint64_t)p[PHASES] + 1) * (uint64_t)p[HOLD_MS];
}

static const struct preset presets[] = {
    {"quick", "the course that --quick watches", {{"total_bytes", 16 << 20}, {"hold_ms", 50}}},
    {0},
};

const struct workload workload_robson = {
    .name = "robson",
    .version = 1,
    .summary = "an adversary who pins a block in each window twice as large",
    .origin = "Robson 1974",
    .op = "malloc, with the frees of its stage",
    .groups = "memory",
    .params = params,
    .presets = presets,
    .flags = WORKLOAD_COURSE,
    .min_threads = 1,
    .warmup_ops = 5000,
    .audit_ops = 6000000,
    .setup = robson_setup,
    .run = robson_run,
    .verify = block_slots_verify,
    .teardown = block_slots_teardown,
    .expected_allocs = cell_ops_total,
    .peak_live_bytes = robson_peak_live_bytes,
    .course_hold_ms = robson_course_hold_ms,
};
