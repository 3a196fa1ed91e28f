/*
 * pair: what one allocation and its free cost, in the three orders that allocators treat differently.
 *
 * Origin   The loop that allocators' own micro-benchmarks share (malloc_bench of gperftools, microbench of
 *          jemalloc's tests): a pair alone, and as many pairs as overflow the caches of a thread.
 * Threads  All alike; none sees another's block. idle_threads more are born before the run, hold one block each and
 *          sleep until its end: other threads that are alive, with caches of their own, and do nothing.
 * Timed    pattern 0: allocate, store to the first byte, free; again.
 *          pattern 1: `batch` blocks allocated and stored to, then freed in the same order; again.
 *          pattern 2: the same, freed in the reverse order.
 *          call 0: malloc. call 1: calloc. call 2: malloc of half the size, a store, realloc to the size.
 * Op       One block allocated and freed. A realloc belongs to its block's op.
 * Allocs   One per op, and one for each idle thread.
 *
 * The loop around the calls is small and the same for every allocator; pointers wait in scratch memory. No block is
 * read back, so that the floor allocator, which has one address for all, can serve every pattern and show what the
 * loop costs.
 */
#include <limits.h>
#include <pthread.h>

#include "workloads/futex.h"
#include "workloads/kernel.h"

enum { PATTERN, CALL, SIZE_BYTES, BATCH, IDLE_THREADS };
enum { PATTERN_LIFO, PATTERN_BATCH, PATTERN_REVERSED };
enum { CALL_MALLOC, CALL_CALLOC, CALL_REALLOC };

#define MAX_IDLE_THREADS 64

static const struct param params[] = {
    [PATTERN] = {"pattern", "", 0, 0, 2, "0 = block by block, 1 = batches freed in order, 2 = in reverse"},
    [CALL] = {"call", "", 0, 0, 2, "0 = malloc, 1 = calloc, 2 = malloc of half and realloc"},
    [SIZE_BYTES] = {"size_bytes", "bytes", 64, 1, 1 << 30, "size of each block"},
    [BATCH] = {"batch", "blocks", 1000, 1, 1 << 20,
               "blocks allocated before the first is freed, patterns 1 and 2"},
    [IDLE_THREADS] = {"idle_threads", "threads", 0, 0, MAX_IDLE_THREADS,
                      "threads that hold a block and sleep during the run"},
    {0},
};

/* The patterns by which the arena allocator is judged. */
#define LIFO(name, bytes)                                                                                    \
    {                                                                                                        \
        "lifo-" name, "block by block, " name " bytes", {                                                    \
            { "size_bytes", bytes }                                                                          \
        }                                                                                                    \
    }
#define BATCHES(name, bytes)                                                                                 \
    {                                                                                                        \
        "batch-" name, "batches freed in order, " name " bytes", {                                           \
            {"pattern", 1}, {                                                                                \
                "size_bytes", bytes                                                                          \
            }                                                                                                \
        }                                                                                                    \
    }

static const struct preset presets[] = {
    {"fifo", "batches freed in order", {{"pattern", 1}}},
    {"reversed", "batches freed in reverse", {{"pattern", 2}}},
    {"calloc", "calloc and free", {{"call", 1}}},
    {"realloc", "malloc, realloc to twice the size, free", {{"call", 2}}},
    LIFO("16", 16),
    BATCHES("16", 16),
    LIFO("64", 64),
    BATCHES("64", 64),
    LIFO("512", 512),
    BATCHES("512", 512),
    LIFO("8k", 8 << 10),
    BATCHES("8k", 8 << 10),
    LIFO("64k", 64 << 10),
    BATCHES("64k", 64 << 10),
    LIFO("1m", 1 << 20),
    BATCHES("1m", 1 << 20),
    {0},
};

#define LOOK_EVERY_PAIRS 1024

/* Inlined with a constant `call`, so that each loop below holds the calls of one kind only. */
static inline __attribute__((always_inline)) unsigned char *pair_alloc(const struct alloc_ops *heap, int call,
                                                                       size_t size_bytes) {
    unsigned char *block;
    if (call == CALL_MALLOC) {
        block = heap->alloc(size_bytes);
    } else if (call == CALL_CALLOC) {
        block = heap->calloc(1, size_bytes);
    } else {
        unsigned char *half = heap->alloc((size_bytes + 1) / 2);
        if (!half)
            return NULL;
        *half = 1;
        block = heap->realloc(half, size_bytes);
        if (!block)
            heap->free(half);
    }
    if (block)
        *(volatile unsigned char *)block = 1;
    return block;
}

/* Number of pairs done: fewer than n when the heap is dry. */
static inline __attribute__((always_inline)) uint64_t lifo_pairs(const struct alloc_ops *heap, int call,
                                                                 size_t size_bytes, uint64_t n) {
    for (uint64_t i = 0; i < n; i++) {
        unsigned char *block = pair_alloc(heap, call, size_bytes);
        if (!block)
            return i;
        heap->free(block);
    }
    return n;
}

static inline __attribute__((always_inline)) uint64_t batch_pairs(const struct alloc_ops *heap, int call,
                                                                  size_t size_bytes, unsigned char **blocks,
                                                                  uint64_t n, bool is_reversed) {
    void (*const free_block)(void *) = heap->free;
    unsigned char **const end = blocks + n, **at = blocks;

    for (; at != end; at++) {
        unsigned char *block = pair_alloc(heap, call, size_bytes);
        if (!block)
            break;
        *at = block;
    }
    const uint64_t n_made = (uint64_t)(at - blocks);
    if (is_reversed)
        while (at != blocks)
            free_block(*--at);
    else
        for (unsigned char **next = blocks; next != at; next++)
            free_block(*next);
    return n_made;
}

