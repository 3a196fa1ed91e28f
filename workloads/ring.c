/*
 * ring and ring-xthread: a ring of blocks, of which a fifth outlives each turn.
 *
 * Origin   After sh6bench and sh8bench of MicroQuill, from descriptions of what they do.
 * Threads  ring: all alike, none sees another's block. ring-xthread: also all alike, in two phases; at the end of each
 *          turn a thread allocates small blocks and leaves them for another, which frees them at the end of a turn of
 *          its own. Whom it leaves them to goes round. (The original's main allocates for all the others; here every
 *          slot does the same share, so that any number of threads works.)
 * Timed    A thread fills the free places of its ring of ring_blocks / T with blocks whose sizes follow a fixed
 *          sequence (ring_sizes.h). When the ring is full, one fifth of it is kept, the next one each time: what lies
 *          below is freed in order, what lies above in reverse.
 * Op       One malloc.
 * Remote   ring-xthread: what was left by another thread, which with one thread is none.
 * Live     ring: the ring, 23 bytes a block on average. ring-xthread: the ring, 56 bytes a block, and for each thread
 *          two sets of feed_percent of as many 8-byte blocks.
 * Allocs   One per op.
 */
#include "workloads/mail.h"
#include "workloads/ring_sizes.h"

enum { RING_BLOCKS, FEED_PERCENT };

static const struct param ring_params[] = {
    [RING_BLOCKS] = {"ring_blocks", "blocks", 1000, 5, 1 << 26, "places of the rings, over all threads"},
    {0},
};

static const struct param xthread_params[] = {
    [RING_BLOCKS] = {"ring_blocks", "blocks", 100000, 5, 1 << 26, "places of the rings, over all threads"},
    [FEED_PERCENT] = {"feed_percent", "%", 50, 1, 1000, "8-byte blocks left for others, of a ring's places"},
    {0},
};

static const struct preset ring_presets[] = {
    {"sh6bench-mimalloc-bench", "its number of calls", {{"ring_blocks", 10000}}},
    {0},
};

static const struct preset xthread_presets[] = {
    {"sh8bench", "the original's ring", {{"ring_blocks", 1000000}}},
    {0},
};

#define BATCH_BLOCKS 256
#define N_PARTS 5 /* one of which is kept */
#define MIN_PLACES N_PARTS
#define FEED_BYTES 8

struct ring_shared {
    struct ring_sizes sizes;
    struct mail *places; /* NULL: nothing is handed over */
};

struct ring_slot {
    _Alignas(WORKER_ALIGN_BYTES) struct block_set ring; /* n_blocks = n_max */
    uint64_t at;                                        /* next place to look at */
    unsigned row, n_of_row;                             /* in the sequence of sizes */
    unsigned kept_part;
    struct block_set *feed; /* being filled for another thread */
    bool is_feeding;        /* between two turns */
    unsigned next_reader;
};

/* ---- setup ------------------------------------------------------------------------------------------- */

static int ring_create(struct cell *c, void (*fill)(struct ring_sizes *)) {
    struct ring_shared *shared = cell_scratch(c, sizeof *shared, WORKER_ALIGN_BYTES);
    if (!shared)
        return -ENOMEM;
    fill(&shared->sizes);
    c->state = shared;
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct ring_slot *slot = cell_scratch(c, sizeof *slot, _Alignof(struct ring_slot));
        uint64_t n_places = share_of((uint64_t)c->params[RING_BLOCKS], c->n_threads, i);
        if (!slot || !block_set_create(c, &slot->ring, max_u64(MIN_PLACES, n_places)))
            return -ENOMEM;
        slot->ring.n_blocks = slot->ring.n_max;
        slot->next_reader = i;
        c->workers[i].state = slot;
    }
    return 0;
}

static int ring_setup(struct cell *c) {
    return ring_create(c, ring_sizes_fill_small);
}

static uint64_t feed_blocks(const struct cell *c) {
    uint64_t n_places = max_u64(MIN_PLACES, (uint64_t)c->params[RING_BLOCKS] / c->n_threads);
    return max_u64(1, n_places * (uint64_t)c->params[FEED_PERCENT] / 100);
}

static int xthread_setup(struct cell *c) {
    int err = ring_create(c, ring_sizes_fill_wide);
    if (err)
        return err;
    struct ring_shared *shared = c->state;
    shared->places = mail_create(c, c->n_threads, feed_blocks(c));
    if (!shared->places)
        return -ENOMEM;
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct ring_slot *slot = c->workers[i].state;
        slot->feed = mail_set_create(c, feed_blocks(c));
        if (!slot->feed)
            return -ENOMEM;
    }
    return 0;
}

/* ---- run --------------------------------------------------------------------------------------------- */

static size_t next_size(const struct ring_sizes *s, struct ring_slot *slot) {
    size_t bytes = s->rows[slot->row].bytes;
    if (++slot->n_of_row == s->rows[slot->row].count) {
        slot->n_of_row = 0;
        slot->row = slot->row + 1 == s->n_rows ? 0 : slot->row + 1;
    }
    return bytes;
}

