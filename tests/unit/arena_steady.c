/*
 * The steady state of malloc and free takes no lock and asks nothing of the system: a child is single-stepped through
 * pairs after a warm-up, and no instruction it executes may be a system call, have a lock prefix, or be an xchg with
 * memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARENA_PREFIXED 1
#include "allocators/arena/shim.h"

#define N_WARM 20000
#define N_BATCH 16
#define EXIT_NO_PTRACE 77

/* Ageing, one step a MiB allocated by default, may take locks; it is put off. */
extern const char *malloc_conf;
const char *malloc_conf = "tcache_gc_bytes:1073741824";

static void *batch[N_BATCH];

static void pairs(size_t size, unsigned n, unsigned n_batch) {
    for (unsigned i = 0; i < n; i++) {
        for (unsigned j = 0; j < n_batch; j++)
            batch[j] = arena_malloc(size);
        for (unsigned j = 0; j < n_batch; j++)
            arena_free(batch[j]);
    }
}

static void child_main(size_t size, unsigned n_batch) {
    pairs(size, N_WARM / n_batch, n_batch);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(EXIT_NO_PTRACE);
    raise(SIGSTOP);
    pairs(size, 96 / n_batch, n_batch);
    raise(SIGSTOP);
    _exit(0);
}

/* Of the bytes of one instruction: what kind of thing it must not be, or NULL. */
static const char *forbidden(const uint8_t *code) {
    unsigned i = 0;
    for (; i < 6; i++) {
        if (code[i] == 0xf0)
            return "a lock prefix";
        if (code[i] != 0x66 && code[i] != 0xf2 && code[i] != 0xf3 && code[i] != 0x64 && code[i] != 0x65 &&
            code[i] != 0x2e && code[i] != 0x3e)
            break;
    }
    if ((code[i] & 0xf0) == 0x40)
        i++; /* REX */
    if ((code[i] == 0x86 || code[i] == 0x87) && code[i + 1] >> 6 != 3)
        return "an xchg with memory";
    if (code[i] == 0x0f && (code[i + 1] == 0x05 || code[i + 1] == 0x34))
        return "a system call";
    return code[i] == 0xcd ? "an interrupt" : NULL;
}

/* Steps as far as the second raise. How many forbidden instructions were executed; *what is the first. */
static unsigned step_through(pid_t child, const char **what) {
    unsigned n_found = 0;
    int status = 0;
    for (;;) {
        struct user_regs_struct regs;
        if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0 || waitpid(child, &status, 0) != child ||
            !WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
            return n_found;
        if (ptrace(PTRACE_GETREGS, child, NULL, &regs) != 0)
            return n_found;
        if (regs.rip - (uintptr_t)raise < 4096)
            return n_found; /* the measured part is over */
        errno = 0;
        uint64_t words[2] = {(uint64_t)ptrace(PTRACE_PEEKTEXT, child, (void *)regs.rip, NULL), 0};
        words[1] = (uint64_t)ptrace(PTRACE_PEEKTEXT, child, (void *)(regs.rip + 8), NULL);
        const char *found = forbidden((const uint8_t *)words);
        if (found != NULL && n_found++ == 0)
            *what = found;
    }
}

/* Leaves the first raise without judging it: single steps until the code is in this program again. */
static void leave_raise(pid_t child, int *status) {
    struct user_regs_struct regs;
    do {
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        assert_int_equal(waitpid(child, status, 0), child);
        assert_true(WIFSTOPPED(*status));
        assert_int_equal(ptrace(PTRACE_GETREGS, child, NULL, &regs), 0);
    } while (regs.rip - (uintptr_t)child_main > 4096 && (uintptr_t)child_main - regs.rip > 4096);
}

static unsigned forbidden_in_pairs(size_t size, unsigned n_batch, const char **what) {
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        child_main(size, n_batch);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_PTRACE)
        skip();
    assert_true(WIFSTOPPED(status));
    leave_raise(child, &status);
    unsigned n = step_through(child, what);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return n;
}

static void the_steady_state_takes_no_lock(void **state) {
    (void)state;
#if !defined(NDEBUG) || defined(ARENA_HARDENED)
    skip(); /* the promise is about the default optimised build: hardened checks fill and read whole blocks */
#endif
    const size_t sizes[] = {16, 64, 100, 512, 4000, 8192, 14336};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (unsigned n_batch = 1; n_batch <= (sizes[i] > 4096 ? 1 : N_BATCH); n_batch += N_BATCH - 1) {
            const char *what = NULL;
            unsigned n = forbidden_in_pairs(sizes[i], n_batch, &what);
            if (n != 0)
                fail_msg("%zu bytes, batches of %u: %u forbidden instructions, the first %s", sizes[i],
                         n_batch, n, what);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_steady_state_takes_no_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
