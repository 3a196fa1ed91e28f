/*
 * t-test1 and t-test2: bins of random sizes that are freed and filled by every call of the malloc family.
 *
 * Origin   Gloger's t-test1 and t-test2, which came with ptmalloc.
 * Threads  All alike. t-test1: each has bins of its own. t-test2: all share one pool of groups of GROUP_BINS bins, a
 *          mutex for each group, so most blocks are freed by another thread than the one that allocated them.
 *          After steps_per_thread steps a thread makes its successor and ends; in t-test1 it frees its bins first
 *          and the successor fills half of them again.
 * Timed    Turns of up to 29 frees of random bins and up to 29 fills of random bins (t-test2: of the bins of one random
 *          group, under its mutex). A fill takes a size from 1 to max_bytes and one of 1024 chances: 4 for
 *          aligned_alloc (4 to 32 bytes), 16 for calloc, 80 for realloc where the old block has less than 2000 bytes,
 *          else malloc; but for realloc a full bin is freed first. The ends and every page are written.
 * Op       One bin freed (or found empty), or one bin filled.
 * Remote   A realloc makes the block the caller's.
 * Verify   What was written to a block is there when it is freed or grown; what calloc gives is zero.
 * Live     t-test1: at most max_bytes for each bin, bins being total_bytes / max_bytes divided among the threads, four
 *          each at least. t-test2: the same for its pool.
 * Allocs   One per fill but reallocs of blocks; counted as they are decided, for they depend on the bins.
 */
#include <pthread.h>

#include "workloads/block.h"

enum { MAX_BYTES, TOTAL_BYTES, STEPS_PER_THREAD };

static const struct param params[] = {
    [MAX_BYTES] = {"max_bytes", "bytes", 10000, 1, 1 << 24, "sizes are uniform from 1 to this"},
    [TOTAL_BYTES] = {"total_bytes", "bytes", 8000000, 1, INT64_C(1) << 36,
                     "largest live set, over all threads"},
    [STEPS_PER_THREAD] = {"steps_per_thread", "steps", 10000, 1, 1 << 30, "a thread ends after so many"},
    {0},
};

#define ALLOCBENCH(bytes)                                                                                    \
    {                                                                                                        \
        "allocbench-" #bytes, "a million steps a thread", {                                                  \
            {"max_bytes", bytes}, {                                                                          \
                "steps_per_thread", 1000000                                                                  \
            }                                                                                                \
        }                                                                                                    \
    }
static const struct preset presets[] = {
    ALLOCBENCH(64), ALLOCBENCH(1024), ALLOCBENCH(16384), ALLOCBENCH(131072), {0},
};

#define TURN_MAX 30 /* frees, and fills, of a turn are below this */
#define MIN_BINS 4
#define GROUP_BINS 20
#define REALLOC_BELOW_BYTES 2000
#define MAX_ALIGN_BYTES 32

/* The bins of a group belong to whom holds its lock. */
struct group {
    pthread_mutex_t lock;
    struct block *bins;
};

struct pool {
    struct block_set bins;
    struct group *groups;
    uint64_t n_groups;
};

struct t_slot {
    _Alignas(WORKER_ALIGN_BYTES) struct block_set own; /* t-test1 */
    uint64_t steps_left;                               /* of this thread */
    uint64_t n_allocs;                                 /* decided so far */
    uint32_t owner;                                    /* number of the thread that serves the slot */
    bool is_filled;                                    /* t-test1: this thread has filled half of its bins */
};

/* ---- bins -------------------------------------------------------------------------------------------- */

static bool is_zero(const unsigned char *at, size_t size_bytes) {
    unsigned char any = at[size_bytes - 1];
    for (size_t i = 0; i < size_bytes; i += PAGE_BYTES)
        any |= at[i];
    return any == 0;
}

