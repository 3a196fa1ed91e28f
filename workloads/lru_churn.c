/*
 * lru-churn: a cache at its limit whose values change their size.
 *
 * Origin   After the Redis experiment of Powers et al., "Mesh: Compacting Memory Management for C/C++ Applications"
 *          (PLDI 2019): a cache of 100 MB takes 700,000 values of 240 bytes and then 170,000 of 492. A cache without
 *          its index: nothing is looked up, so "least recently used" is "oldest".
 * Threads  All alike; none sees another's block. Each has its share of the limit and of the values.
 * Course   Insert first_values of first_bytes, then second_values of second_bytes; what would exceed the limit makes
 *          room first by evicting the oldest values, or random ones. Then free everything. While a course is on the
 *          threads meet after each of the two and hold for hold_ms; otherwise course follows course.
 * Timed    All stages.
 * Op       One insertion, with its evictions.
 * Allocs   One per op.
 * Live     At most the limit; at least one value a thread.
 */
#include "workloads/block.h"
#include "workloads/course.h"

enum { LIMIT_BYTES, FIRST_BYTES, FIRST_VALUES, SECOND_BYTES, SECOND_VALUES, EVICTION, HOLD_MS };

static const struct param params[] = {
    [LIMIT_BYTES] = {"limit_bytes", "bytes", 100 << 20, 1 << 12, INT64_C(1) << 40, "live values, in all"},
    [FIRST_BYTES] = {"first_bytes", "bytes", 240, 1, 1 << 24, "size of the first values"},
    [FIRST_VALUES] = {"first_values", "values", 700000, 1, INT64_C(1) << 40, "first insertions, in all"},
    [SECOND_BYTES] = {"second_bytes", "bytes", 492, 1, 1 << 24, "size of the second values"},
    [SECOND_VALUES] = {"second_values", "values", 170000, 1, INT64_C(1) << 40, "second insertions, in all"},
    [EVICTION] = {"eviction", "", 0, 0, 1, "0 evicts the oldest value, 1 a random one"},
    [HOLD_MS] = {"hold_ms", "ms", 1000, 0, 3600000, "after each stage, while a course is on"},
    {0},
};

#define BATCH_VALUES 512

enum stage { FIRST, SECOND, CLEAR, OVER };

/* The set is a ring: n_live values from `oldest` on; the other places are holes. */
struct lru_slot {
    struct block_set ring;
    uint64_t oldest, n_live;
    uint64_t share_bytes;
    uint64_t n_wanted[2]; /* insertions of the first and of the second stage */
    uint64_t n_inserted;  /* of this stage */
    enum stage stage;
};

static int lru_setup(struct cell *c) {
    const int64_t *p = c->params;
    const uint64_t least_bytes = min_u64((uint64_t)p[FIRST_BYTES], (uint64_t)p[SECOND_BYTES]);
    int err = course_create(c);
    for (unsigned i = 0; i < c->n_threads && err == 0; i++) {
        struct worker *w = &c->workers[i];
        uint64_t share_bytes = worker_share(w, p[LIMIT_BYTES]);
        struct lru_slot *s = block_slot_create(w, sizeof *s, share_bytes / least_bytes + 1);
        if (!s)
            return -ENOMEM;
        s->ring.n_blocks = s->ring.n_max;
        s->share_bytes = share_bytes;
        s->n_wanted[0] = max_u64(1, worker_share(w, p[FIRST_VALUES]));
        s->n_wanted[1] = worker_share(w, p[SECOND_VALUES]);
    }
    return err;
}

static struct block *ring_at(struct lru_slot *s, uint64_t age) {
    return &s->ring.blocks[(s->oldest + age) % s->ring.n_max];
}

