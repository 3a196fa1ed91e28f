/*
 * The window: from the moment the last thread has started to the moment the first has finished, or main ends the
 * run. Only what is done in it counts as throughput: with 64 threads on 2 processors the first thread may have
 * done a tenth of its work before the last one starts.
 */
#include "harness/cell/run.h"

#define SNAPSHOT_MAX_NS 50000
#define SNAPSHOT_MAX_TRIES 8

/* Reads all counters and then the clock. A thread that is preempted in between would give the window operations
 * without their time, so a slow reading is repeated. */
static uint64_t snapshot(struct run *r, bool is_opening) {
    uint64_t before, after;
    int n_tries = 0;
    do {
        before = probe_now_ns();
        for (unsigned i = 0; i < r->cell.n_threads; i++) {
            struct slot *s = &r->slots[i];
            uint64_t ops = atomic_load_explicit(&s->worker->ops, memory_order_relaxed);
            *(is_opening ? &s->open_ops : &s->close_ops) = ops;
        }
        after = probe_now_ns();
    } while (after - before > SNAPSHOT_MAX_NS && ++n_tries < SNAPSHOT_MAX_TRIES);
    return after;
}

void window_enter(struct run *r, struct slot *s) {
    s->is_started = true;
    s->start_ns = probe_now_ns();
    if (atomic_fetch_add(&r->n_started, 1) + 1 < r->cell.n_threads)
        return;
    pthread_mutex_lock(&r->window_lock);
    if (r->window_state == WINDOW_NEVER) {
        r->open_ns = snapshot(r, true);
        r->window_state = WINDOW_OPEN;
    }
    pthread_mutex_unlock(&r->window_lock);
    bell_ring(&r->bell);
}

void window_close(struct run *r) {
    pthread_mutex_lock(&r->window_lock);
    if (r->window_state == WINDOW_OPEN) {
        r->close_ns = snapshot(r, false);
        r->window_state = WINDOW_CLOSED;
    } else if (r->window_state == WINDOW_NEVER) {
        r->window_state = WINDOW_VOID;
        bell_ring(&r->bell);
    }
    pthread_mutex_unlock(&r->window_lock);
}
