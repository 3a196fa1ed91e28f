/*
 * alloc-test: random places of a table are filled and emptied, a few of them far more often than the rest.
 *
 * Origin   alloc-test by No Bugs Hare (OLogN Technologies, 2018).
 * Threads  All alike; none sees another's block. `entries` and with it the live set are divided among them.
 * Timed    Steps: a place is chosen; a block there is read and freed; an empty place gets a block, which is written.
 *          Places: with probability 0.8 one of the first fifth, within which the same holds again, six times over
 *          (alloc_test_draw_place). Sizes: above 2^k up to 2^(k+1) bytes, k from 2 to 9, each k half as likely as the
 *          one before. Half of the places, at random, are filled before the clock starts.
 * Op       One step.
 * Verify   All bytes of a block are read before it is freed.
 * Live     About half of the places, 27.5 bytes each on average; at most entries x 1024.
 * Allocs   One per step that finds an empty place and one per block of the first filling; counted as they are decided.
 */
#include "workloads/alloc_test.h"
#include "workloads/block.h"
#include "workloads/draw.h"

enum { ENTRIES };

static const struct param params[] = {
    [ENTRIES] = {"entries", "places", 1 << 18, 16, 1 << 28, "places for blocks, over all threads"},
    {0},
};

#define BATCH_STEPS 512
#define MIN_CLASS 2
#define MAX_CLASS 9

struct alloc_test_slot {
    _Alignas(WORKER_ALIGN_BYTES) struct block_set places; /* n_blocks = n_max */
    uint64_t n_allocs;                                    /* decided so far */
};

static size_t draw_size(struct prng *g) {
    uint64_t base = UINT64_C(1) << draw_halving(g, MIN_CLASS, MAX_CLASS);
    return base + 1 + prng_below(g, base);
}

static int alloc_test_setup(struct cell *c) {
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct alloc_test_slot *slot = cell_scratch(c, sizeof *slot, _Alignof(struct alloc_test_slot));
        uint64_t n_places = max_u64(1, share_of((uint64_t)c->params[ENTRIES], c->n_threads, i));
        if (!slot || !block_set_create(c, &slot->places, n_places))
            return -ENOMEM;
        slot->places.n_blocks = n_places;
        c->workers[i].state = slot;
    }
    return 0;
}

/* False after cell_fail. */
static bool place_fill(struct worker *w, struct alloc_test_slot *slot, struct block *b) {
    if (!block_make(w, b, draw_size(&w->prng), w->idx))
        return false;
    memset(b->at, b->tag, b->size_bytes);
    slot->n_allocs++;
    return true;
}

static bool is_filled_with(const struct block *b) {
    unsigned char differs = 0;
    for (size_t i = 0; i < b->size_bytes; i++)
        differs |= b->at[i] ^ (unsigned char)b->tag;
    return differs == 0;
}

static bool place_empty(struct worker *w, struct block *b) {
    bool is_intact = is_filled_with(b);
    if (!is_intact)
        cell_fail(w->cell, EBADMSG, "alloc-test: a block does not hold what was written to it");
    return block_free(w, b, w->idx) && is_intact;
}

static int alloc_test_thread_setup(struct worker *w) {
    struct alloc_test_slot *slot = w->state;
    for (uint64_t i = 0; i < slot->places.n_max; i++)
        if (prng_next(&w->prng) >> 63 && !place_fill(w, slot, &slot->places.blocks[i]))
            return -ENOMEM;
    return 0;
}

static enum run_result alloc_test_run(struct worker *w) {
    struct alloc_test_slot *slot = w->state;
    uint64_t done = worker_ops(w);

    while (worker_continue(w, done)) {
        for (uint64_t n = worker_batch(w, done, BATCH_STEPS); n > 0; n--, done++) {
            struct block *b = &slot->places.blocks[alloc_test_draw_place(&w->prng, slot->places.n_max)];
            if (!(b->at ? place_empty(w, b) : place_fill(w, slot, b)))
                return RUN_FAILED;
        }
    }
    return RUN_DONE;
}

static int alloc_test_verify(struct cell *c) {
    int err = 0;
    for (unsigned i = 0; i < c->n_threads && !err; i++)
        err = block_set_verify(c, &((struct alloc_test_slot *)c->workers[i].state)->places);
    return err;
}

static void alloc_test_teardown(struct cell *c) {
    for (unsigned i = 0; i < c->n_threads; i++)
        if (c->workers[i].state)
            block_set_clear(&c->workers[i], &((struct alloc_test_slot *)c->workers[i].state)->places);
}

static uint64_t alloc_test_expected_allocs(const struct cell *c) {
    uint64_t n_allocs = 0;
    for (unsigned i = 0; i < c->n_threads; i++) {
        const struct alloc_test_slot *slot = c->workers[i].state;
        n_allocs += slot ? slot->n_allocs : 0;
    }
    return n_allocs;
}

static uint64_t alloc_test_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    return max_u64((uint64_t)p[ENTRIES], n_threads) * (UINT64_C(2) << MAX_CLASS);
}

const struct workload workload_alloc_test = {
    .name = "alloc-test",
    .version = 1,
    .summary = "random places filled and emptied, the hot ones far more often",
    .origin = "OLogN Technologies: alloc-test, 2018",
    .op = "place filled or emptied",
    .groups = "speed,scaling",
    .params = params,
    .flags = WORKLOAD_OPEN_LOOP,
    .min_threads = 1,
    .warmup_ops = 10000,
    .audit_ops = 500000,
    .setup = alloc_test_setup,
    .thread_setup = alloc_test_thread_setup,
    .run = alloc_test_run,
    .verify = alloc_test_verify,
    .teardown = alloc_test_teardown,
    .expected_allocs = alloc_test_expected_allocs,
    .peak_live_bytes = alloc_test_peak_live_bytes,
};
