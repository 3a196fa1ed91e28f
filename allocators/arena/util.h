/* util: arithmetic that every room uses.
 *
 * Owns nothing and keeps no state. Does not know the operating system, time or threads. No lock.
 */
#ifndef ARENA_UTIL_H
#define ARENA_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTIL_LIKELY(x) __builtin_expect(!!(x), 1)
#define UTIL_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define UTIL_NOINLINE __attribute__((noinline))
#define UTIL_COLD __attribute__((noinline, cold))
#define UTIL_LINE_BYTES 64
#define UTIL_ALIGN_LINE __attribute__((aligned(UTIL_LINE_BYTES)))

#define PAGE_LG 12
#define PAGE_BYTES ((size_t)1 << PAGE_LG)

/** Makes the compiler forget what it knows of x, a variable: an index that it has added a constant to is then added anew,
 *  in the addressing mode, where that costs nothing. */
#define UTIL_FORGET(x) __asm__("" : "+r"(x))

/** Keeps x, which is to be returned, in the register for results from here on: one move less where the compiler has
 *  put something else there. */
#if defined(__x86_64__)
#define UTIL_RESULT(x) __asm__("" : "+a"(x))
#else
#define UTIL_RESULT(x) UTIL_FORGET(x)
#endif

/** Index of the highest set bit; x must not be zero. */
static inline unsigned util_lg_floor(size_t x) {
    return 63u ^ (unsigned)__builtin_clzl(x); /* the same as 63 - , and one instruction */
}

/** x rounded up to a multiple of align, a power of two. Wraps to zero for x near SIZE_MAX. */
static inline size_t util_align_up(size_t x, size_t align) {
    return (x + align - 1) & ~(align - 1);
}

static inline bool util_is_pow2(size_t x) {
    return x != 0 && (x & (x - 1)) == 0;
}

static inline size_t util_min(size_t a, size_t b) {
    return a < b ? a : b;
}

static inline size_t util_max(size_t a, size_t b) {
    return a > b ? a : b;
}

/** One step of a 64-bit mixer (the finaliser of splitmix64, Steele et al. 2014): for jitter and cookies. */
static inline uint64_t util_mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

#endif
