/* The order in which ring frees: a fifth stays, what lies below goes in order, what lies above in reverse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/fake_cell.h"

#define N_BLOCKS 64
#define BLOCK_BYTES 1024

static unsigned char pool[N_BLOCKS][BLOCK_BYTES];
static unsigned n_made, n_freed, freed[N_BLOCKS];

static void *note_alloc(size_t size_bytes) {
    assert_true(n_made < N_BLOCKS && size_bytes <= BLOCK_BYTES);
    return pool[n_made++];
}

static void note_free(void *block) {
    freed[n_freed++] = (unsigned)(((unsigned char *)block - pool[0]) / BLOCK_BYTES);
}

static const struct alloc_ops note_ops = {.alloc = note_alloc, .free = note_free};

static void a_rotating_fifth_is_kept(void **state) {
    (void)state;
    /* Ring of ten. First turn: blocks 0 to 9, the first two places stay. Second turn: eight new blocks, 10 to 17, at
     * places 2 to 9; places 2 and 3 stay. Third: 18 to 25 at places 0, 1, 4 to 9; places 4 and 5 stay. */
    static const unsigned expected[] = {9,  8,  7,  6,  5,  4,  3,  2,  0,  1,  17, 16,
                                        15, 14, 13, 12, 18, 19, 10, 11, 25, 24, 23, 22};
    struct fake_spec spec;
    struct fake_result r;
    n_made = n_freed = 0;
    fake_spec_init(&spec, "ring", 1);
    fake_param_set(&spec, "ring_blocks", 10);
    spec.warmup_ops = 0;
    spec.ops_total = 26;
    spec.inner = &note_ops;
    fake_run(&spec, &r);
    assert_int_equal(r.err, 0);
    assert_int_equal(n_made, 26);
    assert_int_equal(n_freed, 26);
    for (unsigned i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_int_equal(freed[i], expected[i]);
}

/* What a slot leaves for others is freed by others. */
static void small_blocks_cross_over(void **state) {
    (void)state;
    struct fake_spec spec;
    struct fake_result r;
    fake_spec_init(&spec, "ring-xthread", 4);
    fake_param_set(&spec, "ring_blocks", 400);
    fake_param_set(&spec, "feed_percent", 100);
    fake_run(&spec, &r);
    assert_int_equal(r.err, 0);
    assert_int_equal(r.claimed_remote, r.n_measured_remote);
    assert_true(r.n_measured_remote > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rotating_fifth_is_kept),
        cmocka_unit_test(small_blocks_cross_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
