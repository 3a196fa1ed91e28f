/* row: blocks that follow each other in memory, as arrays of their addresses.
 *
 * Owns nothing. Does not know what the blocks are. These are the inner loops of fills and flushes.
 */
#ifndef ARENA_ROW_H
#define ARENA_ROW_H

#include "util.h"

/** How many of blocks[0..n) follow each other at a distance of step bytes, modulo 2^64; 1 at least, n is not zero. */
static inline size_t row_length(void *const *blocks, size_t n, uintptr_t step) {
    uintptr_t at = (uintptr_t)blocks[0] + step;
    size_t i = 1;
    /* Four at a time: one addition and one test of the end for all of them. */
    for (; i + 4 <= n; i += 4, at += 4 * step)
        if ((uintptr_t)blocks[i] != at || (uintptr_t)blocks[i + 1] != at + step ||
            (uintptr_t)blocks[i + 2] != at + 2 * step || (uintptr_t)blocks[i + 3] != at + 3 * step)
            break;
    // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): n of them are set
    for (; i < n && (uintptr_t)blocks[i] == at; at += step)
        i++;
    return i;
}

/** Stores n addresses from `at` on, step bytes apart, downwards from end[-1]. The new end. */
static inline void **row_write(void **end, size_t n, uintptr_t at, uintptr_t step) {
#pragma GCC unroll 1
    for (; n >= 4; n -= 4, at += 4 * step) {
        end -= 4;
        end[3] = (void *)at;
        end[2] = (void *)(at + step);
        end[1] = (void *)(at + 2 * step);
        end[0] = (void *)(at + 3 * step);
    }
#pragma GCC unroll 1
    for (; n != 0; n--, at += step)
        *--end = (void *)at;
    return end;
}

#endif
