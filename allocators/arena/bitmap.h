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

/* Ones from bit idx % 64 up; ones below bit end % 64, which is 64 if that is 0. A range of bits is the words that it
 * reaches, the first one masked from below and the last one from above. */
static inline uint64_t bitmap_mask_from(size_t idx) {
    return ~(uint64_t)0 << idx % 64;
}

static inline uint64_t bitmap_mask_below(size_t end) {
    return ~(uint64_t)0 >> -end % 64;
}

/** Sets bits [first, first + n); n is not zero, here and below. */
static inline void bitmap_set_range(uint64_t *words, size_t first, size_t n) {
    size_t w = first / 64, last = (first + n - 1) / 64;
    uint64_t mask = bitmap_mask_from(first);
    for (; w != last; w++, mask = ~(uint64_t)0)
        words[w] |= mask;
    words[w] |= mask & bitmap_mask_below(first + n);
}

/** Clears bits [first, first + n). */
static inline void bitmap_clear_range(uint64_t *words, size_t first, size_t n) {
    size_t w = first / 64, last = (first + n - 1) / 64;
    uint64_t mask = bitmap_mask_from(first);
    for (; w != last; w++, mask = ~(uint64_t)0)
        words[w] &= ~mask;
    words[w] &= ~(mask & bitmap_mask_below(first + n));
}

/** Clears bits [first, first + n) and returns how many were ones. */
static inline size_t bitmap_take_range(uint64_t *words, size_t first, size_t n) {
    size_t w = first / 64, last = (first + n - 1) / 64, count = 0;
    uint64_t mask = bitmap_mask_from(first);
    for (; w != last; w++, mask = ~(uint64_t)0) {
        count += (size_t)__builtin_popcountl(words[w] & mask);
        words[w] &= ~mask;
    }
    mask &= bitmap_mask_below(first + n);
    count += (size_t)__builtin_popcountl(words[w] & mask);
    words[w] &= ~mask;
    return count;
}

/* The first bit at or after from that differs from the pattern `skip` (0 or all ones), or n_bits. */
static inline size_t bitmap_next(const uint64_t *words, size_t n_bits, size_t from, uint64_t skip) {
    if (from >= n_bits)
        return n_bits;
    size_t w = from / 64;
    uint64_t bits = (words[w] ^ skip) & bitmap_mask_from(from);
    while (bits == 0) {
        if (++w * 64 >= n_bits)
            return n_bits;
        bits = words[w] ^ skip;
    }
    return util_min(w * 64 + (size_t)__builtin_ctzl(bits), n_bits);
}

/** First one at or after from, or n_bits. */
static inline size_t bitmap_next_one(const uint64_t *words, size_t n_bits, size_t from) {
    return bitmap_next(words, n_bits, from, 0);
}

/** First zero at or after from, or n_bits. */
static inline size_t bitmap_next_zero(const uint64_t *words, size_t n_bits, size_t from) {
    return bitmap_next(words, n_bits, from, ~(uint64_t)0);
}

/** Lowest idx >= from such that [idx, idx + n) are all ones and idx is a multiple of align, a power of two; n_bits if
 *  there is none. *n_range says how long a range is wanted, n or more, and receives how long the range of ones from
 *  idx on is, at most that; *longest, if nothing was found, the length of the longest range of ones. */
static inline size_t bitmap_find_range(const uint64_t *words, size_t n_bits, size_t from, size_t n,
                                       size_t align, size_t *n_range, size_t *longest) {
    *longest = 0;
    for (size_t start = bitmap_next_one(words, n_bits, from); start < n_bits;) {
        size_t at = util_align_up(start, align);
        size_t end = bitmap_next_zero(words, util_min(at + *n_range, n_bits), start);
        if (at + n <= end) {
            *n_range = end - at;
            return at;
        }
        *longest = util_max(*longest, end - start);
        start = bitmap_next_one(words, n_bits, end);
    }
    return n_bits;
}

/** Of the maximal range of ones around [first, first + n), which must be ones, the length. */
static inline size_t bitmap_range_around(const uint64_t *words, size_t n_bits, size_t first, size_t n) {
    size_t w = first / 64;
    uint64_t zeros = ~words[w] & ~bitmap_mask_from(first);
    while (zeros == 0 && w > 0)
        zeros = ~words[--w];
    size_t start = zeros == 0 ? 0 : w * 64 + 64 - (size_t)__builtin_clzl(zeros);
    return bitmap_next_zero(words, n_bits, first + n) - start;
}

#endif
