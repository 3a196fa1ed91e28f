/*
 * The lower rooms against naive models: bitmap, heap, size classes, decay under a clock of the test's own, run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "allocators/arena/arena.h"
#include "allocators/arena/bitmap.h"
#include "allocators/arena/decay.h"
#include "allocators/arena/heap.h"
#include "allocators/arena/row.h"
#include "allocators/arena/size_class.h"
#define ARENA_PREFIXED 1
#include "allocators/arena/shim.h"

#define N_BITS 300
#define MS ((uint64_t)1000000)

static uint64_t seed = 1;

static size_t draw(size_t below) {
    seed = util_mix(seed);
    return (size_t)(seed % below);
}

static void expect_same(const uint64_t *words, const bool *model) {
    for (size_t i = 0; i < N_BITS; i++)
        assert_int_equal(bitmap_has(words, i), model[i]);
}

static size_t model_next(const bool *model, size_t from, bool value) {
    while (from < N_BITS && model[from] != value)
        from++;
    return from;
}

static void bitmap_ranges_follow_the_model(void **state) {
    (void)state;
    uint64_t words[BITMAP_WORDS(N_BITS)] = {0};
    bool model[N_BITS] = {false};
    for (int step = 0; step < 20000; step++) {
        size_t first = draw(N_BITS), n = 1 + draw(N_BITS - first), count = 0;
        bool is_set = draw(2) != 0;
        for (size_t i = first; i < first + n; i++) {
            count += model[i];
            model[i] = is_set;
        }
        if (is_set)
            bitmap_set_range(words, first, n);
        else
            assert_int_equal(bitmap_take_range(words, first, n), count);
        expect_same(words, model);
        size_t from = draw(N_BITS);
        assert_int_equal(bitmap_next_one(words, N_BITS, from), model_next(model, from, true));
        assert_int_equal(bitmap_next_zero(words, N_BITS, from), model_next(model, from, false));
    }
}

static void bitmap_finds_the_lowest_range_that_fits(void **state) {
    (void)state;
    for (int step = 0; step < 5000; step++) {
        uint64_t words[BITMAP_WORDS(N_BITS)] = {0};
        bool model[N_BITS] = {false};
        for (size_t i = 0; i < N_BITS; i++)
            if (draw(8) != 0) {
                model[i] = true;
                bitmap_set(words, i);
            }
        size_t n = 1 + draw(20), align = (size_t)1 << draw(5), longest = 0, expected = N_BITS, most = 0;
        size_t n_wanted = n + draw(60), n_range = n_wanted;
        for (size_t at = 0; at < N_BITS; at++) {
            size_t end = model_next(model, at, false);
            most = util_max(most, end - at);
            if (expected == N_BITS && at % align == 0 && end - at >= n)
                expected = at;
        }
        size_t got = bitmap_find_range(words, N_BITS, 0, n, align, &n_range, &longest);
        assert_int_equal(got, expected);
        if (got == N_BITS)
            assert_int_equal(longest, most);
        else
            assert_int_equal(n_range, util_min(n_wanted, model_next(model, got, false) - got));
    }
}

static void bitmap_measures_the_range_around(void **state) {
    (void)state;
    for (int step = 0; step < 5000; step++) {
        uint64_t words[BITMAP_WORDS(N_BITS)] = {0};
        size_t start = draw(N_BITS), n_range = 1 + draw(N_BITS - start);
        size_t first = start + draw(n_range), n = 1 + draw(start + n_range - first);
        bitmap_set_range(words, start, n_range);
        if (start > 1)
            bitmap_set(words, draw(start - 1)); /* beyond a zero: of another range */
        assert_int_equal(bitmap_range_around(words, N_BITS, first, n), n_range);
    }
}

