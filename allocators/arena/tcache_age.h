/* tcache_age: what goes from a thread's cache back to the arena, and when: of a stack that is full, of objects that lay idle,
 * of a thread that only frees or has become slow.
 *
 * Belongs to the room tcache; nobody else includes it. The marks that it puts into stacks are taken out by
 * tcache_bin_spill.
 */
#ifndef ARENA_TCACHE_AGE_H
#define ARENA_TCACHE_AGE_H

#include "tcache_bin.h"

/** Makes room in a bin that is full and may not grow. */
void tcache_bin_make_room(unsigned class_idx);

/** The budget of a thread with a cache is used up: ages a part of the cache, or all, and looks at the clock. */
void tcache_event(void);

#endif
