#include "workloads/block.h"

bool block_set_create(struct cell *c, struct block_set *set, uint64_t n_max) {
    size_t n_bytes = n_max * sizeof *set->blocks;
    set->blocks = cell_scratch(c, n_bytes, WORKER_ALIGN_BYTES);
    if (!set->blocks)
        return false;
    memset(set->blocks, 0, n_bytes); /* resident now, and not while memory is being watched */
    c->table_bytes += n_bytes;
    set->n_max = n_max;
    return true;
}

int block_set_verify(struct cell *c, const struct block_set *set) {
    for (uint64_t i = 0; i < set->n_blocks; i++)
        if (set->blocks[i].at && !block_is_intact(&set->blocks[i]))
            return cell_fail(c, EBADMSG, "a live block does not hold what was written to it");
    return 0;
}

void block_set_clear(struct worker *w, struct block_set *set) {
    for (; set->n_blocks > 0; set->n_blocks--) {
        struct block *b = &set->blocks[set->n_blocks - 1];
        if (!b->at)
            continue;
        w->heap->free(b->at);
        worker_live_add(w, -(int64_t)b->size_bytes);
    }
}

void *block_slot_create(struct worker *w, size_t state_bytes, uint64_t n_max) {
    struct block_set *set = cell_scratch(w->cell, state_bytes, WORKER_ALIGN_BYTES);
    w->state = set;
    return set && block_set_create(w->cell, set, n_max) ? set : NULL;
}

int block_slots_verify(struct cell *c) {
    int err = 0;
    for (unsigned i = 0; i < c->n_threads && err == 0; i++)
        err = block_set_verify(c, c->workers[i].state);
    return err;
}

void block_slots_teardown(struct cell *c) {
    for (unsigned i = 0; i < c->n_threads; i++)
        if (c->workers[i].state)
            block_set_clear(&c->workers[i], c->workers[i].state);
}
