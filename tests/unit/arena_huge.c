/*
 * Huge blocks used again: cut down with a tail to grow into, aligned ones found by their address, tails given back by a
 * purge, and blocks resized or freed by threads while others purge. The file under test is included, so that a block can be
 * freed as in a fork.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "allocators/arena/arena_huge.c"
#define ARENA_PREFIXED 1
#include "allocators/arena/shim.h"

#define MIB ((size_t)1 << 20)

/* A hardened build puts guard bytes behind each block and keeps freed ones back: sizes and addresses are others there. */
static void only_plain(void) {
#if defined(ARENA_HARDENED)
    skip();
#endif
}

static size_t tail_of(const void *p) {
    return atomic_load(&chunk_of(p)->huge_tail);
}

static struct arena *arena_of(const void *p) {
    return chunk_of(p)->owner;
}

static size_t n_unused_bytes(const struct arena *arena) {
    return atomic_load(&arena->n_huge_cached_bytes);
}

static void assert_sound(struct arena *arena) {
    const char *wrong = arena_check(arena);
    if (wrong != NULL)
        fail_msg("%s", wrong);
}

/* The address of a block of 3 MiB that was freed: cached. */
static char *cached_block(void) {
    arena_malloc_trim(0);
    char *p = arena_malloc(3 * MIB);
    assert_non_null(p);
    memset(p, 1, 3 * MIB);
    arena_free(p);
    return p;
}

static void a_cut_block_grows_into_its_tail(void **state) {
    (void)state;
    only_plain();
    char *cached = cached_block();
    char *p = arena_malloc(1 * MIB);
    struct arena *arena = arena_of(p);
    assert_ptr_equal(p, cached);
    assert_int_equal(arena_malloc_usable_size(p), 1 * MIB);
    assert_int_equal(tail_of(p), 2 * MIB);
    assert_int_equal(n_unused_bytes(arena), 2 * MIB);
    memset(p, 2, 1 * MIB);
    assert_ptr_equal(arena_realloc(p, 5 * MIB / 2), p);
    assert_int_equal(tail_of(p), MIB / 2);
    assert_int_equal(n_unused_bytes(arena), MIB / 2);
    assert_int_equal(p[MIB - 1], 2);
    assert_sound(arena);
    arena_free(p);
    assert_int_equal(n_unused_bytes(arena), 3 * MIB);
    assert_sound(arena);
}

static void a_shrunk_block_keeps_its_tail_until_a_purge(void **state) {
    (void)state;
    only_plain();
    char *p = cached_block();
    assert_ptr_equal(arena_malloc(3 * MIB), p);
    struct arena *arena = arena_of(p);
    assert_ptr_equal(arena_realloc(p, 1 * MIB), p);
    assert_int_equal(tail_of(p), 2 * MIB);
    arena_malloc_trim(0);
    assert_int_equal(tail_of(p), 0);
    assert_int_equal(n_unused_bytes(arena), 0);
    assert_int_equal(arena->n_huge_bytes, 1 * MIB);
    assert_sound(arena);
    arena_free(p);
    arena_malloc_trim(0);
    assert_int_equal(arena->n_huge_bytes, 0);
}

/* What nobody else could use is not kept. */
static void a_tail_is_at_most_three_times_its_block(void **state) {
    (void)state;
    only_plain();
    arena_malloc_trim(0);
    arena_free(arena_malloc(32 * MIB));
    char *p = arena_malloc(1 * MIB);
    assert_int_equal(tail_of(p), 3 * MIB);
    assert_int_equal(arena_of(p)->n_huge_bytes, 4 * MIB);
    assert_ptr_not_equal(arena_realloc(p, 1000), p);
}

static void a_block_moves_with_its_tail_counted_once(void **state) {
    (void)state;
    only_plain();
    cached_block();
    char *p = arena_malloc(1 * MIB);
    struct arena *arena = arena_of(p);
    memset(p, 3, 1 * MIB);
    p = arena_realloc(p, 40 * MIB);
    assert_non_null(p);
    assert_int_equal(p[0], 3);
    assert_int_equal(p[MIB - 1], 3);
    assert_int_equal(n_unused_bytes(arena), 0);
    assert_int_equal(arena->n_huge_bytes, 40 * MIB);
    assert_sound(arena);
    arena_free(p);
}

static void aligned_blocks_are_used_again(void **state) {
    (void)state;
    for (size_t align = 128 << 10; align <= 8 * MIB; align *= 2) {
        arena_malloc_trim(0);
        char *p = arena_aligned_alloc(align, 1 * MIB);
        assert_int_equal((uintptr_t)p % align, 0);
        arena_free(p);
        assert_ptr_equal(arena_aligned_alloc(align, 1 * MIB), p);
        arena_free(p);
        /* One that lies well enough by chance would do as well. */
        char *q = arena_aligned_alloc(align * 16, 1 * MIB);
        assert_int_equal((uintptr_t)q % (align * 16), 0);
        arena_free(q);
        assert_sound(arena_peek(0));
    }
}

