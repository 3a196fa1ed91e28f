#include "harness/cell/histogram.h"

#define N_LINEAR (UINT64_C(1) << HISTOGRAM_LINEAR_BITS)

static unsigned bucket_of(uint64_t value) {
    if (value >> HISTOGRAM_VALUE_BITS != 0)
        return HISTOGRAM_N_BUCKETS - 1;
    if (value < N_LINEAR)
        return (unsigned)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_LINEAR_BITS;
    return (shift << HISTOGRAM_LINEAR_BITS) + (unsigned)(value >> shift); /* the place has its top bit set */
}

static uint64_t middle_of(unsigned bucket) {
    if (bucket < 2 * N_LINEAR)
        return bucket;
    unsigned shift = (bucket >> HISTOGRAM_LINEAR_BITS) - 1;
    uint64_t place = N_LINEAR + (bucket & (N_LINEAR - 1));
    return (place << shift) + (UINT64_C(1) << (shift - 1));
}

void histogram_add(struct histogram *h, uint64_t value) {
    h->counts[bucket_of(value)]++;
    h->min = h->n == 0 || value < h->min ? value : h->min;
    h->max = h->n == 0 || value > h->max ? value : h->max;
    h->n++;
}

void histogram_merge(struct histogram *h, const struct histogram *from) {
    if (from->n == 0)
        return;
    for (unsigned i = 0; i < HISTOGRAM_N_BUCKETS; i++)
        h->counts[i] += from->counts[i];
    h->min = h->n == 0 || from->min < h->min ? from->min : h->min;
    h->max = h->n == 0 || from->max > h->max ? from->max : h->max;
    h->n += from->n;
}

uint64_t histogram_quantile(const struct histogram *h, uint32_t ppm) {
    uint64_t rank = (uint64_t)(((unsigned __int128)h->n * ppm + 999999) / 1000000), seen = 0;
    if (rank <= 1)
        return h->min;
    if (rank == h->n)
        return h->max;
    for (unsigned i = 0; i < HISTOGRAM_N_BUCKETS; i++) {
        seen += h->counts[i];
        if (seen < rank)
            continue;
        uint64_t value = i == HISTOGRAM_N_BUCKETS - 1 ? h->max : middle_of(i);
        return value < h->min ? h->min : value > h->max ? h->max : value;
    }
    return h->max;
}
