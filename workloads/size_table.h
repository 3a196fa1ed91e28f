/*
 * A table of sizes to draw from: each entry is equally likely, so the table is a distribution.
 *
 * Owns: nothing; the table lies where the caller put it, is filled in setup and only read afterwards.
 * Does not know: any workload.
 */
#ifndef HEAPDYNO_SIZE_TABLE_H
#define HEAPDYNO_SIZE_TABLE_H

#include "workloads/prng.h"

#define TABLE_SIZES 8000

struct size_table {
    uint32_t bytes[TABLE_SIZES];
};

/* Density proportional to 1/x^2 on [lo, hi], 0 < lo <= hi < 2^32: the table holds its quantiles, so that its mean is
 * the law's, lo hi ln(hi / lo) / (hi - lo), but for the tail of the last of them. */
static inline void size_table_fill_inverse_square(struct size_table *t, uint64_t lo, uint64_t hi) {
    /* The part u of all sizes is below 1 / (1/lo - u (1/lo - 1/hi)). */
    for (uint64_t i = 0; i < TABLE_SIZES; i++) {
        double u = ((double)i + 0.5) / TABLE_SIZES;
        t->bytes[i] = (uint32_t)((double)(lo * hi) / ((double)hi - u * (double)(hi - lo)));
    }
}

static inline uint32_t size_table_draw(const struct size_table *t, struct prng *g) {
    return t->bytes[prng_below(g, TABLE_SIZES)];
}

#endif