/* The bin's block, if any, becomes one of size_bytes. False after cell_fail; then the bin keeps what it had. */
static bool bin_realloc(struct worker *w, struct t_slot *slot, struct block *bin, size_t size_bytes) {
    if (bin->at && !block_is_intact(bin)) {
        cell_fail(w->cell, EBADMSG, "a block does not hold what was written to it");
        return false;
    }
    unsigned char *at = w->heap->realloc(bin->at, size_bytes);
    if (!at) {
        cell_fail(w->cell, ENOMEM, "realloc returned NULL");
        return false;
    }
    slot->n_allocs += !bin->at;
    bool is_kept = !bin->at || at[0] == bin->tag;
    if (bin->at)
        worker_live_add(w, -(int64_t)bin->size_bytes);
    block_enter(w, bin, at, size_bytes, slot->owner);
    if (!is_kept)
        cell_fail(w->cell, EBADMSG, "realloc did not keep what was written to the block");
    return is_kept;
}

/* An empty bin gets a block by malloc, calloc or aligned_alloc. False after cell_fail. */
static bool bin_alloc(struct worker *w, struct t_slot *slot, struct block *bin, size_t size_bytes,
                      uint64_t chance) {
    unsigned char *at;
    if (chance < 4) {
        size_t align_bytes = (size_t)4 << chance;
        size_bytes = (size_bytes + align_bytes - 1) & ~(align_bytes - 1); /* as C11 wants it */
        at = w->heap->aligned_alloc(align_bytes, size_bytes);
    } else if (chance < 20) {
        at = w->heap->calloc(1, size_bytes);
    } else {
        at = w->heap->alloc(size_bytes);
    }
    if (!at) {
        cell_fail(w->cell, ENOMEM, "the allocator returned NULL");
        return false;
    }
    slot->n_allocs++;
    bool is_right = chance < 4    ? (uintptr_t)at % ((size_t)4 << chance) == 0
                    : chance < 20 ? is_zero(at, size_bytes)
                                  : true;
    block_enter(w, bin, at, size_bytes, slot->owner);
    if (!is_right)
        cell_fail(w->cell, EBADMSG, chance < 4 ? "aligned_alloc did not align" : "calloc gave dirty memory");
    return is_right;
}

static bool bin_fill(struct worker *w, struct t_slot *slot, struct block *bin) {
    size_t size_bytes = 1 + prng_below(&w->prng, (uint64_t)w->cell->params[MAX_BYTES]);
    uint64_t chance = prng_below(&w->prng, 1024);

    if (chance >= 20 && chance < 100 && (!bin->at || bin->size_bytes < REALLOC_BELOW_BYTES))
        return bin_realloc(w, slot, bin, size_bytes);
    if (bin->at && !block_free(w, bin, slot->owner))
        return false;
    return bin_alloc(w, slot, bin, size_bytes, chance);
}

/* A turn on n_bins bins, at most n_max steps. The steps made are added to *done. False after cell_fail. */
static bool turn(struct worker *w, struct t_slot *slot, struct block *bins, uint64_t n_bins, uint64_t n_max,
                 uint64_t *done) {
    uint64_t n_frees = min_u64(prng_below(&w->prng, TURN_MAX), n_max);
    uint64_t n_fills = min_u64(prng_below(&w->prng, TURN_MAX), n_max - n_frees);

    for (uint64_t i = 0; i < n_frees; i++) {
        struct block *bin = &bins[prng_below(&w->prng, n_bins)];
        if (bin->at && !block_free(w, bin, slot->owner))
            return false;
    }
    for (uint64_t i = 0; i < n_fills; i++)
        if (!bin_fill(w, slot, &bins[prng_below(&w->prng, n_bins)]))
            return false;
    slot->steps_left -= n_frees + n_fills;
    *done += n_frees + n_fills;
    return true;
}

/* ---- t-test1 ----------------------------------------------------------------------------------------- */

static uint64_t n_bins_of(const int64_t *p, unsigned n_sharing) {
    return max_u64(MIN_BINS, (uint64_t)(p[TOTAL_BYTES] / p[MAX_BYTES]) / n_sharing);
}

