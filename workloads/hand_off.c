/*
 * hand-off: one live set goes round among threads that all stay alive.
 *
 * Origin   A test that D. Vyukov proposed, as run in Kuszmaul, "SuperMalloc: A Super Fast Multithreaded Malloc for
 *          64-bit Machines" (ISMM 2015): 200 threads, each frees the 50,000 blocks of the one before it and
 *          allocates as many. One set is live at a time; an allocator that keeps for each thread what the thread freed,
 *          or never gives it to another, holds as many sets as there are threads.
 * Threads  A ring. Only the one whose turn it is works: it frees what its predecessor left, allocates `blocks` blocks of at
 *          most max_bytes, and gives the turn to the next. With one thread there is nobody else to free.
 * Course   `rounds` turns of each thread. Otherwise the turn goes round until the budgets or the clock.
 * Timed    Everything, also the waking of the next thread. There is no parallelism to be had.
 * Op       One block allocated, with the free of one that the predecessor left.
 * Remote   All frees but those of blocks that a thread gets back after a short turn, in the end of a run of fixed
 *          operations when others have done their share.
 * Allocs   One per op.
 * Live     At most `blocks` blocks, of max_bytes.
 */
#include "workloads/block.h"
#include "workloads/course.h"
#include "workloads/draw.h"
#include "workloads/futex.h"

enum { BLOCKS, MAX_BYTES, ROUNDS, HOLD_MS };

static const struct param params[] = {
    [BLOCKS] = {"blocks", "blocks", 50000, 1, 1 << 24, "the live set"},
    [MAX_BYTES] = {"max_bytes", "bytes", 4095, 1, 1 << 20, "sizes are uniform up to this"},
    [ROUNDS] = {"rounds", "", 2, 1, 1 << 20, "turns of each thread in a course"},
    [HOLD_MS] = {"hold_ms", "ms", 0, 0, 60000, "at the end of each turn, while a course is on"},
    {0},
};

#define BATCH_BLOCKS 1024

/* The cell's state. All but turn_of belongs to the slot whose turn it is. */
struct hand_off {
    struct block_set set;
    _Atomic unsigned turn_of; /* slot */
    bool is_filling;          /* the turn: the predecessor's blocks are freed, others come */
    int64_t n_turns;          /* taken by all slots */
};

/* A slot finishes a phase only while it has the turn, so that no turn is given to one that has just left. */
struct hand_slot {
    _Alignas(WORKER_ALIGN_BYTES) _Atomic uint32_t
        n_calls; /* changes when there is something to see; a futex word */
    _Atomic uint32_t finished_phase;
    uint32_t phase;
};

static int hand_setup(struct cell *c) {
    struct hand_off *h = cell_scratch(c, sizeof *h, WORKER_ALIGN_BYTES);
    c->state = h;
    if (!h || !block_set_create(c, &h->set, (uint64_t)c->params[BLOCKS]))
        return -ENOMEM;
    for (unsigned i = 0; i < c->n_threads; i++) {
        c->workers[i].state = cell_scratch(c, sizeof(struct hand_slot), _Alignof(struct hand_slot));
        if (!c->workers[i].state)
            return -ENOMEM;
    }
    return 0;
}

/* ---- turns ------------------------------------------------------------------------------------------ */

static struct hand_slot *slot_at(const struct cell *c, unsigned idx) {
    return c->workers[idx % c->n_threads].state;
}

static void slot_call(struct hand_slot *s) {
    atomic_fetch_add(&s->n_calls, 1);
    futex_wake(&s->n_calls, 1);
}

/* To the next slot that has not finished the phase; where there is none it stays. */
static void turn_pass(struct worker *w, struct hand_off *h) {
    const uint32_t phase = slot_at(w->cell, w->idx)->phase;
    h->is_filling = false;
    for (unsigned i = 1; i < w->cell->n_threads; i++) {
        struct hand_slot *next = slot_at(w->cell, w->idx + i);
        if (atomic_load(&next->finished_phase) >= phase)
            continue;
        atomic_store(&h->turn_of, (w->idx + i) % w->cell->n_threads);
        slot_call(next);
        return;
    }
}

/* Waits for the turn. False: the stop flag is up. Whoever leaves because of it wakes the next in the ring, and so
 * all leave, for the one that has the turn is awake. */
static bool turn_wait(const struct worker *w, struct hand_off *h) {
    struct hand_slot *s = w->state;
    for (;;) {
        uint32_t seen = atomic_load(&s->n_calls);
        if (atomic_load(&w->cell->is_stopping)) {
            slot_call(slot_at(w->cell, w->idx + 1));
            return false;
        }
        if (atomic_load(&h->turn_of) == w->idx)
            return true;
        futex_wait(&s->n_calls, seen);
    }
}

