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

#endif
