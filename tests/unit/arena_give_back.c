/*
 * Memory given back: after a burst is freed, resident memory is within 2 MiB of the start at once after a purge, and by
 * decay while somebody allocates; a producer and a consumer reach a steady state. End states only; generous waits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ARENA_PREFIXED 1
#include "allocators/arena/shim.h"
#include "tests/unit/resident.h"

#define BURST_BYTES ((size_t)60 << 20)
#define SLACK_BYTES (2l << 20)
#define MAX_BLOCKS 700000

extern const char *malloc_conf;
const char *malloc_conf = "dirty_decay_ms:200,muzzy_decay_ms:0";

static void *blocks[MAX_BLOCKS];

/* Allocates, writes and frees; the array itself is resident afterwards. */
static void burst(size_t size) {
    size_t n = BURST_BYTES / size < MAX_BLOCKS ? BURST_BYTES / size : MAX_BLOCKS;
    for (size_t i = 0; i < n; i++) {
        blocks[i] = arena_malloc(size);
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, size);
    }
    for (size_t i = 0; i < n; i++)
        arena_free(blocks[i]);
}

static const size_t sizes[] = {100, 2000, 30000, 150000, 1000000, 20000000};
#define N_SIZES (sizeof sizes / sizeof sizes[0])

static void a_purge_gives_all_back_at_once(void **state) {
    (void)state;
    skip_under_shadow();
    memset(blocks, 1, sizeof blocks);
    for (size_t i = 0; i < N_SIZES; i++) {
        for (int by_name = 0; by_name < 2; by_name++) {
            long before = resident_bytes();
            burst(sizes[i]);
            if (by_name)
                assert_int_equal(arena_mallctl("arena.4096.purge", NULL, NULL, NULL, 0), 0);
            else
                assert_int_equal(arena_malloc_trim(0), 1);
            assert_true(resident_bytes() - before < SLACK_BYTES);
        }
    }
}

static void decay_gives_all_back_in_time(void **state) {
    (void)state;
    skip_under_shadow();
    memset(blocks, 1, sizeof blocks);
    arena_malloc_trim(0);
    for (size_t i = 0; i < N_SIZES; i++) {
        long before = resident_bytes();
        burst(sizes[i]);
        /* Somebody allocates now and then, or nothing ticks; some 20 s at most. */
        for (int t = 0; t < 4000 && resident_bytes() - before >= SLACK_BYTES; t++) {
            for (int j = 0; j < 300; j++)
                arena_free(arena_malloc(30000));
            nanosleep(&(struct timespec){0, 5000000}, NULL);
        }
        if (resident_bytes() - before >= SLACK_BYTES)
            fail_msg("%zu-byte blocks: %ld bytes too many", sizes[i], resident_bytes() - before);
    }
}

static _Atomic bool has_burst, has_slept_enough;

static void *burst_and_sleep(void *arg) {
    for (size_t i = 0; i < N_SIZES; i++)
        burst(sizes[i]);
    has_burst = true;
    while (!has_slept_enough)
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    return arg;
}

/* Nobody calls the allocator any more: the thread that freed everything keeps its cache, which is below the slack, and
 * the background thread purges. */
static void an_idle_process_gives_all_back(void **state) {
    (void)state;
    skip_under_shadow();
    bool on = true, off = false;
    pthread_t thread;
    memset(blocks, 1, sizeof blocks);
    arena_malloc_trim(0);
    assert_int_equal(arena_mallctl("background_thread", NULL, NULL, &on, sizeof on), 0);
    long before = resident_bytes();
    assert_int_equal(pthread_create(&thread, NULL, burst_and_sleep, NULL), 0);
    for (int t = 0; t < 4000 && (!has_burst || resident_bytes() - before >= SLACK_BYTES); t++)
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    long kept = resident_bytes() - before;
    has_slept_enough = true;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(arena_mallctl("background_thread", NULL, NULL, &off, sizeof off), 0);
    assert_true(kept < SLACK_BYTES);
}

static void *free_every_64th(void *arg) {
    for (size_t i = 0; i < (size_t)arg; i += 64)
        arena_free(blocks[i]);
    return NULL;
}

/* Of each run one block is sent back by another thread; the last ones come from the owner. */
static void what_owner_and_others_freed_decays(void **state) {
    const size_t size = 100, n = BURST_BYTES / size;
    pthread_t thread;
    (void)state;
    skip_under_shadow();
    memset(blocks, 1, sizeof blocks);
    arena_malloc_trim(0);
    long before = resident_bytes();
    for (size_t i = 0; i < n; i++) {
        blocks[i] = arena_malloc(size);
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, size);
    }
    assert_int_equal(pthread_create(&thread, NULL, free_every_64th, (void *)n), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (size_t i = 0; i < n; i++)
        if (i % 64 != 0)
            arena_free(blocks[i]);
    for (int t = 0; t < 4000 && resident_bytes() - before >= SLACK_BYTES; t++) {
        for (int j = 0; j < 300; j++)
            arena_free(arena_malloc(30000));
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    }
    assert_true(resident_bytes() - before < SLACK_BYTES);
}

static void *just_burst(void *arg) {
    for (size_t i = 0; i < N_SIZES; i++)
        burst(sizes[i]);
    return arg;
}

