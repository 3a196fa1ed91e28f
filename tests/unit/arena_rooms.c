/*
 * The rooms of arithmetic and policy against naive models: size classes exhaustively, bitmaps bit by bit, decay against
 * the polynomial in doubles, with a clock of our own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "allocators/arena/bitmap.h"
#include "allocators/arena/decay.h"
#include "allocators/arena/size_class.h"

#define N_BITS 300
#define MS_NS 1000000u

static uint64_t random_state = 1;

static size_t draw(size_t n) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(random_state >> 33) % n;
}

static void classes_are_tight_and_waste_a_fifth_at_most(void **state) {
    (void)state;
    unsigned naive = 0;
    for (size_t size = 1; size <= (size_t)1 << 20; size++) {
        if (size > size_class_bytes(naive))
            naive++;
        assert_int_equal(size_class_of(size), naive);
        size_t bytes = size_class_bytes(naive);
        assert_int_equal(bytes % 16, 0);
        assert_true(bytes >= size);
        assert_true(size <= 64 || (bytes - size) * 5 <= bytes);
        if (size <= SIZE_CLASS_LOOKUP_MAX_BYTES)
            assert_int_equal(size_class_lookup[(size + 15) / 16], naive);
    }
    assert_int_equal(size_class_of(0), 0);
    for (unsigned idx = 1; size_class_bytes(idx) < (size_t)1 << 62; idx++) {
        assert_int_equal(size_class_of(size_class_bytes(idx)), idx);
        assert_int_equal(size_class_of(size_class_bytes(idx) + 1), idx + 1);
        assert_true((size_class_bytes(idx) - size_class_bytes(idx - 1) - 1) * 5 <= size_class_bytes(idx) ||
                    idx < 4);
    }
}

static void aligned_classes_are_the_smallest_that_do(void **state) {
    (void)state;
    for (size_t align = 1; align <= 4096; align *= 2)
        for (size_t size = 0; size <= SIZE_CLASS_SMALL_MAX_BYTES; size += 1 + size / 100) {
            unsigned naive = 0;
            while (naive < SIZE_CLASS_N_SMALL &&
                   (size_class_bytes(naive) < size || size_class_bytes(naive) % align != 0))
                naive++;
            assert_int_equal(size_class_of_aligned(size, align), naive);
        }
}

static void page_buckets_rise_and_hold(void **state) {
    (void)state;
    for (size_t n = 1; n < 100000; n++) {
        unsigned bucket = size_class_page_bucket(n), next = size_class_page_bucket(n + 1);
        assert_true(next == bucket || next == bucket + 1);
        assert_true(bucket < 64);
    }
    assert_int_equal(size_class_page_bucket(1), 0);
}

static void model_set(unsigned char *model, size_t first, size_t n, unsigned char value) {
    memset(model + first, value, n);
}

static size_t model_next(const unsigned char *model, size_t from, unsigned char value) {
    while (from < N_BITS && model[from] != value)
        from++;
    return from;
}

static void bitmaps_agree_with_an_array_of_bytes(void **state) {
    (void)state;
    uint64_t words[BITMAP_WORDS(N_BITS)] = {0};
    unsigned char model[N_BITS] = {0};
    for (int i = 0; i < 40000; i++) {
        size_t first = draw(N_BITS), n = draw(2) ? 1 + draw(8) : 1 + draw(N_BITS), taken = 0, got;
        if (first + n > N_BITS)
            n = N_BITS - first;
        switch (draw(4)) {
        case 0:
            bitmap_set_range(words, first, n);
            model_set(model, first, n, 1);
            break;
        case 1:
            bitmap_clear_range(words, first, n);
            model_set(model, first, n, 0);
            break;
        case 2:
            for (size_t j = first; j < first + n; j++)
                taken += model[j];
            assert_int_equal(bitmap_take_range(words, first, n), taken);
            model_set(model, first, n, 0);
            break;
        default:
            bitmap_set(words, first);
            model[first] = 1;
        }
        size_t at = draw(N_BITS);
        assert_int_equal(bitmap_has(words, at), model[at]);
        assert_int_equal(bitmap_next_one(words, N_BITS, at), model_next(model, at, 1));
        assert_int_equal(bitmap_next_zero(words, N_BITS, at), model_next(model, at, 0));
        if (!model[at])
            continue;
        size_t low = at;
        while (low > 0 && model[low - 1])
            low--;
        assert_int_equal(bitmap_range_around(words, N_BITS, at, &got), low);
        assert_int_equal(got, model_next(model, at, 0) - low);
    }
}

static double smootherstep(double x) {
    return x <= 0 ? 0 : x >= 1 ? 1 : x * x * x * (x * (6 * x - 15) + 10);
}

/* Pages that all became unused at one moment leave on the curve, within one epoch's width, and are gone at the end. */
static void decay_follows_the_curve(void **state) {
    (void)state;
    const size_t n_pages = 1000000;
    const uint64_t time_ms = 10000, epoch_ns = time_ms * MS_NS / DECAY_N_EPOCHS;
    for (uint64_t seed = 1; seed < 20; seed++) {
        struct decay decay;
        uint64_t now = 77 * MS_NS, freed_ns = 0, n_updates = 0;
        size_t before = n_pages;
        decay_init(&decay, (int64_t)time_ms, now, seed);
        for (; freed_ns == 0 || now < freed_ns + (time_ms + 300) * MS_NS; now += (1 + draw(60)) * MS_NS) {
            size_t limit = decay_update(&decay, now, n_pages, n_pages);
            if (limit == SIZE_MAX)
                continue;
            n_updates++;
            if (freed_ns == 0)
                freed_ns = now;
            assert_true(limit <= before);
            before = limit;
            /* Ages are counted in whole epochs, and the first is counted from somewhere within the one before. */
            double early =
                smootherstep(1 - (double)(now - freed_ns + 2 * epoch_ns) / (double)(time_ms * MS_NS));
            double late = smootherstep(1 - ((double)(now - freed_ns) - 2 * (double)epoch_ns) /
                                               (double)(time_ms * MS_NS));
            assert_true((double)limit >= early * (double)n_pages - 2);
            assert_true((double)limit <= late * (double)n_pages + 2);
        }
        assert_int_equal(before, 0);
        assert_true(n_updates > 50);
    }
}

static void decay_may_be_never_or_at_once(void **state) {
    (void)state;
    struct decay decay;
    decay_init(&decay, -1, 5, 1);
    assert_true(decay_update(&decay, UINT64_MAX / 2, 1000, 1000) == SIZE_MAX);
    decay_init(&decay, 0, 5, 1);
    assert_int_equal(decay_update(&decay, 6, 1000, 1000), 0);
    decay_init(&decay, 100, 0, 1);
    decay_update(&decay, 50 * MS_NS, 1000, 1000);
    /* Sleeping through it all ends it. */
    decay_update(&decay, 1000 * MS_NS, 1000, 1000);
    assert_int_equal(decay_update(&decay, 2000 * MS_NS, 1000, 1000), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_are_tight_and_waste_a_fifth_at_most),
        cmocka_unit_test(aligned_classes_are_the_smallest_that_do),
        cmocka_unit_test(page_buckets_rise_and_hold),
        cmocka_unit_test(bitmaps_agree_with_an_array_of_bytes),
        cmocka_unit_test(decay_follows_the_curve),
        cmocka_unit_test(decay_may_be_never_or_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