/* Fills at most n_max places, up to the end of the ring. Number filled; fewer than possible after cell_fail. */
static uint64_t fill(struct worker *w, struct ring_slot *slot, uint64_t n_max) {
    const struct ring_shared *shared = w->cell->state;
    uint64_t n_filled = 0;
    for (; slot->at < slot->ring.n_max; slot->at++) {
        struct block *b = &slot->ring.blocks[slot->at];
        if (b->at)
            continue;
        if (n_filled == n_max || !block_make(w, b, next_size(&shared->sizes, slot), w->idx))
            break;
        n_filled++;
    }
    return n_filled;
}

/* False after cell_fail. */
static bool free_all_but_kept(struct worker *w, struct ring_slot *slot) {
    struct block *blocks = slot->ring.blocks;
    uint64_t n = slot->ring.n_max;
    uint64_t keep_lo = n * slot->kept_part / N_PARTS, keep_hi = n * (slot->kept_part + 1) / N_PARTS;
    bool is_intact = true;

    for (uint64_t i = 0; i < keep_lo; i++)
        is_intact &= !blocks[i].at || block_free(w, &blocks[i], w->idx);
    for (uint64_t i = n; i > keep_hi; i--)
        is_intact &= !blocks[i - 1].at || block_free(w, &blocks[i - 1], w->idx);
    slot->kept_part = (slot->kept_part + 1) % N_PARTS;
    slot->at = 0;
    return is_intact;
}

/* Fills the set for another thread; when it is full, leaves it and frees what was there. Number of blocks made. */
static uint64_t feed(struct worker *w, struct ring_slot *slot, uint64_t n_max) {
    const struct ring_shared *shared = w->cell->state;
    uint64_t n_made = 0;
    while (slot->feed->n_blocks < slot->feed->n_max && n_made < n_max) {
        if (!block_set_add(w, slot->feed, FEED_BYTES, w->idx))
            return n_made;
        n_made++;
    }
    if (slot->feed->n_blocks == slot->feed->n_max) {
        slot->next_reader = (slot->next_reader + 1) % w->cell->n_threads;
        slot->feed = mail_exchange(&shared->places[slot->next_reader], slot->feed);
        mail_set_free(w, slot->feed, w->idx);
        slot->is_feeding = false;
    }
    return n_made;
}

static enum run_result ring_run(struct worker *w) {
    const struct ring_shared *shared = w->cell->state;
    struct ring_slot *slot = w->state;
    uint64_t done = worker_ops(w);

    while (worker_continue(w, done)) {
        uint64_t n_max = worker_batch(w, done, BATCH_BLOCKS);
        if (slot->is_feeding) {
            done += feed(w, slot, n_max);
            continue;
        }
        done += fill(w, slot, n_max);
        if (slot->at == slot->ring.n_max && free_all_but_kept(w, slot))
            slot->is_feeding = shared->places != NULL;
    }
    return atomic_load(&w->cell->failed_errno) ? RUN_FAILED : RUN_DONE;
}

/* ---- end --------------------------------------------------------------------------------------------- */

static int ring_verify(struct cell *c) {
    int err = 0;
    for (unsigned i = 0; i < c->n_threads && !err; i++)
        err = block_set_verify(c, &((struct ring_slot *)c->workers[i].state)->ring);
    return err;
}

static void ring_teardown(struct cell *c) {
    struct ring_shared *shared = c->state;
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct ring_slot *slot = c->workers[i].state;
        if (slot)
            block_set_clear(&c->workers[i], &slot->ring);
        if (slot && slot->feed)
            block_set_clear(&c->workers[i], slot->feed);
    }
    if (shared)
        mail_clear(&c->workers[0], shared->places, c->n_threads);
}

static uint64_t ring_expected_allocs(const struct cell *c) {
    return cell_ops_total(c);
}

#define RING_COMMON                                                                                          \
    .version = 1, .op = "malloc, with its free", .min_threads = 1, .warmup_ops = 20000, .run = ring_run,     \
    .verify = ring_verify, .teardown = ring_teardown, .expected_allocs = ring_expected_allocs

const struct workload workload_ring = {
    RING_COMMON,
    .name = "ring",
    .summary = "a small ring of small blocks, a rotating fifth of which is kept",
    .origin = "after MicroQuill's sh6bench",
    .groups = "speed",
    .params = ring_params,
    .presets = ring_presets,
    .audit_ops = 1000000,
    .setup = ring_setup,
};

const struct workload workload_ring_xthread = {
    RING_COMMON,
    .name = "ring-xthread",
    .summary = "a large ring, and small blocks left for other threads to free",
    .origin = "after MicroQuill's sh8bench",
    .groups = "speed,scaling",
    .params = xthread_params,
    .presets = xthread_presets,
    .audit_ops = 600000,
    .setup = xthread_setup,
};
