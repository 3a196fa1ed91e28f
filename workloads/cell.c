/*
 * The parts of the run context that need nothing of the harness: sums over the slots, and taking turns.
 */
#include "workloads/futex.h"
#include "workloads/workload.h"

uint64_t workload_audit_ops(const struct workload *w, const int64_t *params, unsigned n_threads) {
    uint64_t least = w->audit_slot_ops ? w->audit_slot_ops(params) * n_threads : 0;
    return least > w->audit_ops ? least : w->audit_ops;
}

uint64_t cell_ops_total(const struct cell *c) {
    uint64_t total = 0;
    for (unsigned i = 0; i < c->n_threads; i++)
        total += c->workers[i].ops_before + atomic_load_explicit(&c->workers[i].ops, memory_order_relaxed);
    return total;
}

uint64_t cell_ops_budget(const struct cell *c) {
    uint64_t total = 0;
    for (unsigned i = 0; i < c->n_threads; i++)
        if (__builtin_add_overflow(total, c->workers[i].ops_budget, &total))
            return UINT64_MAX;
    return total;
}

/* Each slot sleeps on a word of its own, so that a turn wakes one thread and not all of them: with 64 threads
 * on 2 processors waking all would cost 63 useless switches a turn. */
static void turn_wait(struct worker *w) {
    while (atomic_load(&w->n_turns) == 0)
        futex_wait(&w->n_turns, 0);
    atomic_fetch_sub(&w->n_turns, 1);
}

static void turn_give(struct worker *w) {
    atomic_fetch_add(&w->n_turns, 1);
    futex_wake(&w->n_turns, 1);
}

/* One turn is on its way at any time. It starts at slot 0, goes round once more than there are rounds, and
 * ends at the last slot: the extra trip tells each slot that all others are through. */
int cell_lockstep(struct worker *w, unsigned n_rounds, int (*fn)(struct worker *w, unsigned round)) {
    struct cell *c = w->cell;
    struct worker *next = &c->workers[(w->idx + 1) % c->n_threads];
    bool is_last = w->idx + 1 == c->n_threads;
    int err = 0;

    for (unsigned round = 0; round <= n_rounds; round++) {
        if (round > 0 || w->idx > 0)
            turn_wait(w);
        if (round < n_rounds && atomic_load(&c->failed_errno) == 0)
            err = fn(w, round);
        if (round < n_rounds || !is_last)
            turn_give(next);
    }
    return err;
}
