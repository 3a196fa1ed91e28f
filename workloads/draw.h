/*
 * Random sizes. All from the caller's generator, without libm, so that a stream of sizes is the same everywhere.
 *
 * Owns nothing. Does not know any workload.
 */
#ifndef HEAPDYNO_DRAW_H
#define HEAPDYNO_DRAW_H

#include "workloads/prng.h"

/* Uniform in [lo, hi]. */
static inline uint64_t draw_uniform(struct prng *g, uint64_t lo, uint64_t hi) {
    return lo + prng_below(g, hi - lo + 1);
}

/*
 * Density proportional to 1/x on [lo, hi], lo > 0, hi < 2^30 * lo; the mean is (hi - lo) / ln(hi / lo). First one of
 * the octaves above lo, all being equally likely; then a place x in [1, 2) of it, which is kept with
 * probability 1/x: 1.44 tries on average. What lies above hi is drawn again.
 */
static inline uint64_t draw_log_uniform(struct prng *g, uint64_t lo, uint64_t hi) {
    unsigned n_octaves = 1;
    while (lo << n_octaves < hi)
        n_octaves++;
    for (;;) {
        uint64_t octave = prng_below(g, n_octaves), draw = prng_next(g);
        uint64_t place = (UINT64_C(1) << 32) + (draw >> 32); /* fixed point, 32 digits behind the point */
        uint64_t size = (uint64_t)(((unsigned __int128)(lo << octave) * place) >> 32);
        if (size <= hi && ((unsigned __int128)(uint32_t)draw * place) >> 64 == 0)
            return size;
    }
}

/* From lo to hi, biased to the small end: of a size drawn uniformly from what is left of the range, its own share of
 * that range is the percentage with which it is refused; the range then ends below it, and it is drawn again. */
static inline uint64_t draw_small_biased(struct prng *g, uint64_t lo, uint64_t hi) {
    uint64_t span = hi - lo + 1;
    for (;;) {
        uint64_t above = prng_below(g, span);
        if (prng_below(g, 100) >= 100 * above / span)
            return lo + above;
        span = above;
    }
}

/* An exponent from lo to hi, each half as likely as the one before; the last as likely as the last but one. */
static inline unsigned draw_halving(struct prng *g, unsigned lo, unsigned hi) {
    uint64_t bits = prng_next(g) | UINT64_C(1) << 63;
    unsigned k = lo + (unsigned)__builtin_ctzll(bits);
    return k < hi ? k : hi;
}

#endif
