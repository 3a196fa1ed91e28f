/* Random sizes have the distribution that the workloads' descriptions promise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "workloads/draw.h"

#define N_DRAWS 200000

static double mean_of_log_uniform(uint64_t lo, uint64_t hi) {
    struct prng prng;
    double sum = 0;
    prng_seed(&prng, 42, 7);
    for (int i = 0; i < N_DRAWS; i++) {
        uint64_t x = draw_log_uniform(&prng, lo, hi);
        assert_true(x >= lo && x <= hi);
        sum += (double)x;
    }
    return sum / N_DRAWS;
}

/* The standard deviation of the mean is below 0.5 % in all of these. */
static void log_uniform_has_its_mean(void **state) {
    (void)state;
    static const uint64_t ranges[][2] = {
        {16, 256}, {16, 32768}, {65536, 1 << 30}, {100, 1000}, {1000, 1100}, {5, 5},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        double lo = (double)ranges[i][0], hi = (double)ranges[i][1];
        double mean = mean_of_log_uniform(ranges[i][0], ranges[i][1]);
        /* Sizes are rounded down: half a byte on average. */
        double expected = lo == hi ? lo : (hi - lo) / log(hi / lo) - 0.5;
        assert_true(fabs(mean / expected - 1) < 0.025);
    }
}

static void log_uniform_fills_octaves_alike(void **state) {
    (void)state;
    struct prng prng;
    unsigned n[8] = {0}, n_lower_half = 0;
    prng_seed(&prng, 42, 8);
    for (int i = 0; i < N_DRAWS; i++) {
        uint64_t x = draw_log_uniform(&prng, 1024, 1024 << 8);
        for (unsigned k = 0; k < 8; k++)
            n[k] += x >= UINT64_C(1024) << k && x < UINT64_C(2048) << k;
        n_lower_half += x < 1448; /* 1024 x sqrt 2 */
    }
    for (unsigned k = 0; k < 8; k++)
        assert_true(fabs((double)n[k] / N_DRAWS - 0.125) < 0.004);
    assert_true(fabs((double)n_lower_half / N_DRAWS - 0.0625) < 0.003);
}

static void uniform_reaches_both_ends(void **state) {
    (void)state;
    struct prng prng;
    unsigned n[4] = {0};
    prng_seed(&prng, 42, 9);
    for (int i = 0; i < 4000; i++) {
        uint64_t x = draw_uniform(&prng, 3, 6);
        assert_true(x >= 3 && x <= 6);
        n[x - 3]++;
    }
    for (unsigned k = 0; k < 4; k++)
        assert_true(n[k] > 800 && n[k] < 1200);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_uniform_has_its_mean),
        cmocka_unit_test(log_uniform_fills_octaves_alike),
        cmocka_unit_test(uniform_reaches_both_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
