/*
 * What the kernels share: small inline helpers for loops that are measured.
 *
 * Owns nothing. Does not know any workload.
 */
#ifndef HEAPDYNO_KERNEL_H
#define HEAPDYNO_KERNEL_H

#include <errno.h>

#include "workloads/workload.h"

static inline uint64_t min_u64(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* Size of the next batch of a worker that has done `done` operations: at most max_ops, never over the
 * budget. */
static inline uint64_t worker_batch(const struct worker *w, uint64_t done, uint64_t max_ops) {
    return min_u64(max_ops, w->ops_budget - done);
}

static inline uint64_t worker_ops(const struct worker *w) {
    return atomic_load_explicit(&w->ops, memory_order_relaxed);
}

/* Counts frees towards the remote fraction, which is that of the measured phase. */
static inline void worker_count_frees(struct worker *w, uint64_t n_frees, uint64_t n_remote) {
    if (!w->cell->is_measuring)
        return;
    w->n_frees += n_frees;
    w->n_remote_frees += n_remote;
}

/* Blocks came (bytes > 0) or went (< 0). */
static inline void worker_live_add(struct worker *w, int64_t n_bytes) {
    int64_t live_bytes = atomic_load_explicit(&w->live_bytes, memory_order_relaxed);
    atomic_store_explicit(&w->live_bytes, live_bytes + n_bytes, memory_order_relaxed);
}

static inline int64_t worker_live(const struct worker *w) {
    return atomic_load_explicit(&w->live_bytes, memory_order_relaxed);
}

/* What slot idx of n_slots gets of `total`: the remainder goes to the first. */
static inline uint64_t share_of(uint64_t total, unsigned n_slots, unsigned idx) {
    return total / n_slots + (idx < total % n_slots);
}

static inline uint64_t worker_share(const struct worker *w, int64_t total) {
    return share_of((uint64_t)total, w->cell->n_threads, w->idx);
}

/* Stream of the cell's generator that setup draws from: no slot has this number. */
#define SETUP_STREAM UINT64_C(0xffffffff)

#endif