/* ---- the work of a turn ----------------------------------------------------------------------------- */

/* Up to BATCH_BLOCKS of the turn's work. Returns how many operations, or -1 after cell_fail. */
static int64_t turn_batch(struct worker *w, struct hand_off *h, uint64_t n_ops) {
    const int64_t *p = w->cell->params;
    for (unsigned n = 0; !h->is_filling && n < BATCH_BLOCKS && h->set.n_blocks > 0; n++)
        if (!block_set_free_at(w, &h->set, h->set.n_blocks - 1, w->idx))
            return -1;
    if (!h->is_filling) {
        h->is_filling = h->set.n_blocks == 0;
        return 0;
    }
    uint64_t n = min_u64(n_ops, h->set.n_max - h->set.n_blocks);
    for (uint64_t i = 0; i < n; i++)
        if (!block_set_add(w, &h->set, draw_uniform(&w->prng, 1, (uint64_t)p[MAX_BYTES]), w->idx))
            return -1;
    return (int64_t)n;
}

/* A turn ends with a whole set, or with the slot's share. Returns the operations, or -1 after cell_fail. */
static int64_t turn_take(struct worker *w, struct hand_off *h, uint64_t done) {
    const uint64_t before = done;
    while (worker_continue(w, done)) {
        int64_t n_ops = turn_batch(w, h, worker_batch(w, done, BATCH_BLOCKS));
        if (n_ops < 0)
            return -1;
        done += (uint64_t)n_ops;
        if (h->is_filling && h->set.n_blocks == h->set.n_max)
            break;
    }
    h->n_turns++;
    course_wait_until(w, course_now_ns() + (uint64_t)w->cell->params[HOLD_MS] * 1000000);
    return (int64_t)(done - before);
}

static bool hand_is_over(const struct worker *w, const struct hand_off *h) {
    return course_is_on(w) && h->n_turns >= w->cell->params[ROUNDS] * w->cell->n_threads;
}

/* The last turn of a course leaves a live set: its thread frees it. */
static bool hand_end_course(struct worker *w, struct hand_off *h) {
    while (h->set.n_blocks > 0)
        if (!block_set_free_at(w, &h->set, h->set.n_blocks - 1, w->idx))
            return false;
    return true;
}

static enum run_result hand_run(struct worker *w) {
    struct hand_off *h = w->cell->state;
    struct hand_slot *s = w->state;
    uint64_t done = worker_ops(w);
    enum run_result result = RUN_DONE;

    s->phase++;
    while (result == RUN_DONE && turn_wait(w, h)) {
        bool is_over = hand_is_over(w, h);
        int64_t n_ops = is_over ? 0 : turn_take(w, h, done);
        if (n_ops < 0 || (is_over && !hand_end_course(w, h)))
            result = RUN_FAILED;
        else
            done += (uint64_t)n_ops;
        is_over |= result == RUN_FAILED || !worker_continue(w, done);
        if (is_over)
            atomic_store(&s->finished_phase, s->phase);
        turn_pass(w, h);
        if (is_over)
            break;
    }
    return result;
}

/* ---- end -------------------------------------------------------------------------------------------- */

static int hand_verify(struct cell *c) {
    return block_set_verify(c, &((const struct hand_off *)c->state)->set);
}

static void hand_teardown(struct cell *c) {
    struct hand_off *h = c->state;
    if (h)
        block_set_clear(&c->workers[0], &h->set);
}

static uint64_t hand_course_hold_ms(const int64_t *p, unsigned n_threads) {
    return (uint64_t)p[ROUNDS] * n_threads * (uint64_t)p[HOLD_MS];
}

static uint64_t hand_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    (void)n_threads;
    return (uint64_t)p[BLOCKS] * (uint64_t)p[MAX_BYTES];
}

static const struct preset presets[] = {
    {"supermalloc", "Kuszmaul 2015: one turn each; run it with --threads 200", {{"rounds", 1}}},
    {0},
};

const struct workload workload_hand_off = {
    .name = "hand-off",
    .version = 1,
    .summary = "one live set goes round among threads that all stay alive",
    .origin = "Vyukov's test; Kuszmaul 2015",
    .op = "malloc, and free of a predecessor's block",
    .groups = "memory",
    .params = params,
    .presets = presets,
    .flags = WORKLOAD_COURSE,
    .min_threads = 1,
    .warmup_ops = 5000,
    .audit_ops = 200000,
    .setup = hand_setup,
    .run = hand_run,
    .verify = hand_verify,
    .teardown = hand_teardown,
    .expected_allocs = cell_ops_total,
    .peak_live_bytes = hand_peak_live_bytes,
    .course_hold_ms = hand_course_hold_ms,
};
