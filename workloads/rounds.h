/*
 * Rounds: allocate n blocks of one size, free them all, again. The shape of several of the field's oldest tests.
 *
 * Owns: the pointers of the round that is under way, in scratch memory.
 * Does not know: which workload it serves. No lock: a struct rounds belongs to one slot.
 *
 * A stop is seen within some thousand calls: the blocks there are then are freed and counted.
 */
#ifndef HEAPDYNO_ROUNDS_H
#define HEAPDYNO_ROUNDS_H

#include "workloads/kernel.h"

struct rounds {
    unsigned char **blocks; /* filled in by rounds_create */
    uint64_t n_blocks;      /* of a round */
    size_t size_bytes;
    uint64_t spins;       /* empty loop after each malloc: the caller's own work */
    bool is_all_written;  /* every byte; otherwise the first */
    bool is_alternating;  /* each second round is freed in reverse */
    bool is_reverse_next; /* state of the above */
};

/* Copies `model` for slot w and gives it n_blocks pointers. 0, or -ENOMEM after cell_fail. */
int rounds_create(struct worker *w, const struct rounds *model, uint64_t n_blocks);

/* The workload's run: an op is one block allocated and freed. */
enum run_result rounds_run(struct worker *w);

#endif
