/* biglock-dl: what every classic promises (classic.h), and boundary tags, best fit, first in first out among equals. */
#include "tests/unit/classic.h"

#include <string.h>

/* A block that keeps its neighbours apart. */
static void *wall(void) {
    return biglock_malloc(24);
}

static void holes_of_one_size_are_used_first_in_first_out(void **state) {
    enum { N = 8 };
    void *holes[N], *walls[N];
    (void)state;
    for (int i = 0; i < N; i++) {
        holes[i] = biglock_malloc(700);
        walls[i] = wall();
    }
    static const int order[N] = {3, 0, 7, 1, 6, 2, 5, 4};
    for (int i = 0; i < N; i++)
        biglock_free(holes[order[i]]);
    for (int i = 0; i < N; i++)
        assert_ptr_equal(biglock_malloc(700), holes[order[i]]);
    for (int i = 0; i < N; i++) {
        biglock_free(holes[i]);
        biglock_free(walls[i]);
    }
    assert_sound();
}

/* Small and large bins, exact sizes and those between. */
static void the_smallest_hole_that_fits_is_taken(void **state) {
    static const size_t sizes[] = {5000, 300, 40000, 1200, 900, 2100, 2050};
    enum { N = sizeof sizes / sizeof *sizes };
    void *holes[N], *walls[N];
    (void)state;
    for (int i = 0; i < N; i++) {
        holes[i] = biglock_malloc(sizes[i]);
        walls[i] = wall();
    }
    for (int i = 0; i < N; i++)
        biglock_free(holes[i]);
    assert_ptr_equal(biglock_malloc(2000), holes[6]);
    assert_ptr_equal(biglock_malloc(2000), holes[5]);
    assert_ptr_equal(biglock_malloc(890), holes[4]);
    assert_ptr_equal(biglock_malloc(1100), holes[3]);
    assert_ptr_equal(biglock_malloc(30000), holes[2]);
    assert_ptr_equal(biglock_malloc(290), holes[1]);
    assert_ptr_equal(biglock_malloc(4990), holes[0]);
    for (int i = 0; i < N; i++) {
        biglock_free(holes[i]);
        biglock_free(walls[i]);
    }
    assert_sound();
}

/* Three neighbours, freed in every order, become one. */
static void neighbours_become_one(void **state) {
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    (void)state;
    for (int i = 0; i < 6; i++) {
        unsigned char *blocks[3], *last;
        void *first = wall();
        for (int k = 0; k < 3; k++)
            blocks[k] = biglock_malloc(20008); /* 20016 bytes with what a chunk costs */
        last = wall();
        assert_ptr_equal(blocks[1], blocks[0] + 20016);
        assert_ptr_equal(blocks[2], blocks[0] + 2 * 20016);
        for (int k = 0; k < 3; k++)
            biglock_free(blocks[orders[i][k]]);
        assert_ptr_equal(biglock_malloc(3 * 20016 - 8), blocks[0]);
        biglock_free(blocks[0]);
        biglock_free(first);
        biglock_free(last);
        assert_sound();
    }
}

static void a_block_grows_into_a_free_neighbour_and_shrinks_where_it_is(void **state) {
    (void)state;
    void *grown = biglock_malloc(1000), *neighbour = biglock_malloc(3000), *last = wall();
    biglock_free(neighbour);
    assert_ptr_equal(biglock_realloc(grown, 3500), grown);
    assert_sound();
    assert_ptr_equal(biglock_realloc(grown, 200), grown);
    assert_true(biglock_malloc_usable_size(grown) < 240);
    assert_ptr_equal(biglock_malloc(3500), (unsigned char *)grown + 208);
    biglock_free((unsigned char *)grown + 208);
    biglock_free(grown);
    biglock_free(last);
    assert_sound();
}

/* From 256 KiB on a block is a mapping of its own; it grows and shrinks as such, and comes back below. */
static void large_blocks_are_mappings(void **state) {
    (void)state;
    unsigned char *block = biglock_malloc(256 << 10);
    assert_int_equal((uintptr_t)block % 4096, 16);
    for (size_t size = 256 << 10; size < 20000000; size = size * 3 / 2) {
        block[size - 1] = 5;
        block = biglock_realloc(block, size * 3 / 2);
        assert_non_null(block);
        assert_int_equal(block[size - 1], 5);
        assert_int_equal((uintptr_t)block % 4096, 16);
    }
    block = biglock_realloc(block, 1000);
    assert_true(biglock_malloc_usable_size(block) < 1100);
    biglock_free(block);
    assert_sound();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holes_of_one_size_are_used_first_in_first_out),
        cmocka_unit_test(the_smallest_hole_that_fits_is_taken),
        cmocka_unit_test(neighbours_become_one),
        cmocka_unit_test(a_block_grows_into_a_free_neighbour_and_shrinks_where_it_is),
        cmocka_unit_test(large_blocks_are_mappings),
        CLASSIC_TESTS,
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
