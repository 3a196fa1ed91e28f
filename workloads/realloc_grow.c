/*
 * realloc-grow: buffers that grow as they are filled.
 *
 * Origin   Defined here. It is what strings, vectors and read buffers do: whether a block can grow where it is, or must be
 *          copied, decides the cost, and what lies behind the block decides that.
 * Threads  All alike; none sees another's block. Each has its share of the buffers, and at least one.
 * Timed    Steps, going round the thread's buffers: a buffer is allocated with start_bytes; then reallocated to
 *          growth_percent more or, if that is 0, step_bytes more, and what is new is filled; when it has reached max_bytes it is
 *          freed and begins again. With neighbour = 1 a small block is allocated after each of these, in place of the
 *          buffer's last one, so that an allocator that places by address has no room to grow.
 * Op       One malloc or realloc of a buffer.
 * Verify   After a realloc the first, the last and one random byte of what was there before.
 * Allocs   One for each time a buffer begins: of a thread's n operations on b buffers that take s steps each, the first b of each
 *          b x s. With neighbour = 1 one more per op. A realloc counts as no allocation.
 * Live     buffers x (max_bytes + two neighbours).
 */
#include "workloads/block.h"

enum { START_BYTES, MAX_BYTES, GROWTH_PERCENT, STEP_BYTES, BUFFERS, NEIGHBOUR };

static const struct param params[] = {
    [START_BYTES] = {"start_bytes", "bytes", 16, 1, 1 << 30, "size that a buffer begins with"},
    [MAX_BYTES] = {"max_bytes", "bytes", 1 << 20, 1, 1 << 30, "size that it ends with"},
    [GROWTH_PERCENT] = {"growth_percent", "%", 50, 0, 10000, "of the size at each step; 0: by step_bytes"},
    [STEP_BYTES] = {"step_bytes", "bytes", 64, 1, 1 << 30, "growth where growth_percent is 0"},
    [BUFFERS] = {"buffers", "buffers", 1, 1, 1 << 20, "that grow side by side, over all threads"},
    [NEIGHBOUR] = {"neighbour", "", 0, 0, 1, "1: another block is allocated after each step"},
    {0},
};

#define NEIGHBOUR_BYTES 64
#define BATCH_BYTES (256 << 10) /* of max_bytes, between two looks at the stop flag */

/* Blocks 2k and 2k + 1 of the set are buffer k and its neighbour; holes at first. */
struct grow_slot {
    struct block_set set;
    uint64_t next; /* buffer */
};

/* ---- the course of a buffer -------------------------------------------------------------------------- */

static uint64_t grow_next_size(const int64_t *p, uint64_t size_bytes) {
    uint64_t more =
        p[GROWTH_PERCENT] ? size_bytes * (uint64_t)p[GROWTH_PERCENT] / 100 : (uint64_t)p[STEP_BYTES];
    return min_u64((uint64_t)p[MAX_BYTES], size_bytes + max_u64(1, more));
}

static uint64_t grow_steps(const int64_t *p) {
    uint64_t n_steps = 1;
    for (uint64_t size = (uint64_t)p[START_BYTES]; size < (uint64_t)p[MAX_BYTES];
         size = grow_next_size(p, size))
        n_steps++;
    return n_steps;
}

static bool buffer_begin(struct worker *w, struct block *b) {
    size_t size_bytes = (size_t)w->cell->params[START_BYTES];
    if (!block_replace(w, b, size_bytes, w->idx))
        return false;
    memset(b->at, b->tag, size_bytes);
    return true;
}

static bool buffer_grow(struct worker *w, struct block *b) {
    size_t old_bytes = b->size_bytes, size_bytes = grow_next_size(w->cell->params, old_bytes);
    unsigned char *at = w->heap->realloc(b->at, size_bytes);
    if (!at) {
        cell_fail(w->cell, ENOMEM, "realloc returned NULL");
        return false;
    }
    bool is_intact =
        at[0] == b->tag && at[old_bytes - 1] == b->tag && at[prng_below(&w->prng, old_bytes)] == b->tag;
    memset(at + old_bytes, b->tag, size_bytes - old_bytes);
    b->at = at;
    b->size_bytes = (uint32_t)size_bytes;
    worker_live_add(w, (int64_t)(size_bytes - old_bytes));
    if (!is_intact)
        cell_fail(w->cell, EBADMSG, "realloc-grow: a realloc lost what was written to the block");
    return is_intact;
}

