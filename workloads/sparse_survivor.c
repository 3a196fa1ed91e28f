/*
 * sparse-survivor: what does an allocator give back when a few blocks pin every page?
 *
 * Origin   Defined here, after the question that meshing and huge-page packing answer (Powers et al., "Mesh:
 *          Compacting Memory Management for C/C++ Applications", PLDI 2019): all but each k-th block is freed, and what
 *          is asked for next is of another size class.
 * Threads  All alike; none sees another's block. Each has its share of the blocks.
 * Course   `cycles` times: fill    allocate `blocks` of uniform sizes from 16 to 1016 bytes
 *                          thin    free all but each survivor_step-th, counted in the order given, in that order
 *                          refill  allocate half as many of second_bytes
 *                          clear   free everything in the order of allocation
 *          While a course is on the threads meet after each stage and hold for hold_ms; otherwise nobody
 *          waits and course follows course.
 * Timed    All stages. Putting a thread's blocks in order happens between fill and thin and is timed, too: this
 *          is a workload for memory, its rates say little.
 * Op       One malloc, with the frees of its stage.
 * Allocs   One per op.
 * Live     At most the larger of what fill and refill hold.
 */
#include "workloads/block.h"
#include "workloads/course.h"
#include "workloads/draw.h"

enum { BLOCKS, SURVIVOR_STEP, ORDER, SECOND_BYTES, CYCLES, HOLD_MS };

static const struct param params[] = {
    [BLOCKS] = {"blocks", "blocks", 400000, 16, 1 << 28, "blocks of a fill, in all"},
    [SURVIVOR_STEP] = {"survivor_step", "", 16, 2, 1 << 20, "each so many-th block survives"},
    [ORDER] = {"order", "", 0, 0, 2, "of thinning: 0 by address, 1 random, 2 as allocated"},
    [SECOND_BYTES] = {"second_bytes", "bytes", 1040, 1, 1 << 20, "size of the refill's blocks"},
    [CYCLES] = {"cycles", "", 2, 1, 1000, "cycles of a course"},
    [HOLD_MS] = {"hold_ms", "ms", 1000, 0, 3600000, "after each stage, while a course is on"},
    {0},
};

enum order { BY_ADDRESS, RANDOM, AS_ALLOCATED };

#define FIRST_MIN_BYTES 16
#define FIRST_MAX_BYTES 1016
#define BATCH_BLOCKS 1024

enum stage { FILL, THIN, REFILL, CLEAR, OVER };

struct sparse_slot {
    struct block_set set;
    enum stage stage;
    uint64_t share;  /* blocks of a fill */
    uint64_t at;     /* blocks that the stage has dealt with */
    uint64_t n_kept; /* thin: survivors so far, at the front of the set; refill: all survivors */
    int64_t cycle;
};

/* ---- orders ----------------------------------------------------------------------------------------- */

static void block_swap(struct block *a, struct block *b) {
    struct block kept = *a;
    *a = *b;
    *b = kept;
}

static void sift_down(struct block *heap, uint64_t root, uint64_t n) {
    for (uint64_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && (uintptr_t)heap[child].at < (uintptr_t)heap[child + 1].at)
            child++;
        if ((uintptr_t)heap[root].at >= (uintptr_t)heap[child].at)
            return;
        block_swap(&heap[root], &heap[child]);
    }
}

/* Heapsort: in place, for the library's qsort may call malloc. */
static void sort_by_address(struct block *blocks, uint64_t n) {
    for (uint64_t i = n / 2; i > 0; i--)
        sift_down(blocks, i - 1, n);
    for (uint64_t end = n; end > 1; end--) {
        block_swap(&blocks[0], &blocks[end - 1]);
        sift_down(blocks, 0, end - 1);
    }
}

static void shuffle(struct prng *prng, struct block *blocks, uint64_t n) {
    for (uint64_t i = n; i > 1; i--)
        block_swap(&blocks[i - 1], &blocks[prng_below(prng, i)]);
}

/* ---- stages: each does up to n_ops operations and returns how many, or -1 after cell_fail ------------ */

static void stage_end(struct worker *w, struct sparse_slot *s, enum stage next) {
    s->stage = next;
    s->at = 0;
    course_meet(w, w->cell->params[HOLD_MS]);
}

static void thin_begin(struct worker *w, struct sparse_slot *s) {
    s->n_kept = 0;
    if (w->cell->params[ORDER] == BY_ADDRESS)
        sort_by_address(s->set.blocks, s->set.n_blocks);
    else if (w->cell->params[ORDER] == RANDOM)
        shuffle(&w->prng, s->set.blocks, s->set.n_blocks);
}

static int64_t stage_fill(struct worker *w, struct sparse_slot *s, uint64_t n_ops) {
    uint64_t n = min_u64(n_ops, s->share - s->at);
    for (uint64_t i = 0; i < n; i++)
        if (!block_set_add(w, &s->set, draw_uniform(&w->prng, FIRST_MIN_BYTES, FIRST_MAX_BYTES), w->idx))
            return -1;
    s->at += n;
    if (s->at == s->share) {
        stage_end(w, s, THIN);
        thin_begin(w, s);
    }
    return (int64_t)n;
}

