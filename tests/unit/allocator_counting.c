/* The counting entries: every kind of call, threads that ended, more threads than the first table holds. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "allocators/allocator.h"

#define N_THREADS 1200 /* more than the static blocks and the first mapping hold */
#define N_PAIRS 50

static struct alloc_ops counted;
static bool is_failing;

static void *inner_alloc(size_t size_bytes) {
    return is_failing ? NULL : malloc(size_bytes);
}

static int wrap(void **state) {
    static const struct alloc_ops inner = {.alloc = inner_alloc,
                                           .free = free,
                                           .calloc = calloc,
                                           .realloc = realloc,
                                           .aligned_alloc = aligned_alloc};
    (void)state;
    counting_wrap(&inner, &counted);
    return 0;
}

static struct alloc_counts counts_since(const struct alloc_counts *before) {
    struct alloc_counts now;
    counting_read(&now);
    return (struct alloc_counts){now.n_allocs - before->n_allocs, now.n_frees - before->n_frees,
                                 now.n_reallocs - before->n_reallocs, now.n_failed - before->n_failed};
}

static void missing_entries_stay_missing(void **state) {
    (void)state;
    assert_null(counted.usable_size);
    assert_null(counted.free_sized);
    assert_non_null(counted.aligned_alloc);
}

static void every_call_is_counted_once(void **state) {
    struct alloc_counts before;
    (void)state;
    counting_read(&before);
    void *blocks[] = {counted.alloc(10), counted.calloc(3, 7), counted.aligned_alloc(64, 128),
                      counted.realloc(NULL, 20)};
    blocks[0] = counted.realloc(blocks[0], 4000);
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        assert_non_null(blocks[i]);
        counted.free(blocks[i]);
    }
    counted.free(NULL);
    struct alloc_counts n = counts_since(&before);
    assert_int_equal(n.n_allocs, 4);
    assert_int_equal(n.n_reallocs, 1);
    assert_int_equal(n.n_frees, 4);
    assert_int_equal(n.n_failed, 0);
}

static void failures_are_no_allocations(void **state) {
    struct alloc_counts before;
    (void)state;
    counting_read(&before);
    is_failing = true;
    assert_null(counted.alloc(1));
    is_failing = false;
    struct alloc_counts n = counts_since(&before);
    assert_int_equal(n.n_allocs, 0);
    assert_int_equal(n.n_failed, 1);
}

static void *make_pairs(void *arg) {
    (void)arg;
    for (int i = 0; i < N_PAIRS; i++)
        counted.free(counted.alloc(16));
    return NULL;
}

static void counts_outlive_their_threads(void **state) {
    enum { AT_ONCE = 8 };
    struct alloc_counts before;
    (void)state;
    counting_read(&before);
    for (int i = 0; i < N_THREADS; i += AT_ONCE) {
        pthread_t threads[AT_ONCE];
        for (int j = 0; j < AT_ONCE; j++)
            assert_int_equal(pthread_create(&threads[j], NULL, make_pairs, NULL), 0);
        for (int j = 0; j < AT_ONCE; j++)
            pthread_join(threads[j], NULL);
    }
    struct alloc_counts n = counts_since(&before);
    assert_int_equal(n.n_allocs, N_THREADS * N_PAIRS);
    assert_int_equal(n.n_frees, N_THREADS * N_PAIRS);
}

static void *inherit_and_leave(void *counters) {
    counting_take_over(counters);
    counted.free(counted.alloc(10));
    return counting_hand_over();
}

static void successors_share_the_counters_of_a_chain(void **state) {
    struct alloc_counts before;
    void *counters = NULL, *first = NULL;
    (void)state;
    counting_read(&before);
    for (int i = 0; i < N_THREADS; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, inherit_and_leave, counters), 0);
        assert_int_equal(pthread_join(thread, &counters), 0);
        assert_non_null(counters);
        first = first ? first : counters;
        assert_ptr_equal(counters, first);
    }
    struct alloc_counts n = counts_since(&before);
    assert_int_equal(n.n_allocs, N_THREADS);
    assert_int_equal(n.n_frees, N_THREADS);
}

static void who_handed_over_counts_anew(void **state) {
    struct alloc_counts before;
    (void)state;
    counting_read(&before);
    counted.free(counted.alloc(10));
    void *counters = counting_hand_over();
    assert_non_null(counters);
    assert_null(counting_hand_over());
    counting_take_over(NULL);
    counted.free(counted.alloc(10)); /* into other counters */
    assert_ptr_not_equal(counting_hand_over(), counters);
    counting_take_over(counters);
    counted.free(counted.alloc(10));
    assert_int_equal(counts_since(&before).n_allocs, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_entries_stay_missing),
        cmocka_unit_test(every_call_is_counted_once),
        cmocka_unit_test(failures_are_no_allocations),
        cmocka_unit_test(counts_outlive_their_threads),
        cmocka_unit_test(successors_share_the_counters_of_a_chain),
        cmocka_unit_test(who_handed_over_counts_anew),
    };
    return cmocka_run_group_tests_name("allocator_counting", tests, wrap, NULL);
}
