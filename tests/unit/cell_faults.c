/* What the built cell binary proves, and what is left of it when its allocator misbehaves. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/real_cell.h"

/* Installed libraries are proved, others are skipped with the package's name; nothing else may come. */
static void every_allocator_is_proved_or_absent(void **state) {
    static const char *const names[] = {"glibc", "jemalloc",   "mimalloc",    "tcmalloc", "tbbmalloc",
                                        "scudo", "biglock-dl", "biglock-phk", "null",     "floor"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        run_cell(make_order(names[i], "", PASS_PROBE, 0));
        const struct allocator_proof *p = &answer.proof.proof;
        assert_true(answer.has_proof);
        assert_int_equal(answer.wait_status, 0);
        if (answer.proof.status == STATUS_SKIP) {
            assert_says(p->why, "install ");
            continue;
        }
        if (answer.proof.status != STATUS_OK)
            fail_msg("%s: %s", names[i], p->why);
        assert_int_equal(access(p->path, R_OK), 0); /* as the linker names it; the driver follows links */
        const char *libc = strstr(p->canary, "libc=");
        assert_non_null(libc);
        long libc_bytes = strtol(libc + strlen("libc="), NULL, 10);
        /* A witness may leave a little with libc (the linker's error text); a block of the canary it is not. */
        if (strcmp(names[i], "glibc") == 0)
            assert_true(libc_bytes >= CANARY_BLOCKS * CANARY_BYTES / 2);
        else
            assert_in_range(libc_bytes, 0, CANARY_BYTES - 1);
        bool is_counted = strcmp(names[i], "glibc") == 0 || strcmp(names[i], "jemalloc") == 0 ||
                          strcmp(names[i], "tcmalloc") == 0 || strncmp(names[i], "biglock", 7) == 0;
        assert_says(p->canary, is_counted ? " freed=1" : " freed=none");
    }
}

static void unfit_pairs_are_skipped_with_a_reason(void **state) {
    (void)state;
    struct order o = make_order("floor", "larson", PASS_TIMED, 2);
    o.spec.ops_total = 10;
    run_cell(o);
    assert_int_equal(answer.proof.status, STATUS_SKIP);
    assert_says(answer.proof.proof.why, "live set");
    assert_false(answer.has_tids);
    assert_int_equal(answer.wait_status, 0);

    o = make_order("null", "prodcons", PASS_TIMED, 2); /* its producers never get their memory back */
    o.spec.ops_total = 10;
    run_cell(o);
    assert_int_equal(answer.proof.status, STATUS_SKIP);
    assert_says(answer.proof.proof.why, "one way");

    o = make_order("glibc", "no-such-workload", PASS_TIMED, 1);
    o.spec.ops_total = 10;
    run_cell(o);
    assert_int_equal(answer.proof.status, STATUS_SKIP);
    assert_says(answer.proof.proof.why, "no such workload");
}

static void work_left_undone_is_unproven(void **state) {
    (void)state;
    for (enum cell_pass pass = PASS_TIMED; pass <= PASS_AUDIT; pass++) {
        struct order o = make_order("glibc", "half", pass, 2);
        o.cell = "idle/cell";
        o.spec.ops_total = 1000;
        run_cell(o);
        assert_true(answer.has_result);
        assert_int_equal(answer.result.status, STATUS_UNPROVEN);
        assert_says(answer.result.why, "500 operations were done, 1000 ordered");
        assert_no_numbers();
        uint64_t n_counted = pass == PASS_AUDIT ? 500 + 2 * WARMUP_OPS : UINT64_MAX;
        assert_true(answer.result.counted_allocs == n_counted && answer.result.counted_frees == n_counted);
        assert_int_equal(answer.result.expected_allocs, 500 + 2 * WARMUP_OPS);
    }
}

static void audit_without_allocations_is_unproven(void **state) {
    (void)state;
    struct order o = make_order("glibc", "none", PASS_AUDIT, 2);
    o.cell = "idle/cell";
    o.spec.ops_total = 1000;
    run_cell(o);
    assert_true(answer.has_result);
    assert_int_equal(answer.result.status, STATUS_UNPROVEN);
    assert_says(answer.result.why, "no allocation was counted");
    assert_no_numbers();
    assert_true(answer.result.counted_allocs == 0 && answer.result.expected_allocs == 0);
}

