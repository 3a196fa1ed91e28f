/* decay: how many unused pages may stay, as a function of time.
 *
 * Owns a history of page counts per arena and kind (dirty, muzzy). Does not know the clock (time is a
 * parameter), the system or pages. The lock is the one that guards the arena's pages.
 *
 * The decay time T is cut into 200 epochs. Pages that became unused i epochs ago may stay in the proportion
 * S(1 - i/200), with S the smootherstep polynomial 6x^5 - 15x^4 + 10x^3 (Perlin 2002): nothing happens at
 * first, most goes in the middle, and at T nothing is left. The deadline of each epoch is jittered, so that
 * arenas do not purge in step.
 */
#ifndef ARENA_DECAY_H
#define ARENA_DECAY_H

#include <stdatomic.h>

#include "util.h"

#define DECAY_N_EPOCHS 200

struct decay {
    _Atomic int64_t time_ms; /* -1 = never, 0 = at once; changed under the lock, read without */
    uint64_t epoch_ns, start_ns, deadline_ns, seed;
    size_t n_pages_last;              /* unused pages at the end of the last epoch */
    size_t n_pages_limit;             /* what may stay now */
    uint32_t backlog[DECAY_N_EPOCHS]; /* new unused pages by epoch, newest last */
};

void decay_init(struct decay *decay, int64_t time_ms, uint64_t now_ns, uint64_t seed);

/** Forgets the history, as after a change of setting: what is unused now counts as new. */
void decay_set_time(struct decay *decay, int64_t time_ms, uint64_t now_ns);

/** Brings the history up to now_ns; n_pages are unused now, and n_pages_low is the least that was unused at
 * any time since the last call that returned a limit: pages above it were in use in the meantime and count as
 * new, so that a program which takes and frees the same memory again and again keeps it. If several epochs have passed, new
 *  pages count as having come in the first of them: a program that is not heard of for a while was idle after that. Returns how many
 * unused pages may stay; SIZE_MAX if no epoch has ended. */
size_t decay_update(struct decay *decay, uint64_t now_ns, size_t n_pages, size_t n_pages_low);

/** Tells that pages were given up, so that the next epoch does not count them as having been reused. */
void decay_note_purged(struct decay *decay, size_t n_pages_left);

#endif
