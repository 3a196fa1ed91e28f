/*
 * The contract of every entry point: alignment and size, what failure returns and leaves alone, errno.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#define ARENA_PREFIXED 1
#include "allocators/arena/shim.h"

#define ERRNO_BEFORE 4242
#define N_ELEMENTS(array) (sizeof(array) / sizeof(array)[0])

static const size_t impossible[] = {SIZE_MAX,           SIZE_MAX - 1,     SIZE_MAX - 4095,
                                    SIZE_MAX - 4096,    SIZE_MAX / 2 + 1, (size_t)PTRDIFF_MAX,
                                    PTRDIFF_MAX - 4096, (size_t)1 << 62};

/* The call returns NULL and says ENOMEM. */
#define assert_no_memory(call)                                                                               \
    do {                                                                                                     \
        errno = ERRNO_BEFORE;                                                                                \
        assert_null(call);                                                                                   \
        assert_int_equal(errno, ENOMEM);                                                                     \
    } while (0)

#define assert_invalid(call)                                                                                 \
    do {                                                                                                     \
        errno = ERRNO_BEFORE;                                                                                \
        assert_null(call);                                                                                   \
        assert_int_equal(errno, EINVAL);                                                                     \
    } while (0)

static void too_much_is_refused_with_enomem(void **state) {
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(impossible); i++) {
        size_t size = impossible[i];
        assert_no_memory(arena_malloc(size));
        assert_no_memory(arena_calloc(1, size));
        assert_no_memory(arena_calloc(size, 1));
        assert_no_memory(arena_realloc(NULL, size));
        assert_no_memory(arena_reallocarray(NULL, 1, size));
        assert_no_memory(arena_valloc(size));
        assert_no_memory(arena_pvalloc(size));
        assert_no_memory(arena_mallocx(size, 0));
        assert_no_memory(arena_mallocx(size, 0x40));
        for (size_t align = 1; align <= (size_t)1 << 30; align *= 2) {
            assert_no_memory(arena_aligned_alloc(align, size));
            assert_no_memory(arena_memalign(align, size));
        }
    }
}

static void products_that_overflow_are_refused(void **state) {
    (void)state;
    const size_t half = (size_t)1 << 32;
    void *block = arena_malloc(100);
    assert_non_null(block);
    memset(block, 7, 100);
    assert_no_memory(arena_calloc(half, half));
    assert_no_memory(arena_calloc(half, half + 1));
    assert_no_memory(arena_calloc(SIZE_MAX, 2));
    assert_no_memory(arena_reallocarray(block, half, half + 1));
    assert_no_memory(arena_reallocarray(block, 3, SIZE_MAX / 2));
    for (int i = 0; i < 100; i++)
        assert_int_equal(((unsigned char *)block)[i], 7);
    arena_free(block);
}

static void a_failed_realloc_leaves_the_block(void **state) {
    (void)state;
    const size_t sizes[] = {1, 100, 5000, 50000, 3000000};
    for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
        unsigned char *block = arena_malloc(sizes[i]);
        assert_non_null(block);
        memset(block, 0x3c, sizes[i]);
        for (size_t j = 0; j < N_ELEMENTS(impossible); j++)
            assert_no_memory(arena_realloc(block, impossible[j]));
        for (size_t at = 0; at < sizes[i]; at++)
            assert_int_equal(block[at], 0x3c);
        arena_free(block);
    }
}

static void posix_memalign_leaves_pointer_and_errno_alone(void **state) {
    (void)state;
    int mark;
    void *out = &mark;
    const size_t bad[] = {0, 1, 2, 4, 3, 12, 24, 48, 100, SIZE_MAX, ((size_t)1 << 62) + 8};
    errno = ERRNO_BEFORE;
    for (size_t i = 0; i < N_ELEMENTS(bad); i++)
        assert_int_equal(arena_posix_memalign(&out, bad[i], 64), EINVAL);
    for (size_t i = 0; i < N_ELEMENTS(impossible); i++)
        for (size_t align = sizeof(void *); align <= (size_t)1 << 24; align *= 2)
            assert_int_equal(arena_posix_memalign(&out, align, impossible[i]), ENOMEM);
    assert_int_equal(arena_posix_memalign(&out, (size_t)1 << 62, 1), ENOMEM);
    assert_int_equal(arena_posix_memalign(&out, (size_t)1 << 63, 1), ENOMEM);
    assert_ptr_equal(out, &mark);
    assert_int_equal(errno, ERRNO_BEFORE);
}

