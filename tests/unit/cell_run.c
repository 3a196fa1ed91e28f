/* What the built cell binary measures, and what it leaves alone. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/real_cell.h"

/* On a machine with one node everything is on node 0, and nothing is on another. */
static void pages_are_asked_for_their_node(void **state) {
    (void)state;
    struct order o = make_order("glibc", "malloc-test", PASS_TIMED, 1);
    o.spec.ops_total = 1;
    run_cell(o);
    assert_result_ok();
    assert_true(isnan(answer.result.on_node_fraction));
    if (access("/sys/devices/system/node/node1", F_OK) == 0)
        skip();
#if IS_SANITIZED
    skip(); /* a sanitizer reserves 16 TB, page by page */
#endif
    o.spec.expected_node = 0;
    run_cell(o);
    if (isnan(answer.result.on_node_fraction))
        skip(); /* a kernel without move_pages */
    assert_true(answer.result.on_node_fraction == 1.0);
    o.spec.expected_node = 1;
    run_cell(o);
    assert_true(answer.result.on_node_fraction == 0.0);
}

static void fixed_operations_are_done_exactly(void **state) {
    (void)state;
    struct order o = make_order("glibc", "malloc-test", PASS_TIMED, 3);
    o.spec.ops_total = 100001;
    run_cell(o);
    assert_result_ok();
    const struct cell_result *r = &answer.result;
    assert_int_equal(r->ops, 100001);
    assert_int_equal(r->expected_allocs, 100001 + 3 * WARMUP_OPS);
    assert_true(r->counted_allocs == UINT64_MAX);
    assert_true(r->n_generations_min == UINT64_MAX);
    assert_true(r->wall_ns > 0 && r->wall_ns != UINT64_MAX);
    assert_true(r->start_skew_ns <= r->wall_ns);
    assert_true(r->start_rss_bytes > 0 && r->start_rss_bytes <= r->peak_rss_bytes);
    assert_true(r->end_rss_bytes <= r->peak_rss_bytes);
    assert_true(r->peak_anon_bytes > 0 && r->peak_anon_bytes < r->peak_rss_bytes);
    assert_true(r->anon_huge_bytes != UINT64_MAX);
    assert_true(r->run_delay_ns != UINT64_MAX);
    assert_true(r->remote_free_fraction == 0);
    assert_true(r->stats.allocated_bytes >= 0 && r->stats.resident_bytes == -1);
}

static void clock_ends_the_window(void **state) {
    (void)state;
    struct order o = make_order("glibc", "malloc-test", PASS_TIMED, 4);
    o.spec.duration_ns = 50000000;
    run_cell(o);
    assert_result_ok();
    const struct cell_result *r = &answer.result;
    assert_true(r->window_ns >= 50000000 && r->window_ns != UINT64_MAX);
    assert_true(r->window_ns <= r->wall_ns);
    assert_true(r->window_ops > 0 && r->window_ops <= r->ops);
    assert_true(r->min_thread_ops <= r->max_thread_ops);
    assert_true(r->min_thread_ops * 4 <= r->window_ops && r->window_ops <= r->max_thread_ops * 4);
}

static void audit_counts_agree(void **state) {
    static const char *const workloads[] = {"malloc-test", "larson"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct order o = make_sound_order(workloads[i], PASS_AUDIT, 4);
        o.spec.ops_total = 20000;
        run_cell(o);
        assert_result_ok();
        assert_int_equal(answer.result.counted_allocs, answer.result.expected_allocs);
        assert_int_equal(answer.result.counted_frees, answer.result.counted_allocs);
        assert_true(answer.result.counted_allocs >= 20000);
    }
}

static void threads_are_the_cells_own(void **state) {
    (void)state;
    struct order o = make_order("glibc", "malloc-test", PASS_TIMED, 16);
    o.spec.ops_total = 16;
    run_cell(o);
    assert_result_ok();
    assert_int_equal(answer.tids.n_threads, 16);
    for (unsigned i = 0; i < 16; i++) {
        assert_true(answer.tids.tids[i] > 0);
        for (unsigned j = 0; j < i; j++)
            assert_true(answer.tids.tids[i] != answer.tids.tids[j]);
    }
}

static void successors_are_counted_and_none_is_lost(void **state) {
    (void)state;
    struct order o = make_sound_order("larson", PASS_AUDIT, 8);
    o.spec.ops_total = 8 * 2000; /* ten generations of 200 steps a slot: nine successors */
    run_cell(o);
    assert_result_ok();
    assert_int_equal(answer.result.ops, 16000);
    assert_true(answer.result.n_generations_min >= 8 && answer.result.n_generations_min <= 10);
    assert_true(answer.result.remote_free_fraction > 0);
}

/* Which part of the heap a thread gets often depends on who comes first: over real libraries, in the pass whose threads
 * race, the share is the same each time. */
