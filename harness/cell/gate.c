#include "harness/cell/gate.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* FUTEX_WAIT_BITSET, because its time is absolute. */
static bool word_wait(_Atomic uint32_t *word, uint32_t seen, uint64_t deadline_ns) {
    struct timespec until = {(time_t)(deadline_ns / 1000000000), (long)(deadline_ns % 1000000000)};
    long rc = syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, seen,
                      deadline_ns == UINT64_MAX ? NULL : &until, NULL, FUTEX_BITSET_MATCH_ANY);
    return rc == 0 || errno != ETIMEDOUT;
}

static void word_wake(_Atomic uint32_t *word, int n_threads) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n_threads, NULL, NULL, 0);
}

void bell_ring(struct bell *b) {
    atomic_fetch_add(&b->n_rings, 1);
    word_wake(&b->n_rings, 1);
}

bool bell_wait(struct bell *b, uint32_t seen, uint64_t deadline_ns) {
    return word_wait(&b->n_rings, seen, deadline_ns);
}

void gate_pass(struct gate *g) {
    uint32_t n_openings = atomic_load(&g->n_openings); /* before arriving: main may open at once */
    if (atomic_fetch_add(&g->n_arrived, 1) + 1 == g->n_threads)
        bell_ring(g->bell);
    while (atomic_load(&g->n_openings) == n_openings)
        word_wait(&g->n_openings, n_openings, UINT64_MAX);
}

bool gate_is_full(const struct gate *g) {
    return atomic_load(&g->n_arrived) == g->n_threads;
}

void gate_open(struct gate *g) {
    atomic_store(&g->n_arrived, 0);
    atomic_fetch_add(&g->n_openings, 1);
    word_wake(&g->n_openings, INT_MAX);
}
