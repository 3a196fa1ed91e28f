#include "workloads/rounds.h"

#include <string.h>

#define CHUNK_BLOCKS 1024 /* between two looks at the stop flag */

int rounds_create(struct worker *w, const struct rounds *model, uint64_t n_blocks) {
    struct rounds *r = cell_scratch(w->cell, sizeof *r, WORKER_ALIGN_BYTES);
    if (!r)
        return -ENOMEM;
    *r = *model;
    r->n_blocks = n_blocks;
    r->blocks = cell_scratch(w->cell, n_blocks * sizeof *r->blocks, WORKER_ALIGN_BYTES);
    if (!r->blocks)
        return -ENOMEM;
    w->cell->table_bytes += n_blocks * sizeof *r->blocks;
    w->state = r;
    return 0;
}

/* Blocks made: fewer than n_blocks when the heap is dry. */
static uint64_t chunk_fill(const struct rounds *r, const struct alloc_ops *heap, unsigned char **blocks,
                           uint64_t n_blocks) {
    for (uint64_t i = 0; i < n_blocks; i++) {
        unsigned char *block = heap->alloc(r->size_bytes);
        if (!block)
            return i;
        if (r->is_all_written)
            memset(block, 0xa5, r->size_bytes);
        else
            *block = 1;
        blocks[i] = block;
        for (uint64_t k = 0; k < r->spins; k++)
            __asm__ volatile("");
    }
    return n_blocks;
}

/* Blocks made of n_blocks: fewer after a stop, or after cell_fail. */
static uint64_t round_fill(struct worker *w, const struct rounds *r, uint64_t n_blocks) {
    uint64_t n_made = 0;
    while (n_made < n_blocks && !atomic_load_explicit(&w->cell->is_stopping, memory_order_relaxed)) {
        uint64_t n_wanted = min_u64(CHUNK_BLOCKS, n_blocks - n_made);
        uint64_t n = chunk_fill(r, w->heap, r->blocks + n_made, n_wanted);
        n_made += n;
        worker_live_add(w, (int64_t)(n * r->size_bytes));
        if (n < n_wanted)
            cell_fail(w->cell, ENOMEM, "malloc returned NULL");
    }
    return n_made;
}

/* Frees the round's n_blocks, first to last or last to first, and publishes them as done. */
static uint64_t round_drain(struct worker *w, const struct rounds *r, uint64_t n_blocks, bool is_reverse,
                            uint64_t done) {
    for (uint64_t n_freed = 0; n_freed < n_blocks;) {
        uint64_t n = min_u64(CHUNK_BLOCKS, n_blocks - n_freed);
        if (is_reverse)
            for (uint64_t i = 0; i < n; i++)
                w->heap->free(r->blocks[n_blocks - n_freed - 1 - i]);
        else
            for (uint64_t i = 0; i < n; i++)
                w->heap->free(r->blocks[n_freed + i]);
        n_freed += n;
        worker_live_add(w, -(int64_t)(n * r->size_bytes));
        worker_continue(w, done + n_freed);
    }
    worker_count_frees(w, n_blocks, 0);
    return done + n_blocks;
}

enum run_result rounds_run(struct worker *w) {
    struct rounds *r = w->state;
    uint64_t done = worker_ops(w);

    while (worker_continue(w, done)) {
        uint64_t n_made = round_fill(w, r, worker_batch(w, done, r->n_blocks));
        done = round_drain(w, r, n_made, r->is_reverse_next, done);
        r->is_reverse_next = r->is_alternating && !r->is_reverse_next;
    }
    return atomic_load(&w->cell->failed_errno) ? RUN_FAILED : RUN_DONE;
}
