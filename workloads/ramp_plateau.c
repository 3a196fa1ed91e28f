/*
 * ramp-plateau: does memory follow the live set down, while the sizes in use drift?
 *
 * Origin   Defined here; the shape is that of a service under changing load. Retained memory after a peak is what
 *          decay settings are about (Evans, jemalloc), and shifting sizes are what defeats size-class caches.
 * Threads  All alike; none sees another's block. Each has its share of total_bytes.
 * Course   `cycles` times: ramp  allocate until the share is live; sizes are log-uniform in [16, first_max x 2^cycle]
 *                          drop  free all but keep_percent of the blocks, chosen at random, in random order
 *                          hold  replace random survivors, activity_percent as many as the ramp allocated,
 *                                spread over hold_ms
 *          and free everything. While a course is on the threads meet before each ramp and each hold; otherwise
 *          nobody waits and course follows course.
 * Timed    All stages.
 * Op       One malloc, with the frees that go with it: ops weigh differently from stage to stage, so that
 *          rates are compared for the same parameters and number of operations only.
 * Allocs   One per op.
 * Live     At most total_bytes and one block a thread more.
 */
#include "workloads/block.h"
#include "workloads/course.h"
#include "workloads/draw.h"

enum { TOTAL_BYTES, CYCLES, FIRST_MAX_BYTES, KEEP_PERCENT, ACTIVITY_PERCENT, HOLD_MS };

static const struct param params[] = {
    [TOTAL_BYTES] = {"total_bytes", "bytes", 256 << 20, 1 << 12, INT64_C(1) << 40,
                     "live at the peak, in all"},
    [CYCLES] = {"cycles", "", 8, 1, 12, "ramps of a course, each with sizes up to twice as large"},
    [FIRST_MAX_BYTES] = {"first_max_bytes", "bytes", 256, 32, 1 << 16, "largest size of the first cycle"},
    [KEEP_PERCENT] = {"keep_percent", "%", 10, 0, 100, "blocks that survive the drop"},
    [ACTIVITY_PERCENT] = {"activity_percent", "%", 1, 0, 100,
                          "replacements in the hold, of the ramp's blocks"},
    [HOLD_MS] = {"hold_ms", "ms", 15000, 0, 3600000, "length of a hold, while a course is on"},
    {0},
};

#define MIN_BYTES UINT64_C(16)
#define BATCH_BLOCKS 1024
#define HOLD_STEP_NS 10000000 /* replacements that fall due within it are made together */

enum stage { RAMP, DROP, HOLD, CLEAR, OVER };

struct ramp_slot {
    struct block_set set;
    enum stage stage;
    unsigned cycle;
    uint64_t share_bytes;
    uint64_t n_ramped;      /* blocks that this cycle's ramp allocated */
    uint64_t n_kept;        /* blocks that survive this cycle's drop */
    uint64_t n_held;        /* replacements made in this hold */
    uint64_t hold_since_ns; /* while a course is on */
};

static uint64_t ramp_max_bytes(const int64_t *p, unsigned cycle) {
    return (uint64_t)p[FIRST_MAX_BYTES] << cycle;
}

/* Blocks of the first ramp, whose sizes are the smallest, and a few more: their mean is (max - min) / ln(max / min). */
static uint64_t ramp_capacity(const int64_t *p, uint64_t share_bytes) {
    uint64_t max_bytes = ramp_max_bytes(p, 0), log_milli = 0;
    for (uint64_t size = MIN_BYTES; size < max_bytes; size *= 2)
        log_milli += 693;
    uint64_t n_blocks = share_bytes * log_milli / ((max_bytes - MIN_BYTES) * 1000);
    return n_blocks + n_blocks / 32 + 64;
}

static int ramp_setup(struct cell *c) {
    int err = course_create(c);
    for (unsigned i = 0; i < c->n_threads && err == 0; i++) {
        struct worker *w = &c->workers[i];
        uint64_t share_bytes = worker_share(w, c->params[TOTAL_BYTES]);
        struct ramp_slot *s = block_slot_create(w, sizeof *s, ramp_capacity(c->params, share_bytes));
        if (s)
            s->share_bytes = share_bytes;
        else
            err = -ENOMEM;
    }
    return err;
}

/* ---- stages: each does up to n_ops operations and returns how many, or -1 after cell_fail ------------ */

static bool ramp_add(struct worker *w, struct ramp_slot *s) {
    uint64_t size_bytes = draw_log_uniform(&w->prng, MIN_BYTES, ramp_max_bytes(w->cell->params, s->cycle));
    return block_set_add(w, &s->set, size_bytes, w->idx);
}

static bool ramp_free_any(struct worker *w, struct ramp_slot *s) {
    return block_set_free_at(w, &s->set, prng_below(&w->prng, s->set.n_blocks), w->idx);
}

static bool ramp_is_full(const struct worker *w, const struct ramp_slot *s) {
    return worker_live(w) >= (int64_t)s->share_bytes || s->set.n_blocks == s->set.n_max;
}

static int64_t stage_ramp(struct worker *w, struct ramp_slot *s, uint64_t n_ops) {
    uint64_t n = 0;
    for (; n < n_ops && !ramp_is_full(w, s); n++, s->n_ramped++)
        if (!ramp_add(w, s))
            return -1;
    if (n < n_ops) {
        s->n_kept = s->set.n_blocks * (uint64_t)w->cell->params[KEEP_PERCENT] / 100;
        s->stage = DROP;
    }
    return (int64_t)n;
}

