/* harden: the entry points of the hardened and debug builds, which check at the call.
 *
 * Owns the guard behind each block and the pattern in freed ones. Belongs to the room api, whose functions it wraps; the
 * default build does not use it. No lock: a block belongs to its caller.
 *
 *   | payload, as requested | guard bytes ... | tag: requested size, mixed with the address and a secret |
 *   | 0x5a ............................ freed | tag: freed, mixed with the address and a secret          |
 *
 * Detected at free: writes past the end, double frees, interior and foreign pointers, wrong sizes in sized frees. Detected
 * when the block is used again: writes after free. Price: 8 bytes a block and filling it twice.
 */
#ifndef ARENA_HARDEN_H
#define ARENA_HARDEN_H

#include <stdbool.h>
#include <stddef.h>

void *harden_alloc(size_t bytes);
void *harden_calloc(size_t n, size_t bytes);
void *harden_realloc(void *p, size_t bytes);
void *harden_aligned(size_t align, size_t bytes);
void *harden_zeroed(size_t align, size_t bytes);
void harden_free(void *p);
void harden_free_sized(void *p, size_t bytes);

/** Exactly what was requested. */
size_t harden_usable_bytes(const void *p);

/** No block changes its size in place. */
size_t harden_resize_in_place(void *p, size_t bytes, size_t extra);
size_t harden_rounded_bytes(size_t align, size_t bytes, bool is_zeroed);

#endif
