/*
 * contention: all threads exchange blocks through one large array.
 *
 * Origin   The contention test of snmalloc's suite.
 * Threads  All alike, and all share the array.
 * Timed    Swaps: malloc of min_bytes to max_bytes, uniform; each page and the last byte written; an atomic exchange
 *          with a random place of the array; free of what was there.
 * Op       One swap.
 * Remote   A block found that another thread made: (T-1)/T of all once the array is full.
 * Verify   A block's first word must belong to it and its last byte be as written; the word is erased before the free,
 *          so that a block that lies in two places is found out.
 * Live     At most places and one block a thread, of max_bytes: so memory does not depend on speed.
 * Allocs   One per op.
 */
#include "workloads/block.h"
#include "workloads/draw.h"
#include "workloads/stamp.h"

enum { MIN_BYTES, MAX_BYTES, PLACES };

static const struct param params[] = {
    [MIN_BYTES] = {"min_bytes", "bytes", 16, 9, 1 << 22, "smallest block"},
    [MAX_BYTES] = {"max_bytes", "bytes", 1039, 9, 1 << 22, "largest block"},
    [PLACES] = {"places", "blocks", 1 << 18, 1, 1 << 28, "in the array that all threads share"},
    {0},
};

static const struct preset presets[] = {
    {"snmalloc", "the suite's array", {{"places", 1 << 18}}},
    {"narrow", "few places: every exchange meets another's", {{"places", 256}}},
    {0},
};

#define BATCH_SWAPS 256

typedef _Atomic(unsigned char *) place;

static int contention_setup(struct cell *c) {
    if (c->params[MIN_BYTES] > c->params[MAX_BYTES])
        return cell_fail(c, EINVAL, "contention: min_bytes must not be above max_bytes");
    size_t n_bytes = (size_t)c->params[PLACES] * sizeof(place);
    c->state = cell_scratch(c, n_bytes, WORKER_ALIGN_BYTES);
    c->table_bytes += n_bytes;
    return c->state ? 0 : -ENOMEM;
}

static unsigned char *make(struct worker *w) {
    const int64_t *p = w->cell->params;
    size_t size_bytes = draw_uniform(&w->prng, (uint64_t)p[MIN_BYTES], (uint64_t)p[MAX_BYTES]);
    unsigned char *at = w->heap->alloc(size_bytes);
    if (!at) {
        cell_fail(w->cell, ENOMEM, "malloc returned NULL");
        return NULL;
    }
    uint64_t stamp = stamp_make(at, size_bytes, w->idx);
    for (size_t i = PAGE_BYTES; i < size_bytes; i += PAGE_BYTES)
        at[i] = (unsigned char)stamp;
    at[size_bytes - 1] = (unsigned char)stamp;
    memcpy(at, &stamp, sizeof stamp);
    worker_live_add(w, (int64_t)size_bytes);
    return at;
}

/* False after cell_fail: then the block is lost. */
static bool unmake(struct worker *w, unsigned char *at) {
    uint64_t stamp;
    memcpy(&stamp, at, sizeof stamp);
    if (!stamp_is_of(stamp, at) || at[stamp_bytes(stamp) - 1] != (unsigned char)stamp) {
        cell_fail(w->cell, EBADMSG, "contention: a block does not hold what was written to it");
        return false;
    }
    memset(at, 0, sizeof stamp);
    w->heap->free(at);
    worker_live_add(w, -(int64_t)stamp_bytes(stamp));
    worker_count_frees(w, 1, !stamp_is_by(stamp, w->idx));
    return true;
}

static enum run_result contention_run(struct worker *w) {
    place *places = w->cell->state;
    const uint64_t n_places = (uint64_t)w->cell->params[PLACES];
    uint64_t done = worker_ops(w);

    while (worker_continue(w, done)) {
        for (uint64_t n = worker_batch(w, done, BATCH_SWAPS); n > 0; n--, done++) {
            unsigned char *at = make(w);
            if (!at)
                return RUN_FAILED;
            at = atomic_exchange(&places[prng_below(&w->prng, n_places)], at);
            if (at && !unmake(w, at))
                return RUN_FAILED;
        }
    }
    return RUN_DONE;
}

static void contention_teardown(struct cell *c) {
    place *places = c->state;
    for (int64_t i = 0; places && i < c->params[PLACES]; i++)
        if (atomic_load(&places[i]))
            c->heap->free(atomic_load(&places[i]));
}

static uint64_t contention_expected_allocs(const struct cell *c) {
    return cell_ops_total(c);
}

static uint64_t contention_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    return ((uint64_t)p[PLACES] + n_threads) * (uint64_t)p[MAX_BYTES];
}

const struct workload workload_contention = {
    .name = "contention",
    .version = 1,
    .summary = "blocks exchanged through one large array, freed by whoever finds them",
    .origin = "snmalloc's suite: contention",
    .op = "malloc, exchange, and free of what was found",
    .groups = "speed,scaling",
    .params = params,
    .presets = presets,
    .min_threads = 1,
    .warmup_ops = 10000,
    .audit_ops = 400000,
    .setup = contention_setup,
    .run = contention_run,
    .teardown = contention_teardown,
    .expected_allocs = contention_expected_allocs,
    .peak_live_bytes = contention_peak_live_bytes,
};