static void faulty_allocators_are_unproven(void **state) {
    static const char *const fixtures[] = {"overlap", "corrupt", "exhausted", "forward"};
    (void)state;
    for (size_t i = 0; i < sizeof fixtures / sizeof *fixtures; i++) {
        struct order o = with_fixture(make_order("subject", "malloc-test", PASS_TIMED, 1), fixtures[i], NULL);
        o.spec.ops_total = 10;
        run_cell(o);
        assert_int_equal(answer.proof.status, STATUS_UNPROVEN);
        assert_says(answer.proof.proof.why, "canary: ");
        assert_false(answer.has_tids);
    }
    run_cell(with_fixture(make_order("subject", "", PASS_PROBE, 0), "no_free", NULL));
    assert_int_equal(answer.proof.status, STATUS_SKIP);
    assert_says(answer.proof.proof.why, "free is not in");
}

/* The ledger of the sharing pass sees an address that is given out again while it is live. */
static void an_address_held_twice_is_unproven(void **state) {
    static const int64_t params[] = {64, 8000}; /* size_bytes, blocks */
    (void)state;
    struct order o =
        with_fixture(make_order("subject", "linux-scalability", PASS_SHARING, 1), "overlap", "5000");
    memcpy(o.spec.params, params, sizeof params);
    o.spec.ops_total = 64000;
    run_cell(o);
    assert_true(answer.has_result);
    assert_int_equal(answer.result.status, STATUS_UNPROVEN);
    assert_says(answer.result.why, "given out while they were live");
    assert_true(isnan(answer.result.shared_line_fraction));
}

static void exhaustion_in_the_run_is_out_of_memory(void **state) {
    static const char *const workloads[] = {"malloc-test", "larson"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct order o =
            with_fixture(make_order("subject", workloads[i], PASS_TIMED, 4), "exhausted", "5000");
        o.spec.ops_total = 100000;
        run_cell(o);
        assert_true(answer.has_result);
        assert_int_equal(answer.result.status, STATUS_OOM);
        assert_says(answer.result.why, "NULL");
        assert_no_numbers();
    }
}

static void too_many_threads_are_out_of_memory(void **state) {
    (void)state;
    if (IS_SANITIZED)
        skip(); /* their shadow needs terabytes of address space */
    struct order o = make_order("glibc", "malloc-test", PASS_TIMED, CELL_MAX_THREADS);
    o.spec.ops_total = 1;
    o.address_space_bytes = 64 << 20;
    run_cell(o);
    assert_int_equal(answer.proof.status, STATUS_OK);
    assert_false(answer.has_tids);
    assert_true(answer.has_result);
    assert_int_equal(answer.result.status, STATUS_OOM);
    assert_says(answer.result.why, "a thread could not be made");
}

static void crash_leaves_a_signal_and_no_result(void **state) {
    (void)state;
    struct order o = with_fixture(make_order("subject", "malloc-test", PASS_TIMED, 2), "crash", "5000");
    o.spec.ops_total = 100000;
    run_cell(o);
    assert_int_equal(answer.proof.status, STATUS_OK);
    assert_true(answer.has_tids);
    assert_false(answer.has_result);
    assert_int_not_equal(answer.wait_status, 0); /* SIGSEGV, or the sanitizer's exit */
}

static void hang_leaves_silence(void **state) {
    (void)state;
    struct order o = with_fixture(make_order("subject", "malloc-test", PASS_TIMED, 2), "hang", "5000");
    o.spec.ops_total = 100000;
    o.result_patience_ms = 1000;
    run_cell(o);
    assert_true(answer.has_tids);
    assert_false(answer.has_result);
    assert_true(WIFSIGNALED(answer.wait_status) && WTERMSIG(answer.wait_status) == SIGKILL);
}

