/*
 * The whole heap against the naive model of heap_ops.h: random programs in one thread; in several that pass blocks to
 * each other; in threads that come and go. HEAPDYNO_LONG=1 runs ten times as many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "tests/fuzz/heap_ops.h"

#define N_THREADS 4
#define MAX_LIVE_BYTES ((size_t)48 << 20)
#define N_OPS 15000

struct task {
    struct heap_ops *ops;
    uint64_t seed;
    size_t n_ops;
    const char *error;
};

static struct heap_ops thread_ops[N_THREADS];

static uint64_t times(uint64_t n) {
    return getenv("HEAPDYNO_LONG") != NULL ? n * 10 : n;
}

static void assert_holds(const char *error, uint64_t seed) {
    if (error != NULL)
        fail_msg("seed %lu: %s", seed, error);
}

static void random_programs_agree_with_the_model(void **state) {
    (void)state;
    struct heap_ops *ops = &thread_ops[0];
    for (uint64_t seed = 1; seed <= times(8); seed++) {
        heap_ops_init(ops, &heap_calls_arena, seed << 32, MAX_LIVE_BYTES);
        heap_ops_run_random(ops, seed << 32, N_OPS);
        assert_holds(heap_ops_finish(ops), seed);
    }
}

static void *run_task(void *arg) {
    struct task *t = arg;
    heap_ops_run_random(t->ops, t->seed, t->n_ops);
    return NULL;
}

static void run_round(struct heap_exchange *exchange, uint64_t seed, size_t n_ops) {
    pthread_t threads[N_THREADS];
    struct task tasks[N_THREADS];
    for (unsigned i = 0; i < N_THREADS; i++) {
        tasks[i] = (struct task){&thread_ops[i], (seed * N_THREADS + i) << 32, n_ops, NULL};
        thread_ops[i].exchange = exchange;
        assert_int_equal(pthread_create(&threads[i], NULL, run_task, &tasks[i]), 0);
    }
    for (unsigned i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void init_threads(uint64_t seed) {
    for (unsigned i = 0; i < N_THREADS; i++)
        heap_ops_init(&thread_ops[i], &heap_calls_arena, (seed * N_THREADS + i) << 40,
                      MAX_LIVE_BYTES / N_THREADS);
}

static void finish_threads(struct heap_exchange *exchange, uint64_t seed) {
    for (unsigned i = 0; i < N_THREADS; i++)
        assert_holds(heap_ops_finish(&thread_ops[i]), seed);
    assert_holds(heap_exchange_finish(exchange, &heap_calls_arena), seed);
}

static void threads_that_pass_blocks_on_agree_with_the_model(void **state) {
    (void)state;
    struct heap_exchange exchange = {.lock = PTHREAD_MUTEX_INITIALIZER};
    for (uint64_t seed = 1; seed <= times(2); seed++) {
        init_threads(seed);
        run_round(&exchange, seed, N_OPS);
        finish_threads(&exchange, seed);
    }
}

/* The blocks live on in the slots; the thread that made them does not. */
static void blocks_outlive_their_threads(void **state) {
    (void)state;
    struct heap_exchange exchange = {.lock = PTHREAD_MUTEX_INITIALIZER};
    init_threads(77);
    for (uint64_t round = 0; round < times(12); round++)
        run_round(&exchange, 1000 + round, 600);
    finish_threads(&exchange, 77);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_programs_agree_with_the_model),
        cmocka_unit_test(threads_that_pass_blocks_on_agree_with_the_model),
        cmocka_unit_test(blocks_outlive_their_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
