/* The order in which pair allocates and frees, for each pattern and each kind of call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/fake_cell.h"

#define N_BLOCKS 32
#define BLOCK_BYTES 64
#define SIZE_BYTES 40

/* Block i is the i-th allocated one; each call is noted. */
static unsigned char pool[N_BLOCKS][BLOCK_BYTES];
static unsigned n_made, n_freed, n_live_max, n_grown, n_cleared, freed[N_BLOCKS];
static size_t last_bytes;

static void *note_alloc(size_t size_bytes) {
    assert_true(n_made < N_BLOCKS);
    last_bytes = size_bytes;
    if (n_made + 1 - n_freed > n_live_max)
        n_live_max = n_made + 1 - n_freed;
    return pool[n_made++];
}

static void *note_calloc(size_t n, size_t size_bytes) {
    n_cleared++;
    return note_alloc(n * size_bytes);
}

static void *note_realloc(void *block, size_t size_bytes) {
    assert_int_equal(last_bytes, SIZE_BYTES / 2);
    assert_int_equal(size_bytes, SIZE_BYTES);
    n_grown++;
    return block;
}

static void note_free(void *block) {
    freed[n_freed++] = (unsigned)(((unsigned char *)block - pool[0]) / BLOCK_BYTES);
}

static const struct alloc_ops note_ops = {
    .alloc = note_alloc, .free = note_free, .calloc = note_calloc, .realloc = note_realloc};

/* Ten pairs in batches of four: 4, 4, 2. */
static void run_ten(int64_t pattern, int64_t call) {
    struct fake_spec spec;
    struct fake_result r;
    n_made = n_freed = n_live_max = n_grown = n_cleared = 0;
    fake_spec_init(&spec, "pair", 1);
    fake_param_set(&spec, "pattern", pattern);
    fake_param_set(&spec, "call", call);
    fake_param_set(&spec, "size_bytes", SIZE_BYTES);
    fake_param_set(&spec, "batch", 4);
    spec.warmup_ops = 0;
    spec.ops_total = 10;
    spec.inner = &note_ops;
    fake_run(&spec, &r);
    assert_int_equal(r.err, 0);
    assert_int_equal(n_made, 10);
    assert_int_equal(n_freed, 10);
    assert_int_equal(n_live_max, pattern == 0 ? 1 : 4);
    assert_int_equal(n_cleared, call == 1 ? 10 : 0);
    assert_int_equal(n_grown, call == 2 ? 10 : 0);
}

static void blocks_are_freed_in_the_order_of_the_pattern(void **state) {
    (void)state;
    static const unsigned expected[3][10] = {
        {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {3, 2, 1, 0, 7, 6, 5, 4, 9, 8}};
    for (int64_t pattern = 0; pattern < 3; pattern++) {
        for (int64_t call = 0; call < 3; call++) {
            run_ten(pattern, call);
            for (unsigned i = 0; i < 10; i++)
                assert_int_equal(freed[i], expected[pattern][i]);
        }
    }
}

/* Each idle thread has a block of its own, which is freed at the end. */
static void idle_threads_hold_a_block_each(void **state) {
    struct fake_spec spec;
    struct fake_result r;
    (void)state;
    fake_spec_init(&spec, "pair", 1);
    fake_param_set(&spec, "idle_threads", 3);
    spec.warmup_ops = 0;
    spec.ops_total = 100;
    fake_run(&spec, &r);
    assert_int_equal(r.err, 0);
    assert_int_equal(r.n_allocs, 103);
    assert_int_equal(r.n_frees, 103);
    assert_int_equal(r.expected_allocs, 103);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_are_freed_in_the_order_of_the_pattern),
                                       cmocka_unit_test(idle_threads_hold_a_block_each)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
