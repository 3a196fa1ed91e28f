/*
 * The two in-tree bounds, opened as the harness opens them: null keeps malloc's contract, gives a block to
 * the thread that freed it, stops at its cap; floor is one address for ever.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/fake_cell.h"

static struct alloc_ops null_ops, floor_ops;

static int open_both(void **state) {
    (void)state;
    fake_library_open(&null_ops, "libnull.so");
    fake_library_open(&floor_ops, "libfloor.so");
    return 0;
}

static void floor_is_one_address(void **state) {
    (void)state;
    void *block = floor_ops.alloc(1);
    assert_non_null(block);
    floor_ops.free(block);
    assert_ptr_equal(floor_ops.alloc(100000), block);
    assert_ptr_equal(floor_ops.calloc(3, 5), block);
    assert_ptr_equal(floor_ops.realloc(block, 7), block);
    assert_ptr_equal(floor_ops.aligned_alloc(4096, 1), block);
    assert_int_equal((uintptr_t)block % 4096, 0);
    assert_null(floor_ops.aligned_alloc(1 << 20, 1));
}

static void null_blocks_are_distinct_and_hold_what_was_asked(void **state) {
    (void)state;
    enum { N = 2000 };
    static unsigned char *blocks[N];
    static size_t sizes[N];
    struct prng g;
    prng_seed(&g, 7, 0);
    for (size_t round = 0; round < 4; round++) {
        for (size_t i = 0; i < N; i++) {
            sizes[i] = prng_below(&g, i % 100 == 0 ? 300000 : 3000);
            blocks[i] = null_ops.alloc(sizes[i]);
            assert_non_null(blocks[i]);
            assert_int_equal((uintptr_t)blocks[i] % 16, 0);
            assert_true(null_ops.usable_size(blocks[i]) >= sizes[i]);
            memset(blocks[i], (int)i & 0xff, null_ops.usable_size(blocks[i]));
        }
        for (size_t i = 0; i < N; i++) {
            for (size_t k = 0; k < sizes[i]; k++)
                if (blocks[i][k] != (i & 0xff))
                    fail_msg("block %zu of %zu bytes was overwritten at %zu", i, sizes[i], k);
            null_ops.free(blocks[i]);
        }
    }
}

/* Each size from 0 past the first doublings, and around every later power of two, fits its class. */
static void null_classes_fit(void **state) {
    (void)state;
    for (size_t size = 0; size <= 9000; size++) {
        void *block = null_ops.alloc(size);
        assert_true(null_ops.usable_size(block) >= size);
        assert_true(null_ops.usable_size(block) <= size + (size / 4 > 16 ? size / 4 : 16));
        null_ops.free(block);
    }
    for (unsigned shift = 13; shift <= 24; shift++) {
        for (int off = -1; off <= 1; off++) {
            size_t size = ((size_t)1 << shift) + (size_t)off;
            void *block = null_ops.alloc(size);
            assert_non_null(block);
            assert_true(null_ops.usable_size(block) >= size);
            null_ops.free(block);
            assert_ptr_equal(null_ops.alloc(size), block);
            null_ops.free(block);
        }
    }
}

static void null_calloc_clears_a_dirty_block(void **state) {
    (void)state;
    static const unsigned char zeros[700];
    void *block = null_ops.alloc(700);
    memset(block, 0xff, 700);
    null_ops.free(block);
    assert_ptr_equal(null_ops.calloc(7, 100), block);
    assert_memory_equal(block, zeros, 700);
    null_ops.free(block);
    errno = 0;
    assert_null(null_ops.calloc(SIZE_MAX / 2, 3));
    assert_int_equal(errno, ENOMEM);
}

static void null_realloc_keeps_contents(void **state) {
    (void)state;
    unsigned char *block = null_ops.realloc(NULL, 10);
    memcpy(block, "012345678", 10);
    assert_ptr_equal(null_ops.realloc(block, 16), block);
    block = null_ops.realloc(block, 100000);
    assert_string_equal((char *)block, "012345678");
    block = null_ops.realloc(block, 3);
    assert_memory_equal(block, "012", 3);
    assert_null(null_ops.realloc(block, 0));

    unsigned char *aligned = null_ops.aligned_alloc(4096, 5000);
    memset(aligned, 0x5a, 5000);
    aligned = null_ops.realloc(aligned, 50000);
    for (size_t i = 0; i < 5000; i++)
        assert_int_equal(aligned[i], 0x5a);
    null_ops.free(aligned);
}

static void null_aligns(void **state) {
    (void)state;
    for (size_t align = 1; align <= 1 << 21; align *= 2) {
        unsigned char *a = null_ops.aligned_alloc(align, 100), *b = null_ops.aligned_alloc(align, 100);
        assert_int_equal((uintptr_t)a % align, 0);
        assert_int_equal((uintptr_t)b % align, 0);
        assert_true(null_ops.usable_size(a) >= 100);
        memset(a, 1, null_ops.usable_size(a));
        memset(b, 2, null_ops.usable_size(b));
        assert_int_equal(a[99], 1);
        null_ops.free(a);
        null_ops.free(b);
    }
    errno = 0;
    assert_null(null_ops.aligned_alloc(48, 100));
    assert_int_equal(errno, EINVAL);
}

static void *free_and_alloc(void *block) {
    null_ops.free(block);
    return null_ops.alloc(333);
}

static void null_gives_a_block_to_the_thread_that_freed_it(void **state) {
    (void)state;
    pthread_t thread;
    void *block = null_ops.alloc(333), *theirs;
    assert_int_equal(pthread_create(&thread, NULL, free_and_alloc, block), 0);
    pthread_join(thread, &theirs);
    assert_ptr_equal(theirs, block);

    /* Its heap waits for the next new thread: what that one frees and the first one left is all there. */
    void *second = null_ops.alloc(333), *again;
    assert_ptr_not_equal(second, block);
    assert_int_equal(pthread_create(&thread, NULL, free_and_alloc, theirs), 0);
    pthread_join(thread, &again);
    assert_ptr_equal(again, theirs);
    null_ops.free(second);
    null_ops.free(again);
}

/* Untouched, so that it costs address space only. In a child: what it takes is gone for good. */
static void null_stops_at_its_cap(void **state) {
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        size_t total_bytes = 0, block_bytes = (size_t)16 << 20;
        errno = 0;
        while (total_bytes < (size_t)8 << 30 && null_ops.alloc(block_bytes))
            total_bytes += block_bytes;
        bool is_capped = errno == ENOMEM && total_bytes >= (size_t)256 << 20 && total_bytes < (size_t)8 << 30;
        void *small = null_ops.alloc(SIZE_MAX - 5);
        _exit(is_capped && !small ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floor_is_one_address),
        cmocka_unit_test(null_blocks_are_distinct_and_hold_what_was_asked),
        cmocka_unit_test(null_classes_fit),
        cmocka_unit_test(null_calloc_clears_a_dirty_block),
        cmocka_unit_test(null_realloc_keeps_contents),
        cmocka_unit_test(null_aligns),
        cmocka_unit_test(null_gives_a_block_to_the_thread_that_freed_it),
        cmocka_unit_test(null_stops_at_its_cap),
    };
    return cmocka_run_group_tests(tests, open_both, NULL);
}
