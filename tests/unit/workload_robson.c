/*
 * The adversary is as bad as the theorem says: no heap can do with less than M (log2(n) / 2 + 1) - n + 1 units, and
 * first fit without headers, whose memory is its highest address, needs exactly that. Survivors that are chosen by
 * another rule give another number. (Which of two offsets is worse makes no difference to first fit.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "tests/unit/fake_cell.h"

#define UNIT_BYTES 16
#define POOL_UNITS 65536

static unsigned char pool[POOL_UNITS * UNIT_BYTES] __attribute__((aligned(4096)));
static unsigned short lengths[POOL_UNITS]; /* of the block that begins there, in units */
static bool is_used[POOL_UNITS];
static size_t extent_units;

static void *first_fit_alloc(size_t size_bytes) {
    size_t n_units = (size_bytes + UNIT_BYTES - 1) / UNIT_BYTES, n_free = 0;
    for (size_t i = 0; i < POOL_UNITS; i++) {
        n_free = is_used[i] ? 0 : n_free + 1;
        if (n_free < n_units)
            continue;
        size_t first = i + 1 - n_units;
        memset(&is_used[first], 1, n_units);
        lengths[first] = (unsigned short)n_units;
        if (i + 1 > extent_units)
            extent_units = i + 1;
        return &pool[first * UNIT_BYTES];
    }
    return NULL;
}

static void first_fit_free(void *block) {
    size_t first = (size_t)((unsigned char *)block - pool) / UNIT_BYTES;
    assert_true(is_used[first] && lengths[first] > 0);
    memset(&is_used[first], 0, lengths[first]);
    lengths[first] = 0;
}

static const struct alloc_ops first_fit = {.alloc = first_fit_alloc, .free = first_fit_free};

static size_t extent_after_course(int64_t total_units, int64_t phases) {
    struct fake_spec spec;
    struct fake_result r;
    fake_spec_init(&spec, "robson", 1);
    fake_param_set(&spec, "total_bytes", total_units * UNIT_BYTES);
    fake_param_set(&spec, "unit_bytes", UNIT_BYTES);
    fake_param_set(&spec, "phases", phases);
    fake_param_set(&spec, "hold_ms", 0);
    spec.inner = &first_fit;
    spec.warmup_ops = 0;
    spec.ops_total = 0;
    spec.is_course = true;
    extent_units = 0;
    fake_run(&spec, &r);
    assert_int_equal(r.err, 0);
    assert_int_equal(r.n_allocs, r.n_frees);
    return extent_units;
}

static void first_fit_needs_what_the_theorem_says(void **state) {
    (void)state;
    for (int64_t total = 256; total <= 4096; total *= 4)
        for (int64_t phases = 2; phases <= 6; phases += 2) {
            int64_t bound = total * (phases + 2) / 2 - (INT64_C(1) << phases) + 1;
            int64_t extent = (int64_t)extent_after_course(total, phases);
            assert_int_equal(extent, bound);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(first_fit_needs_what_the_theorem_says)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
