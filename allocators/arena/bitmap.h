/* bitmap: sets of small integers as arrays of 64-bit words; bit i is word i/64, bit i%64.
 *
 * Owns no memory. Does not know what a bit means: runs use 1 = free region, chunks 1 = free page.
 * The lock is whatever guards the words. Up to 512 bits a linear scan of eight words beats a tree.
 */
#ifndef ARENA_BITMAP_H
#define ARENA_BITMAP_H

#include "util.h"

#define BITMAP_WORDS(n_bits) (((n_bits) + 63) / 64)

static inline bool bitmap_has(const uint64_t *words, size_t idx) {
    return (words[idx / 64] >> (idx % 64)) & 1;
}

static inline void bitmap_set(uint64_t *words, size_t idx) {
    words[idx / 64] |= (uint64_t)1 << (idx % 64);
}

static inline void bitmap_clear(uint64_t *words, size_t idx) {
    words[idx / 64] &= ~((uint64_t)1 << (idx % 64));
}

/** Sets bits [first, first + n). */
void bitmap_set_range(uint64_t *words, size_t first, size_t n);

/** Clears bits [first, first + n). */
void bitmap_clear_range(uint64_t *words, size_t first, size_t n);

/** Number of ones in [first, first + n). */
size_t bitmap_count_range(const uint64_t *words, size_t first, size_t n);

/** First one at or after from, or n_bits. */
size_t bitmap_next_one(const uint64_t *words, size_t n_bits, size_t from);

/** First zero at or after from, or n_bits. */
size_t bitmap_next_zero(const uint64_t *words, size_t n_bits, size_t from);

/** Lowest idx such that [idx, idx + n) are all ones and idx + skew is a multiple of align; n_bits if none.
 *  align is a power of two. *longest receives the length of the longest range of ones seen on the way. */
size_t bitmap_find_range(const uint64_t *words, size_t n_bits, size_t n, size_t align, size_t skew,
                         size_t *longest);

/** The maximal range of ones around idx, which must be a one: its first bit; *n receives its length. */
size_t bitmap_range_around(const uint64_t *words, size_t n_bits, size_t idx, size_t *n);

#endif
