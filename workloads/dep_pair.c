/*
 * dep-pair: malloc/free pairs whose calls depend on each other, or do not: latency against throughput.
 *
 * Origin   malloc_bench of gperftools.
 * Threads  All alike; none sees another's block.
 * Timed    Rounds of `depth` mallocs, a store to each block, and the frees, the last block first or in an order drawn
 *          at random once. dependent: the size asked for is computed from the address of the block before (what is
 *          added is always 0, but no processor knows), so a malloc cannot begin before the last one has its
 *          result. Independent: a processor may overlap calls as far as the allocator's own state allows.
 * Op       One block allocated and freed.
 * Before   Each thread ages its heap in thread_setup: of AGE_CLASSES sizes, two an octave from 16 bytes on, it allocates
 *          age_bytes / T, one size after another, and frees them in random order, so that free lists are long and
 *          out of order as in a process that has run for a while.
 * Allocs   One per op and the aged blocks (age_blocks).
 */
#include "workloads/kernel.h"

enum { DEPENDENT, SIZE_BYTES, DEPTH, RANDOM_ORDER, AGE_BYTES };

static const struct param params[] = {
    [DEPENDENT] = {"dependent", "", 1, 0, 1, "1: a size depends on the block before; 0: calls may overlap"},
    [SIZE_BYTES] = {"size_bytes", "bytes", 64, 1, 1 << 20, "size of each block"},
    [DEPTH] = {"depth", "blocks", 1, 1, 1 << 16, "allocated before the first is freed"},
    [RANDOM_ORDER] = {"random_order", "", 0, 0, 1, "1: freed in random order; 0: last first"},
    [AGE_BYTES] = {"age_bytes", "bytes", 4 << 20, 0, 1 << 30,
                   "of each size, to age the heap, over all threads"},
    {0},
};

static const struct preset presets[] = {
    {"throughput", "independent pairs", {{"dependent", 0}}},
    {"latency", "dependent pairs, as by default", {{"dependent", 1}}},
    {"throughput-random",
     "independent, 1000 deep, random order",
     {{"dependent", 0}, {"depth", 1000}, {"random_order", 1}}},
    {"latency-random",
     "dependent, 1000 deep, random order",
     {{"dependent", 1}, {"depth", 1000}, {"random_order", 1}}},
    {"gperftools-ageing", "100 MB of each size, as the original", {{"age_bytes", 100000000}}},
    {0},
};

#define AGE_CLASSES 23
#define AGE_LEAST_BYTES 16
#define ROUND_OPS 1024 /* between two looks at the stop flag */

struct dep_slot {
    _Alignas(WORKER_ALIGN_BYTES) unsigned char **blocks;
    uint32_t *order; /* the block that is freed first, second, ... */
};

/* ---- setup and ageing -------------------------------------------------------------------------------- */

/* 16, 24, 32, 48, ... */
static size_t age_class_bytes(unsigned k) {
    return ((size_t)(k % 2 ? 3 : 2) << (k / 2)) * (AGE_LEAST_BYTES / 2);
}

static uint64_t age_blocks(const int64_t *p, unsigned n_threads, unsigned k) {
    return (uint64_t)p[AGE_BYTES] / n_threads / age_class_bytes(k);
}

static void shuffle(struct prng *g, uint32_t *items, uint64_t n) {
    for (uint64_t i = n; i > 1; i--) {
        uint64_t k = prng_below(g, i);
        uint32_t kept = items[i - 1];
        items[i - 1] = items[k];
        items[k] = kept;
    }
}

static int dep_pair_setup(struct cell *c) {
    const uint64_t depth = (uint64_t)c->params[DEPTH];
    const uint64_t n_max = max_u64(depth, age_blocks(c->params, c->n_threads, 0));
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct dep_slot *slot = cell_scratch(c, sizeof *slot, _Alignof(struct dep_slot));
        if (!slot)
            return -ENOMEM;
        slot->blocks = cell_scratch(c, n_max * sizeof *slot->blocks, WORKER_ALIGN_BYTES);
        slot->order = cell_scratch(c, n_max * sizeof *slot->order, WORKER_ALIGN_BYTES);
        if (!slot->blocks || !slot->order)
            return -ENOMEM;
        c->workers[i].state = slot;
    }
    return 0;
}

static int age_class(struct worker *w, struct dep_slot *slot, unsigned k) {
    uint64_t n = age_blocks(w->cell->params, w->cell->n_threads, k), n_made = 0;
    for (; n_made < n; n_made++) {
        slot->blocks[n_made] = w->heap->alloc(age_class_bytes(k));
        if (!slot->blocks[n_made])
            break;
        *slot->blocks[n_made] = 1;
        slot->order[n_made] = (uint32_t)n_made;
    }
    shuffle(&w->prng, slot->order, n_made);
    for (uint64_t i = 0; i < n_made; i++)
        w->heap->free(slot->blocks[slot->order[i]]);
    return n_made == n ? 0 : cell_fail(w->cell, ENOMEM, "malloc returned NULL");
}

