/*
 * What the loop around a malloc/free pair costs, in instructions, counted one by one: the child steps through
 * a run over floor, and the difference of two runs leaves the pairs alone. At most 12 besides the two calls and what
 * the empty functions themselves execute.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/fake_cell.h"

#define LOOP_MAX_INSTRUCTIONS 12
#define CALL_INSTRUCTIONS 2
#define EXIT_NO_PTRACE 77

static struct alloc_ops floor_ops;

static void child_main(const char *workload, const int64_t *params, uint64_t n_pairs) {
    static unsigned char *blocks[1000]; /* pair's state */
    const struct workload *wl = workload_find(workload);
    struct cell c = {.heap = &floor_ops, .params = params, .n_threads = 1};
    struct worker w = {.heap = &floor_ops, .cell = &c, .ops_budget = n_pairs, .state = blocks};
    c.workers = &w;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(EXIT_NO_PTRACE);
    raise(SIGSTOP);
    wl->run(&w);
    _exit(0);
}

/* floor's functions are a few bytes each. */
static bool is_in(uint64_t rip, const void *function) {
    return rip >= (uintptr_t)function && rip < (uintptr_t)function + 16;
}

static bool is_in_floor(uint64_t rip) {
    return is_in(rip, *(void **)&floor_ops.alloc) || is_in(rip, *(void **)&floor_ops.calloc) ||
           is_in(rip, *(void **)&floor_ops.free);
}

/* Instructions of a run outside the empty functions; skips the test where tracing is not allowed. */
static uint64_t steps_of_run(const char *workload, const int64_t *params, uint64_t n_pairs) {
    uint64_t n_steps = 0;
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        child_main(workload, params, n_pairs);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_PTRACE)
        skip();
    while (WIFSTOPPED(status)) {
        struct user_regs_struct regs;
        assert_int_equal(ptrace(PTRACE_GETREGS, child, NULL, &regs), 0);
        n_steps += !is_in_floor(regs.rip);
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return n_steps;
}

static void assert_lean(const char *workload, const int64_t *params, unsigned n_max) {
#ifndef NDEBUG
    skip(); /* the promise is about the optimised build */
#endif
    /* Both within one batch, so that the difference is the inner loop. */
    uint64_t n_more = steps_of_run(workload, params, 600) - steps_of_run(workload, params, 100);
    assert_int_equal(n_more % 500, 0);
    printf("%s: %ju instructions a pair besides the calls\n", workload,
           (uintmax_t)n_more / 500 - CALL_INSTRUCTIONS);
    assert_in_range(n_more / 500, CALL_INSTRUCTIONS + 1, CALL_INSTRUCTIONS + n_max);
}

static void a_pair_of_malloc_test_costs_at_most_twelve_besides_the_calls(void **state) {
    (void)state;
    assert_lean("malloc-test", (int64_t[]){512}, LOOP_MAX_INSTRUCTIONS);
}

/* calloc has one argument more. */
static void a_pair_costs_at_most_twelve_besides_the_calls(void **state) {
    (void)state;
    for (int64_t pattern = 0; pattern < 3; pattern++)
        for (int64_t call = 0; call < 2; call++)
            assert_lean("pair", (int64_t[]){pattern, call, 64, 1000, 0}, LOOP_MAX_INSTRUCTIONS + (call == 1));
}

static int open_floor(void **state) {
    (void)state;
    fake_library_open(&floor_ops, "libfloor.so");
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pair_of_malloc_test_costs_at_most_twelve_besides_the_calls),
        cmocka_unit_test(a_pair_costs_at_most_twelve_besides_the_calls),
    };
    return cmocka_run_group_tests(tests, open_floor, NULL);
}