static int64_t stage_drop(struct worker *w, struct ramp_slot *s) {
    for (unsigned n = 0; n < BATCH_BLOCKS && s->set.n_blocks > s->n_kept; n++)
        if (!ramp_free_any(w, s))
            return -1;
    if (s->set.n_blocks <= s->n_kept) {
        s->stage = HOLD;
        s->n_held = 0;
        course_meet(w, 0);
        s->hold_since_ns = course_is_on(w) ? course_now_ns() : 0;
    }
    return 0;
}

/* Of the hold's n_wanted replacements, how many are due by now: all, unless a course is on. */
static uint64_t hold_due(const struct worker *w, const struct ramp_slot *s, uint64_t n_wanted) {
    uint64_t hold_ns = (uint64_t)w->cell->params[HOLD_MS] * 1000000;
    if (!course_is_on(w))
        return n_wanted;
    uint64_t passed_ns = course_now_ns() - s->hold_since_ns;
    return passed_ns >= hold_ns ? n_wanted : (uint64_t)((unsigned __int128)n_wanted * passed_ns / hold_ns);
}

static bool hold_is_over(const struct worker *w, const struct ramp_slot *s, uint64_t n_wanted) {
    uint64_t hold_ns = (uint64_t)w->cell->params[HOLD_MS] * 1000000;
    return s->n_held == n_wanted && (!course_is_on(w) || course_now_ns() - s->hold_since_ns >= hold_ns);
}

/* A replacement may be larger than what it replaces: more is freed where the share would be exceeded. */
static bool ramp_replace(struct worker *w, struct ramp_slot *s) {
    do {
        if (s->set.n_blocks > 0 && !ramp_free_any(w, s))
            return false;
    } while (ramp_is_full(w, s));
    return ramp_add(w, s);
}

static int64_t stage_hold(struct worker *w, struct ramp_slot *s, uint64_t n_ops) {
    const int64_t *p = w->cell->params;
    uint64_t n_wanted = s->n_ramped * (uint64_t)p[ACTIVITY_PERCENT] / 100;
    uint64_t n_due = hold_due(w, s, n_wanted), n = 0;

    for (; n < n_ops && s->n_held < n_due; n++, s->n_held++)
        if (!ramp_replace(w, s))
            return -1;
    if (hold_is_over(w, s, n_wanted)) {
        s->n_ramped = 0;
        s->stage = ++s->cycle == (unsigned)p[CYCLES] ? CLEAR : RAMP;
        course_meet(w, 0);
    } else if (n == 0 && course_is_on(w)) {
        course_wait_until(w, course_now_ns() + HOLD_STEP_NS);
    }
    return (int64_t)n;
}

static int64_t stage_clear(struct worker *w, struct ramp_slot *s) {
    for (unsigned n = 0; n < BATCH_BLOCKS && s->set.n_blocks > 0; n++)
        if (!ramp_free_any(w, s))
            return -1;
    if (s->set.n_blocks == 0) {
        s->cycle = 0;
        s->stage = course_is_on(w) ? OVER : RAMP;
    }
    return 0;
}

static int64_t ramp_stage(struct worker *w, struct ramp_slot *s, uint64_t n_ops) {
    switch (s->stage) {
    case RAMP:
        return stage_ramp(w, s, n_ops);
    case DROP:
        return stage_drop(w, s);
    case HOLD:
        return stage_hold(w, s, n_ops);
    case CLEAR:
    case OVER:
        break;
    }
    return stage_clear(w, s);
}

static enum run_result ramp_run(struct worker *w) {
    struct ramp_slot *s = w->state;
    uint64_t done = worker_ops(w);

    while (worker_continue(w, done) && s->stage != OVER) {
        int64_t n_ops = ramp_stage(w, s, worker_batch(w, done, BATCH_BLOCKS));
        if (n_ops < 0)
            return RUN_FAILED;
        done += (uint64_t)n_ops;
    }
    return RUN_DONE;
}

static uint64_t ramp_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    return (uint64_t)p[TOTAL_BYTES] + n_threads * ramp_max_bytes(p, (unsigned)p[CYCLES] - 1);
}

static uint64_t ramp_course_hold_ms(const int64_t *p, unsigned n_threads) {
    (void)n_threads;
    return (uint64_t)p[CYCLES] * (uint64_t)p[HOLD_MS];
}

static const struct preset presets[] = {
    {"quick",
     "the course that --quick watches",
     {{"total_bytes", 64 << 20}, {"cycles", 2}, {"hold_ms", 500}}},
    {0},
};

const struct workload workload_ramp_plateau = {
    .name = "ramp-plateau",
    .version = 1,
    .summary = "peaks of drifting sizes, dropped to a random tenth and held",
    .origin = "heapdyno",
    .op = "malloc, with the frees of its stage",
    .groups = "memory",
    .params = params,
    .presets = presets,
    .flags = WORKLOAD_COURSE,
    .min_threads = 1,
    .warmup_ops = 5000,
    .audit_ops = 500000,
    .setup = ramp_setup,
    .run = ramp_run,
    .verify = block_slots_verify,
    .teardown = block_slots_teardown,
    .expected_allocs = cell_ops_total,
    .peak_live_bytes = ramp_peak_live_bytes,
    .course_hold_ms = ramp_course_hold_ms,
};