static int dep_pair_thread_setup(struct worker *w) {
    struct dep_slot *slot = w->state;
    const uint64_t depth = (uint64_t)w->cell->params[DEPTH];
    int err = 0;

    for (unsigned k = 0; k < AGE_CLASSES && !err; k++)
        err = age_class(w, slot, k);
    for (uint64_t i = 0; i < depth; i++)
        slot->order[i] = (uint32_t)(depth - 1 - i);
    if (w->cell->params[RANDOM_ORDER])
        shuffle(&w->prng, slot->order, depth);
    return err;
}

/* ---- run --------------------------------------------------------------------------------------------- */

/* Inlined with a constant is_dependent. Blocks made and freed: fewer than n when the heap is dry. */
static inline __attribute__((always_inline)) uint64_t round_of(const struct alloc_ops *heap,
                                                               const struct dep_slot *slot, size_t size_bytes,
                                                               uint64_t n, bool is_dependent) {
    unsigned char **blocks = slot->blocks;
    size_t size = size_bytes;
    uint64_t n_made = 0;

    for (; n_made < n; n_made++) {
        unsigned char *block = heap->alloc(size);
        if (!block)
            break;
        *block = 1;
        blocks[n_made] = block;
        if (is_dependent)
            size = size_bytes + ((uintptr_t)block >> 60); /* no address of a process is that high */
    }
    /* A round that the budget or a dry heap cut short: the order was drawn for a whole one. */
    for (uint64_t i = 0, n_freed = 0; n_freed < n_made; i++) {
        if (slot->order[i] >= n_made)
            continue;
        heap->free(blocks[slot->order[i]]);
        n_freed++;
    }
    return n_made;
}

/* Pairs one at a time. */
static inline __attribute__((always_inline)) uint64_t
pairs_of(const struct alloc_ops *heap, size_t size_bytes, uint64_t n, bool is_dependent) {
    size_t size = size_bytes;
    for (uint64_t i = 0; i < n; i++) {
        unsigned char *block = heap->alloc(size);
        if (!block)
            return i;
        *block = 1;
        if (is_dependent)
            size = size_bytes + ((uintptr_t)block >> 60);
        heap->free(block);
    }
    return n;
}

static uint64_t dep_ops(struct worker *w, const struct dep_slot *slot, uint64_t n) {
    const size_t size_bytes = (size_t)w->cell->params[SIZE_BYTES];
    const bool is_dependent = w->cell->params[DEPENDENT] != 0;
    if (w->cell->params[DEPTH] == 1)
        return is_dependent ? pairs_of(w->heap, size_bytes, n, true)
                            : pairs_of(w->heap, size_bytes, n, false);
    return is_dependent ? round_of(w->heap, slot, size_bytes, n, true)
                        : round_of(w->heap, slot, size_bytes, n, false);
}

static enum run_result dep_pair_run(struct worker *w) {
    const struct dep_slot *slot = w->state;
    const uint64_t depth = (uint64_t)w->cell->params[DEPTH], n_max = depth == 1 ? ROUND_OPS : depth;
    uint64_t done = worker_ops(w);

    while (worker_continue(w, done)) {
        uint64_t n = worker_batch(w, done, n_max), n_done = dep_ops(w, slot, n);
        worker_count_frees(w, n_done, 0);
        done += n_done;
        if (n_done < n) {
            worker_continue(w, done);
            cell_fail(w->cell, ENOMEM, "malloc returned NULL");
            return RUN_FAILED;
        }
    }
    return RUN_DONE;
}

static uint64_t dep_pair_expected_allocs(const struct cell *c) {
    uint64_t n_aged = 0;
    for (unsigned k = 0; k < AGE_CLASSES; k++)
        n_aged += age_blocks(c->params, c->n_threads, k);
    return cell_ops_total(c) + n_aged * c->n_threads;
}

const struct workload workload_dep_pair = {
    .name = "dep-pair",
    .version = 1,
    .summary = "pairs that wait for each other, or may overlap, in an aged heap",
    .origin = "gperftools: malloc_bench",
    .op = "block allocated and freed",
    .groups = "speed",
    .params = params,
    .presets = presets,
    .min_threads = 1,
    .warmup_ops = 10000,
    .audit_ops = 3000000,
    .setup = dep_pair_setup,
    .thread_setup = dep_pair_thread_setup,
    .run = dep_pair_run,
    .expected_allocs = dep_pair_expected_allocs,
};