/* Blocks of 48 bytes up and down, up to the first that does not fit in, wherever that is. */
static void rows_end_where_the_distance_does(void **state) {
    (void)state;
    void *blocks[40];
    for (size_t n = 1; n <= 40; n++)
        for (size_t n_row = 1; n_row <= n; n_row++) {
            uintptr_t at = 0x10000 + 16 * draw(1000);
            assert_ptr_equal(row_write(blocks + n, n, at, 48), blocks);
            for (size_t i = 0; i < n; i++)
                assert_int_equal((uintptr_t)blocks[i], at + 48 * (n - 1 - i));
            if (n_row < n)
                blocks[n_row] = (char *)blocks[n_row] + (draw(2) != 0 ? 16 : -16);
            assert_int_equal(row_length(blocks, n, -(uintptr_t)48), n_row);
            assert_int_equal(row_length(blocks, n, 48), 1);
        }
}

static void heap_pops_the_lowest_and_removes_any(void **state) {
    (void)state;
    static struct heap_node nodes[200];
    bool is_in[200] = {false};
    struct heap heap = {NULL};
    for (size_t i = 0; i < 200; i++)
        nodes[i].key = (i * 7919) % 200 + 1;
    for (int step = 0; step < 50000; step++) {
        size_t i = draw(200);
        if (!is_in[i]) {
            heap_insert(&heap, &nodes[i]);
            is_in[i] = true;
        } else if (draw(2) != 0) {
            heap_remove(&heap, &nodes[i]);
            is_in[i] = false;
        } else {
            struct heap_node *lowest = NULL;
            for (size_t k = 0; k < 200; k++)
                if (is_in[k] && (lowest == NULL || nodes[k].key < lowest->key))
                    lowest = &nodes[k];
            assert_ptr_equal(heap_pop(&heap), lowest);
            is_in[lowest - nodes] = false;
        }
    }
}

/* Each node is met once, whatever the heap looks like. */
static void heap_walks_meet_each_node_once(void **state) {
    static struct heap_node nodes[200];
    (void)state;
    for (size_t n = 1; n <= 200; n += 7) {
        struct heap heap = {NULL};
        size_t n_in = n;
        for (size_t i = 0; i < n; i++) {
            nodes[i].key = i * 37 % 211 + 1;
            heap_insert(&heap, &nodes[i]);
        }
        for (;;) {
            unsigned met[212] = {0};
            size_t n_met = 0;
            for (struct heap_node *node = heap.min; node != NULL; node = heap_next(node), n_met++)
                assert_int_equal(met[node->key]++, 0);
            assert_int_equal(n_met, n_in);
            if (n_in == 0)
                break;
            heap_pop(&heap); /* makes another shape of it */
            n_in--;
        }
    }
}

static void size_classes_are_tight(void **state) {
    (void)state;
    for (size_t bytes = 1; bytes <= 1 << 20; bytes++) {
        unsigned idx = size_class_of(bytes);
        assert_true(size_class_bytes(idx) >= bytes);
        assert_true(idx == 0 || size_class_bytes(idx - 1) < bytes);
        assert_int_equal(size_class_bytes(idx) % 16, 0);
        if (bytes > 64)
            assert_true((size_class_bytes(idx) - bytes) * 5 <= size_class_bytes(idx));
        if (bytes <= SIZE_CLASS_LOOKUP_MAX_BYTES)
            assert_int_equal(size_class_lookup[bytes], idx);
        else if (bytes <= SIZE_CLASS_BIN_MAX_BYTES)
            assert_int_equal(size_class_of_large(bytes), idx);
    }
}

static void page_buckets_never_promise_too_much(void **state) {
    (void)state;
    for (size_t n = 1; n < 16384; n++) {
        unsigned bucket = size_class_page_bucket(n);
        assert_true(bucket < ARENA_N_BUCKETS);
        assert_true(n == 1 || bucket >= size_class_page_bucket(n - 1));
        if (n > 1)
            assert_int_equal(size_class_page_bucket_above(n), size_class_page_bucket(n - 1) + 1);
    }
}

