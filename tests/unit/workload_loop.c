/*
 * What the loop around a malloc/free pair of malloc-test costs, in instructions, counted one by one: the child
 * steps through a run over floor, and the difference of two runs leaves the pairs alone. At most 12 besides the
 * two calls and what the empty functions themselves execute.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
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

static void child_main(uint64_t n_pairs) {
    const struct workload *wl = workload_find("malloc-test");
    struct cell c = {.heap = &floor_ops, .params = (int64_t[]){512}, .n_threads = 1};
    struct worker w = {.heap = &floor_ops, .cell = &c, .ops_budget = n_pairs};
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

/* Instructions of a run outside the empty functions; skips the test where tracing is not allowed. */
static uint64_t steps_of_run(uint64_t n_pairs) {
    uint64_t n_steps = 0;
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        child_main(n_pairs);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_PTRACE)
        skip();
    while (WIFSTOPPED(status)) {
        struct user_regs_struct regs;
        assert_int_equal(ptrace(PTRACE_GETREGS, child, NULL, &regs), 0);
        n_steps +=
            !is_in(regs.rip, *(void **)&floor_ops.alloc) && !is_in(regs.rip, *(void **)&floor_ops.free);
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return n_steps;
}

static void a_pair_costs_at_most_twelve_instructions_besides_the_calls(void **state) {
    (void)state;
#ifndef NDEBUG
    skip(); /* the promise is about the optimised build */
#endif
    /* Both within one batch, so that the difference is the inner loop. */
    uint64_t n_more = steps_of_run(600) - steps_of_run(100);
    assert_int_equal(n_more % 500, 0);
    assert_in_range(n_more / 500, CALL_INSTRUCTIONS + 1, CALL_INSTRUCTIONS + LOOP_MAX_INSTRUCTIONS);
}

static int open_floor(void **state) {
    (void)state;
    fake_library_open(&floor_ops, "libfloor.so");
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pair_costs_at_most_twelve_instructions_besides_the_calls),
    };
    return cmocka_run_group_tests(tests, open_floor, NULL);
}
