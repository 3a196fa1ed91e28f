/*
 * scatter-churn: scattered replacement of blocks of falling sizes, and a batch for the next thread every few loops.
 *
 * Origin   rptest of rpmalloc-benchmark.
 * Threads  All alike, in a ring: each leaves blocks for the next and frees what the one before left for it. After
 *          `loops` loops a thread frees all that it holds, makes its successor and ends.
 * Timed    A loop frees 0.8 x ops x f of a thread's `blocks` entries and fills ops x f, f being from 1/2 to 3/2, at
 *          entries that lie a prime apart; a full entry is freed first. Every cross_loops loops the thread
 *          allocates `handed` blocks for the next. Each page of a block is written.
 * Op       One malloc.
 * Remote   Blocks left by the thread before, if it is another.
 * Verify   What was written to a block is there when it is freed.
 * Live     At most blocks x max_bytes and two sets of handed x max_bytes a thread.
 * Allocs   One per op.
 */
#include "workloads/draw.h"
#include "workloads/mail.h"

enum { MIN_BYTES, MAX_BYTES, SIZE_MODE, BLOCKS, OPS, LOOPS, CROSS_LOOPS, HANDED };
enum { SIZES_UNIFORM, SIZES_LINEAR, SIZES_LOG };

static const struct param params[] = {
    [MIN_BYTES] = {"min_bytes", "bytes", 8, 1, 1 << 20, "smallest block"},
    [MAX_BYTES] = {"max_bytes", "bytes", 16000, 1, 1 << 24, "largest block"},
    [SIZE_MODE] = {"size_mode", "", 1, 0, 2, "0 = uniform, 1 = density falls to 0, 2 = log-uniform"},
    [BLOCKS] = {"blocks", "entries", 1000, 1, 1 << 20, "entries of a thread"},
    [OPS] = {"ops", "mallocs", 100, 2, 1 << 20, "of a loop, on average"},
    [LOOPS] = {"loops", "loops", 500, 1, 1 << 30, "a thread ends after so many"},
    [CROSS_LOOPS] = {"cross_loops", "loops", 2, 0, 1 << 20, "blocks are handed on every so often; 0 = never"},
    [HANDED] = {"handed", "blocks", 100, 1, 1 << 20, "handed on at a time"},
    {0},
};

static const struct preset presets[] = {
    {"rpmalloc-benchmark", "a quarter of a loop's blocks are handed on", {{"handed", 25}}},
    {"mimalloc-bench", "its call: 0 1 2 500 1000 100 8 16000", {{"handed", 100}, {"cross_loops", 2}}},
    {"no-crossing", "private blocks only", {{"cross_loops", 0}}},
    {0},
};

/* Larger than any number of entries, so that a stride reaches all of them. */
static const uint64_t strides[] = {1048583, 1048589, 1048601, 1048609, 1048613, 1048627, 1048633, 1048661};

enum stage { STAGE_FREE, STAGE_FILL, STAGE_HAND };

struct scatter_slot {
    _Alignas(WORKER_ALIGN_BYTES) struct block_set entries; /* n_blocks = n_max */
    struct block_set *outgoing;
    enum stage stage; /* of the loop that is under way */
    uint64_t n_left;  /* mallocs of this stage */
    uint64_t at, stride;
    uint64_t n_loops; /* of this thread */
    uint32_t owner;   /* number of the thread that serves the slot */
};

/* ---- setup ------------------------------------------------------------------------------------------- */

static int scatter_setup(struct cell *c) {
    const int64_t *p = c->params;
    if (p[MIN_BYTES] > p[MAX_BYTES])
        return cell_fail(c, EINVAL, "scatter-churn: min_bytes must not be above max_bytes");
    c->state = mail_create(c, c->n_threads, (uint64_t)p[HANDED]);
    if (!c->state)
        return -ENOMEM;
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct scatter_slot *slot = cell_scratch(c, sizeof *slot, _Alignof(struct scatter_slot));
        if (!slot || !block_set_create(c, &slot->entries, (uint64_t)p[BLOCKS]))
            return -ENOMEM;
        slot->entries.n_blocks = slot->entries.n_max;
        slot->owner = i;
        slot->outgoing = mail_set_create(c, (uint64_t)p[HANDED]);
        if (!slot->outgoing)
            return -ENOMEM;
        c->workers[i].state = slot;
    }
    return 0;
}

/* ---- run --------------------------------------------------------------------------------------------- */

static size_t draw_size(struct worker *w) {
    const int64_t *p = w->cell->params;
    uint64_t lo = (uint64_t)p[MIN_BYTES], hi = (uint64_t)p[MAX_BYTES];
    if (p[SIZE_MODE] == SIZES_LOG)
        return draw_log_uniform(&w->prng, lo, hi);
    uint64_t size_bytes = draw_uniform(&w->prng, lo, hi);
    return p[SIZE_MODE] == SIZES_LINEAR ? min_u64(size_bytes, draw_uniform(&w->prng, lo, hi)) : size_bytes;
}

static void walk_begin(struct worker *w, struct scatter_slot *slot) {
    slot->at = prng_below(&w->prng, slot->entries.n_max);
    slot->stride = strides[prng_next(&w->prng) % (sizeof strides / sizeof *strides)] % slot->entries.n_max;
}

static struct block *walk_next(struct scatter_slot *slot) {
    slot->at = (slot->at + slot->stride) % slot->entries.n_max;
    return &slot->entries.blocks[slot->at];
}

static uint64_t draw_count(struct worker *w, uint64_t mean) {
    return max_u64(1, mean / 2 + prng_below(&w->prng, mean + 1));
}