/* Rounded up for the largest alignment; a realloc may hold a block of either size for a moment. */
static uint64_t t_test1_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    return (n_bins_of(p, n_threads) + 1) * n_threads * ((uint64_t)p[MAX_BYTES] + MAX_ALIGN_BYTES);
}

static struct t_slot *slot_create(struct worker *w) {
    struct t_slot *slot = cell_scratch(w->cell, sizeof *slot, _Alignof(struct t_slot));
    if (!slot)
        return NULL;
    slot->steps_left = (uint64_t)w->cell->params[STEPS_PER_THREAD];
    slot->owner = w->idx + 1; /* 0 is main */
    w->state = slot;
    return slot;
}

static int t_test1_setup(struct cell *c) {
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct t_slot *slot = slot_create(&c->workers[i]);
        if (!slot || !block_set_create(c, &slot->own, n_bins_of(c->params, c->n_threads)))
            return -ENOMEM;
        slot->own.n_blocks = slot->own.n_max; /* empty bins are holes */
    }
    return 0;
}

/* Each bin with one chance in two. */
static bool prefill(struct worker *w, struct t_slot *slot, struct block_set *bins) {
    for (uint64_t i = 0; i < bins->n_blocks; i++)
        if (prng_next(&w->prng) >> 63 && !bin_fill(w, slot, &bins->blocks[i]))
            return false;
    return true;
}

static bool bins_empty(struct worker *w, struct t_slot *slot, struct block_set *bins) {
    for (uint64_t i = 0; i < bins->n_blocks; i++)
        if (bins->blocks[i].at && !block_free(w, &bins->blocks[i], slot->owner))
            return false;
    return true;
}

/* The slot passes to the next thread. */
static enum run_result hand_on(struct worker *w, struct t_slot *slot, uint64_t done) {
    slot->steps_left = (uint64_t)w->cell->params[STEPS_PER_THREAD];
    slot->owner += w->cell->n_threads;
    slot->is_filled = false;
    worker_continue(w, done);
    return RUN_SUCCEED;
}

static enum run_result t_test1_run(struct worker *w) {
    struct t_slot *slot = w->state;
    uint64_t done = worker_ops(w);

    while (worker_continue(w, done)) {
        if (!slot->is_filled && !prefill(w, slot, &slot->own))
            return RUN_FAILED;
        slot->is_filled = true;
        if (!turn(w, slot, slot->own.blocks, slot->own.n_blocks, worker_batch(w, done, slot->steps_left),
                  &done))
            return RUN_FAILED;
        if (slot->steps_left == 0)
            return bins_empty(w, slot, &slot->own) ? hand_on(w, slot, done) : RUN_FAILED;
    }
    return RUN_DONE;
}

static int t_test1_verify(struct cell *c) {
    int err = 0;
    for (unsigned i = 0; i < c->n_threads && !err; i++)
        err = block_set_verify(c, &((struct t_slot *)c->workers[i].state)->own);
    return err;
}

static void t_test1_teardown(struct cell *c) {
    for (unsigned i = 0; i < c->n_threads; i++)
        if (c->workers[i].state)
            block_set_clear(&c->workers[i], &((struct t_slot *)c->workers[i].state)->own);
}

/* ---- t-test2 ----------------------------------------------------------------------------------------- */

static uint64_t n_groups_of(const int64_t *p) {
    return (n_bins_of(p, 1) + GROUP_BINS - 1) / GROUP_BINS;
}

static uint64_t t_test2_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    return (n_groups_of(p) * GROUP_BINS + n_threads) * ((uint64_t)p[MAX_BYTES] + MAX_ALIGN_BYTES);
}

/* Main fills half of the bins with malloc. */
static int pool_prefill(struct cell *c, struct pool *pool) {
    struct worker *w = &c->workers[0];
    struct prng prng;
    prng_seed(&prng, c->seed, SETUP_STREAM);
    for (uint64_t i = 0; i < pool->bins.n_blocks; i += 2)
        if (!block_make(w, &pool->bins.blocks[i], 1 + prng_below(&prng, (uint64_t)c->params[MAX_BYTES]), 0))
            return -ENOMEM;
    return 0;
}

