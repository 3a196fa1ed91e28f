/*
 * A histogram of times in fixed memory: log-linear buckets, as in HdrHistogram (Tene) and the binary formats of
 * Circonus; 128 to each octave, so that no value is told with an error of more than 1/256.
 *
 * Owns nothing but its struct; zeroed memory is an empty histogram. Does not know: clocks, threads. One writer.
 */
#ifndef HEAPDYNO_HISTOGRAM_H
#define HEAPDYNO_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_LINEAR_BITS                                                                                \
    7 /* below 2^7 each value has a bucket of its own; from there on each octave has 2^7 */
#define HISTOGRAM_VALUE_BITS 42 /* larger values share the last bucket; the largest is kept as it was */
#define HISTOGRAM_N_BUCKETS ((HISTOGRAM_VALUE_BITS - HISTOGRAM_LINEAR_BITS + 1) << HISTOGRAM_LINEAR_BITS)

struct histogram {
    uint64_t n;
    uint64_t min, max; /* exact; of no meaning while n is 0 */
    uint64_t counts[HISTOGRAM_N_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t value);

/* Adds all that `from` has counted. */
void histogram_merge(struct histogram *h, const struct histogram *from);

/*
 * The value at a share of `ppm` millionths of all, by nearest rank: the smallest value that at least this share does
 * not exceed; 0 gives the least, 1000000 the largest. The middle of its bucket, but never outside of what was
 * added: off by 1/256 of the exact one at most. n must not be 0.
 */
uint64_t histogram_quantile(const struct histogram *h, uint32_t ppm);

#endif