/* What an ended thread leaves in its arena is purged by those that are left, without a background thread. */
static void the_memory_of_ended_threads_decays(void **state) {
    (void)state;
    skip_under_shadow();
    pthread_t thread;
    memset(blocks, 1, sizeof blocks);
    arena_malloc_trim(0);
    long before = resident_bytes();
    assert_int_equal(pthread_create(&thread, NULL, just_burst, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (int t = 0; t < 4000 && resident_bytes() - before >= SLACK_BYTES; t++) {
        for (int j = 0; j < 300; j++)
            arena_free(arena_malloc(30000));
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    }
    assert_true(resident_bytes() - before < SLACK_BYTES);
}

#define RING 256
static void *_Atomic ring[RING];
static _Atomic bool is_over;

/* Leaves the processor to the producer when a whole turn was empty: on a loaded machine they may have one alone. */
static void *consume(void *arg) {
    for (size_t i = 0, n_empty = 0; !is_over; i = (i + 1) % RING) {
        void *block = atomic_exchange(&ring[i], NULL);
        n_empty = block == NULL ? n_empty + 1 : 0;
        if (n_empty % RING == RING - 1)
            sched_yield();
        arena_free(block);
    }
    return arg;
}

static void produce(size_t n, uint64_t *seed) {
    for (size_t i = 0; i < n; i++) {
        *seed = *seed * 6364136223846793005u + 1;
        size_t size = 16 + (*seed >> 33) % (i % 16 == 0 ? 40000 : 1000);
        void *block = arena_malloc(size), *none = NULL;
        assert_non_null(block);
        memset(block, 1, 16);
        while (!atomic_compare_exchange_weak(&ring[*seed >> 50 & (RING - 1)], &none, block)) {
            if (none != NULL)
                sched_yield();
            none = NULL;
            *seed += 0x9e3779b97f4a7c15u;
        }
    }
}

static void a_producer_and_a_consumer_stop_growing(void **state) {
    (void)state;
    skip_under_shadow();
    pthread_t consumer;
    uint64_t seed = 3;
    assert_int_equal(pthread_create(&consumer, NULL, consume, NULL), 0);
    produce(100000, &seed);
    long before = resident_bytes();
    produce(getenv("HEAPDYNO_LONG") != NULL ? 20000000 : 300000, &seed);
    long after = resident_bytes();
    is_over = true;
    pthread_join(consumer, NULL);
    for (int i = 0; i < RING; i++)
        arena_free(ring[i]);
    assert_true(after - before < (4l << 20));
}

static int set_decay(const char *name, int64_t ms) {
    return arena_mallctl(name, NULL, NULL, &ms, sizeof ms);
}

/* 2^58 ms are a multiple of 2^64 ns: no time at all. */
static void decay_times_beyond_what_is_allowed_are_refused(void **state) {
    (void)state;
    const char *const names[] = {"arena.0.dirty_decay_ms", "arena.0.muzzy_decay_ms"};
    const int64_t most = 4611686018427, wrong[] = {-2, most + 1, INT64_C(1) << 58, INT64_MAX, INT64_MIN};
    for (int i = 0; i < 2; i++) {
        int64_t before = -7, now = -7;
        size_t n = sizeof before;
        assert_int_equal(arena_mallctl(names[i], &before, &n, NULL, 0), 0);
        for (size_t w = 0; w < sizeof wrong / sizeof wrong[0]; w++)
            assert_int_equal(set_decay(names[i], wrong[w]), EFAULT);
        assert_int_equal(arena_mallctl(names[i], &now, &n, NULL, 0), 0);
        assert_int_equal(now, before);
        assert_int_equal(set_decay(names[i], most), 0);
        burst(30000);
        assert_int_equal(set_decay(names[i], before), 0);
    }
}

static void *free_huge_blocks(void *arg) {
    for (int i = 0; i < 20000; i++)
        arena_free(arena_malloc(1000000));
    is_over = true;
    return arg;
}

/* For the thread sanitizer: whether a freed block is to be cached depends on the decay time. */
static void decay_times_change_while_blocks_are_freed(void **state) {
    (void)state;
    pthread_t thread;
    int64_t now = -7;
    size_t n = sizeof now;
    is_over = false;
    assert_int_equal(pthread_create(&thread, NULL, free_huge_blocks, NULL), 0);
    for (unsigned i = 0; !is_over; i++)
        for (int arena = 0; arena < 4; arena++) {
            char name[40];
            snprintf(name, sizeof name, "arena.%d.dirty_decay_ms", arena);
            assert_int_equal(set_decay(name, i % 2 * 200), 0);
        }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(set_decay("arena.0.dirty_decay_ms", 0), 0);
    assert_int_equal(arena_mallctl("arena.0.dirty_decay_ms", &now, &n, NULL, 0), 0);
    assert_int_equal(now, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_purge_gives_all_back_at_once),
        cmocka_unit_test(decay_gives_all_back_in_time),
        cmocka_unit_test(an_idle_process_gives_all_back),
        cmocka_unit_test(what_owner_and_others_freed_decays),
        cmocka_unit_test(the_memory_of_ended_threads_decays),
        cmocka_unit_test(a_producer_and_a_consumer_stop_growing),
        cmocka_unit_test(decay_times_beyond_what_is_allowed_are_refused),
        cmocka_unit_test(decay_times_change_while_blocks_are_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
