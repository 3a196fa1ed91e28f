/*
 * Forks while another thread is at work in the allocator: locks that no allocation takes, the background thread,
 * statistics, and moments of a fork that chance hits rarely (tests/stress/fork_storm.c leaves them to chance). The file
 * under test is included, so that its lock can be held over the fork. Threads are stopped in os_futex_wait and
 * os_sys_mmap, which the linker wraps; so it does os_current_cpu, for threads that move.
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

void __real_os_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns);
void __wrap_os_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns);
void *__real_os_sys_mmap(void *hint, size_t bytes, int prot, int flags);
void *__wrap_os_sys_mmap(void *hint, size_t bytes, int prot, int flags);
unsigned __wrap_os_current_cpu(void);

static _Atomic int stage; /* 1: the other thread is where it is to be; 2: it may go on */

static void nap(void) {
    nanosleep(&(struct timespec){0, 2000000}, NULL);
}

static void await_stage(int wanted) {
    while (stage != wanted)
        nap();
}

/* The calling thread stops where it next sleeps on a lock, or maps a chunk. */
static _Thread_local bool stops_before_sleep, stops_in_mmap;

static void stop(bool *flag) {
    *flag = false;
    stage = 1;
    await_stage(2);
}

void __wrap_os_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns) {
    if (stops_before_sleep)
        stop(&stops_before_sleep);
    __real_os_futex_wait(word, expected, timeout_ns);
}

void *__wrap_os_sys_mmap(void *hint, size_t bytes, int prot, int flags) {
    if (stops_in_mmap && bytes >= chunk_bytes)
        stop(&stops_in_mmap);
    return __real_os_sys_mmap(hint, bytes, prot, flags);
}

/* Handlers of a library that was initialised before the allocator: they run while it is locked, and in the child before
 * it is unlocked. What a test wants of them; NULL: nothing. */
static void (*in_prepare)(void), (*in_child)(void);

static void early_prepare(void) {
    if (in_prepare != NULL)
        in_prepare();
}

static void early_child(void) {
    if (in_child != NULL) {
        alarm(30); /* for the handler; the child's check sets its own */
        in_child();
    }
}

__attribute__((constructor(101))) static void register_early(void) {
    pthread_atfork(early_prepare, NULL, early_child);
}

