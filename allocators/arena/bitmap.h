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

/* Ones at the bits of word w that belong to [first, end). */
static inline uint64_t bitmap_mask_of(size_t w, size_t first, size_t end) {
    uint64_t mask = ~(uint64_t)0;
    if (first > w * 64)
        mask <<= first - w * 64;
    if (end < w * 64 + 64)
        mask &= ~(uint64_t)0 >> (w * 64 + 64 - end);
    return mask;
}

/** Sets bits [first, first + n). */
static inline void bitmap_set_range(uint64_t *words, size_t first, size_t n) {
    size_t end = first + n;
    for (size_t w = first / 64; w * 64 < end; w++)
        words[w] |= bitmap_mask_of(w, first, end);
}

/** Clears bits [first, first + n). */
static inline void bitmap_clear_range(uint64_t *words, size_t first, size_t n) {
    size_t end = first + n;
    for (size_t w = first / 64; w * 64 < end; w++)
        words[w] &= ~bitmap_mask_of(w, first, end);
}

/** Clears bits [first, first + n) and returns how many were ones. */
static inline size_t bitmap_take_range(uint64_t *words, size_t first, size_t n) {
    size_t end = first + n, count = 0;
    for (size_t w = first / 64; w * 64 < end; w++) {
        uint64_t mask = bitmap_mask_of(w, first, end), ones = words[w] & mask;
        words[w] &= ~mask;
        if (ones == mask)
            count += util_min(end, w * 64 + 64) - util_max(first, w * 64);
        else
            count += (size_t)__builtin_popcountl(ones);
    }
    return count;
}

/** Clears bits [first, first + n) of `words` as long as the same bits of `others` are ones. False if one is not; the
 *  caller then clears the whole range itself. */
static inline bool bitmap_take_if_all_ones(uint64_t *words, const uint64_t *others, size_t first, size_t n) {
    size_t end = first + n;
    for (size_t w = first / 64; w * 64 < end; w++) {
        uint64_t mask = bitmap_mask_of(w, first, end);
        if ((~others[w] & mask) != 0)
            return false;
        words[w] &= ~mask;
    }
    return true;
}

/** First one at or after from, or n_bits. */
size_t bitmap_next_one(const uint64_t *words, size_t n_bits, size_t from);

/** First zero at or after from, or n_bits. */
size_t bitmap_next_zero(const uint64_t *words, size_t n_bits, size_t from);

/** Lowest idx >= from such that [idx, idx + n) are all ones and idx is a multiple of align, a power of two; n_bits if
 *  there is none. *n_range receives the length of the range of ones from idx on; *longest, if nothing was found, that
 *  of the longest range of ones. */
size_t bitmap_find_range(const uint64_t *words, size_t n_bits, size_t from, size_t n, size_t align,
                         size_t *n_range, size_t *longest);

/** The maximal range of ones around idx, which must be a one: its first bit; *n receives its length. */
size_t bitmap_range_around(const uint64_t *words, size_t n_bits, size_t idx, size_t *n);

#endif
