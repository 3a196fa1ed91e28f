/*
 * The invariants of the heap after random work by one thread and by several: arena_check must find nothing wrong at
 * any stop, the pages must be accounted for after everything is freed, and damage must be found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define ARENA_PREFIXED 1
#include "allocators/arena/arena.h"
#include "allocators/arena/shim.h"

#define N_SLOTS 2000
#define N_STEPS 20000
#define N_THREADS 4

static _Atomic(void *) slots[N_SLOTS];

static void assert_sound(void) {
    for (unsigned i = 0; i < arena_n(); i++) {
        struct arena *arena = arena_peek(i);
        const char *wrong = arena == NULL ? NULL : arena_check(arena);
        if (wrong != NULL)
            fail_msg("arena %u: %s", i, wrong);
    }
}

/* Mostly small, some large, exact and huge. */
static size_t size_from(uint64_t r) {
    switch (r % 32) {
    case 0:
        return r / 32 % 1000000;
    case 1:
    case 2:
        return r / 32 % 200000;
    case 3:
    case 4:
    case 5:
        return r / 32 % 20000;
    default:
        return r / 32 % 1200;
    }
}

static void *work(void *arg) {
    uint64_t seed = (uintptr_t)arg;
    for (int i = 0; i < N_STEPS; i++) {
        seed = util_mix(seed);
        void *fresh = seed >> 60 < 6 ? NULL : arena_malloc(size_from(seed >> 8));
        arena_free(atomic_exchange(&slots[seed % N_SLOTS], fresh));
    }
    return NULL;
}

static void free_all(void) {
    for (size_t i = 0; i < N_SLOTS; i++)
        arena_free(atomic_exchange(&slots[i], NULL));
}

static void sound_after_one_thread(void **state) {
    (void)state;
    for (uintptr_t round = 1; round <= 8; round++) {
        work((void *)round);
        assert_sound();
    }
    free_all();
    assert_sound();
    arena_malloc_trim(0);
    assert_sound();
}

static void sound_after_several_threads(void **state) {
    (void)state;
    for (uintptr_t round = 0; round < 4; round++) {
        pthread_t threads[N_THREADS];
        for (uintptr_t i = 0; i < N_THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)(100 + round * N_THREADS + i)),
                             0);
        for (size_t i = 0; i < N_THREADS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_sound();
    }
}

static void nothing_is_left_after_freeing(void **state) {
    (void)state;
    free_all();
    arena_malloc_trim(0);
    assert_sound();
    for (unsigned i = 0; i < arena_n(); i++) {
        struct arena *arena = arena_peek(i);
        if (arena == NULL)
            continue;
        assert_int_equal(arena->n_active_pages, 0);
        assert_int_equal(arena->n_dirty_pages, 0);
        assert_int_equal(arena->n_huge, 0);
    }
}

static void damage_is_found(void **state) {
    (void)state;
    void *p = arena_malloc(100);
    struct chunk *chunk = chunk_of(p);
    struct arena *arena = chunk->owner;
    assert_null(arena_check(arena));
    chunk->n_free_pages++;
    assert_non_null(arena_check(arena));
    chunk->n_free_pages--;
    struct run *run = run_of(chunk, p);
    run->n_free ^= 1;
    assert_non_null(arena_check(arena));
    run->n_free ^= 1;
    assert_null(arena_check(arena));
    arena_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_after_one_thread),
        cmocka_unit_test(sound_after_several_threads),
        cmocka_unit_test(nothing_is_left_after_freeing),
        cmocka_unit_test(damage_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
