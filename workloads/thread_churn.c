/*
 * thread-churn: threads that live for a moment and leave something behind.
 *
 * Origin   Defined here. What thread caches cost when threads come and go: they are made, filled, flushed and given back
 *          all the time, and what a thread leaves is freed by another.
 * Threads  T chains. Each thread replaces the oldest of `left` objects, the first ones being its predecessor's, until it has
 *          done `steps` of them; then it makes its successor, which inherits the objects, and ends. With threads_per_s the
 *          threads of all chains together begin at that rate, if they can; a thread that is late does not wait.
 * Timed    Everything, also the making of threads, which is the larger part of it.
 * Op       One step: free (once `left` objects are there) and malloc.
 * Remote   The frees of the predecessor's objects: left / steps of all.
 * Allocs   One per op.
 * Live     `left` objects a chain.
 */
#include <time.h>

#include "workloads/block.h"
#include "workloads/course.h"
#include "workloads/draw.h"

enum { STEPS, LEFT, MIN_BYTES, MAX_BYTES, THREADS_PER_S };

static const struct param params[] = {
    [STEPS] = {"steps", "steps", 1000, 1, 1 << 30, "of a thread's life"},
    [LEFT] = {"left", "objects", 10, 1, 1 << 20, "that a thread leaves to its successor"},
    [MIN_BYTES] = {"min_bytes", "bytes", 16, 1, 1 << 24, "smallest object"},
    [MAX_BYTES] = {"max_bytes", "bytes", 1024, 1, 1 << 24, "largest object; sizes are uniform"},
    [THREADS_PER_S] = {"threads_per_s", "1/s", 0, 0, 1000000, "births over all chains; 0: as fast as can be"},
    {0},
};

#define BATCH_STEPS 500
#define NS_PER_S UINT64_C(1000000000)
#define SLICE_NS UINT64_C(10000000) /* between two looks at the stop flag */

/* The set is a ring of `left` places, holes at first. */
struct churn_slot {
    struct block_set ring;
    uint64_t oldest;
    uint64_t steps_left; /* of this thread */
    uint32_t owner;      /* number of the thread that serves the slot now */
    uint64_t due_ns;     /* when this thread may begin; 0: nothing was scheduled yet */
};

static int churn_setup(struct cell *c) {
    const int64_t *p = c->params;
    if (p[MIN_BYTES] > p[MAX_BYTES])
        return cell_fail(c, EINVAL, "thread-churn: min_bytes must not be above max_bytes");
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct churn_slot *s = block_slot_create(&c->workers[i], sizeof *s, (uint64_t)p[LEFT]);
        if (!s)
            return -ENOMEM;
        s->ring.n_blocks = s->ring.n_max;
        s->steps_left = (uint64_t)p[STEPS];
        s->owner = i;
    }
    return 0;
}

/* Sleeps until the thread's time has come, or the stop flag is up. */
static void churn_wait(const struct worker *w, struct churn_slot *s) {
    if (w->cell->params[THREADS_PER_S] == 0)
        return;
    uint64_t now = course_now_ns();
    if (s->due_ns == 0)
        s->due_ns = now;
    for (; now < s->due_ns && !atomic_load(&w->cell->is_stopping); now = course_now_ns()) {
        uint64_t left_ns = min_u64(s->due_ns - now, SLICE_NS);
        nanosleep(&(struct timespec){.tv_nsec = (long)left_ns}, NULL);
    }
}

/* The slot's next thread is another owner; each slot counts in steps of the number of slots. */
static void churn_next_thread(struct worker *w, struct churn_slot *s) {
    uint64_t rate = (uint64_t)w->cell->params[THREADS_PER_S];
    s->owner += w->cell->n_threads;
    s->steps_left = (uint64_t)w->cell->params[STEPS];
    s->due_ns += rate ? w->cell->n_threads * NS_PER_S / rate : 0;
}

static bool churn_steps(struct worker *w, struct churn_slot *s, uint64_t n_steps) {
    const int64_t *p = w->cell->params;
    for (uint64_t i = 0; i < n_steps; i++) {
        size_t size_bytes = draw_uniform(&w->prng, (uint64_t)p[MIN_BYTES], (uint64_t)p[MAX_BYTES]);
        if (!block_replace(w, &s->ring.blocks[s->oldest], size_bytes, s->owner))
            return false;
        s->oldest = (s->oldest + 1) % s->ring.n_max;
    }
    return true;
}

static enum run_result churn_run(struct worker *w) {
    struct churn_slot *s = w->state;
    uint64_t done = worker_ops(w);

    if (s->steps_left == (uint64_t)w->cell->params[STEPS])
        churn_wait(w, s);
    while (worker_continue(w, done)) {
        uint64_t n_steps = worker_batch(w, done, min_u64(BATCH_STEPS, s->steps_left));
        if (!churn_steps(w, s, n_steps))
            return RUN_FAILED;
        done += n_steps;
        s->steps_left -= n_steps;
        if (s->steps_left == 0) {
            churn_next_thread(w, s);
            worker_continue(w, done);
            return RUN_SUCCEED;
        }
    }
    return RUN_DONE;
}

static uint64_t churn_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    return n_threads * (uint64_t)p[LEFT] * (uint64_t)p[MAX_BYTES];
}

const struct workload workload_thread_churn = {
    .name = "thread-churn",
    .version = 1,
    .summary = "short-lived threads, one after another, that leave a few objects",
    .origin = "heapdyno",
    .op = "free and malloc of one object",
    .groups = "memory,scaling",
    .params = params,
    .flags = WORKLOAD_SUCCESSORS,
    .min_threads = 1,
    .warmup_ops = 2000,
    .audit_ops = 1000000,
    .setup = churn_setup,
    .run = churn_run,
    .verify = block_slots_verify,
    .teardown = block_slots_teardown,
    .expected_allocs = cell_ops_total,
    .peak_live_bytes = churn_peak_live_bytes,
};