/* The new one first, so that it cannot take the place of the old. */
static bool neighbour_replace(struct worker *w, struct block *old) {
    struct block b;
    if (!block_make(w, &b, NEIGHBOUR_BYTES, w->idx))
        return false;
    bool is_intact = !old->at || block_free(w, old, w->idx);
    *old = b;
    return is_intact;
}

static bool grow_step(struct worker *w, struct grow_slot *s) {
    struct block *b = &s->set.blocks[2 * s->next];
    s->next = (s->next + 1) % (s->set.n_blocks / 2);
    bool is_beginning = !b->at || b->size_bytes == (uint64_t)w->cell->params[MAX_BYTES];
    if (!(is_beginning ? buffer_begin(w, b) : buffer_grow(w, b)))
        return false;
    return !w->cell->params[NEIGHBOUR] || neighbour_replace(w, b + 1);
}

/* ---- the workload ------------------------------------------------------------------------------------ */

static int grow_setup(struct cell *c) {
    if (c->params[START_BYTES] > c->params[MAX_BYTES])
        return cell_fail(c, EINVAL, "realloc-grow: start_bytes must not be above max_bytes");
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct worker *w = &c->workers[i];
        uint64_t n_buffers = max_u64(1, worker_share(w, c->params[BUFFERS]));
        struct grow_slot *s = block_slot_create(w, sizeof *s, 2 * n_buffers);
        if (!s)
            return -ENOMEM;
        s->set.n_blocks = s->set.n_max;
    }
    return 0;
}

static enum run_result grow_run(struct worker *w) {
    const uint64_t batch_steps = BATCH_BYTES / (uint64_t)w->cell->params[MAX_BYTES] + 1;
    uint64_t done = worker_ops(w);
    while (worker_continue(w, done)) {
        uint64_t n_steps = worker_batch(w, done, batch_steps);
        for (uint64_t i = 0; i < n_steps; i++)
            if (!grow_step(w, w->state))
                return RUN_FAILED;
        done += n_steps;
    }
    return RUN_DONE;
}

static uint64_t grow_expected_allocs(const struct cell *c) {
    uint64_t n_steps = grow_steps(c->params), n_allocs = 0;
    for (unsigned i = 0; i < c->n_threads; i++) {
        const struct worker *w = &c->workers[i];
        uint64_t n_ops = w->ops_before + worker_ops(w);
        uint64_t n_buffers = max_u64(1, worker_share(w, c->params[BUFFERS])), round = n_buffers * n_steps;
        n_allocs += n_ops / round * n_buffers + min_u64(n_ops % round, n_buffers);
        n_allocs += c->params[NEIGHBOUR] ? n_ops : 0;
    }
    return n_allocs;
}

static uint64_t grow_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    uint64_t n_buffers = max_u64((uint64_t)p[BUFFERS], n_threads);
    return n_buffers * ((uint64_t)p[MAX_BYTES] + (p[NEIGHBOUR] ? 2 * NEIGHBOUR_BYTES : 0));
}

static const struct preset presets[] = {
    {"neighbour", "a block is put behind the buffer at each step", {{"neighbour", 1}}},
    {"interleaved", "64 buffers grow side by side", {{"buffers", 64}}},
    {"lines", "64 bytes more at a time, up to 64 KiB", {{"growth_percent", 0}, {"max_bytes", 64 << 10}}},
    {0},
};

const struct workload workload_realloc_grow = {
    .name = "realloc-grow",
    .version = 1,
    .summary = "buffers that are filled and reallocated",
    .origin = "heapdyno",
    .op = "malloc or realloc of a buffer",
    .groups = "speed",
    .params = params,
    .presets = presets,
    .min_threads = 1,
    .needs = NEEDS_REALLOC,
    .warmup_ops = 200,
    .audit_ops = 10000,
    .setup = grow_setup,
    .run = grow_run,
    .verify = block_slots_verify,
    .teardown = block_slots_teardown,
    .expected_allocs = grow_expected_allocs,
    .peak_live_bytes = grow_peak_live_bytes,
};