/* The victim changes places with the oldest value, which stays in the ring as if it were as old as the victim. */
static bool lru_evict(struct worker *w, struct lru_slot *s) {
    struct block *oldest = ring_at(s, 0), *victim = oldest;
    if (w->cell->params[EVICTION] == 1)
        victim = ring_at(s, prng_below(&w->prng, s->n_live));
    bool is_intact = block_free(w, victim, w->idx);
    if (victim != oldest) {
        *victim = *oldest;
        oldest->at = NULL;
    }
    s->oldest = (s->oldest + 1) % s->ring.n_max;
    s->n_live--;
    return is_intact;
}

static bool lru_insert(struct worker *w, struct lru_slot *s, size_t size_bytes) {
    while (s->n_live > 0 && (uint64_t)worker_live(w) + size_bytes > s->share_bytes)
        if (!lru_evict(w, s))
            return false;
    if (!block_make(w, ring_at(s, s->n_live), size_bytes, w->idx))
        return false;
    s->n_live++;
    return true;
}

/* Does up to n_ops operations of the stage and returns how many, or -1 after cell_fail. */
static int64_t stage_insert(struct worker *w, struct lru_slot *s, uint64_t n_ops) {
    const int64_t *p = w->cell->params;
    size_t size_bytes = (size_t)p[s->stage == FIRST ? FIRST_BYTES : SECOND_BYTES];
    uint64_t n_wanted = s->n_wanted[s->stage], n = min_u64(n_ops, n_wanted - s->n_inserted);

    for (uint64_t i = 0; i < n; i++)
        if (!lru_insert(w, s, size_bytes))
            return -1;
    s->n_inserted += n;
    if (s->n_inserted == n_wanted) {
        s->n_inserted = 0;
        s->stage++;
        course_meet(w, p[HOLD_MS]);
    }
    return (int64_t)n;
}

static int64_t stage_clear(struct worker *w, struct lru_slot *s) {
    for (unsigned n = 0; n < BATCH_VALUES && s->n_live > 0; n++)
        if (!lru_evict(w, s))
            return -1;
    if (s->n_live == 0)
        s->stage = course_is_on(w) ? OVER : FIRST;
    return 0;
}

static enum run_result lru_run(struct worker *w) {
    struct lru_slot *s = w->state;
    uint64_t done = worker_ops(w);

    while (worker_continue(w, done) && s->stage != OVER) {
        int64_t n_ops =
            s->stage == CLEAR ? stage_clear(w, s) : stage_insert(w, s, worker_batch(w, done, BATCH_VALUES));
        if (n_ops < 0)
            return RUN_FAILED;
        done += (uint64_t)n_ops;
    }
    return RUN_DONE;
}

static uint64_t lru_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    uint64_t largest_bytes = max_u64((uint64_t)p[FIRST_BYTES], (uint64_t)p[SECOND_BYTES]);
    return max_u64((uint64_t)p[LIMIT_BYTES], n_threads * largest_bytes);
}

static uint64_t lru_course_hold_ms(const int64_t *p, unsigned n_threads) {
    (void)n_threads;
    return 2 * (uint64_t)p[HOLD_MS];
}

static const struct preset presets[] = {
    {"mesh", "Powers et al. 2019: the defaults", {{"eviction", 0}}},
    {"quick", "the course that --quick watches", {{"hold_ms", 500}}},
    {"random-eviction", "holes anywhere instead of in order of age", {{"eviction", 1}}},
    {0},
};

const struct workload workload_lru_churn = {
    .name = "lru-churn",
    .version = 1,
    .summary = "a cache at its limit whose values double in size",
    .origin = "Powers et al. 2019",
    .op = "insertion, with its evictions",
    .groups = "memory",
    .params = params,
    .presets = presets,
    .flags = WORKLOAD_COURSE,
    .min_threads = 1,
    .warmup_ops = 5000,
    .audit_ops = 870000,
    .setup = lru_setup,
    .run = lru_run,
    .verify = block_slots_verify,
    .teardown = block_slots_teardown,
    .expected_allocs = cell_ops_total,
    .peak_live_bytes = lru_peak_live_bytes,
    .course_hold_ms = lru_course_hold_ms,
};
