/*
 * Sets of blocks that threads leave for each other, without waiting and without a lock.
 *
 * Owns: the places, each of which always holds one set, empty or full, and the sets.
 * Does not know: who fills sets, when, and who frees what is in them.
 *
 * A thread gives the set it has and gets the one that was there: sets are neither made nor lost, and what is in
 * the places is bounded whatever the threads' speeds. A set that nobody came for goes to the next who gives one.
 */
#ifndef HEAPDYNO_MAIL_H
#define HEAPDYNO_MAIL_H

#include "workloads/block.h"

struct mail {
    _Alignas(WORKER_ALIGN_BYTES) _Atomic(struct block_set *) set;
};

/* An empty set for n_max blocks; NULL after cell_fail. */
struct block_set *mail_set_create(struct cell *c, uint64_t n_max);

/* n_places places with an empty set for n_max blocks in each; NULL after cell_fail. */
struct mail *mail_create(struct cell *c, unsigned n_places, uint64_t n_max);

static inline struct block_set *mail_exchange(struct mail *place, struct block_set *set) {
    return atomic_exchange(&place->set, set);
}

/* Frees what is in the set, in order, on behalf of thread number `self`. False after cell_fail: a block had lost what
 * was written to it. */
bool mail_set_free(struct worker *w, struct block_set *set, uint32_t self);

/* Teardown: frees what is left in the places; bears places that were never created. */
void mail_clear(struct worker *w, struct mail *places, unsigned n_places);

#endif