static void grown_bytes_are_zero_if_asked_for(void **state) {
    (void)state;
    only_plain();
    cached_block();
    unsigned char *p = arena_malloc(1 * MIB);
    assert_int_equal(arena_xallocx(p, 2 * MIB, 0, 0x40), 2 * MIB);
    for (size_t i = 1 * MIB; i < 2 * MIB; i++)
        if (p[i] != 0)
            fail_msg("byte %zu is %u", i, p[i]);
    arena_free(p);
}

#define N_ROUNDS 300
#define N_THREADS 3

static atomic_uint n_running;

/* A buffer that grows and shrinks, with a pattern that must go along. */
static const char *resize_buffer(unsigned char tag) {
    uint64_t seed = tag;
    size_t bytes = MIB;
    unsigned char *p = arena_malloc(bytes);
    memset(p, tag, bytes);
    for (int i = 0; i < N_ROUNDS; i++) {
        seed = util_mix(seed);
        size_t wanted = 200000 + seed % (4 * MIB);
        unsigned char *q = arena_realloc(p, wanted);
        size_t kept = bytes < wanted ? bytes : wanted;
        if (q == NULL || q[0] != tag || q[kept / 2] != tag || q[kept - 1] != tag)
            return "content lost";
        q[wanted - 1] = q[wanted / 2] = q[0] = tag;
        if (wanted > kept)
            memset(q + kept, tag, wanted - kept);
        p = q;
        bytes = wanted;
        if (seed >> 61 == 0) {
            arena_free(p);
            p = arena_malloc(bytes);
            memset(p, tag, bytes);
        }
    }
    arena_free(p);
    return NULL;
}

struct resizer {
    pthread_t thread;
    unsigned char tag;
    const char *wrong;
};

static void *resize(void *arg) {
    struct resizer *resizer = arg;
    resizer->wrong = resize_buffer(resizer->tag);
    atomic_fetch_sub(&n_running, 1);
    return NULL;
}

static void threads_resize_while_others_purge(void **state) {
    (void)state;
    struct resizer resizers[N_THREADS];
    atomic_store(&n_running, N_THREADS);
    for (unsigned i = 0; i < N_THREADS; i++) {
        resizers[i].tag = (unsigned char)(i + 1);
        assert_int_equal(pthread_create(&resizers[i].thread, NULL, resize, &resizers[i]), 0);
    }
    while (atomic_load(&n_running) != 0)
        arena_malloc_trim(0);
    for (unsigned i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_join(resizers[i].thread, NULL), 0);
        if (resizers[i].wrong != NULL)
            fail_msg("%s", resizers[i].wrong);
    }
    arena_malloc_trim(0);
    for (unsigned i = 0; i < arena_n(); i++)
        if (arena_peek(i) != NULL)
            assert_sound(arena_peek(i));
}

#define N_TAILED 64
/* ThreadSanitizer keeps mappings of its own for each address that was ever unmapped, of which there may not be many. */
#if defined(__SANITIZE_THREAD__)
#define N_TAILED_ROUNDS 100
#else
#define N_TAILED_ROUNDS 400
#endif

static struct chunk *tailed[N_TAILED];
static atomic_uint n_ready;

static void await_both(void) {
    atomic_fetch_add(&n_ready, 1);
    while (atomic_load(&n_ready) != 2)
        sched_yield();
}

/* Each one as soon as its tail has been taken: nobody else needs its header then. */
static void *free_as_in_a_fork(void *arg) {
    await_both();
    for (int i = 0; i < N_TAILED; i++) {
        while (atomic_load(&tailed[i]->huge_tail) != 0)
            __builtin_ia32_pause();
        memset(&tailed[i]->dirty_link, 0, sizeof tailed[i]->dirty_link);
        arena_huge_free_in_fork(tailed[i]->owner, tailed[i]);
    }
    return arg;
}

static void a_block_without_its_tail_may_go_while_others_purge(void **state) {
    (void)state;
    only_plain();
    arena_malloc_trim(0);
    struct arena *arena = arena_of(cached_block());
    for (int round = 0; round < N_TAILED_ROUNDS; round++) {
        pthread_t thread;
        for (int i = 0; i < N_TAILED; i++) {
            char *p = arena_malloc(512 << 10);
            assert_ptr_equal(arena_realloc(p, 256 << 10), p);
            tailed[i] = chunk_of(p);
        }
        atomic_store(&n_ready, 0);
        assert_int_equal(pthread_create(&thread, NULL, free_as_in_a_fork, NULL), 0);
        await_both();
        arena_purge(arena);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_sound(arena);
        assert_int_equal(arena->n_huge, 0);
        assert_int_equal(arena->n_huge_bytes, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_block_grows_into_its_tail),
        cmocka_unit_test(a_shrunk_block_keeps_its_tail_until_a_purge),
        cmocka_unit_test(a_block_moves_with_its_tail_counted_once),
        cmocka_unit_test(a_tail_is_at_most_three_times_its_block),
        cmocka_unit_test(aligned_blocks_are_used_again),
        cmocka_unit_test(grown_bytes_are_zero_if_asked_for),
        cmocka_unit_test(threads_resize_while_others_purge),
        cmocka_unit_test(a_block_without_its_tail_may_go_while_others_purge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
