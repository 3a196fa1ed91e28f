/*
 * phong: mostly small blocks, a share of which grows by realloc again and again.
 *
 * Origin   Phong Vo's allocation test, as in Hoard's suite.
 * Threads  All alike; none sees another's block.
 * Timed    Steps. Each allocates one block; sizes are biased to the small end (draw_small_biased). It goes to
 *          the next place of a window of `window` blocks, and what still lives there is freed. Once the window is
 *          full, each step also looks at an interval of it, 1 to `interval` places from a random one on: each block
 *          there is freed with probability 1/2, or else, with probability 1/4, resized: to twice its size, or to a
 *          quarter when that is above max_bytes. TOUCHES bytes, spread evenly, are written whenever a block is new or
 *          resized.
 * Op       One step.
 * Verify   The last byte before a resize and the first at each end are looked at.
 * Live     At most window x max_bytes a thread.
 * Allocs   One per op.
 *
 * In the original all blocks are in reach of an interval, survivors are never freed, and all threads draw the same
 * stream; here the window bounds what is live, and each thread has a stream of its own.
 */
#include "workloads/block.h"
#include "workloads/draw.h"

enum { MIN_BYTES, MAX_BYTES, WINDOW, INTERVAL };

static const struct param params[] = {
    [MIN_BYTES] = {"min_bytes", "bytes", 10, 1, 1 << 20, "smallest block"},
    [MAX_BYTES] = {"max_bytes", "bytes", 1024, 1, 1 << 24, "largest block"},
    [WINDOW] = {"window", "blocks", 1000, 1, 1 << 24, "newest blocks of a thread, which may live"},
    [INTERVAL] = {"interval", "blocks", 16, 1, 1 << 20, "places that a step looks at, at most"},
    {0},
};

static const struct preset presets[] = {
    {"hoard", "the suite's call: 10 to 1024 bytes", {{"min_bytes", 10}, {"max_bytes", 1024}}},
    {0},
};

#define BATCH_STEPS 256
#define TOUCHES 10

struct phong_slot {
    _Alignas(
        WORKER_ALIGN_BYTES) struct block_set window; /* n_blocks = n_max: holes are places without a block */
    uint64_t n_steps; /* since the start; the next place is n_steps mod window */
};

static int phong_setup(struct cell *c) {
    if (c->params[MIN_BYTES] > c->params[MAX_BYTES])
        return cell_fail(c, EINVAL, "phong: min_bytes must not be above max_bytes");
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct phong_slot *slot = cell_scratch(c, sizeof *slot, _Alignof(struct phong_slot));
        if (!slot || !block_set_create(c, &slot->window, (uint64_t)c->params[WINDOW]))
            return -ENOMEM;
        slot->window.n_blocks = slot->window.n_max;
        c->workers[i].state = slot;
    }
    return 0;
}

static void write_spread(struct block *b) {
    for (size_t i = 0; i < TOUCHES; i++)
        b->at[i * b->size_bytes / TOUCHES] = b->tag;
}

/* False after cell_fail; the block is then as it was, or what realloc made of it. */
static bool resize(struct worker *w, struct block *b) {
    size_t old_bytes = b->size_bytes, max_bytes = (size_t)w->cell->params[MAX_BYTES];
    size_t new_bytes = old_bytes * 2 <= max_bytes ? old_bytes * 2 : max_u64(1, old_bytes / 4);
    unsigned char tag = b->tag;
    unsigned char *at = w->heap->realloc(b->at, new_bytes);

    if (!at) {
        cell_fail(w->cell, ENOMEM, "realloc returned NULL");
        return false;
    }
    bool is_kept = at[0] == tag && (new_bytes < old_bytes || at[old_bytes - 1] == tag);
    worker_live_add(w, -(int64_t)old_bytes);
    block_enter(w, b, at, new_bytes, w->idx);
    write_spread(b);
    if (!is_kept)
        cell_fail(w->cell, EBADMSG, "realloc did not keep what was written to the block");
    return is_kept;
}

/* Three bits decide for each block: half of them free it, an eighth resizes it. */
static bool churn(struct worker *w, struct block_set *window) {
    uint64_t place = prng_below(&w->prng, window->n_max);
    uint64_t n = 1 + prng_below(&w->prng, (uint64_t)w->cell->params[INTERVAL]);

    for (; n > 0; n--) {
        struct block *b = &window->blocks[place];
        place = place + 1 == window->n_max ? 0 : place + 1;
        if (!b->at)
            continue;
        uint64_t chance = prng_next(&w->prng) >> 61;
        if (chance < 4 && !block_free(w, b, w->idx))
            return false;
        if (chance == 4 && !resize(w, b))
            return false;
    }
    return true;
}

static bool phong_step(struct worker *w, struct phong_slot *slot) {
    const int64_t *p = w->cell->params;
    struct block *b = &slot->window.blocks[slot->n_steps % slot->window.n_max];

    if (b->at && !block_free(w, b, w->idx))
        return false;
    size_t size_bytes = draw_small_biased(&w->prng, (uint64_t)p[MIN_BYTES], (uint64_t)p[MAX_BYTES]);
    if (!block_make(w, b, size_bytes, w->idx))
        return false;
    write_spread(b);
    slot->n_steps++;
    return slot->n_steps <= slot->window.n_max || churn(w, &slot->window);
}

static enum run_result phong_run(struct worker *w) {
    struct phong_slot *slot = w->state;
    uint64_t done = worker_ops(w);

    while (worker_continue(w, done)) {
        for (uint64_t n = worker_batch(w, done, BATCH_STEPS); n > 0; n--, done++)
            if (!phong_step(w, slot))
                return RUN_FAILED;
    }
    return RUN_DONE;
}

static int phong_verify(struct cell *c) {
    int err = 0;
    for (unsigned i = 0; i < c->n_threads && !err; i++)
        err = block_set_verify(c, &((struct phong_slot *)c->workers[i].state)->window);
    return err;
}

static void phong_teardown(struct cell *c) {
    for (unsigned i = 0; i < c->n_threads; i++)
        if (c->workers[i].state)
            block_set_clear(&c->workers[i], &((struct phong_slot *)c->workers[i].state)->window);
}

static uint64_t phong_expected_allocs(const struct cell *c) {
    return cell_ops_total(c);
}

static uint64_t phong_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    return (uint64_t)p[WINDOW] * (uint64_t)p[MAX_BYTES] * n_threads;
}

const struct workload workload_phong = {
    .name = "phong",
    .version = 1,
    .summary = "small blocks in a moving window, a share of them resized over and over",
    .origin = "Vo's allocation test, as in Hoard's suite",
    .op = "malloc, with the frees and reallocs of its step",
    .groups = "speed",
    .params = params,
    .presets = presets,
    .min_threads = 1,
    .needs = NEEDS_REALLOC,
    .warmup_ops = 10000,
    .audit_ops = 500000,
    .setup = phong_setup,
    .run = phong_run,
    .verify = phong_verify,
    .teardown = phong_teardown,
    .expected_allocs = phong_expected_allocs,
    .peak_live_bytes = phong_peak_live_bytes,
};
