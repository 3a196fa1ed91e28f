/*
 * linux-scalability: many live blocks of one size, freed in the order they came.
 *
 * Origin   Lever and Boreham, "malloc() Performance in a Multithreaded Linux Environment" (FREENIX 2000), test 1, in
 *          the form that Hoard's suite has had since 2013: all blocks before the first free. The original's pairs
 *          are malloc-test.
 * Threads  All alike; none sees another's block.
 * Timed    Rounds: `objects` / T mallocs with a store to each block, then as many frees in the same order. Hoard's
 *          form allocates its array of pointers inside the timed region and leaks it; here it is scratch memory.
 * Op       One block allocated and freed.
 * Live     At most objects x size_bytes, over all threads.
 * Allocs   One per op, and none besides.
 */
#include "workloads/rounds.h"

enum { SIZE_BYTES, OBJECTS };

static const struct param params[] = {
    [SIZE_BYTES] = {"size_bytes", "bytes", 512, 1, 1 << 20, "size of each block"},
    [OBJECTS] = {"objects", "blocks", 100000, 1, 1 << 27, "live at the end of a round, over all threads"},
    {0},
};

static const struct preset presets[] = {
    {"hoard", "the suite's default, a million blocks", {{"objects", 1000000}}},
    {"hoard-readme", "ten million blocks, 5 GB", {{"objects", 10000000}}},
    {0},
};

static uint64_t share_of_slot(const int64_t *p, unsigned n_threads, unsigned idx) {
    return max_u64(1, share_of((uint64_t)p[OBJECTS], n_threads, idx));
}

static int linux_scalability_setup(struct cell *c) {
    const struct rounds model = {.size_bytes = (size_t)c->params[SIZE_BYTES]};
    int err = 0;
    for (unsigned i = 0; i < c->n_threads && !err; i++)
        err = rounds_create(&c->workers[i], &model, share_of_slot(c->params, c->n_threads, i));
    return err;
}

static uint64_t linux_scalability_expected_allocs(const struct cell *c) {
    return cell_ops_total(c);
}

static uint64_t linux_scalability_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    return max_u64((uint64_t)p[OBJECTS], n_threads) * (uint64_t)p[SIZE_BYTES];
}

const struct workload workload_linux_scalability = {
    .name = "linux-scalability",
    .version = 1,
    .summary = "many blocks of one size allocated, then freed in order",
    .origin = "Lever and Boreham 2000, test 1, as in Hoard's suite",
    .op = "block allocated and freed",
    .groups = "speed,scaling",
    .params = params,
    .presets = presets,
    .min_threads = 1,
    .warmup_ops = 10000,
    .audit_ops = 500000,
    .setup = linux_scalability_setup,
    .run = rounds_run,
    .expected_allocs = linux_scalability_expected_allocs,
    .peak_live_bytes = linux_scalability_peak_live_bytes,
};
