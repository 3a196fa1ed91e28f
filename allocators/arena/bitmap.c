#include "bitmap.h"

/* Ones at the bits of word w that belong to [first, end). */
static uint64_t bitmap_mask_of(size_t w, size_t first, size_t end) {
    uint64_t mask = ~(uint64_t)0;
    if (first > w * 64)
        mask <<= first - w * 64;
    if (end < w * 64 + 64)
        mask &= ~(uint64_t)0 >> (w * 64 + 64 - end);
    return mask;
}

void bitmap_set_range(uint64_t *words, size_t first, size_t n) {
    size_t end = first + n;
    for (size_t w = first / 64; w * 64 < end; w++)
        words[w] |= bitmap_mask_of(w, first, end);
}

void bitmap_clear_range(uint64_t *words, size_t first, size_t n) {
    size_t end = first + n;
    for (size_t w = first / 64; w * 64 < end; w++)
        words[w] &= ~bitmap_mask_of(w, first, end);
}

size_t bitmap_count_range(const uint64_t *words, size_t first, size_t n) {
    size_t end = first + n, count = 0;
    for (size_t w = first / 64; w * 64 < end; w++)
        count += (size_t)__builtin_popcountl(words[w] & bitmap_mask_of(w, first, end));
    return count;
}

/* The first bit at or after from that differs from the pattern `skip` (0 or all ones) in every word before.
 */
static size_t bitmap_next(const uint64_t *words, size_t n_bits, size_t from, uint64_t skip) {
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

size_t bitmap_find_range(const uint64_t *words, size_t n_bits, size_t n, size_t align, size_t skew,
                         size_t *longest) {
    *longest = 0;
    for (size_t start = bitmap_next_one(words, n_bits, 0); start < n_bits;) {
        size_t end = bitmap_next_zero(words, n_bits, start);
        size_t at = util_align_up(start + skew, align) - skew;
        if (at + n <= end)
            return at;
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