static void shared_lines_repeat_over_real_libraries(void **state) {
    static const char *const names[] = {"glibc", "jemalloc", "arena", "mimalloc", "tcmalloc"};
    static const char *const workloads[] = {"false-sharing-active", "false-sharing-passive"};
    static const int64_t params[] = {8, 100, 16, 64}; /* object_bytes, writes, probe_bytes, probe_objects */
    (void)state;
    if (IS_SANITIZED)
        skip();
    for (size_t i = 0; i < 2 * sizeof names / sizeof *names; i++) {
        struct order o = make_order(names[i / 2], workloads[i % 2], PASS_TIMED, 32);
        double first = NAN;
        memcpy(o.spec.params, params, sizeof params);
        o.spec.ops_total = 320000;
        for (int k = 0; k < 5; k++) {
            run_cell(o);
            if (answer.proof.status == STATUS_SKIP)
                break; /* not installed */
            assert_result_ok();
            first = k == 0 ? answer.result.shared_line_fraction : first;
            assert_true(first >= 0 && first <= 1);
            if (answer.result.shared_line_fraction != first)
                fail_msg("%s, %s: %g, then %g", names[i / 2], workloads[i % 2], first,
                         answer.result.shared_line_fraction);
        }
    }
}

/* Before there are heirs the remote frees are those of main's blocks. */
static void remote_share_waits_for_successors(void **state) {
    (void)state;
    struct order o = make_sound_order("larson", PASS_AUDIT, 8);
    o.spec.ops_total = 8 * 400; /* warm-up is half a generation: two successors */
    run_cell(o);
    assert_result_ok();
    assert_int_equal(answer.result.n_generations_min, 2);
    assert_true(isnan(answer.result.remote_free_fraction));
}

/* 64 threads whose generations end every few microseconds, stopped by the clock in their midst. */
static void stop_reaches_generations_being_born(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct order o = make_sound_order("larson", PASS_AUDIT, 64);
        o.spec.params[3] = 1;
        o.spec.duration_ns = 30000000;
        run_cell(o);
        assert_result_ok();
        assert_int_equal(answer.result.counted_allocs, answer.result.expected_allocs);
    }
}

static void same_seed_is_the_same_run(void **state) {
    (void)state;
    struct order o = make_sound_order("larson", PASS_AUDIT, 1);
    o.spec.ops_total = 5000;
    run_cell(o);
    assert_result_ok();
    struct cell_result first = answer.result;
    run_cell(o);
    assert_result_ok();
    assert_int_equal(answer.result.counted_allocs, first.counted_allocs);
    assert_true(answer.result.remote_free_fraction == first.remote_free_fraction);
    assert_int_equal(answer.result.n_generations_min, first.n_generations_min);
}

static void floor_serves_a_workload_without_live_set(void **state) {
    (void)state;
    struct order o = make_order("floor", "malloc-test", PASS_AUDIT, 1);
    o.spec.ops_total = 1000;
    run_cell(o);
    assert_result_ok();
    assert_int_equal(answer.result.counted_allocs, 1000 + WARMUP_OPS);
}

/* A chain of threads shares no line with itself: what it shares is with main, whose blocks are gone soon. Were each
 * generation an owner, a tenth of the lines would be shared. */
static void successors_are_one_owner(void **state) {
    (void)state;
    struct order o = make_sound_order("larson", PASS_SHARING, 1);
    o.spec.ops_total = 20000;
    run_cell(o);
    assert_result_ok();
    assert_int_equal(answer.result.counted_allocs, answer.result.expected_allocs);
    assert_true(answer.result.n_generations_min >= WORKLOAD_MIN_GENERATIONS);
    assert_true(answer.result.shared_line_fraction >= 0 && answer.result.shared_line_fraction < 0.01);
    assert_true(answer.result.passive_line_fraction <= answer.result.shared_line_fraction);
}

/* Several processes: the kernel makes libc's code resident in windows of 64 KiB, whose place changes with its address. */
static void idle_glibc_cell_is_small(void **state) {
    (void)state;
#if IS_SANITIZED || !defined(NDEBUG)
    skip();
#endif
    for (size_t i = 0; i < 10; i++) {
        struct order o = make_order("glibc", "malloc-test", PASS_TIMED, 1);
        o.spec.warmup_ops = 0;
        o.spec.ops_total = 1;
        run_cell(o);
        assert_result_ok();
        assert_in_range(answer.result.peak_rss_bytes, 1, 1600 * 1000);
    }
}

/* Of the tables that grow with each workload none is written to: the linker's own page or two are all. */
static void cells_tables_stay_the_files(void **state) {
    (void)state;
    if (IS_SANITIZED)
        skip();
    struct order o = make_order("glibc", "malloc-test", PASS_TIMED, 1);
    o.spec.ops_total = 1;
    run_cell(o);
    assert_result_ok();
    assert_in_range(answer.image_written_kb, 1, 16);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_asked_for_their_node),
        cmocka_unit_test(fixed_operations_are_done_exactly),
        cmocka_unit_test(clock_ends_the_window),
        cmocka_unit_test(audit_counts_agree),
        cmocka_unit_test(threads_are_the_cells_own),
        cmocka_unit_test(successors_are_counted_and_none_is_lost),
        cmocka_unit_test(shared_lines_repeat_over_real_libraries),
        cmocka_unit_test(remote_share_waits_for_successors),
        cmocka_unit_test(stop_reaches_generations_being_born),
        cmocka_unit_test(same_seed_is_the_same_run),
        cmocka_unit_test(floor_serves_a_workload_without_live_set),
        cmocka_unit_test(successors_are_one_owner),
        cmocka_unit_test(idle_glibc_cell_is_small),
        cmocka_unit_test(cells_tables_stay_the_files),
    };
    return cmocka_run_group_tests_name("cell_run", tests, NULL, NULL);
}
