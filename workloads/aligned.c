/*
 * aligned: blocks whose addresses must be multiples of something.
 *
 * Origin   Defined here. Alignment is where allocators that place well pay in memory, and those that add up size and
 *          alignment show it.
 * Threads  All alike; none sees another's block. Each has its share of the places, and at least one.
 * Timed    Steps: free the oldest block, aligned_alloc another, check its address, write to its ends. Alignments are the
 *          powers of two from min_align_bytes to max_align_bytes, each as likely; half of the sizes equal the alignment, the
 *          others are two to four times as large. With below = 1 a third each: the last third are sizes below the
 *          alignment, which C11 does not oblige an allocator to serve.
 * Op       One step.
 * Allocs   One per op.
 * Live     At most places x 4 x max_align_bytes.
 */
#include "workloads/block.h"
#include "workloads/draw.h"

enum { PLACES, MIN_ALIGN_BYTES, MAX_ALIGN_BYTES, BELOW };

static const struct param params[] = {
    [PLACES] = {"places", "blocks", 64, 1, 1 << 24, "blocks that may be live, over all threads"},
    [MIN_ALIGN_BYTES] = {"min_align_bytes", "bytes", 16, 8, 1 << 28, "smallest alignment, a power of two"},
    [MAX_ALIGN_BYTES] = {"max_align_bytes", "bytes", 1 << 21, 8, 1 << 28,
                         "largest alignment, a power of two"},
    [BELOW] = {"below", "", 0, 0, 1, "1: also sizes below the alignment"},
    {0},
};

#define BATCH_STEPS 64

struct aligned_slot {
    struct block_set ring; /* holes at first */
    uint64_t oldest;
    unsigned n_alignments;
};

static bool is_power_of_two(uint64_t x) {
    return (x & (x - 1)) == 0;
}

static int aligned_setup(struct cell *c) {
    uint64_t min_bytes = (uint64_t)c->params[MIN_ALIGN_BYTES],
             max_bytes = (uint64_t)c->params[MAX_ALIGN_BYTES];
    if (!is_power_of_two(min_bytes) || !is_power_of_two(max_bytes) || min_bytes > max_bytes)
        return cell_fail(c, EINVAL, "aligned: alignments must be powers of two, the smallest first");
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct worker *w = &c->workers[i];
        struct aligned_slot *s =
            block_slot_create(w, sizeof *s, max_u64(1, worker_share(w, c->params[PLACES])));
        if (!s)
            return -ENOMEM;
        s->ring.n_blocks = s->ring.n_max;
        for (uint64_t align_bytes = min_bytes; align_bytes <= max_bytes; align_bytes *= 2)
            s->n_alignments++;
    }
    return 0;
}

static size_t size_draw(struct worker *w, uint64_t align_bytes) {
    switch (prng_below(&w->prng, w->cell->params[BELOW] ? 3 : 2)) {
    case 0:
        return align_bytes;
    case 1:
        return align_bytes * draw_uniform(&w->prng, 2, 4);
    default:
        return draw_uniform(&w->prng, 1, align_bytes - 1);
    }
}

static bool aligned_step(struct worker *w, struct aligned_slot *s) {
    struct block *b = &s->ring.blocks[s->oldest];
    uint64_t align_bytes = (uint64_t)w->cell->params[MIN_ALIGN_BYTES]
                           << prng_below(&w->prng, s->n_alignments);
    size_t size_bytes = size_draw(w, align_bytes);

    if (b->at && !block_free(w, b, w->idx))
        return false;
    unsigned char *at = w->heap->aligned_alloc(align_bytes, size_bytes);
    if (!at) {
        cell_fail(w->cell, ENOMEM, "aligned_alloc returned NULL");
        return false;
    }
    block_enter(w, b, at, size_bytes, w->idx);
    s->oldest = (s->oldest + 1) % s->ring.n_max;
    if ((uintptr_t)at & (align_bytes - 1)) {
        cell_fail(w->cell, EBADMSG, "aligned: an address is not a multiple of its alignment");
        return false;
    }
    return true;
}

static enum run_result aligned_run(struct worker *w) {
    uint64_t done = worker_ops(w);
    while (worker_continue(w, done)) {
        uint64_t n_steps = worker_batch(w, done, BATCH_STEPS);
        for (uint64_t i = 0; i < n_steps; i++)
            if (!aligned_step(w, w->state))
                return RUN_FAILED;
        done += n_steps;
    }
    return RUN_DONE;
}

static uint64_t aligned_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    return max_u64((uint64_t)p[PLACES], n_threads) * 4 * (uint64_t)p[MAX_ALIGN_BYTES];
}

static const struct preset presets[] = {
    {"pages", "pages and more", {{"min_align_bytes", 4096}}},
    {"lines", "cache lines to pages", {{"places", 1024}, {"min_align_bytes", 64}, {"max_align_bytes", 4096}}},
    {0},
};

const struct workload workload_aligned = {
    .name = "aligned",
    .version = 1,
    .summary = "aligned_alloc of all alignments from 16 bytes to 2 MiB",
    .origin = "heapdyno",
    .op = "free and aligned_alloc of one place",
    .groups = "speed,memory",
    .params = params,
    .presets = presets,
    .min_threads = 1,
    .needs = NEEDS_ALIGNED,
    .warmup_ops = 200,
    .audit_ops = 40000,
    .setup = aligned_setup,
    .run = aligned_run,
    .verify = block_slots_verify,
    .teardown = block_slots_teardown,
    .expected_allocs = cell_ops_total,
    .peak_live_bytes = aligned_peak_live_bytes,
};
