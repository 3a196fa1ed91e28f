#include "bitmap.h"

/* The first bit at or after from that differs from the pattern `skip` (0 or all ones) in every word before.
 */
static inline size_t bitmap_next(const uint64_t *words, size_t n_bits, size_t from, uint64_t skip) {
    if (from >= n_bits)
        return n_bits;
    size_t w = from / 64;
    uint64_t bits = (words[w] ^ skip) & (~(uint64_t)0 << (from % 64));
    while (bits == 0) {
        if (++w * 64 >= n_bits)
            return n_bits;
        bits = words[w] ^ skip;
    }
    return util_min(w * 64 + (size_t)__builtin_ctzl(bits), n_bits);
}

size_t bitmap_next_one(const uint64_t *words, size_t n_bits, size_t from) {
    return bitmap_next(words, n_bits, from, 0);
}

size_t bitmap_next_zero(const uint64_t *words, size_t n_bits, size_t from) {
    return bitmap_next(words, n_bits, from, ~(uint64_t)0);
}

size_t bitmap_find_range(const uint64_t *words, size_t n_bits, size_t from, size_t n, size_t align,
                         size_t *n_range, size_t *longest) {
    *longest = 0;
    for (size_t start = bitmap_next_one(words, n_bits, from); start < n_bits;) {
        size_t end = bitmap_next_zero(words, n_bits, start);
        size_t at = util_align_up(start, align);
        if (at + n <= end) {
            *n_range = end - at;
            return at;
        }
        *longest = util_max(*longest, end - start);
        start = bitmap_next_one(words, n_bits, end);
    }
    return n_bits;
}

size_t bitmap_range_around(const uint64_t *words, size_t n_bits, size_t idx, size_t *n) {
    size_t w = idx / 64;
    uint64_t zeros = ~words[w] & bitmap_mask_of(w, 0, idx + 1);
    while (zeros == 0 && w > 0)
        zeros = ~words[--w];
    size_t first = zeros == 0 ? 0 : w * 64 + 64 - (size_t)__builtin_clzl(zeros);
    *n = bitmap_next_zero(words, n_bits, idx) - first;
    return first;
}
