/*
 * Every workload makes exactly the allocations it says, frees all of them, and reports remote frees that
 * agree with a heap that knows who allocated what: at one, two and seven threads, by operations and by the
 * clock. The same test runs over the same sources compiled by gcc -O3 and by clang -O3: elsewhere compilers
 * were found to delete the allocations of a benchmark.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/fake_cell.h"

/* Under ThreadSanitizer every access costs tenfold: fewer operations there, all of them in the other variants. */
#ifdef __SANITIZE_THREAD__
#define FIXED_OPS 5003
#define AUDIT_SHARE 50
#define MAX_AUDIT_THREADS 8
#else
#define FIXED_OPS 20011 /* no multiple of any batch or thread count */
#define AUDIT_SHARE 10
#define MAX_AUDIT_THREADS 64
#endif

static void assert_honest(const struct fake_spec *spec, const struct fake_result *r) {
    if (r->err != 0)
        fail_msg("%s, %u threads: %d %s", spec->workload->name, spec->n_threads, r->err, r->why);
    if (r->n_allocs != r->expected_allocs || r->n_frees != r->n_allocs)
        fail_msg("%s, %u threads: %ju allocations expected, %ju made, %ju freed", spec->workload->name,
                 spec->n_threads, (uintmax_t)r->expected_allocs, (uintmax_t)r->n_allocs,
                 (uintmax_t)r->n_frees);
    assert_true(r->n_allocs > 0);
    assert_int_equal(r->claimed_frees, r->n_measured_frees);
    assert_int_equal(r->claimed_remote, r->n_measured_remote);
    if (!spec->workload->peak_live_bytes)
        return;
    assert_int_equal(r->claimed_live_bytes, r->live_bytes);
    int64_t bound = (int64_t)spec->workload->peak_live_bytes(spec->params, spec->n_threads);
    if (r->peak_live_bytes > bound)
        fail_msg("%s, %u threads: %jd bytes were live, %jd stated", spec->workload->name, spec->n_threads,
                 (intmax_t)r->peak_live_bytes, (intmax_t)bound);
}

/* Parameters under which a run of some thousand operations goes through every stage. */
static void spec_shrink(struct fake_spec *spec) {
    static const struct {
        const char *workload, *param;
        int64_t value;
    } small[] = {
        {"larson", "chunks", 100},
        {"larson", "rounds", 10},
        {"false-sharing-active", "writes", 100},
        {"false-sharing-passive", "writes", 100},
        {"false-sharing-separate", "writes", 100},
        {"false-sharing-serial", "writes", 100},
        {"prodcons", "batch_objects", 100},
        {"t-test1", "steps_per_thread", 300},
        {"t-test2", "steps_per_thread", 300},
        {"t-test2", "total_bytes", 400000},
        {"glibc-thread", "entries", 100},
        {"alloc-test", "entries", 1000},
        {"ring", "ring_blocks", 100},
        {"ring-xthread", "ring_blocks", 300},
        {"scatter-churn", "blocks", 50},
        {"scatter-churn", "ops", 10},
        {"scatter-churn", "handed", 7},
        {"scatter-churn", "loops", 5},
        {"contention", "places", 50},
        {"dep-pair", "age_bytes", 20000},
        {"dep-pair", "depth", 30},
        {"migrate", "scale", 1},
        {"superserver", "live_bytes", 1 << 20},
        {"superserver", "max_class", 12},
        {"msgpass", "outstanding", 100},
        {"migrate", "places", 20},
        {"blowup", "live_bytes", 1000000},
        {"blowup", "pairs", 500},
        {"blowup", "generations", 3},
        {"calloc-fresh", "size_bytes", 64},
        {"calloc-fresh", "total_bytes", 64 << 20},
        {"calloc-recycled", "size_bytes", 64},
        {"aligned", "max_align_bytes", 1024},
        {"fleet", "total_bytes", 4 << 20},
        {"hand-off", "blocks", 200},
        {"large-saw", "min_bytes", 4096},
        {"large-saw", "total_bytes", 1 << 17},
        {"malloc-large", "min_bytes", 4096},
        {"malloc-large", "max_bytes", 20000},
        {"realloc-grow", "max_bytes", 2000},
        {"realloc-grow", "neighbour", 1},
        {"realloc-grow", "buffers", 20},
        {"mleak", "steps", 20},
        {"thread-churn", "steps", 50},
        {"lru-churn", "limit_bytes", 100000},
        {"lru-churn", "first_values", 2000},
        {"lru-churn", "second_values", 1000},
        {"lru-churn", "hold_ms", 10},
        {"ramp-plateau", "total_bytes", 200000},
        {"ramp-plateau", "cycles", 3},
        {"ramp-plateau", "activity_percent", 20},
        {"ramp-plateau", "hold_ms", 20},
        {"robson", "total_bytes", 20000},
        {"robson", "phases", 6},
        {"robson", "hold_ms", 5},
        {"sparse-survivor", "blocks", 1000},
        {"sparse-survivor", "hold_ms", 10},
    };
    for (size_t i = 0; i < sizeof small / sizeof *small; i++)
        if (strcmp(small[i].workload, spec->workload->name) == 0)
            fake_param_set(spec, small[i].param, small[i].value);
}

