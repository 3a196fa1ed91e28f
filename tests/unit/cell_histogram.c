/* The histogram of latencies against exact percentiles of the same values, over known distributions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/cell/histogram.c"
#include "harness/protocol.h"
#include "workloads/prng.h"

#define N_SEEDS 12
#define MAX_ERROR 0.01 /* relative: what is promised; the buckets keep to 1/256 */

static const uint32_t shares[] = LATENCY_PPM;
#define N_SHARES (sizeof shares / sizeof shares[0])

static double uniform01(struct prng *g) {
    return ((double)(prng_next(g) >> 11) + 0.5) / 9007199254740992.0;
}

static double draw_uniform(struct prng *g) {
    return 1e6 * uniform01(g);
}

static double draw_exponential(struct prng *g) {
    return -2500 * log(uniform01(g));
}

/* Infinite mean: the tail goes on over decades. */
static double draw_pareto(struct prng *g) {
    return 20 * pow(uniform01(g), -1 / 0.9);
}

/* As allocators are: a fast path, and a slow one that comes one time in five hundred. */
static double draw_two_paths(struct prng *g) {
    return uniform01(g) < 0.998 ? 30 + 4 * uniform01(g) : 1e5 + 1e4 * uniform01(g);
}

static double draw_small(struct prng *g) {
    return 40 * uniform01(g);
}

static double draw_constant(struct prng *g) {
    (void)g;
    return 123457;
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* By nearest rank, without histogram: ceil(share * n)-th of the sorted values. */
static uint64_t exact_quantile(const uint64_t *sorted, uint64_t n, uint32_t ppm) {
    uint64_t rank = (n * ppm + 999999) / 1000000;
    return sorted[rank > 0 ? rank - 1 : 0];
}

static struct histogram *histogram_new(void) {
    struct histogram *h = calloc(1, sizeof *h);
    assert_non_null(h);
    return h;
}

static void check_quantiles(const struct histogram *h, uint64_t *values, uint64_t n) {
    qsort(values, n, sizeof *values, by_value);
    assert_int_equal(h->n, n);
    for (size_t i = 0; i < N_SHARES; i++) {
        double exact = (double)exact_quantile(values, n, shares[i]);
        double told = (double)histogram_quantile(h, shares[i]);
        if (fabs(told - exact) > MAX_ERROR * exact)
            fail_msg("n = %llu, share %u ppm: %.0f, exactly %.0f", (unsigned long long)n, shares[i], told,
                     exact);
    }
    assert_int_equal(histogram_quantile(h, 0), values[0]);
    assert_int_equal(histogram_quantile(h, 1000000), values[n - 1]);
}

static void percentiles_are_right_within_one_percent(void **state) {
    static double (*const draws[])(struct prng * g) = {draw_uniform,   draw_exponential, draw_pareto,
                                                       draw_two_paths, draw_small,       draw_constant};
    static const uint64_t counts[] = {1, 2, 3, 10, 999, 1000, 1001, 30000};
    uint64_t *values = malloc(30000 * sizeof *values);
    (void)state;
    for (size_t d = 0; d < sizeof draws / sizeof draws[0]; d++) {
        for (uint64_t seed = 1; seed <= N_SEEDS; seed++) {
            uint64_t n = counts[seed % (sizeof counts / sizeof counts[0])];
            struct histogram *h = histogram_new();
            struct prng g;
            prng_seed(&g, seed, d);
            for (uint64_t i = 0; i < n; i++) {
                values[i] = (uint64_t)draws[d](&g);
                histogram_add(h, values[i]);
            }
            check_quantiles(h, values, n);
            free(h);
        }
    }
    free(values);
}

static void merged_is_as_if_added_to_one(void **state) {
    enum { N = 20000, N_PARTS = 7 };
    struct histogram *parts[N_PARTS], *merged = histogram_new(), *whole = histogram_new();
    struct prng g;
    (void)state;
    prng_seed(&g, 7, 0);
    for (int i = 0; i < N_PARTS; i++)
        parts[i] = histogram_new();
    for (int i = 0; i < N; i++) { /* the last part stays empty */
        uint64_t value = (uint64_t)draw_pareto(&g);
        histogram_add(parts[prng_below(&g, N_PARTS - 1)], value);
        histogram_add(whole, value);
    }
    for (int i = 0; i < N_PARTS; i++) {
        histogram_merge(merged, parts[i]);
        free(parts[i]);
    }
    assert_memory_equal(merged, whole, sizeof *whole);
    free(merged);
    free(whole);
}

/* Every boundary between buckets, and the values beside it. */
static void buckets_are_in_order_and_narrow(void **state) {
    (void)state;
    for (unsigned bit = 0; bit < HISTOGRAM_VALUE_BITS; bit++) {
        for (uint64_t k = 0; k < N_LINEAR; k++) {
            uint64_t value = (UINT64_C(1) << bit) + (k << bit) / N_LINEAR;
            unsigned bucket = bucket_of(value);
            double error = fabs((double)middle_of(bucket) - (double)value);
            assert_true(bucket < HISTOGRAM_N_BUCKETS);
            assert_true(bucket_of(value - 1) == bucket || bucket_of(value - 1) == bucket - 1);
            assert_true(bucket_of(middle_of(bucket)) == bucket);
            assert_true(error <= (double)value / 256);
        }
    }
}

static void what_is_beyond_the_last_bucket_keeps_its_maximum(void **state) {
    struct histogram *h = histogram_new();
    (void)state;
    histogram_add(h, 5);
    histogram_add(h, UINT64_MAX);
    histogram_add(h, UINT64_MAX - 1);
    assert_int_equal(histogram_quantile(h, 0), 5);
    assert_true(histogram_quantile(h, 500000) == UINT64_MAX);
    assert_true(histogram_quantile(h, 1000000) == UINT64_MAX);
    free(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_right_within_one_percent),
        cmocka_unit_test(merged_is_as_if_added_to_one),
        cmocka_unit_test(buckets_are_in_order_and_narrow),
        cmocka_unit_test(what_is_beyond_the_last_bucket_keeps_its_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
