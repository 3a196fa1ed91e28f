/* biglock-phk: what every classic promises (classic.h), and pages of fragments, first fit among free runs of pages. */
#include "tests/unit/classic.h"

#include <string.h>

#define PAGE 4096

static void sizes_are_powers_of_two_up_to_half_a_page_then_pages(void **state) {
    static const size_t sizes[][2] = {{0, 16},      {1, 16},      {16, 16},     {17, 32},      {32, 32},
                                      {100, 128},   {128, 128},   {129, 256},   {1025, 2048},  {2048, 2048},
                                      {2049, 4096}, {4096, 4096}, {4097, 8192}, {70000, 73728}};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *block = biglock_malloc(sizes[i][0]);
        assert_int_equal(biglock_malloc_usable_size(block), sizes[i][1]);
        size_t align = sizes[i][1] < PAGE ? sizes[i][1] : PAGE;
        assert_int_equal((uintptr_t)block % align, 0);
        biglock_free(block);
    }
}

/* Fragments of a page lie side by side, without headers, and none of another size among them. */
static void a_page_holds_fragments_of_one_size(void **state) {
    enum { N = 2 * PAGE / 512 };
    unsigned char *blocks[N];
    unsigned n_neighbours = 0;
    void *other = biglock_malloc(256);
    (void)state;
    for (unsigned i = 0; i < N; i++) {
        blocks[i] = biglock_malloc(500);
        assert_true((uintptr_t)blocks[i] / PAGE != (uintptr_t)other / PAGE);
        n_neighbours += i > 0 && blocks[i] == blocks[i - 1] + 512;
    }
    assert_true(n_neighbours >= N - 4); /* two whole pages, or a begun one, a whole one and a begun one */
    for (unsigned i = 0; i < N; i++)
        biglock_free(blocks[i]);
    biglock_free(other);
    assert_sound();
}

static void the_lowest_fragment_of_a_page_is_used_first(void **state) {
    unsigned char *blocks[4];
    (void)state;
    for (int i = 0; i < 4; i++)
        blocks[i] = biglock_malloc(1024);
    biglock_free(blocks[2]);
    biglock_free(blocks[1]);
    assert_ptr_equal(biglock_malloc(1024), blocks[1] < blocks[2] ? blocks[1] : blocks[2]);
    assert_ptr_equal(biglock_malloc(1024), blocks[1] < blocks[2] ? blocks[2] : blocks[1]);
    for (int i = 0; i < 4; i++)
        biglock_free(blocks[i]);
    assert_sound();
}

/* First fit: of two runs of pages that are large enough the lower one, though the other fits better. */
static void the_lowest_run_of_pages_is_taken(void **state) {
    unsigned char *base = biglock_malloc(64 * PAGE);
    (void)state;
    biglock_free(base);
    unsigned char *large = biglock_malloc(10 * PAGE), *a = biglock_malloc(PAGE),
                  *small = biglock_malloc(5 * PAGE), *b = biglock_malloc(PAGE);
    assert_true(large < a && a < small && small < b);
    biglock_free(small);
    biglock_free(large);
    assert_ptr_equal(biglock_malloc(5 * PAGE), large);
    assert_ptr_equal(biglock_malloc(5 * PAGE), large + 5 * PAGE);
    assert_ptr_equal(biglock_malloc(5 * PAGE), small);
    biglock_free(small);
    biglock_free(large);
    biglock_free(large + 5 * PAGE);
    biglock_free(a);
    biglock_free(b);
    assert_sound();
}

static void neighbours_become_one(void **state) {
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    (void)state;
    for (int i = 0; i < 6; i++) {
        unsigned char *blocks[3];
        biglock_free(biglock_malloc(40 * PAGE)); /* so that there is a run for all */
        for (int k = 0; k < 3; k++)
            blocks[k] = biglock_malloc((size_t)(k + 2) * PAGE);
        void *last = biglock_malloc(PAGE);
        for (int k = 0; k < 3; k++) {
            biglock_free(blocks[orders[i][k]]);
            assert_sound();
        }
        assert_ptr_equal(biglock_malloc(9 * PAGE), blocks[0]);
        biglock_free(blocks[0]);
        biglock_free(last);
    }
}

static void a_block_grows_into_free_pages_behind_it_and_shrinks_where_it_is(void **state) {
    (void)state;
    biglock_free(biglock_malloc(40 * PAGE));
    void *grown = biglock_malloc(3 * PAGE), *neighbour = biglock_malloc(8 * PAGE),
         *last = biglock_malloc(PAGE);
    biglock_free(neighbour);
    assert_ptr_equal(biglock_realloc(grown, 9 * PAGE), grown);
    assert_sound();
    assert_ptr_equal(biglock_realloc(grown, 2 * PAGE), grown);
    assert_int_equal(biglock_malloc_usable_size(grown), 2 * PAGE);
    assert_sound();
    biglock_free(grown);
    biglock_free(last);
}

/* A pair on an empty heap does not make and dissolve a page each time. */
static void the_last_empty_page_is_kept(void **state) {
    void *block = biglock_malloc(2000);
    (void)state;
    for (int i = 0; i < 3; i++) {
        biglock_free(block);
        assert_ptr_equal(biglock_malloc(2000), block);
    }
    biglock_free(block);
    assert_sound();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_powers_of_two_up_to_half_a_page_then_pages),
        cmocka_unit_test(a_page_holds_fragments_of_one_size),
        cmocka_unit_test(the_lowest_fragment_of_a_page_is_used_first),
        cmocka_unit_test(the_lowest_run_of_pages_is_taken),
        cmocka_unit_test(neighbours_become_one),
        cmocka_unit_test(a_block_grows_into_free_pages_behind_it_and_shrinks_where_it_is),
        cmocka_unit_test(the_last_empty_page_is_kept),
        CLASSIC_TESTS,
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