static void bad_alignments_are_refused(void **state) {
    (void)state;
    const size_t bad[] = {0, 3, 5, 6, 12, 100, 4097, SIZE_MAX};
    for (size_t i = 0; i < N_ELEMENTS(bad); i++)
        assert_invalid(arena_aligned_alloc(bad[i], 64));
    assert_invalid(arena_memalign(((size_t)1 << 63) + 1, 64));
    assert_invalid(arena_memalign(SIZE_MAX, 64));
    assert_no_memory(arena_aligned_alloc((size_t)1 << 63, 64));
    assert_no_memory(arena_memalign((size_t)1 << 62, 64));
}

static void every_alignment_holds_for_every_size(void **state) {
    (void)state;
    const size_t sizes[] = {0,    1,    15,   16,    17,    31,     48,     65,     100,     255,
                            1000, 4095, 4097, 13000, 14337, 100000, 196609, 300000, 2097152, 2097153};
    for (size_t align = 1; align <= (size_t)1 << 25; align *= 2)
        for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
            errno = ERRNO_BEFORE;
            unsigned char *blocks[3] = {arena_aligned_alloc(align, sizes[i]), arena_memalign(align, sizes[i]),
                                        NULL};
            size_t third = align < sizeof(void *) ? sizeof(void *) : align;
            assert_int_equal(arena_posix_memalign((void **)&blocks[2], third, sizes[i]), 0);
            assert_int_equal(errno, ERRNO_BEFORE);
            for (int b = 0; b < 3; b++) {
                assert_non_null(blocks[b]);
                assert_int_equal((uintptr_t)blocks[b] & (align - 1), 0);
                assert_true(arena_malloc_usable_size(blocks[b]) >= (sizes[i] != 0 ? sizes[i] : 1));
                memset(blocks[b], b, arena_malloc_usable_size(blocks[b]));
            }
            for (int b = 0; b < 3; b++)
                arena_free(blocks[b]);
            assert_int_equal(errno, ERRNO_BEFORE);
        }
}

static void blocks_are_aligned_for_their_size(void **state) {
    (void)state;
    for (size_t size = 0; size <= 20000; size++) {
        void *block = arena_malloc(size);
        size_t align = size >= 16 ? 16 : size >= 8 ? 8 : size >= 4 ? 4 : size >= 2 ? 2 : 1;
        assert_non_null(block);
        assert_int_equal((uintptr_t)block & (align - 1), 0);
        assert_true(arena_malloc_usable_size(block) >= size);
        /* More than 64 bytes waste a fifth at most, and there is no class between. */
        if (size > 64)
            assert_true((arena_malloc_usable_size(block) - size) * 5 <= arena_malloc_usable_size(block));
        arena_free(block);
    }
}

static void memalign_rounds_its_alignment_up(void **state) {
    (void)state;
    const size_t aligns[] = {0, 3, 5, 24, 48, 100, 5000, 100000};
    for (size_t i = 0; i < N_ELEMENTS(aligns); i++) {
        size_t power = 1;
        while (power < aligns[i])
            power *= 2;
        void *block = arena_memalign(aligns[i], 70);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block & (power - 1), 0);
        arena_free(block);
    }
}

static void empty_blocks_are_blocks(void **state) {
    (void)state;
    void *blocks[64];
    for (size_t i = 0; i < N_ELEMENTS(blocks); i++) {
        size_t align = (size_t)1 << i / 3;
        blocks[i] = i % 3 == 0 ? arena_malloc(0) : i % 3 == 1 ? arena_calloc(0, i) : arena_memalign(align, 0);
        assert_non_null(blocks[i]);
        for (size_t j = 0; j < i; j++)
            assert_ptr_not_equal(blocks[i], blocks[j]);
    }
    for (size_t i = 0; i < N_ELEMENTS(blocks); i++)
        arena_free(blocks[i]);
}

