/*
 * malloc-test: the fastest thing an allocator can be asked for.
 *
 * Origin   Lever and Boreham, "malloc() Performance in a Multithreaded Linux Environment" (FREENIX 2000), test 1,
 *          as used in Evans, "A Scalable Concurrent malloc(3) Implementation for FreeBSD" (BSDCan 2006): 512
 *          bytes. The form that keeps all blocks before it frees them is another workload.
 * Threads  All alike; none sees another's block.
 * Timed    malloc, a store to the block's first byte, free; again. The originals write nothing; the store makes
 *          the block's line be present, as for any real caller.
 * Op       One malloc/free pair.
 * Allocs   One per op, and none besides.
 */
#include "workloads/kernel.h"

enum { SIZE_BYTES };

static const struct param params[] = {
    [SIZE_BYTES] = {"size_bytes", "bytes", 512, 1, 1 << 30, "size of each block"},
    {0},
};

/* Some 10 to 50 us of work, so that 64 threads on 2 processors see a stop within a few of their time
 * slices. */
#define BATCH_PAIRS 1024

/* The measured loop. On its own, so that its instructions can be counted: at most 12 a pair besides the
 * calls. False when the allocator returned NULL. */
static __attribute__((noinline)) bool malloc_test_pairs(const struct alloc_ops *heap, size_t size_bytes,
                                                        uint64_t n_pairs) {
    void *(*const alloc)(size_t) = heap->alloc;
    void (*const free_block)(void *) = heap->free;
    for (; n_pairs > 0; n_pairs--) {
        unsigned char *block = alloc(size_bytes);
        if (!block)
            return false;
        *block = 1;
        free_block(block);
    }
    return true;
}

static enum run_result malloc_test_run(struct worker *w) {
    const size_t size_bytes = (size_t)w->cell->params[SIZE_BYTES];
    uint64_t done = worker_ops(w);

    while (worker_continue(w, done)) {
        uint64_t n_pairs = worker_batch(w, done, BATCH_PAIRS);
        if (!malloc_test_pairs(w->heap, size_bytes, n_pairs)) {
            cell_fail(w->cell, ENOMEM, "malloc-test: malloc returned NULL");
            return RUN_FAILED;
        }
        worker_count_frees(w, n_pairs, 0);
        done += n_pairs;
    }
    return RUN_DONE;
}

static uint64_t malloc_test_expected_allocs(const struct cell *c) {
    return cell_ops_total(c);
}

const struct workload workload_malloc_test = {
    .name = "malloc-test",
    .version = 1,
    .summary = "private malloc/free pairs of one size",
    .origin = "Lever and Boreham 2000, test 1; Evans 2006",
    .op = "malloc/free pair",
    .groups = "core",
    .params = params,
    .flags = WORKLOAD_NO_LIVE_SET | WORKLOAD_OPEN_LOOP,
    .min_threads = 1,
    .warmup_ops = 10000,
    .audit_ops = 1000000,
    .run = malloc_test_run,
    .expected_allocs = malloc_test_expected_allocs,
};
