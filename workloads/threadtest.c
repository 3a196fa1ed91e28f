/*
 * threadtest: a fixed number of small blocks divided among the threads, allocated and freed in order.
 *
 * Origin   Berger et al., "Hoard: A Scalable Memory Allocator for Multithreaded Applications" (ASPLOS 2000). The size
 *          there counts structs of 8 bytes; here bytes.
 * Threads  All alike; none sees another's block. The live set is divided, so more threads hold less each.
 * Timed    Rounds: objects / T mallocs, a store to each and `work` turns of an empty loop; then the frees in order.
 * Op       One block allocated and freed.
 * Live     At most objects x size_bytes, over all threads.
 * Allocs   One per op, and none besides.
 */
#include "workloads/rounds.h"

enum { OBJECTS, SIZE_BYTES, WORK };

static const struct param params[] = {
    [OBJECTS] = {"objects", "blocks", 30000, 1, 1 << 27, "allocated in a round, over all threads"},
    [SIZE_BYTES] = {"size_bytes", "bytes", 8, 1, 1 << 20, "size of each block"},
    [WORK] = {"work", "turns", 0, 0, 1 << 20, "turns of an empty loop after each malloc"},
    {0},
};

static const struct preset presets[] = {
    {"hoard", "the suite's README: 10000 blocks of 64 bytes", {{"objects", 10000}, {"size_bytes", 64}}},
    {"scalloc", "100000 blocks of 64 bytes", {{"objects", 100000}, {"size_bytes", 64}}},
    {0},
};

static int threadtest_setup(struct cell *c) {
    const int64_t *p = c->params;
    const struct rounds model = {.size_bytes = (size_t)p[SIZE_BYTES], .spins = (uint64_t)p[WORK]};
    int err = 0;
    for (unsigned i = 0; i < c->n_threads && !err; i++)
        err = rounds_create(&c->workers[i], &model,
                            max_u64(1, share_of((uint64_t)p[OBJECTS], c->n_threads, i)));
    return err;
}

static uint64_t threadtest_expected_allocs(const struct cell *c) {
    return cell_ops_total(c);
}

static uint64_t threadtest_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    return max_u64((uint64_t)p[OBJECTS], n_threads) * (uint64_t)p[SIZE_BYTES];
}

const struct workload workload_threadtest = {
    .name = "threadtest",
    .version = 1,
    .summary = "small blocks, divided among the threads, allocated and freed in order",
    .origin = "Berger et al. 2000",
    .op = "block allocated and freed",
    .groups = "speed,scaling",
    .params = params,
    .presets = presets,
    .min_threads = 1,
    .warmup_ops = 10000,
    .audit_ops = 1000000,
    .setup = threadtest_setup,
    .run = rounds_run,
    .expected_allocs = threadtest_expected_allocs,
    .peak_live_bytes = threadtest_peak_live_bytes,
};