static uint64_t audit_part(const struct workload *w) {
    return w->audit_ops >= AUDIT_SHARE ? w->audit_ops / AUDIT_SHARE : 1;
}

static const unsigned thread_counts[] = {1, 2, 7};

static void counts_hold_for_fixed_operations(void **state) {
    (void)state;
    for (const struct workload *const *w = workload_table; *w; w++) {
        for (size_t i = 0; i < sizeof thread_counts / sizeof *thread_counts; i++) {
            struct fake_spec spec;
            struct fake_result r;
            fake_spec_init(&spec, (*w)->name, thread_counts[i]);
            spec_shrink(&spec);
            spec.ops_total = FIXED_OPS;
            fake_run(&spec, &r);
            assert_honest(&spec, &r);
            assert_int_equal(r.measured_ops, spec.ops_total);
        }
    }
}

static void counts_hold_with_default_parameters(void **state) {
    (void)state;
    for (const struct workload *const *w = workload_table; *w; w++) {
        struct fake_spec spec;
        struct fake_result r;
        fake_spec_init(&spec, (*w)->name, 2);
        spec.warmup_ops = (*w)->warmup_ops;
        spec.ops_total = audit_part(*w);
        fake_run(&spec, &r);
        assert_honest(&spec, &r);
        assert_int_equal(r.measured_ops, spec.ops_total);
    }
}

/* The memory of a heap whose threads never died would be reported as larson's. */
static void audit_is_long_enough_for_successors(void **state) {
    static const unsigned counts[] = {1, 8, 64};
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts && counts[i] <= MAX_AUDIT_THREADS; i++) {
        struct fake_spec spec;
        struct fake_result r;
        fake_spec_init(&spec, "larson", counts[i]);
        spec.warmup_ops = spec.workload->warmup_ops;
        spec.ops_total = workload_audit_ops(spec.workload, spec.params, counts[i]);
        fake_run(&spec, &r);
        assert_honest(&spec, &r);
        assert_in_range(r.n_generations_min, WORKLOAD_MIN_GENERATIONS, UINT32_MAX);
    }
}

static void counts_hold_for_every_preset(void **state) {
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* the same code with other numbers, some of them large: minutes of shadow memory */
#endif
    for (const struct workload *const *w = workload_table; *w; w++) {
        for (const struct preset *p = (*w)->presets; p && p->name; p++) {
            struct fake_spec spec;
            struct fake_result r;
            fake_spec_init(&spec, (*w)->name, 3);
            for (unsigned i = 0; i < WORKLOAD_MAX_PARAMS && p->set[i].param; i++)
                fake_param_set(&spec, p->set[i].param, p->set[i].value);
            spec.warmup_ops = (*w)->warmup_ops;
            spec.ops_total = audit_part(*w);
            if (strcmp((*w)->name, "dep-pair") == 0)
                fake_param_set(&spec, "age_bytes", 100000); /* a preset's 100 MB of each size take seconds */
            fake_run(&spec, &r);
            assert_honest(&spec, &r);
            assert_int_equal(r.measured_ops, spec.ops_total);
        }
    }
}