static inline __attribute__((always_inline)) uint64_t
pairs_of(const struct alloc_ops *heap, int call, const int64_t *p, unsigned char **blocks, uint64_t n) {
    size_t size_bytes = (size_t)p[SIZE_BYTES];
    if (p[PATTERN] == PATTERN_LIFO)
        return lifo_pairs(heap, call, size_bytes, n);
    return batch_pairs(heap, call, size_bytes, blocks, n, p[PATTERN] == PATTERN_REVERSED);
}

static uint64_t pairs(const struct alloc_ops *heap, const int64_t *p, unsigned char **blocks, uint64_t n) {
    switch (p[CALL]) {
    case CALL_CALLOC:
        return pairs_of(heap, CALL_CALLOC, p, blocks, n);
    case CALL_REALLOC:
        return pairs_of(heap, CALL_REALLOC, p, blocks, n);
    default:
        return pairs_of(heap, CALL_MALLOC, p, blocks, n);
    }
}

/* The threads that sleep. is_over is set once, by teardown; n_ready counts those that have their block. */
struct idlers {
    struct cell *cell;
    _Atomic uint32_t is_over, n_ready;
    unsigned n_made;
    pthread_t threads[MAX_IDLE_THREADS];
};

static void *idler_main(void *arg) {
    struct idlers *idlers = arg;
    struct cell *c = idlers->cell;
    unsigned char *block = c->heap->alloc((size_t)c->params[SIZE_BYTES]);
    if (block)
        *(volatile unsigned char *)block = 1;
    else
        cell_fail(c, ENOMEM, "pair: the allocator returned NULL to an idle thread");
    atomic_fetch_add(&idlers->n_ready, 1);
    futex_wake(&idlers->n_ready, 1);
    while (!atomic_load(&idlers->is_over))
        futex_wait(&idlers->is_over, 0);
    if (block)
        c->heap->free(block);
    return NULL;
}

static int idlers_make(struct cell *c) {
    struct idlers *idlers = cell_scratch(c, sizeof *idlers, WORKER_ALIGN_BYTES);
    if (!idlers)
        return -ENOMEM;
    idlers->cell = c;
    c->state = idlers;
    for (; idlers->n_made < (unsigned)c->params[IDLE_THREADS]; idlers->n_made++) {
        int err = pthread_create(&idlers->threads[idlers->n_made], NULL, idler_main, idlers);
        if (err)
            return cell_fail(c, err, "pair: an idle thread could not be made");
    }
    for (uint32_t n; (n = atomic_load(&idlers->n_ready)) < idlers->n_made;)
        futex_wait(&idlers->n_ready, n);
    return -atomic_load(&c->failed_errno);
}

static void pair_teardown(struct cell *c) {
    struct idlers *idlers = c->state;
    if (!idlers)
        return;
    atomic_store(&idlers->is_over, 1);
    futex_wake(&idlers->is_over, INT_MAX);
    for (unsigned i = 0; i < idlers->n_made; i++)
        pthread_join(idlers->threads[i], NULL);
}

static int pair_setup(struct cell *c) {
    for (unsigned i = 0; i < c->n_threads; i++) {
        unsigned char **blocks =
            cell_scratch(c, (size_t)c->params[BATCH] * sizeof *blocks, WORKER_ALIGN_BYTES);
        if (!blocks)
            return -ENOMEM;
        c->workers[i].state = blocks;
    }
    return c->params[IDLE_THREADS] > 0 ? idlers_make(c) : 0;
}

static enum run_result pair_run(struct worker *w) {
    const int64_t *p = w->cell->params;
    const uint64_t n_max = p[PATTERN] == PATTERN_LIFO ? LOOK_EVERY_PAIRS : (uint64_t)p[BATCH];
    unsigned char **blocks = w->state;
    uint64_t done = worker_ops(w);

    while (worker_continue(w, done)) {
        uint64_t n = worker_batch(w, done, n_max), n_done = pairs(w->heap, p, blocks, n);
        worker_count_frees(w, n_done, 0);
        done += n_done;
        if (n_done < n) {
            worker_continue(w, done);
            cell_fail(w->cell, ENOMEM, "pair: the allocator returned NULL");
            return RUN_FAILED;
        }
    }
    return RUN_DONE;
}

static uint64_t pair_expected_allocs(const struct cell *c) {
    return cell_ops_total(c) + (uint64_t)c->params[IDLE_THREADS];
}

const struct workload workload_pair = {
    .name = "pair",
    .version = 1,
    .summary = "a block allocated and freed, alone or in batches, in either order",
    .origin = "micro-benchmarks of gperftools and jemalloc",
    .op = "block allocated and freed",
    .groups = "speed",
    .params = params,
    .presets = presets,
    .flags = WORKLOAD_NO_LIVE_SET,
    .min_threads = 1,
    .needs = NEEDS_CALLOC | NEEDS_REALLOC,
    .warmup_ops = 10000,
    .audit_ops = 3000000,
    .setup = pair_setup,
    .run = pair_run,
    .teardown = pair_teardown,
    .expected_allocs = pair_expected_allocs,
};
