/* base: memory for the allocator's own structures: arenas, thread caches, the chunk registry.
 *
 * Owns blocks mapped from the system that are never given back. Does not know what is kept in them. No lock:
 * a block is a bump pointer advanced by compare-and-swap, so it also works while another thread forks.
 */
#ifndef ARENA_BASE_H
#define ARENA_BASE_H

#include "util.h"

/** Zeroed memory aligned to a cache line; NULL if the system refuses. */
void *base_alloc(size_t bytes);

/** Bytes handed out, and bytes mapped, so far. */
size_t base_used_bytes(void);
size_t base_mapped_bytes(void);

#endif
