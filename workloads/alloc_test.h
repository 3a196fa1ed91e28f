/*
 * How alloc-test chooses a place, apart from the workload so that it can be tested.
 *
 * Owns nothing. Does not know blocks.
 */
#ifndef HEAPDYNO_ALLOC_TEST_H
#define HEAPDYNO_ALLOC_TEST_H

#include "workloads/prng.h"

#define PARETO_TURNS 6

/* Of n places, n > 0: with probability 0.8 one of the first fifth (rounded up), to which the same rule applies, six
 * times at most; else one of the others. Seven strata, the hottest being 0.2^6 of the places with 0.8^6 of the draws. */
static inline uint64_t alloc_test_draw_place(struct prng *g, uint64_t n) {
    for (int i = 0; i < PARETO_TURNS; i++) {
        uint64_t n_hot = (n + 4) / 5;
        if (prng_below(g, 5) == 0)
            return n_hot < n ? n_hot + prng_below(g, n - n_hot) : prng_below(g, n);
        n = n_hot;
    }
    return prng_below(g, n);
}

#endif
