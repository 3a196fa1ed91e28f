/* The ledger of lines, over a heap whose addresses are known, and over libc's with threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "allocators/allocator.h"

#define N_THREADS 4
#define N_ROUNDS 2000

static struct alloc_ops noted;
static _Alignas(64) unsigned char heap[1 << 16];
static size_t next_at; /* what the known heap gives next; SIZE_MAX: it fails; 0: libc's is asked */

static void *inner_alloc(size_t size_bytes) {
    if (next_at == SIZE_MAX)
        return NULL;
    return next_at ? heap + next_at : malloc(size_bytes);
}

static void inner_free(void *block) {
    if ((unsigned char *)block < heap || (unsigned char *)block >= heap + sizeof heap)
        free(block);
}

static void *inner_realloc(void *old, size_t size_bytes) {
    (void)old;
    return inner_alloc(size_bytes);
}

static int wrap(void **state) {
    static const struct alloc_ops inner = {
        .alloc = inner_alloc, .free = inner_free, .realloc = inner_realloc};
    (void)state;
    sharing_wrap(&inner, &noted);
    return 0;
}

/* What one more allocation by `owner` at that offset adds to the sums. */
static struct alloc_sharing alloc_at(unsigned owner, size_t at, size_t n_bytes) {
    struct alloc_sharing before, after;
    sharing_read(&before);
    sharing_set_owner(owner);
    next_at = at;
    assert_ptr_equal(noted.alloc(n_bytes), heap + at);
    sharing_read(&after);
    return (struct alloc_sharing){after.n_allocs - before.n_allocs, after.n_lines - before.n_lines,
                                  after.n_shared - before.n_shared, after.n_passive - before.n_passive,
                                  after.n_faults - before.n_faults};
}

static void free_at(unsigned owner, size_t at) {
    sharing_set_owner(owner);
    noted.free(heap + at);
}

#define assert_lines(n, lines, shared, passive)                                                              \
    do {                                                                                                     \
        const struct alloc_sharing seen = (n);                                                               \
        assert_int_equal(seen.n_allocs, 1);                                                                  \
        assert_int_equal(seen.n_lines, lines);                                                               \
        assert_int_equal(seen.n_shared, shared);                                                             \
        assert_int_equal(seen.n_passive, passive);                                                           \
        assert_int_equal(seen.n_faults, 0);                                                                  \
    } while (0)

static void missing_entries_stay_missing(void **state) {
    (void)state;
    assert_null(noted.usable_size);
    assert_null(noted.free_sized);
    assert_null(noted.calloc);
}

static void a_line_is_shared_by_owners_not_by_blocks(void **state) {
    (void)state;
    assert_lines(alloc_at(1, 1024, 16), 1, 0, 0);
    assert_lines(alloc_at(1, 1040, 16), 1, 0, 0);
    assert_lines(alloc_at(2, 1056, 16), 1, 1, 0);
    assert_lines(alloc_at(3, 1072, 16), 1, 1, 0);
    assert_lines(alloc_at(3, 1088, 16), 2, 1, 0);
    free_at(2, 1056);
    free_at(3, 1072);
    assert_lines(alloc_at(3, 1104, 16), 2, 0, 0);
    free_at(1, 1024);
    free_at(1, 1040);
    assert_lines(alloc_at(3, 1120, 16), 1, 0, 0);
    free_at(3, 1088);
    free_at(3, 1104);
    free_at(3, 1120);
}

static void long_blocks_share_their_ends(void **state) {
    (void)state;
    assert_lines(alloc_at(1, 2080, 64), 2, 0, 0);     /* lines 32 and 33 */
    assert_lines(alloc_at(2, 2144, 64 * 5), 7, 1, 0); /* 33 to 38: shares its first */
    assert_lines(alloc_at(3, 2464, 8), 7, 2, 0);      /* 38: its last */
    free_at(2, 2144);
    assert_lines(alloc_at(3, 2472, 0), 3, 0, 0); /* a block of no bytes has an address all the same */
    free_at(1, 2080);
    free_at(3, 2464);
    free_at(3, 2472);
}

static void a_remote_free_makes_what_follows_passive(void **state) {
    (void)state;
    alloc_at(0, 4096, 16);
    alloc_at(0, 4112, 16);
    free_at(1, 4096); /* main's, handed to another thread */
    assert_lines(alloc_at(1, 4096, 16), 1, 1, 1);
    free_at(1, 4096);
    free_at(0, 4112);
    assert_lines(alloc_at(1, 4096, 16), 1, 0, 0);
    free_at(1, 4096);
}

static void realloc_gives_the_block_to_who_asked(void **state) {
    (void)state;
    alloc_at(1, 8192, 16);
    assert_lines(alloc_at(2, 8208, 16), 1, 1, 0);
    sharing_set_owner(2);
    next_at = 8192; /* stays */
    assert_ptr_equal(noted.realloc(heap + 8192, 24), heap + 8192);
    assert_lines(alloc_at(2, 8320, 16), 2, 0, 0);
    sharing_set_owner(1);
    next_at = SIZE_MAX;
    assert_null(noted.realloc(heap + 8192, 1 << 20));
    assert_lines(alloc_at(2, 8336, 16), 2, 0, 0); /* still owner 2's */
    next_at = 8448;
    assert_ptr_equal(noted.realloc(NULL, 8), heap + 8448);
    free_at(2, 8192);
    free_at(2, 8208);
    free_at(2, 8320);
    free_at(2, 8336);
    free_at(2, 8448);
}

static void an_address_held_twice_is_a_fault(void **state) {
    (void)state;
    struct alloc_sharing before, after;
    sharing_read(&before);
    alloc_at(1, 16384, 16);
    assert_int_equal(alloc_at(2, 16384, 16).n_faults, 1);
    free_at(1, 16384);
    free_at(2, 16384);
    sharing_read(&after);
    assert_int_equal(after.n_faults - before.n_faults, 2);
}

static void *work(void *arg) {
    void *blocks[64] = {NULL};
    sharing_set_owner((unsigned)(uintptr_t)arg);
    for (unsigned i = 0; i < N_ROUNDS; i++) {
        void **block = &blocks[i * 7 % 64];
        noted.free(*block);
        *block = noted.alloc(1 + i % 300);
    }
    for (unsigned i = 0; i < 64; i++)
        noted.free(blocks[i]);
    return NULL;
}

static void nothing_is_left_when_threads_have_freed_all(void **state) {
    (void)state;
    struct alloc_sharing before, after;
    pthread_t threads[N_THREADS];
    sharing_read(&before);
    next_at = 0;
    for (uintptr_t i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)(i + 1)), 0);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    sharing_read(&after);
    assert_int_equal(after.n_allocs - before.n_allocs, N_THREADS * N_ROUNDS);
    assert_int_equal(after.n_faults, before.n_faults);
    assert_true(after.n_shared - before.n_shared <= after.n_lines - before.n_lines);
    assert_lines(alloc_at(1, 32768, 16), 1, 0, 0); /* the only line there is */
    free_at(1, 32768);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_entries_stay_missing),
        cmocka_unit_test(a_line_is_shared_by_owners_not_by_blocks),
        cmocka_unit_test(long_blocks_share_their_ends),
        cmocka_unit_test(a_remote_free_makes_what_follows_passive),
        cmocka_unit_test(realloc_gives_the_block_to_who_asked),
        cmocka_unit_test(an_address_held_twice_is_a_fault),
        cmocka_unit_test(nothing_is_left_when_threads_have_freed_all),
    };
    return cmocka_run_group_tests_name("allocator_sharing", tests, wrap, NULL);
}
