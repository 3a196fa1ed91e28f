/*
 * A heap that gives one block to two callers is found out by every workload in which blocks live side by side;
 * parameters that contradict each other are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/unit/fake_cell.h"

#define POOL_BYTES ((size_t)1 << 30)
static unsigned char *pool;
static _Atomic size_t pool_used;
static _Atomic uint64_t n_calls;
static uint64_t good_calls; /* so many blocks are sound */
static _Atomic(void *) last_block;
static size_t size_wanted; /* only blocks of up to this size are handed out twice */

/* After the first good_calls every second small block is the one before it once more. */
static void *double_alloc(size_t size_bytes) {
    uint64_t call = atomic_fetch_add(&n_calls, 1);
    if (size_bytes <= size_wanted && call >= good_calls && call % 2 == 0 && atomic_load(&last_block))
        return atomic_load(&last_block);
    size_t at = atomic_fetch_add(&pool_used, (size_bytes + 15) & ~(size_t)15);
    assert_true(at + size_bytes <= POOL_BYTES);
    if (size_bytes <= size_wanted)
        atomic_store(&last_block, pool + at);
    return pool + at;
}

static void double_free(void *block) {
    (void)block;
}

static void *double_calloc(size_t n, size_t size_bytes) {
    return double_alloc(n * size_bytes); /* the pool is zero, what is given twice is not */
}

static const struct alloc_ops double_ops = {
    .alloc = double_alloc, .free = double_free, .calloc = double_calloc};

/* Two owners of one block are a data race, which ThreadSanitizer would find out first. */
#ifdef __SANITIZE_THREAD__
#define skip_under_tsan() skip()
#else
#define skip_under_tsan() (void)0
#endif

static void run_on_doubles(struct fake_spec *spec, struct fake_result *r) {
    pool = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(pool, MAP_FAILED);
    atomic_store(&pool_used, 0);
    atomic_store(&n_calls, 0);
    atomic_store(&last_block, NULL);
    spec->inner = &double_ops;
    fake_run(spec, r);
    munmap(pool, POOL_BYTES);
}

static void assert_found_out(const struct fake_spec *spec, const struct fake_result *r) {
    if (r->err != -EBADMSG)
        fail_msg("%s, %u threads: %d %s", spec->workload->name, spec->n_threads, r->err, r->why);
}

static void larson_finds_a_block_given_twice(void **state) {
    (void)state;
    skip_under_tsan();
    struct fake_spec spec;
    struct fake_result r;
    fake_spec_init(&spec, "larson", 2);
    fake_param_set(&spec, "chunks", 100);
    size_wanted = 1000;
    good_calls = 1500;
    run_on_doubles(&spec, &r);
    assert_found_out(&spec, &r);
}

static void prodcons_finds_an_object_given_twice(void **state) {
    (void)state;
    skip_under_tsan();
    for (unsigned n_threads = 1; n_threads <= 5; n_threads += 2) {
        struct fake_spec spec;
        struct fake_result r;
        fake_spec_init(&spec, "prodcons", n_threads);
        fake_param_set(&spec, "batch_objects", 100);
        size_wanted = 64;
        good_calls = 5000;
        run_on_doubles(&spec, &r);
        assert_found_out(&spec, &r);
    }
}

/* Objects as large as the records, so that these are hit too. One thread: with more, a record could change between
 * the check and its use, and the run would end as a crash. */
static void prodcons_finds_a_record_given_twice(void **state) {
    (void)state;
    struct fake_spec spec;
    struct fake_result r;
    fake_spec_init(&spec, "prodcons", 1);
    fake_param_set(&spec, "batch_objects", 2);
    size_wanted = 64;
    good_calls = 1000;
    run_on_doubles(&spec, &r);
    assert_found_out(&spec, &r);
}

/* Two threads' turns in the probe: the objects have the same address, so both write one object. */
static void false_sharing_finds_an_object_given_twice(void **state) {
    (void)state;
    skip_under_tsan();
    struct fake_spec spec;
    struct fake_result r;
    fake_spec_init(&spec, "false-sharing-active", 4);
    fake_param_set(&spec, "writes", 100001);
    spec.warmup_ops = 100000;
    size_wanted = 8;
    good_calls = 0;
    run_on_doubles(&spec, &r);
    assert_found_out(&spec, &r);
}

/* One thread: two owners of one block would be a data race. */
static void the_suite_finds_a_block_given_twice(void **state) {
    (void)state;
    static const char *const names[] = {
        "alloc-test",   "contention",   "glibc-thread",    "migrate",     "msgpass",
        "ring",         "ring-xthread", "scatter-churn",   "superserver", "blowup",
        "calloc-fresh", "fleet",        "hand-off",        "lru-churn",   "mleak",
        "ramp-plateau", "robson",       "sparse-survivor", "thread-churn"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct fake_spec spec;
        struct fake_result r;
        fake_spec_init(&spec, names[i], 1);
        if (strcmp(names[i], "calloc-fresh") == 0)
            fake_param_set(&spec, "size_bytes", 100);
        size_wanted = 1000;
        good_calls = 3000;
        run_on_doubles(&spec, &r);
        assert_found_out(&spec, &r);
    }
}

static void larson_refuses_an_empty_range_of_sizes(void **state) {
    (void)state;
    struct fake_spec spec;
    struct fake_result r;
    fake_spec_init(&spec, "larson", 2);
    fake_param_set(&spec, "min_bytes", 100);
    fake_param_set(&spec, "max_bytes", 100);
    fake_run(&spec, &r);
    assert_int_equal(r.err, -EINVAL);
    assert_int_equal(r.n_allocs, 0);
}

static void ranges_upside_down_are_refused(void **state) {
    (void)state;
    static const char *const names[] = {"contention", "glibc-thread", "phong", "scatter-churn",
                                        "thread-churn"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct fake_spec spec;
        struct fake_result r;
        fake_spec_init(&spec, names[i], 2);
        fake_param_set(&spec, "min_bytes", 101);
        fake_param_set(&spec, "max_bytes", 100);
        fake_run(&spec, &r);
        assert_int_equal(r.err, -EINVAL);
        assert_int_equal(r.n_allocs, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(larson_finds_a_block_given_twice),
        cmocka_unit_test(prodcons_finds_an_object_given_twice),
        cmocka_unit_test(prodcons_finds_a_record_given_twice),
        cmocka_unit_test(false_sharing_finds_an_object_given_twice),
        cmocka_unit_test(the_suite_finds_a_block_given_twice),
        cmocka_unit_test(ranges_upside_down_are_refused),
        cmocka_unit_test(larson_refuses_an_empty_range_of_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
