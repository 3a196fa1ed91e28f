/*
 * What stays resident after nearly everything was freed, in random order, so that the few objects that are left, live or
 * in the thread's cache, are spread over all runs. The clock is the test's own; who sleeps is stood in for by ticks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "allocators/arena/arena.h"
#include "allocators/arena/os.h"
#define ARENA_PREFIXED 1
#include "allocators/arena/shim.h"
#include "tests/unit/resident.h"

#define DECAY_MS 500
#define SLACK_BYTES (2l << 20)
#define MAX_BLOCKS 400000
#define MS ((uint64_t)1000000)

extern const char *malloc_conf;
const char *malloc_conf = "dirty_decay_ms:500,narenas:1";

uint64_t __wrap_os_now_ns(void);

static uint64_t fake_ns = 1;

uint64_t __wrap_os_now_ns(void) {
    return fake_ns;
}

static unsigned char *blocks[MAX_BLOCKS];
static uint64_t seed;

static size_t draw(size_t below) {
    seed = util_mix(seed);
    return (size_t)(seed % below);
}

static int prepare(void **state) {
    (void)state;
    seed = 1;
    memset(blocks, 1, sizeof blocks); /* resident from now on */
    arena_free(arena_malloc(1));
    arena_mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
    arena_malloc_trim(0);
    return 0;
}

static void allocate(size_t at, size_t size) {
    blocks[at] = arena_malloc(size);
    assert_non_null(blocks[at]);
    memset(blocks[at], (int)at & 0xff, size);
}

/* As many bytes of each power of two, 16 to 32768, each up to its double. How many blocks. */
static size_t allocate_mixed(size_t bytes) {
    size_t n = 0;
    for (size_t sum = 0; sum < bytes; n++) {
        size_t size = (size_t)16 << draw(12);
        size += draw(size + 1);
        allocate(n, size);
        sum += size;
    }
    return n;
}

/* Frees all but the last n_left of the n blocks, in random order. */
static void free_at_random(size_t n, size_t n_left) {
    for (; n > n_left; n--) {
        size_t i = draw(n);
        arena_free(blocks[i]);
        blocks[i] = blocks[n - 1];
    }
}

/* What a background thread does while the process sleeps. */
static void sleep_ms(unsigned ms) {
    for (unsigned t = 0; t < ms; t += 25) {
        fake_ns += 25 * MS;
        arena_drain(arena_get(0));
        arena_tick(arena_get(0), fake_ns);
    }
}

static void assert_within(long before, long slack) {
    long kept = resident_bytes() - before;
    if (kept > slack)
        fail_msg("%ld bytes are kept, more than %ld", kept, slack);
}

static void a_sleeping_cache_keeps_little(void **state) {
    (void)state;
    skip_under_shadow();
    long before = resident_bytes();
    free_at_random(allocate_mixed((size_t)128 << 20), 0);
    sleep_ms(2 * DECAY_MS);
    assert_within(before, SLACK_BYTES);
    assert_null(arena_check(arena_get(0)));
}

/* Of many small objects each page has some, and it takes few that are cached to keep all of them. */
static void a_sleeping_cache_keeps_few_pages(void **state) {
    (void)state;
    skip_under_shadow();
    long before = resident_bytes();
    for (size_t i = 0; i < MAX_BLOCKS; i++)
        allocate(i, 16 + i % 8 * 16);
    free_at_random(MAX_BLOCKS, 0);
    sleep_ms(2 * DECAY_MS);
    assert_within(before, SLACK_BYTES);
}

/* However small they are: each may keep a page, if others free what lies beside it. */
static void a_cache_holds_few_objects(void **state) {
    (void)state;
    size_t n_cached = 0;
    for (int round = 0; round < 20; round++)
        for (size_t size = 16; size <= 128; size += 16) {
            for (size_t i = 0; i < 2000; i++)
                allocate(i, size);
            for (size_t i = 0; i < 2000; i++)
                arena_free(blocks[i]);
        }
    for (size_t size = 16; size <= 128; size += 16) {
        const struct bin *bin = &arena_get(0)->bins[size_class_of(size)];
        n_cached += bin->n_taken - bin->n_put;
    }
    assert_true(n_cached > 256);
    assert_true(n_cached <= ((size_t)1 << 20) / 256);
}

/* Nobody ticks but the thread itself, whose calls all end in the fast path and ask for 6 KiB in all. */
static void a_slow_thread_gives_back(void **state) {
    (void)state;
    skip_under_shadow();
    long before = resident_bytes();
    free_at_random(allocate_mixed((size_t)128 << 20), 0);
    for (unsigned t = 0; t < 2 * DECAY_MS; t += 10) {
        fake_ns += 10 * MS;
        arena_free(arena_malloc(64));
    }
    assert_within(before, SLACK_BYTES);
    assert_null(arena_check(arena_get(0)));
}

/* One object in a hundred stays: each run has some. They and the pages they lie on are all that is left. */
static void live_objects_keep_their_pages_only(bool by_decay) {
    const size_t n = 30000, size = 2048, n_left = n / 100;
    long before = resident_bytes();
    for (size_t i = 0; i < n; i++)
        allocate(i, size);
    free_at_random(n, n_left);
    if (by_decay)
        sleep_ms(2 * DECAY_MS);
    else
        assert_int_equal(arena_malloc_trim(0), 1);
    assert_within(before, (long)n_left * 4096 + SLACK_BYTES);
    for (size_t i = 0; i < n_left; i++) {
        for (size_t b = 1; b < size; b++)
            assert_int_equal(blocks[i][b], blocks[i][0]);
        arena_free(blocks[i]);
    }
    assert_null(arena_check(arena_get(0)));
}

static void a_purge_reaches_into_runs(void **state) {
    (void)state;
    skip_under_shadow();
    live_objects_keep_their_pages_only(false);
}

static void decay_reaches_into_runs(void **state) {
    (void)state;
    skip_under_shadow();
    live_objects_keep_their_pages_only(true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_cache_holds_few_objects,
                               prepare), /* first: it needs a cache without a past */
        cmocka_unit_test_setup(a_sleeping_cache_keeps_little, prepare),
        cmocka_unit_test_setup(a_sleeping_cache_keeps_few_pages, prepare),
        cmocka_unit_test_setup(a_slow_thread_gives_back, prepare),
        cmocka_unit_test_setup(a_purge_reaches_into_runs, prepare),
        cmocka_unit_test_setup(decay_reaches_into_runs, prepare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