/* The frees of a loop, and what its fills will be. False after cell_fail. */
static bool loop_begin(struct worker *w, struct scatter_slot *slot) {
    const uint64_t ops = (uint64_t)w->cell->params[OPS];
    bool is_intact = true;
    walk_begin(w, slot);
    for (uint64_t n = draw_count(w, ops) * 4 / 5; n > 0; n--) {
        struct block *b = walk_next(slot);
        if (b->at)
            is_intact &= block_free(w, b, slot->owner);
    }
    walk_begin(w, slot);
    slot->n_left = draw_count(w, ops);
    slot->stage = STAGE_FILL;
    return is_intact;
}

/* Up to n_max mallocs into entries. Number made; fewer than n_max and n_left after cell_fail. */
static uint64_t loop_fill(struct worker *w, struct scatter_slot *slot, uint64_t n_max) {
    uint64_t n_made = 0;
    for (; n_made < n_max && slot->n_left > 0; n_made++, slot->n_left--) {
        struct block *b = walk_next(slot);
        if (b->at && !block_free(w, b, slot->owner))
            break;
        if (!block_make(w, b, draw_size(w), slot->owner))
            break;
    }
    return n_made;
}

/* Up to n_max mallocs into the set for the next thread. */
static uint64_t hand_fill(struct worker *w, struct scatter_slot *slot, uint64_t n_max) {
    uint64_t n_made = 0;
    for (; n_made < n_max && slot->n_left > 0; n_made++, slot->n_left--)
        if (!block_set_add(w, slot->outgoing, draw_size(w), slot->owner))
            break;
    return n_made;
}

/* Leaves the full set with the next thread and frees what that one did not fetch; then what is there for us. */
static bool hand_over(struct worker *w, struct scatter_slot *slot) {
    struct mail *places = w->cell->state;
    slot->outgoing = mail_exchange(&places[(w->idx + 1) % w->cell->n_threads], slot->outgoing);
    bool is_intact = mail_set_free(w, slot->outgoing, slot->owner);
    slot->outgoing = mail_exchange(&places[w->idx], slot->outgoing);
    return mail_set_free(w, slot->outgoing, slot->owner) && is_intact;
}

static void stage_after_fill(struct worker *w, struct scatter_slot *slot) {
    const int64_t *p = w->cell->params;
    slot->n_loops++;
    slot->stage = STAGE_FREE;
    if (p[CROSS_LOOPS] > 0 && slot->n_loops % (uint64_t)p[CROSS_LOOPS] == 0) {
        slot->stage = STAGE_HAND;
        slot->n_left = (uint64_t)p[HANDED];
    }
}

static enum run_result hand_on(struct worker *w, struct scatter_slot *slot) {
    for (uint64_t i = 0; i < slot->entries.n_max; i++)
        if (slot->entries.blocks[i].at && !block_free(w, &slot->entries.blocks[i], slot->owner))
            return RUN_FAILED;
    slot->n_loops = 0;
    slot->owner += w->cell->n_threads;
    return RUN_SUCCEED;
}

static enum run_result scatter_run(struct worker *w) {
    struct scatter_slot *slot = w->state;
    uint64_t done = worker_ops(w);

    while (worker_continue(w, done)) {
        uint64_t n_max = w->ops_budget - done;
        if (slot->stage == STAGE_FREE) {
            if (slot->n_loops >= (uint64_t)w->cell->params[LOOPS])
                return hand_on(w, slot);
            if (!loop_begin(w, slot))
                return RUN_FAILED;
        } else if (slot->stage == STAGE_FILL) {
            done += loop_fill(w, slot, n_max);
            if (slot->n_left == 0)
                stage_after_fill(w, slot);
        } else {
            done += hand_fill(w, slot, n_max);
            if (slot->n_left == 0 && hand_over(w, slot))
                slot->stage = STAGE_FREE;
        }
    }
    return atomic_load(&w->cell->failed_errno) ? RUN_FAILED : RUN_DONE;
}

/* ---- end --------------------------------------------------------------------------------------------- */

static int scatter_verify(struct cell *c) {
    int err = 0;
    for (unsigned i = 0; i < c->n_threads && !err; i++)
        err = block_set_verify(c, &((struct scatter_slot *)c->workers[i].state)->entries);
    return err;
}

static void scatter_teardown(struct cell *c) {
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct scatter_slot *slot = c->workers[i].state;
        if (!slot)
            continue;
        block_set_clear(&c->workers[i], &slot->entries);
        block_set_clear(&c->workers[i], slot->outgoing);
    }
    mail_clear(&c->workers[0], c->state, c->n_threads);
}

static uint64_t scatter_expected_allocs(const struct cell *c) {
    return cell_ops_total(c);
}

static uint64_t scatter_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    return (uint64_t)(p[BLOCKS] + 2 * p[HANDED]) * (uint64_t)p[MAX_BYTES] * n_threads;
}

const struct workload workload_scatter_churn = {
    .name = "scatter-churn",
    .version = 1,
    .summary = "scattered replacement, and batches that go to the next thread",
    .origin = "rptest of rpmalloc-benchmark",
    .op = "malloc, with its free",
    .groups = "speed,scaling",
    .params = params,
    .presets = presets,
    .flags = WORKLOAD_SUCCESSORS,
    .min_threads = 1,
    .warmup_ops = 5000,
    .audit_ops = 400000,
    .setup = scatter_setup,
    .run = scatter_run,
    .verify = scatter_verify,
    .teardown = scatter_teardown,
    .expected_allocs = scatter_expected_allocs,
    .peak_live_bytes = scatter_peak_live_bytes,
};