/* The real library by LD_PRELOAD; sanitizers have their own malloc in the process, which nothing may displace. */
static void preloaded_library_is_told_from_others(void **state) {
    char path[512];
    (void)state;
    if (IS_SANITIZED)
        skip();
    snprintf(path, sizeof path, "%s/fixtures/sound.so", build_dir());
    struct order o = with_fixture(make_order("subject", "malloc-test", PASS_AUDIT, 2), "sound", NULL);
    o.spec.load = LOAD_PRELOAD;
    o.spec.ops_total = 1000;
    run_cell(o);
    assert_int_equal(answer.proof.status, STATUS_UNPROVEN);
    assert_says(answer.proof.proof.why, "LD_PRELOAD did not take effect");
    o.preload = path;
    run_cell(o);
    assert_int_equal(answer.proof.status, STATUS_UNPROVEN);
    assert_says(answer.proof.proof.why, "calloc is not in");
}

static void preload_of_another_allocator_is_unproven(void **state) {
    (void)state;
    if (IS_SANITIZED)
        skip();
    struct order o = make_order("glibc", "", PASS_PROBE, 0);
    o.spec.load = LOAD_PRELOAD;
    run_cell(o);
    assert_int_equal(answer.proof.status, STATUS_OK);
    run_cell(make_order("jemalloc", "", PASS_PROBE, 0));
    if (answer.proof.status == STATUS_SKIP)
        skip();
    char library[ALLOCATOR_PATH_MAX];
    memcpy(library, answer.proof.proof.path, sizeof library);
    o.preload = library;
    run_cell(o);
    assert_int_equal(answer.proof.status, STATUS_UNPROVEN);
    assert_says(answer.proof.proof.why, "jemalloc");

    o = make_order("jemalloc", "larson", PASS_AUDIT, 4);
    o.spec.load = LOAD_PRELOAD;
    o.spec.ops_total = 10000;
    o.preload = library;
    run_cell(o);
    assert_result_ok();
    assert_string_equal(answer.proof.proof.path, library);
}

static void nonsense_is_refused(void **state) {
    (void)state;
    struct order good = make_order("glibc", "malloc-test", PASS_TIMED, 1);
    good.spec.ops_total = 1;
    struct order bad[] = {good, good, good, good, good, good};
    bad[0].spec.header.version++;
    bad[1].spec.header.magic = 0;
    bad[2].spec.n_threads = 0;
    bad[3].spec.n_threads = CELL_MAX_THREADS + 1;
    bad[4].spec.ops_total = 0;
    memset(bad[5].spec.allocator, 'x', sizeof bad[5].spec.allocator);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        run_cell(bad[i]);
        assert_false(answer.has_proof);
        assert_true(WIFEXITED(answer.wait_status));
        assert_int_equal(WEXITSTATUS(answer.wait_status), 2);
    }
}

static void deserted_cell_ends(void **state) {
    (void)state;
    struct order o = make_order("glibc", "malloc-test", PASS_TIMED, 4);
    o.spec.ops_total = 1;
    o.is_deserted = true;
    run_cell(o);
    assert_true(answer.has_tids);
    assert_true(WIFEXITED(answer.wait_status));
    assert_int_equal(WEXITSTATUS(answer.wait_status), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocator_is_proved_or_absent),
        cmocka_unit_test(unfit_pairs_are_skipped_with_a_reason),
        cmocka_unit_test(work_left_undone_is_unproven),
        cmocka_unit_test(audit_without_allocations_is_unproven),
        cmocka_unit_test(faulty_allocators_are_unproven),
        cmocka_unit_test(an_address_held_twice_is_unproven),
        cmocka_unit_test(exhaustion_in_the_run_is_out_of_memory),
        cmocka_unit_test(too_many_threads_are_out_of_memory),
        cmocka_unit_test(crash_leaves_a_signal_and_no_result),
        cmocka_unit_test(hang_leaves_silence),
        cmocka_unit_test(preloaded_library_is_told_from_others),
        cmocka_unit_test(preload_of_another_allocator_is_unproven),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(deserted_cell_ends),
    };
    return cmocka_run_group_tests_name("cell_faults", tests, NULL, NULL);
}
