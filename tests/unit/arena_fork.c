/*
 * What a forked child finds when another thread was at work in the allocator: locks that no allocation takes, the
 * background thread, statistics. (Allocation while a fork goes on is tested by tests/stress/fork_storm.c.) The file under
 * test is included, so that its lock can be held over the fork.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "allocators/arena/ctl.c"
#define ARENA_PREFIXED 1
#include "allocators/arena/shim.h"

static _Atomic int stage; /* 1: the lock is held; 2: it may go */

static void nap(void) {
    nanosleep(&(struct timespec){0, 2000000}, NULL);
}

static void *hold_snapshot(void *arg) {
    lock_acquire(&ctl_snapshot.lock);
    stage = 1;
    while (stage != 2)
        nap();
    lock_release(&ctl_snapshot.lock);
    return arg;
}

/* Runs the check in a forked child: 0 if it held; a deadlock ends by SIGALRM. */
static int status_in_child(int (*check)(void)) {
    int status = -1;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(30);
        _exit(check());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static int read_statistics(void) {
    uint64_t epoch = 1;
    size_t allocated = 0, n = sizeof allocated;
    void *block = arena_malloc(5000000);
    if (arena_mallctl("stats.allocated", &allocated, &n, NULL, 0) != 0 || allocated < 5000000)
        return 1;
    arena_free(block);
    if (arena_mallctl("epoch", NULL, NULL, &epoch, sizeof epoch) != 0)
        return 2;
    if (arena_mallctl("stats.allocated", &allocated, &n, NULL, 0) != 0 || allocated >= 5000000)
        return 3;
    return 0;
}

static void statistics_are_read_after_a_fork_while_another_thread_did(void **state) {
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, hold_snapshot, NULL), 0);
    while (stage != 1)
        nap();
    int status = status_in_child(read_statistics);
    stage = 2;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(status, 0);
}

/* It is started again when the child has allocated some. */
static int wait_for_background_thread(void) {
    if (background_is_running())
        return 1;
    for (int i = 0; i < 5000 && !background_is_running(); i++) {
        for (int j = 0; j < 100; j++)
            arena_free(arena_malloc(30000));
        nap();
    }
    return background_is_running() ? read_statistics() : 2;
}

static void the_background_thread_comes_back(void **state) {
    (void)state;
#if defined(__SANITIZE_THREAD__)
    skip(); /* it ends children that start threads when their parent had several */
#endif
    bool on = true, off = false, is_on = false;
    size_t n = sizeof is_on;
    assert_int_equal(arena_mallctl("background_thread", NULL, NULL, &on, sizeof on), 0);
    assert_int_equal(arena_mallctl("background_thread", &is_on, &n, NULL, 0), 0);
    assert_true(is_on);
    for (int i = 0; i < 5; i++)
        assert_int_equal(status_in_child(wait_for_background_thread), 0);
    assert_int_equal(arena_mallctl("background_thread", NULL, NULL, &off, sizeof off), 0);
    assert_false(background_is_running());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics_are_read_after_a_fork_while_another_thread_did),
        cmocka_unit_test(the_background_thread_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