/* At any ratio each thread has its part: consumers, who count the operations, all get something to free. */
static void producers_and_consumers_in_any_ratio(void **state) {
    static const struct {
        unsigned n_threads, percent, n_consumers;
    } ratios[] = {{2, 1, 1},  {2, 99, 1}, {3, 50, 2},  {7, 50, 4}, {9, 1, 8},
                  {9, 34, 6}, {9, 99, 1}, {64, 5, 61}, {64, 90, 7}};
    (void)state;
    for (size_t i = 0; i < sizeof ratios / sizeof *ratios; i++) {
        struct fake_spec spec;
        struct fake_result r;
        fake_spec_init(&spec, "prodcons", ratios[i].n_threads);
        fake_param_set(&spec, "producer_percent", ratios[i].percent);
        fake_param_set(&spec, "batch_objects", 3);
        spec.ops_total = FIXED_OPS;
        fake_run(&spec, &r);
        assert_honest(&spec, &r);
        assert_int_equal(r.measured_ops, spec.ops_total);
        assert_int_equal(r.n_slots_with_ops, ratios[i].n_consumers);
    }
}

static void counts_hold_when_the_clock_stops_a_run(void **state) {
    (void)state;
    for (const struct workload *const *w = workload_table; *w; w++) {
        for (size_t i = 0; i < sizeof thread_counts / sizeof *thread_counts; i++) {
            struct fake_spec spec;
            struct fake_result r;
            fake_spec_init(&spec, (*w)->name, thread_counts[i]);
            spec_shrink(&spec);
            spec.ops_total = 0;
            spec.duration_ms = 5;
            fake_run(&spec, &r);
            assert_honest(&spec, &r);
            assert_true(r.measured_ops > 0);
        }
    }
}

static void many_threads_come_to_an_end(void **state) {
    (void)state;
    for (const struct workload *const *w = workload_table; *w; w++) {
        struct fake_spec spec;
        struct fake_result r;
        fake_spec_init(&spec, (*w)->name, 64);
        spec_shrink(&spec);
        spec.ops_total = FIXED_OPS;
        fake_run(&spec, &r);
        assert_honest(&spec, &r);
        spec.ops_total = 0;
        spec.duration_ms = 20;
        fake_run(&spec, &r);
        assert_honest(&spec, &r);
    }
}

/* Nobody stops it: the threads wait for each other, hold, and all blocks are gone when it is over. */
static void a_course_ends_by_itself(void **state) {
    (void)state;
    for (const struct workload *const *w = workload_table; *w; w++) {
        if (!((*w)->flags & WORKLOAD_COURSE))
            continue;
        for (size_t i = 0; i < sizeof thread_counts / sizeof *thread_counts; i++) {
            struct fake_spec spec;
            struct fake_result r;
            fake_spec_init(&spec, (*w)->name, thread_counts[i]);
            spec_shrink(&spec);
            spec.warmup_ops = 10;
            spec.ops_total = 0;
            spec.is_course = true;
            fake_run(&spec, &r);
            assert_honest(&spec, &r);
            assert_true(r.measured_ops > 0);
            assert_int_equal(r.live_bytes, 0);
        }
    }
}

/* Wherever the heap runs dry, the run ends, says ENOMEM, and leaves nothing behind that it had got. */
static void a_dry_heap_ends_the_run_with_enomem(void **state) {
    (void)state;
    for (const struct workload *const *w = workload_table; *w; w++) {
        struct fake_spec spec;
        struct fake_result r;
        fake_spec_init(&spec, (*w)->name, 3);
        spec_shrink(&spec);
        spec.ops_total = FIXED_OPS;
        fake_run(&spec, &r);
        const uint64_t n_allocs = r.n_allocs;
        for (uint64_t eighth = 0; eighth < 8; eighth++) {
            spec.fail_after = 1 + eighth * n_allocs / 8;
            fake_run(&spec, &r);
            if (r.err != -ENOMEM || r.why[0] == '\0')
                fail_msg("%s, dry after %ju: %d %s", (*w)->name, (uintmax_t)spec.fail_after, r.err, r.why);
            if (r.n_frees != r.n_allocs)
                fail_msg("%s, dry after %ju: %ju of %ju freed", (*w)->name, (uintmax_t)spec.fail_after,
                         (uintmax_t)r.n_frees, (uintmax_t)r.n_allocs);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_hold_for_fixed_operations),
        cmocka_unit_test(counts_hold_with_default_parameters),
        cmocka_unit_test(audit_is_long_enough_for_successors),
        cmocka_unit_test(counts_hold_for_every_preset),
        cmocka_unit_test(producers_and_consumers_in_any_ratio),
        cmocka_unit_test(counts_hold_when_the_clock_stops_a_run),
        cmocka_unit_test(many_threads_come_to_an_end),
        cmocka_unit_test(a_course_ends_by_itself),
        cmocka_unit_test(a_dry_heap_ends_the_run_with_enomem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