static void *hold_snapshot(void *arg) {
    lock_acquire(&ctl_snapshot.lock);
    stage = 1;
    await_stage(2);
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
    stage = 0;
    assert_int_equal(pthread_create(&thread, NULL, hold_snapshot, NULL), 0);
    await_stage(1);
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

static struct lock a_lock;

static void *try_lock_unless_forking(void *arg) {
    stops_before_sleep = true;
    *(bool *)arg = lock_acquire_unless_forking(&a_lock);
    return NULL;
}

/* It has seen the lock held by somebody else, but does not sleep yet, when a fork takes the lock. */
static void a_thread_on_its_way_to_sleep_does_not_miss_the_fork(void **state) {
    (void)state;
    pthread_t thread;
    bool is_acquired = true;
    stage = 0;
    lock_init(&a_lock, LOCK_BIN);
    lock_acquire(&a_lock);
    assert_int_equal(pthread_create(&thread, NULL, try_lock_unless_forking, &is_acquired), 0);
    await_stage(1);
    lock_release(&a_lock);
    lock_acquire_for_fork(&a_lock);
    stage = 2;
    alarm(30); /* it sleeps until the fork is over, which is after this */
    assert_int_equal(pthread_join(thread, NULL), 0);
    alarm(0);
    assert_false(is_acquired);
    lock_release_after_fork(&a_lock);
    assert_true(lock_try(&a_lock));
    lock_release(&a_lock);
}

/* For in_prepare: the fork goes on when the other thread has got to where it is to be. */
static void wait_for_other_thread(void) {
    stage = 0;
    await_stage(1);
}

static void *blocks[1000];

static void allocate_many(void) {
    for (int i = 0; i < 1000; i++)
        blocks[i] = arena_malloc(10000);
}

static int free_many(void) {
    for (int i = 0; i < 1000; i++) {
        if (blocks[i] == NULL)
            return 1;
        arena_free(blocks[i]);
    }
    return 0;
}

/* Stops in the arena that serves others while a fork goes on, with its locks held. */
static void *allocate_in_the_fork(void *arg) {
    arena_free(arena_malloc(100)); /* joins an arena, which the fork will hold */
    stage = 3;
    await_stage(0);
    stops_in_mmap = true;
    arena_free(arena_malloc(10000));
    return arg;
}

static void a_handler_in_the_child_allocates_whatever_others_did(void **state) {
    (void)state;
    pthread_t thread;
    arena_free(arena_malloc(100)); /* so has this thread, another one */
    assert_int_equal(pthread_create(&thread, NULL, allocate_in_the_fork, NULL), 0);
    await_stage(3);
    in_prepare = wait_for_other_thread;
    in_child = allocate_many;
    int status = status_in_child(free_many);
    in_prepare = in_child = NULL;
    stage = 2;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(status, 0);
}

static int has_an_arena_of_the_table(void) {
    return tcache_arena() == arena_peek(tcache_arena()->idx) ? 0 : 1;
}

static void *fork_first(void *arg) {
    in_prepare = allocate_many;
    *(int *)arg = status_in_child(has_an_arena_of_the_table);
    in_prepare = NULL;
    free_many();
    return NULL;
}

static void a_thread_that_first_allocates_in_its_fork_keeps_its_arena(void **state) {
    (void)state;
    pthread_t thread;
    int status = -1;
    assert_null(arena_peek(arena_n() - 1)); /* so that it could make a new one */
    assert_int_equal(pthread_create(&thread, NULL, fork_first, &status), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(status, 0);
}

static unsigned current_cpu;

unsigned __wrap_os_current_cpu(void) {
    return current_cpu;
}

static void allocate_on_another_cpu(void) {
    current_cpu = arena_n() - 1;
    allocate_many();
}

static void *fork_and_move(void *arg) {
    arena_free(arena_malloc(100));
    in_prepare = allocate_on_another_cpu;
    *(int *)arg = status_in_child(has_an_arena_of_the_table);
    in_prepare = NULL;
    return NULL;
}

static void a_thread_that_moves_in_its_fork_keeps_an_arena(void **state) {
    (void)state;
    pthread_t thread;
    int status = -1;
    assert_null(arena_peek(arena_n() - 1)); /* not held by the fork */
    conf.is_percpu_arena = true;
    assert_int_equal(pthread_create(&thread, NULL, fork_and_move, &status), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    conf.is_percpu_arena = false;
    assert_int_equal(status, 0);
    free_many();
}

static size_t count_fills(void) {
    struct stats_class sum;
    stats_sum_class(size_class_of(100), &sum);
    return sum.n_fills;
}

static void *begin_in_the_fork(void *arg) {
    await_stage(0);
    void *first = arena_malloc(100);
    stage = 1;
    await_stage(2);
    size_t n_before = count_fills();
    for (int i = 0; i < 1000; i++)
        arena_free(arena_malloc(100));
    *(size_t *)arg = count_fills() - n_before;
    arena_free(first);
    return NULL;
}

static int nothing(void) {
    return 0;
}

static void a_thread_that_first_allocates_while_another_forks_gets_a_cache(void **state) {
    (void)state;
    pthread_t thread;
    size_t n_fills = 0;
    for (unsigned i = 0; i < arena_n(); i++) /* the fork holds whichever it joins */
        assert_non_null(arena_get(i));
    stage = -1;
    assert_int_equal(pthread_create(&thread, NULL, begin_in_the_fork, &n_fills), 0);
    in_prepare = wait_for_other_thread;
    int status = status_in_child(nothing);
    in_prepare = NULL;
    stage = 2;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(status, 0);
    assert_in_range(n_fills, 1, 10);
}

static void *allocate_much_in_the_fork(void *arg) {
    arena_free(arena_malloc(100));
    stage = 3;
    await_stage(0);
    allocate_many();
    stage = 1;
    await_stage(2);
    *(int *)arg = free_many();
    return NULL;
}

static void what_was_allocated_during_a_fork_and_freed_is_given_back(void **state) {
    (void)state;
    pthread_t thread;
    int result = -1;
    assert_int_equal(pthread_create(&thread, NULL, allocate_much_in_the_fork, &result), 0);
    await_stage(3);
    in_prepare = wait_for_other_thread;
    int status = status_in_child(nothing);
    in_prepare = NULL;
    struct arena *reserve = arena_peek_reserve();
    assert_non_null(reserve);
    assert_true(reserve->n_active_pages << PAGE_LG >= 1000 * 10000);
    stage = 2;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(status, 0);
    assert_int_equal(result, 0);
    arena_set_decay(reserve, 0, 0);
    for (int i = 0; i < 5000 && (reserve->n_active_pages != 0 || arena_unused_pages(reserve) != 0); i++) {
        for (int j = 0; j < 100; j++)
            arena_free(arena_malloc(30000));
        nap();
    }
    assert_int_equal(reserve->n_active_pages, 0);
    assert_int_equal(arena_unused_pages(reserve), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics_are_read_after_a_fork_while_another_thread_did),
        cmocka_unit_test(the_background_thread_comes_back),
        cmocka_unit_test(a_thread_on_its_way_to_sleep_does_not_miss_the_fork),
        cmocka_unit_test(a_handler_in_the_child_allocates_whatever_others_did),
        cmocka_unit_test(a_thread_that_first_allocates_in_its_fork_keeps_its_arena),
        cmocka_unit_test(a_thread_that_moves_in_its_fork_keeps_an_arena),
        cmocka_unit_test(a_thread_that_first_allocates_while_another_forks_gets_a_cache),
        cmocka_unit_test(what_was_allocated_during_a_fork_and_freed_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
