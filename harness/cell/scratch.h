/*
 * Memory for the harness and for the workloads' bookkeeping, outside of every malloc.
 *
 * Owns: one bump arena in mappings of its own, guarded by a lock; nothing is ever given back. Huge pages are off for
 * it, so that AnonHugePages speaks of the measured heap.
 */
#ifndef HEAPDYNO_SCRATCH_H
#define HEAPDYNO_SCRATCH_H

#include <stddef.h>

/* Zeroed memory, or NULL when the mapping cannot grow. align_bytes is a power of two, at most a page. */
void *scratch_alloc(size_t n_bytes, size_t align_bytes);

#endif
