/* huge: blocks with chunks of their own, for what would waste too much inside one.
 *
 * Belongs to the room chunk. Owns the mapping of a block and its header, which is found by the same masking
 * as everybody's. Does not know which arena caches freed blocks. No lock: a block belongs to one caller at a
 * time.
 *
 *   base (chunk-aligned)        payload                                  on a page           end, on a page
 *   | header page | (not mapped) | payload, trimmed to pages ............ | tail, if it has one | (not ours)
 *                   only if the alignment is above a page
 *
 * The offset of the payload is one page, or the alignment if that is larger, or a whole chunk if the
 * alignment is a chunk or more: such a block begins where a chunk would, and masking p - 1 still finds its
 * header.
 *
 * The tail is what a smaller block leaves of a larger one: mapped, written to, unused, and there to grow into again. Its
 * arena counts it as dirty and takes it back in its time.
 */
#ifndef ARENA_HUGE_H
#define ARENA_HUGE_H

#include "chunk.h"

/** A new zeroed block of `bytes` (a page multiple) at a multiple of align (a power of two), registered; its
 * header or NULL. */
struct chunk *huge_create(void *owner, size_t bytes, size_t align);

/** Unmaps a block, without its tail. If the system refuses, its pages are purged and its addresses are lost. */
void huge_destroy(struct chunk *huge);

/** Unmaps pages that were a block's tail, in the same way. */
void huge_unmap_tail(void *tail, size_t bytes);

static inline void *huge_payload(const struct chunk *huge) {
    return (void *)(chunk_base(huge) + huge->huge_offset);
}

/** Whether its arena has it as unused. */
static inline bool huge_is_cached(const struct chunk *huge) {
    return atomic_load_explicit(&huge->huge_tail, memory_order_relaxed) == CHUNK_HUGE_IS_CACHED;
}

/** Maps `bytes` more behind a payload that has no tail. False if that cannot be. Grown pages are zero. */
bool huge_grow_in_place(struct chunk *huge, size_t bytes);

/** Moves the payload, by the page table and without copying, to a new block that is larger; the new block,
 * with the old one destroyed, or NULL with the old one as it was. A system that has once refused this is not asked
 * again. */
struct chunk *huge_move(struct chunk *huge, size_t bytes);

#endif