static void decay_lets_go_along_the_curve(void **state) {
    (void)state;
    static struct decay decay;
    decay_init(&decay, 1000, 0, 7);
    size_t last = SIZE_MAX, at_half = 0;
    decay_update(&decay, 20 * MS, 10000, 0);
    for (uint64_t now = 40; now <= 1100; now += 20) {
        size_t limit = decay_update(&decay, now * MS, 10000, 10000);
        if (limit == SIZE_MAX)
            continue;
        assert_true(limit <= last);
        last = limit;
        if (now <= 520)
            at_half = limit;
    }
    assert_in_range(at_half, 4000, 6500); /* half of it is gone at half of the time */
    assert_int_equal(last, 0);
}

static void decay_keeps_what_is_used_again(void **state) {
    (void)state;
    static struct decay decay;
    decay_init(&decay, 1000, 0, 7);
    for (uint64_t now = 20; now <= 5000; now += 20) {
        size_t limit = decay_update(&decay, now * MS, 10000, 0); /* all of it was in use meanwhile */
        assert_true(limit >= 9000);
    }
}

static void decay_counts_a_pause_from_its_beginning(void **state) {
    (void)state;
    static struct decay decay;
    decay_init(&decay, 1000, 0, 7);
    assert_int_equal(decay_update(&decay, 5000 * MS, 10000, 0), 0);
    decay_set_time(&decay, -1, 0);
    assert_int_equal(decay_update(&decay, 5000 * MS, 10000, 0), SIZE_MAX);
    decay_set_time(&decay, 0, 0);
    assert_int_equal(decay_update(&decay, 1, 10000, 0), 0);
}

/* Every class: all regions, lowest first, apart and inside the run; the right index for each and none between. */
static void runs_give_every_region_once(void **state) {
    (void)state;
    arena_free(arena_malloc(1)); /* fixes the geometry */
    for (unsigned idx = 0; idx < SIZE_CLASS_N_SMALL; idx++) {
        const struct run_class *rc = &run_classes[idx];
        struct arena *arena = arena_get(0);
        struct run *run = arena_run_take(arena, idx);
        void **regions = calloc(rc->n_regions, sizeof *regions);
        assert_non_null(run);
        assert_true(rc->n_regions >= 8);
        assert_int_equal((size_t)rc->n_regions * rc->region_bytes, (size_t)rc->n_pages << PAGE_LG);
        size_t n = 1 + draw(rc->n_regions);
        assert_int_equal(run_take(run, regions + rc->n_regions, n), n);
        assert_int_equal(run_take(run, regions + rc->n_regions - n, rc->n_regions), rc->n_regions - n);
        assert_int_equal(run->n_free, 0);
        for (size_t i = 0; i < rc->n_regions; i++) {
            char *p = regions[rc->n_regions - 1 - i];
            assert_ptr_equal(p, (char *)run_base(run) + i * rc->region_bytes);
            assert_int_equal(run_region_of(run, rc, p), i);
            assert_int_equal(run_region_of(run, rc, p + 1 + draw(rc->region_bytes - 1)), rc->n_regions);
            assert_ptr_equal(run_of(chunk_of(p), p), run);
        }
        free(regions);
        memset(run->free_bits, 0, rc->n_words * sizeof run->free_bits[0]);
        bitmap_set_range(run->free_bits, 0, rc->n_regions);
        run->n_free = (uint16_t)rc->n_regions;
        arena_run_give(arena, run);
        assert_null(arena_check(arena));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bitmap_ranges_follow_the_model),
        cmocka_unit_test(bitmap_finds_the_lowest_range_that_fits),
        cmocka_unit_test(bitmap_measures_the_range_around),
        cmocka_unit_test(rows_end_where_the_distance_does),
        cmocka_unit_test(heap_pops_the_lowest_and_removes_any),
        cmocka_unit_test(heap_walks_meet_each_node_once),
        cmocka_unit_test(size_classes_are_tight),
        cmocka_unit_test(page_buckets_never_promise_too_much),
        cmocka_unit_test(decay_lets_go_along_the_curve),
        cmocka_unit_test(decay_keeps_what_is_used_again),
        cmocka_unit_test(decay_counts_a_pause_from_its_beginning),
        cmocka_unit_test(runs_give_every_region_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
