/* Heaps whose calloc does not clear, whose realloc does not copy, whose aligned_alloc does not align are found out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_cell.h"

static void *dirty_calloc(size_t n, size_t size_bytes) {
    unsigned char *block = calloc(n, size_bytes);
    assert_non_null(block);
    block[n * size_bytes - 1] = 1;
    return block;
}

static void *forgetful_realloc(void *old, size_t size_bytes) {
    free(old);
    return calloc(1, size_bytes);
}

static void *half_aligned_base; /* of the only block: its address ends the run */

/* The address is a multiple of half the alignment. */
static void *half_aligned_alloc(size_t align_bytes, size_t size_bytes) {
    unsigned char *block = aligned_alloc(align_bytes, align_bytes + size_bytes);
    assert_non_null(block);
    half_aligned_base = block;
    return block + align_bytes / 2;
}

static void keep(void *block) {
    (void)block;
}

static int outcome(const char *workload, const struct alloc_ops *heap) {
    struct fake_spec spec;
    struct fake_result r;
    fake_spec_init(&spec, workload, 1);
    spec.inner = heap;
    spec.warmup_ops = 0;
    spec.ops_total = 1000;
    fake_run(&spec, &r);
    return r.err;
}

static void a_calloc_that_does_not_clear_is_found_out(void **state) {
    (void)state;
    const struct alloc_ops sound = {.alloc = malloc, .free = free, .calloc = calloc};
    const struct alloc_ops dirty = {.alloc = malloc, .free = free, .calloc = dirty_calloc};
    static const char *const names[] = {"calloc-fresh", "calloc-recycled", "mleak"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(outcome(names[i], &sound), 0);
        assert_int_equal(outcome(names[i], &dirty), -EBADMSG);
    }
}

static void a_realloc_that_does_not_copy_is_found_out(void **state) {
    (void)state;
    const struct alloc_ops sound = {.alloc = malloc, .free = free, .realloc = realloc};
    const struct alloc_ops forgetful = {.alloc = malloc, .free = free, .realloc = forgetful_realloc};
    assert_int_equal(outcome("realloc-grow", &sound), 0);
    assert_int_equal(outcome("realloc-grow", &forgetful), -EBADMSG);
}

static void an_alignment_that_is_not_kept_is_found_out(void **state) {
    (void)state;
    const struct alloc_ops sound = {.alloc = malloc, .free = free, .aligned_alloc = aligned_alloc};
    const struct alloc_ops half = {.alloc = malloc, .free = keep, .aligned_alloc = half_aligned_alloc};
    assert_int_equal(outcome("aligned", &sound), 0);
    assert_int_equal(outcome("aligned", &half), -EBADMSG);
    free(half_aligned_base);
}

static void calloc_fresh_ends_where_fresh_memory_does(void **state) {
    (void)state;
    struct fake_spec spec;
    struct fake_result r;
    fake_spec_init(&spec, "calloc-fresh", 2);
    fake_param_set(&spec, "size_bytes", 100);
    fake_param_set(&spec, "total_bytes", 20000);
    spec.warmup_ops = 10;
    spec.ops_total = 181; /* one more than there is room for */
    fake_run(&spec, &r);
    assert_int_equal(r.err, -EINVAL);
    spec.ops_total = 180;
    fake_run(&spec, &r);
    assert_int_equal(r.err, 0);
    assert_int_equal(r.measured_ops, 180);
    spec.ops_total = 0;
    spec.duration_ms = 100;
    fake_run(&spec, &r);
    assert_int_equal(r.err, 0);
    assert_int_equal(r.measured_ops, 180);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_calloc_that_does_not_clear_is_found_out),
        cmocka_unit_test(a_realloc_that_does_not_copy_is_found_out),
        cmocka_unit_test(an_alignment_that_is_not_kept_is_found_out),
        cmocka_unit_test(calloc_fresh_ends_where_fresh_memory_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