static int t_test2_setup(struct cell *c) {
    struct pool *pool = cell_scratch(c, sizeof *pool, _Alignof(struct pool));
    if (!pool)
        return -ENOMEM;
    pool->n_groups = n_groups_of(c->params);
    pool->groups = cell_scratch(c, pool->n_groups * sizeof *pool->groups, _Alignof(struct group));
    if (!pool->groups || !block_set_create(c, &pool->bins, pool->n_groups * GROUP_BINS))
        return -ENOMEM;
    pool->bins.n_blocks = pool->bins.n_max;
    for (uint64_t i = 0; i < pool->n_groups; i++) {
        pthread_mutex_init(&pool->groups[i].lock, NULL);
        pool->groups[i].bins = &pool->bins.blocks[i * GROUP_BINS];
    }
    for (unsigned i = 0; i < c->n_threads; i++)
        if (!slot_create(&c->workers[i]))
            return -ENOMEM;
    c->state = pool;
    return pool_prefill(c, pool);
}

static enum run_result t_test2_run(struct worker *w) {
    struct pool *pool = w->cell->state;
    struct t_slot *slot = w->state;
    uint64_t done = worker_ops(w);

    while (worker_continue(w, done)) {
        struct group *group = &pool->groups[prng_below(&w->prng, pool->n_groups)];
        pthread_mutex_lock(&group->lock);
        bool is_fine = turn(w, slot, group->bins, GROUP_BINS, worker_batch(w, done, slot->steps_left), &done);
        pthread_mutex_unlock(&group->lock);
        if (!is_fine)
            return RUN_FAILED;
        if (slot->steps_left == 0)
            return hand_on(w, slot, done);
    }
    return RUN_DONE;
}

static int t_test2_verify(struct cell *c) {
    return block_set_verify(c, &((struct pool *)c->state)->bins);
}

static void t_test2_teardown(struct cell *c) {
    struct pool *pool = c->state;
    if (pool)
        block_set_clear(&c->workers[0], &pool->bins);
}

/* ------------------------------------------------------------------------------------------------------ */

static uint64_t decided_allocs(const struct cell *c) {
    uint64_t n_allocs = 0;
    for (unsigned i = 0; i < c->n_threads; i++) {
        const struct t_slot *slot = c->workers[i].state;
        n_allocs += slot ? slot->n_allocs : 0;
    }
    return n_allocs;
}

static uint64_t t_test2_expected_allocs(const struct cell *c) {
    const struct pool *pool = c->state;
    return decided_allocs(c) + (pool ? pool->bins.n_max / 2 : 0);
}

#define T_TEST_COMMON                                                                                        \
    .version = 1, .op = "bin freed or filled", .params = params, .presets = presets,                         \
    .flags = WORKLOAD_SUCCESSORS, .min_threads = 1, .needs = NEEDS_CALLOC | NEEDS_REALLOC | NEEDS_ALIGNED,   \
    .warmup_ops = 5000, .audit_ops = 300000

const struct workload workload_t_test1 = {
    T_TEST_COMMON,
    .name = "t-test1",
    .summary = "private bins of random sizes, all calls of the malloc family, short-lived threads",
    .origin = "Gloger: ptmalloc's t-test1",
    .groups = "speed",
    .setup = t_test1_setup,
    .run = t_test1_run,
    .verify = t_test1_verify,
    .teardown = t_test1_teardown,
    .expected_allocs = decided_allocs,
    .peak_live_bytes = t_test1_peak_live_bytes,
};

const struct workload workload_t_test2 = {
    T_TEST_COMMON,
    .name = "t-test2",
    .summary = "the same on bins that all threads share, a mutex for each twenty",
    .origin = "Gloger: ptmalloc's t-test2",
    .groups = "speed,scaling",
    .setup = t_test2_setup,
    .run = t_test2_run,
    .verify = t_test2_verify,
    .teardown = t_test2_teardown,
    .expected_allocs = t_test2_expected_allocs,
    .peak_live_bytes = t_test2_peak_live_bytes,
};
