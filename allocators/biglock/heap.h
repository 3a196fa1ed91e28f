/*
 * What a heap behind one lock is: the seam between names.c, which owns the lock and the exported names, and dl.c or
 * phk.c, one of which it is linked with.
 *
 * Every heap_ function is called with the lock held. Sizes are at most PTRDIFF_MAX, alignments powers of two. A heap
 * leaves errno alone; names.c makes ENOMEM of NULL.
 */
#ifndef BIGLOCK_HEAP_H
#define BIGLOCK_HEAP_H

#include <stdbool.h>
#include <stddef.h>

#define GRAIN_BYTES ((size_t)16) /* alignment of every block */

/** Usable bytes of all live blocks; each heap keeps it. */
extern size_t heap_live_bytes;

/** A block of at least size_bytes, or NULL when there is no memory. */
void *heap_alloc(size_t size_bytes);

/** The same at a multiple of align_bytes, which is larger than GRAIN_BYTES. */
void *heap_alloc_aligned(size_t align_bytes, size_t size_bytes);

/** Ends the process when `block` is seen not to be live. */
void heap_free(void *block);

/** The block in its new size (not 0), moved where it must be; NULL when there is no memory: it is as it was. */
void *heap_realloc(void *block, size_t size_bytes);

size_t heap_usable_bytes(const void *block);

/** Walks everything; NULL, or what does not hold. For tests. */
const char *heap_check(void);

/** Allocates, copies what both sizes hold, frees: what realloc does when a block cannot stay. */
void *heap_move(void *block, size_t size_bytes);

/** Fresh zeroed pages, a multiple of os_page_bytes long; NULL if the system refuses. */
void *os_map(size_t n_bytes);

/** False if the system refuses; then nothing has changed. */
bool os_unmap(void *p, size_t n_bytes);

/** Moves or resizes a mapping; NULL if the system refuses; then nothing has changed. */
void *os_remap(void *p, size_t old_bytes, size_t new_bytes);

size_t os_page_bytes(void);

/** Says that the heap is corrupt, and aborts. */
void os_die(const char *what) __attribute__((noreturn));

/** n rounded up to a multiple of a power of two. */
static inline size_t round_up(size_t n, size_t multiple) {
    return (n + multiple - 1) & ~(multiple - 1);
}

#endif
