/*
 * The window: from the moment the last thread has started to the moment the first has finished, or main ends the
 * run. Only what is done in it counts as throughput: with 64 threads on 2 processors the first thread may have
 * done a tenth of its work before the last one starts.
 */
#include "harness/cell/run.h"

/* Longer, and the reading was interrupted: each counter lies in a line that another processor has. */
#define SNAPSHOT_MAX_NS 50000
#define SNAPSHOT_THREAD_NS 200
#define SNAPSHOT_MAX_TRIES 8

static void read_counters(struct run *r, bool is_opening) {
    for (unsigned i = 0; i < r->cell.n_threads; i++) {
        struct slot *s = &r->slots[i];
        uint64_t ops = atomic_load_explicit(&s->worker->ops, memory_order_relaxed);
        *(is_opening ? &s->open_ops : &s->close_ops) = ops;
    }
}

/* Reads all counters and then the clock. A thread that is preempted in between would give the window operations
 * without their time, so a slow reading is repeated. False: each was slow, and there is no window. */
static bool snapshot(struct run *r, bool is_opening) {
    const uint64_t max_ns = SNAPSHOT_MAX_NS + (uint64_t)SNAPSHOT_THREAD_NS * r->cell.n_threads;
    for (int n_tries = 0; n_tries < SNAPSHOT_MAX_TRIES; n_tries++) {
        uint64_t before = probe_now_ns();
        read_counters(r, is_opening);
        uint64_t after = probe_now_ns();
        *(is_opening ? &r->open_ns : &r->close_ns) = after;
        if (after - before <= max_ns)
            return true;
    }
    return false;
}

void window_enter(struct run *r, struct slot *s) {
    s->is_started = true;
    s->start_ns = probe_now_ns();
    if (atomic_fetch_add(&r->n_started, 1) + 1 < r->cell.n_threads)
        return;
    pthread_mutex_lock(&r->window_lock);
    if (r->window_state == WINDOW_NEVER)
        r->window_state = snapshot(r, true) ? WINDOW_OPEN : WINDOW_VOID;
    pthread_mutex_unlock(&r->window_lock);
    bell_ring(&r->bell);
}

void window_close(struct run *r) {
    pthread_mutex_lock(&r->window_lock);
    if (r->window_state == WINDOW_OPEN) {
        r->window_state = snapshot(r, false) ? WINDOW_CLOSED : WINDOW_VOID;
    } else if (r->window_state == WINDOW_NEVER) {
        r->window_state = WINDOW_VOID;
        bell_ring(&r->bell);
    }
    pthread_mutex_unlock(&r->window_lock);
}
