/* The sizes and places that the suite's workloads draw have the distributions that their originals define. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdbool.h>

#include "workloads/alloc_test.h"
#include "workloads/draw.h"
#include "workloads/ring_sizes.h"
#include "workloads/size_table.h"
#include "workloads/stamp.h"

#define N_DRAWS 400000

static bool is_near(double value, double expected, double tolerance) {
    return fabs(value / expected - 1) < tolerance;
}

static void inverse_square_table_has_its_mean(void **state) {
    (void)state;
    static struct size_table table;
    double sum = 0, lo = 4, hi = 32768;
    size_table_fill_inverse_square(&table, 4, 32768);
    for (unsigned i = 0; i < TABLE_SIZES; i++) {
        assert_in_range(table.bytes[i], 4, 32768);
        assert_true(i == 0 || table.bytes[i] >= table.bytes[i - 1]);
        sum += table.bytes[i];
    }
    /* Sizes are rounded down, half a byte on average; the last quantile hides some of the tail. */
    assert_true(is_near(sum / TABLE_SIZES, lo * hi * log(hi / lo) / (hi - lo) - 0.5, 0.05));
    assert_in_range(table.bytes[TABLE_SIZES / 2], 7, 8); /* half of all are below twice the least */

    size_table_fill_inverse_square(&table, 77, 77);
    assert_int_equal(table.bytes[0], 77);
    assert_int_equal(table.bytes[TABLE_SIZES - 1], 77);
}

/* Mean excess over the least size, by the definition: what is refused is drawn again below itself. */
static double mean_small_biased(unsigned n_sizes) {
    static double mean[2000];
    for (unsigned span = 1; span <= n_sizes; span++) {
        double sum = 0;
        for (unsigned above = 0; above < span; above++) {
            double refused = (double)(100 * above / span) / 100;
            sum += (1 - refused) * above + (above ? refused * mean[above] : 0);
        }
        mean[span] = sum / span;
    }
    return mean[n_sizes];
}

static void small_biased_has_its_mean(void **state) {
    (void)state;
    struct prng prng;
    double sum = 0;
    prng_seed(&prng, 42, 1);
    for (int i = 0; i < N_DRAWS; i++) {
        uint64_t x = draw_small_biased(&prng, 10, 1024);
        assert_in_range(x, 10, 1024);
        sum += (double)x;
    }
    assert_true(is_near(sum / N_DRAWS, 10 + mean_small_biased(1015), 0.01));
}

static void halving_halves(void **state) {
    (void)state;
    struct prng prng;
    unsigned n[16] = {0};
    prng_seed(&prng, 42, 2);
    for (int i = 0; i < N_DRAWS; i++) {
        unsigned k = draw_halving(&prng, 4, 9);
        assert_in_range(k, 4, 9);
        n[k]++;
    }
    for (unsigned k = 4; k < 9; k++)
        assert_true(is_near(n[k], N_DRAWS / (double)(1u << (k - 3)), 0.05));
    assert_true(is_near(n[9], N_DRAWS / 32.0, 0.05));
}

/* Stratum i, counted from the coldest, is drawn with probability 0.2 x 0.8^i; the hottest with 0.8^6. */
static void places_follow_the_rule_of_eighty_and_twenty(void **state) {
    (void)state;
    const uint64_t n_places = 1 << 18;
    struct prng prng;
    unsigned n[PARETO_TURNS + 1] = {0};
    prng_seed(&prng, 42, 3);
    for (int i = 0; i < N_DRAWS; i++) {
        uint64_t place = alloc_test_draw_place(&prng, n_places), n_hot = (n_places + 4) / 5;
        unsigned stratum = 0;
        assert_true(place < n_places);
        for (; stratum < PARETO_TURNS && place < n_hot; stratum++)
            n_hot = (n_hot + 4) / 5;
        n[stratum]++;
    }
    for (unsigned i = 0; i < PARETO_TURNS; i++)
        assert_true(is_near(n[i], N_DRAWS * 0.2 * pow(0.8, i), 0.03));
    assert_true(is_near(n[PARETO_TURNS], N_DRAWS * pow(0.8, PARETO_TURNS), 0.03));
}

static void few_places_are_all_reached(void **state) {
    (void)state;
    struct prng prng;
    prng_seed(&prng, 42, 4);
    for (uint64_t n_places = 1; n_places <= 7; n_places++) {
        unsigned reached = 0;
        for (int i = 0; i < 1000; i++)
            reached |= 1u << alloc_test_draw_place(&prng, n_places);
        assert_int_equal(reached, (1u << n_places) - 1);
    }
}

static void ring_sizes_have_the_published_sums(void **state) {
    (void)state;
    struct ring_sizes s;
    uint64_t n = 0, n_bytes = 0;
    ring_sizes_fill_small(&s);
    for (unsigned i = 0; i < s.n_rows; i++) {
        assert_in_range(s.rows[i].bytes, 1, 999);
        n += s.rows[i].count;
        n_bytes += (uint64_t)s.rows[i].bytes * s.rows[i].count;
    }
    assert_int_equal(n, 19300);
    assert_true(is_near((double)n_bytes / (double)n, 22.9, 0.01));

    n = n_bytes = 0;
    ring_sizes_fill_wide(&s);
    assert_int_equal(s.n_rows, 12);
    for (unsigned i = 0; i < s.n_rows; i++) {
        n += s.rows[i].count;
        n_bytes += (uint64_t)s.rows[i].bytes * s.rows[i].count;
    }
    assert_true(is_near((double)n_bytes / (double)n, 56, 0.01));
}

static void a_stamp_belongs_to_its_block_alone(void **state) {
    (void)state;
    static unsigned char blocks[1000];
    unsigned n_mistaken = 0;
    uint64_t stamp = stamp_make(&blocks[0], STAMP_MAX_BYTES, 0xabcdef);
    assert_true(stamp_is_of(stamp, &blocks[0]));
    assert_int_equal(stamp_bytes(stamp), STAMP_MAX_BYTES);
    assert_true(stamp_is_by(stamp, 0xabcdef));
    assert_true(stamp_is_by(stamp, 0x1abcdef)); /* 24 bits */
    assert_false(stamp_is_by(stamp, 0xabcdee));
    for (unsigned bit = 0; bit < 64; bit++)
        n_mistaken += stamp_is_of(stamp ^ UINT64_C(1) << bit, &blocks[0]);
    for (unsigned i = 1; i < sizeof blocks; i++)
        n_mistaken += stamp_is_of(stamp, &blocks[i]);
    assert_in_range(n_mistaken, 0, 2); /* one in 65536 is to be expected */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inverse_square_table_has_its_mean),
        cmocka_unit_test(small_biased_has_its_mean),
        cmocka_unit_test(halving_halves),
        cmocka_unit_test(places_follow_the_rule_of_eighty_and_twenty),
        cmocka_unit_test(ring_sizes_have_the_published_sums),
        cmocka_unit_test(a_stamp_belongs_to_its_block_alone),
        cmocka_unit_test(few_places_are_all_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