static void realloc_to_nothing_frees(void **state) {
    (void)state;
    errno = ERRNO_BEFORE;
    for (size_t size = 1; size < (size_t)8 << 20; size *= 3) {
        /* Were they not freed, these would be some 400 GiB. */
        for (int i = 0; i < 50000; i++) {
            void *block = arena_malloc(size);
            assert_non_null(block);
            assert_null(arena_realloc(block, 0));
            if (size > 300000 && i == 2000)
                break;
        }
    }
    assert_int_equal(errno, ERRNO_BEFORE);
    void *block = arena_realloc(NULL, 0);
    assert_non_null(block);
    assert_null(arena_reallocarray(block, 0, 8));
}

static void nothing_is_said_of_null(void **state) {
    (void)state;
    errno = ERRNO_BEFORE;
    arena_free(NULL);
    arena_cfree(NULL);
    arena_free_sized(NULL, 0);
    arena_free_aligned_sized(NULL, 64, 128);
    assert_int_equal(arena_malloc_usable_size(NULL), 0);
    assert_int_equal(errno, ERRNO_BEFORE);
}

static void pages_come_whole(void **state) {
    (void)state;
    for (size_t size = 0; size < 50000; size += 777) {
        void *v = arena_valloc(size), *p = arena_pvalloc(size);
        assert_non_null(v);
        assert_non_null(p);
        assert_int_equal(((uintptr_t)v | (uintptr_t)p) & 4095, 0);
        assert_true(arena_malloc_usable_size(p) >= ((size != 0 ? size : 1) + 4095) / 4096 * 4096);
        arena_free_sized(v, size);
        arena_free(p);
    }
}

static void in_place_says_what_it_did(void **state) {
    (void)state;
    for (size_t size = 1; size < (size_t)4 << 20; size = size * 2 + 1)
        for (size_t wanted = 1; wanted < (size_t)8 << 20; wanted = wanted * 3 + 1) {
            void *block = arena_mallocx(size, 0);
            assert_non_null(block);
            size_t got = arena_xallocx(block, wanted, 0, 0);
            assert_int_equal(got, arena_malloc_usable_size(block));
            memset(block, 1, got);
            assert_true(arena_nallocx(size, 0) >= size);
            arena_sdallocx(block, size, 0);
        }
}

static void nallocx_says_what_mallocx_gives(void **state) {
    (void)state;
    const int zero = 0x40;
    for (size_t size = 1; size <= 180000; size += size / 37 + 1)
        for (int flags = 0; flags <= 14; flags += 7) /* alignments of 1, 128 and 16 KiB */
            for (int with_zero = 0; with_zero <= zero; with_zero += zero) {
                void *block = arena_mallocx(size, flags | with_zero);
                assert_non_null(block);
                assert_int_equal(arena_nallocx(size, flags | with_zero), arena_malloc_usable_size(block));
                arena_free(block);
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nallocx_says_what_mallocx_gives),
        cmocka_unit_test(too_much_is_refused_with_enomem),
        cmocka_unit_test(products_that_overflow_are_refused),
        cmocka_unit_test(a_failed_realloc_leaves_the_block),
        cmocka_unit_test(posix_memalign_leaves_pointer_and_errno_alone),
        cmocka_unit_test(bad_alignments_are_refused),
        cmocka_unit_test(every_alignment_holds_for_every_size),
        cmocka_unit_test(blocks_are_aligned_for_their_size),
        cmocka_unit_test(memalign_rounds_its_alignment_up),
        cmocka_unit_test(empty_blocks_are_blocks),
        cmocka_unit_test(realloc_to_nothing_frees),
        cmocka_unit_test(nothing_is_said_of_null),
        cmocka_unit_test(pages_come_whole),
        cmocka_unit_test(in_place_says_what_it_did),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
