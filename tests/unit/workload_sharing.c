/*
 * The deterministic sharing metric, over heaps of which the answer is known: null gives each thread memory of its
 * own, yet keeps what it is handed; one bump pointer for all threads packs them into common lines.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "tests/unit/fake_cell.h"

static struct alloc_ops null_ops;

#define POOL_BYTES (1u << 20)
static _Alignas(4096) unsigned char pool[POOL_BYTES];
static _Atomic size_t pool_used;

static void *pool_alloc(size_t size_bytes) {
    size_t at = atomic_fetch_add(&pool_used, (size_bytes + 15) & ~(size_t)15);
    assert_true(at + size_bytes <= POOL_BYTES);
    return pool + at;
}

static void pool_free(void *block) {
    (void)block;
}

static const struct alloc_ops pool_ops = {.alloc = pool_alloc, .free = pool_free};

static double shared_fraction(const char *workload, unsigned n_threads, const struct alloc_ops *inner,
                              int64_t probe_bytes) {
    struct fake_spec spec;
    struct fake_result r;
    fake_spec_init(&spec, workload, n_threads);
    spec.inner = inner;
    if (probe_bytes > 0)
        fake_param_set(&spec, "probe_bytes", probe_bytes);
    atomic_store(&pool_used, 0);
    fake_run(&spec, &r);
    if (r.err != 0)
        fail_msg("%s: %s", workload, r.why);
    assert_int_equal(r.n_allocs, r.expected_allocs);
    assert_int_equal(r.n_frees, r.n_allocs);
    return r.shared_line_fraction;
}

static void one_thread_shares_nothing(void **state) {
    (void)state;
    assert_true(shared_fraction("false-sharing-active", 1, &pool_ops, 16) == 0);
    assert_true(shared_fraction("false-sharing-passive", 1, &pool_ops, 16) == 0);
}

static void common_memory_shares_all_lines(void **state) {
    (void)state;
    /* Turn by turn, so 16-byte neighbours belong to different threads; only the ends may differ. */
    assert_true(shared_fraction("false-sharing-active", 2, &pool_ops, 16) > 0.95);
    assert_true(shared_fraction("false-sharing-active", 4, &pool_ops, 16) > 0.95);
    /* Large objects meet at their ends at most. */
    assert_true(shared_fraction("false-sharing-active", 2, &pool_ops, 1024) < 0.1);
}

static void private_memory_shares_none_until_blocks_are_handed_over(void **state) {
    (void)state;
    assert_true(shared_fraction("false-sharing-active", 4, &null_ops, 16) == 0);
    assert_true(shared_fraction("false-sharing-passive", 4, &null_ops, 16) > 0.95);
    assert_true(shared_fraction("false-sharing-passive", 2, &null_ops, 16) > 0.95);
}

static void the_metric_repeats(void **state) {
    (void)state;
    double first = shared_fraction("false-sharing-active", 3, &pool_ops, 40);
    for (int i = 0; i < 3; i++)
        assert_true(shared_fraction("false-sharing-active", 3, &pool_ops, 40) == first);
}

static void controls_say_not_measured(void **state) {
    (void)state;
    assert_true(isnan(shared_fraction("false-sharing-separate", 2, NULL, 0)));
    assert_true(isnan(shared_fraction("false-sharing-serial", 2, NULL, 0)));
    assert_true(isnan(shared_fraction("prodcons", 2, NULL, 0)));
}

static void serial_leaves_all_work_to_one_thread(void **state) {
    (void)state;
    struct fake_spec spec;
    struct fake_result r;
    fake_spec_init(&spec, "false-sharing-serial", 5);
    fake_param_set(&spec, "writes", 100);
    spec.warmup_ops = 100;
    spec.ops_total = 1000;
    fake_run(&spec, &r);
    assert_int_equal(r.err, 0);
    assert_int_equal(r.measured_ops, 1000);
    assert_int_equal(r.n_allocs, (5 * 100 + 1000) / 100);
}

static int open_null(void **state) {
    (void)state;
    fake_library_open(&null_ops, "libnull.so");
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_shares_nothing),
        cmocka_unit_test(common_memory_shares_all_lines),
        cmocka_unit_test(private_memory_shares_none_until_blocks_are_handed_over),
        cmocka_unit_test(the_metric_repeats),
        cmocka_unit_test(controls_say_not_measured),
        cmocka_unit_test(serial_leaves_all_work_to_one_thread),
    };
    return cmocka_run_group_tests(tests, open_null, NULL);
}
