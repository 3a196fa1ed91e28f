/*
 * Blocks that a workload keeps, and sets of them: who made a block, how large it is, what was written to it.
 *
 * Owns: the bookkeeping of live blocks, in scratch memory that is resident from the set-up on and counted in
 * cell->table_bytes, so that memory over time is the allocator's alone.
 * Does not know: when a workload allocates or frees. No locks: a set belongs to one thread at a time.
 *
 * A block's ends are written when it is made, and each page unless the workload says otherwise; its ends are looked at
 * when it is freed: a block that was given to two callers is found out.
 */
#ifndef HEAPDYNO_BLOCK_H
#define HEAPDYNO_BLOCK_H

#include <string.h>

#include "workloads/kernel.h"

#define PAGE_BYTES ((size_t)4096)

struct block {
    unsigned char *at; /* NULL: a hole in the set */
    uint32_t size_bytes;
    uint32_t owner : 24, tag : 8; /* number of the thread that made it; byte that was written to it */
};

struct block_set {
    _Alignas(WORKER_ALIGN_BYTES) struct block *blocks;
    uint64_t n_blocks, n_max;
};

static inline bool block_is_intact(const struct block *b) {
    return b->at[0] == b->tag && b->at[b->size_bytes - 1] == b->tag;
}

/* Enters a block that the heap gave, as live, and writes to its ends. */
static inline void block_enter(struct worker *w, struct block *b, unsigned char *at, size_t size_bytes,
                               uint32_t owner) {
    *b = (struct block){.at = at, .size_bytes = (uint32_t)size_bytes};
    b->owner = owner & 0xffffff;
    b->tag = prng_next(&w->prng) & 0xff;
    at[0] = at[size_bytes - 1] = b->tag;
    worker_live_add(w, (int64_t)size_bytes);
}

/* Allocates a block and writes to its ends. False after cell_fail: the heap is dry. */
static inline bool block_make_ends(struct worker *w, struct block *b, size_t size_bytes, uint32_t owner) {
    unsigned char *at = w->heap->alloc(size_bytes);
    if (!at) {
        cell_fail(w->cell, ENOMEM, "malloc returned NULL");
        return false;
    }
    block_enter(w, b, at, size_bytes, owner);
    return true;
}

/* The same, and writes to each of its pages. */
static inline bool block_make(struct worker *w, struct block *b, size_t size_bytes, uint32_t owner) {
    if (!block_make_ends(w, b, size_bytes, owner))
        return false;
    for (size_t i = PAGE_BYTES; i < size_bytes; i += PAGE_BYTES)
        b->at[i] = b->tag;
    return true;
}

/* Frees a block on behalf of thread number `self`. False after cell_fail: it had lost what was written to it. */
static inline bool block_free(struct worker *w, struct block *b, uint32_t self) {
    bool is_intact = block_is_intact(b);
    w->heap->free(b->at);
    b->at = NULL;
    worker_live_add(w, -(int64_t)b->size_bytes);
    worker_count_frees(w, 1, b->owner != (self & 0xffffff));
    if (!is_intact)
        cell_fail(w->cell, EBADMSG, "a block does not hold what was written to it");
    return is_intact;
}

/* Memory for n_max blocks of a set. False after cell_fail. */
bool block_set_create(struct cell *c, struct block_set *set, uint64_t n_max);

/* The set must not be full. */
static inline bool block_set_add(struct worker *w, struct block_set *set, size_t size_bytes, uint32_t owner) {
    if (!block_make(w, &set->blocks[set->n_blocks], size_bytes, owner))
        return false;
    set->n_blocks++;
    return true;
}

/* Frees block i; the last one takes its place. */
static inline bool block_set_free_at(struct worker *w, struct block_set *set, uint64_t i, uint32_t self) {
    bool is_intact = block_free(w, &set->blocks[i], self);
    set->blocks[i] = set->blocks[--set->n_blocks];
    return is_intact;
}

/* Frees what the set's place holds, if anything, and makes a block there. False after cell_fail. */
static inline bool block_replace(struct worker *w, struct block *b, size_t size_bytes, uint32_t self) {
    if (b->at && !block_free(w, b, self))
        return false;
    return block_make(w, b, size_bytes, self);
}

/* 0, or -EBADMSG after cell_fail when a block of the set lost what was written to it. */
int block_set_verify(struct cell *c, const struct block_set *set);

/* Teardown: frees what is left, whatever it holds; bears a set that was never created. */
void block_set_clear(struct worker *w, struct block_set *set);

/*
 * For workloads whose worker->state begins with a block_set: makes that state, zeroed, with room for n_max blocks; NULL
 * after cell_fail. And what they hand to the vtable as verify and teardown.
 */
void *block_slot_create(struct worker *w, size_t state_bytes, uint64_t n_max);
int block_slots_verify(struct cell *c);
void block_slots_teardown(struct cell *c);

#endif