/* The blocks before n_kept survive, those from `at` on are still to be looked at, between them are holes. */
static int64_t stage_thin(struct worker *w, struct sparse_slot *s) {
    struct block *blocks = s->set.blocks;
    const uint64_t step = (uint64_t)w->cell->params[SURVIVOR_STEP];
    bool is_intact = true;

    for (unsigned n = 0; n < BATCH_BLOCKS && s->at < s->share && is_intact; n++, s->at++) {
        if (s->at % step == 0)
            block_swap(&blocks[s->n_kept++], &blocks[s->at]);
        else
            is_intact = block_free(w, &blocks[s->at], w->idx);
    }
    if (!is_intact)
        return -1;
    if (s->at == s->share) {
        s->set.n_blocks = s->n_kept;
        stage_end(w, s, REFILL);
    }
    return 0;
}

static int64_t stage_refill(struct worker *w, struct sparse_slot *s, uint64_t n_ops) {
    uint64_t n_wanted = s->share / 2, n = min_u64(n_ops, n_wanted - s->at);
    for (uint64_t i = 0; i < n; i++)
        if (!block_set_add(w, &s->set, (size_t)w->cell->params[SECOND_BYTES], w->idx))
            return -1;
    s->at += n;
    if (s->at == n_wanted)
        stage_end(w, s, CLEAR);
    return (int64_t)n;
}

static int64_t stage_clear(struct worker *w, struct sparse_slot *s) {
    bool is_intact = true;
    for (unsigned n = 0; n < BATCH_BLOCKS && s->at < s->set.n_blocks && is_intact; n++)
        is_intact = block_free(w, &s->set.blocks[s->at++], w->idx);
    if (!is_intact)
        return -1;
    if (s->at == s->set.n_blocks) {
        s->set.n_blocks = 0;
        bool is_over = course_is_on(w) && ++s->cycle == w->cell->params[CYCLES];
        stage_end(w, s, is_over ? OVER : FILL);
    }
    return 0;
}

static int64_t sparse_stage(struct worker *w, struct sparse_slot *s, uint64_t n_ops) {
    switch (s->stage) {
    case FILL:
        return stage_fill(w, s, n_ops);
    case THIN:
        return stage_thin(w, s);
    case REFILL:
        return stage_refill(w, s, n_ops);
    case CLEAR:
    case OVER:
        break;
    }
    return stage_clear(w, s);
}

static enum run_result sparse_run(struct worker *w) {
    struct sparse_slot *s = w->state;
    uint64_t done = worker_ops(w);

    while (worker_continue(w, done) && s->stage != OVER) {
        int64_t n_ops = sparse_stage(w, s, worker_batch(w, done, BATCH_BLOCKS));
        if (n_ops < 0)
            return RUN_FAILED;
        done += (uint64_t)n_ops;
    }
    return RUN_DONE;
}

/* ---- setup and end ---------------------------------------------------------------------------------- */

static int sparse_setup(struct cell *c) {
    int err = course_create(c);
    for (unsigned i = 0; i < c->n_threads && err == 0; i++) {
        struct worker *w = &c->workers[i];
        uint64_t share = max_u64(1, worker_share(w, c->params[BLOCKS]));
        struct sparse_slot *s = block_slot_create(w, sizeof *s, share + share / 2);
        if (s)
            s->share = share;
        else
            err = -ENOMEM;
    }
    return err;
}

/* As if all blocks were of the largest size; a share is at least one block, and rounding keeps at most one survivor
 * a thread more. */
static uint64_t sparse_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    uint64_t n_blocks = max_u64((uint64_t)p[BLOCKS], n_threads);
    uint64_t n_survivors = n_blocks / (uint64_t)p[SURVIVOR_STEP] + n_threads;
    return max_u64(n_blocks * FIRST_MAX_BYTES,
                   n_survivors * FIRST_MAX_BYTES + n_blocks / 2 * (uint64_t)p[SECOND_BYTES]);
}

#define HOLDS_OF_CYCLE 4

static uint64_t sparse_course_hold_ms(const int64_t *p, unsigned n_threads) {
    (void)n_threads;
    return HOLDS_OF_CYCLE * (uint64_t)p[CYCLES] * (uint64_t)p[HOLD_MS];
}

static const struct preset presets[] = {
    {"random-order", "survivors lie anywhere", {{"order", RANDOM}}},
    {"quick", "the course that --quick watches", {{"hold_ms", 500}}},
    {0},
};

const struct workload workload_sparse_survivor = {
    .name = "sparse-survivor",
    .version = 1,
    .summary = "all but each k-th block is freed, then another size class is asked for",
    .origin = "heapdyno",
    .op = "malloc, with the frees of its stage",
    .groups = "memory",
    .params = params,
    .presets = presets,
    .flags = WORKLOAD_COURSE,
    .min_threads = 1,
    .warmup_ops = 5000,
    .audit_ops = 600000,
    .setup = sparse_setup,
    .run = sparse_run,
    .verify = block_slots_verify,
    .teardown = block_slots_teardown,
    .expected_allocs = cell_ops_total,
    .peak_live_bytes = sparse_peak_live_bytes,
    .course_hold_ms = sparse_course_hold_ms,
};
