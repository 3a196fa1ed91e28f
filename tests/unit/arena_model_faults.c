/*
 * System calls that fail, by the link seam os_sys_*: mmap failing at its n-th call, for every n of a random program,
 * once or from then on; munmap, madvise and mremap refusing now and then or always. Nothing crashes, no content
 * changes, calloc stays zero, what fails says ENOMEM, and all is well again afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fuzz/heap_ops.h"

#define ARENA_PREFIXED 1
#include "allocators/arena/shim.h"

#define MAX_LIVE_BYTES ((size_t)24 << 20)
#define N_OPS 2500
#define NEVER UINT64_MAX

/* So many that each new thread needs an arena of its own to be made. */
extern const char *malloc_conf;
const char *malloc_conf = "narenas:1000";

/* Which calls fail: those from `first` on, `n` of them, and of these only each `every`-th. */
struct fault {
    _Atomic uint64_t n_calls;
    uint64_t first, n, every;
    int error;
};

static struct fault mmap_fault, munmap_fault, madvise_fault, mremap_fault;

/* A mremap that fails leaves its target unmapped; foreign: another thread has mapped a page there since. */
static bool mremap_unmaps_target, mremap_lets_foreign_in;
static char *foreign;

void *__real_os_sys_mmap(void *hint, size_t bytes, int prot, int flags);
int __real_os_sys_munmap(void *addr, size_t bytes);
int __real_os_sys_madvise(void *addr, size_t bytes, int advice);
void *__real_os_sys_mremap(void *addr, size_t old_bytes, size_t new_bytes, int flags, void *target);
void *__wrap_os_sys_mmap(void *hint, size_t bytes, int prot, int flags);
int __wrap_os_sys_munmap(void *addr, size_t bytes);
int __wrap_os_sys_madvise(void *addr, size_t bytes, int advice);
void *__wrap_os_sys_mremap(void *addr, size_t old_bytes, size_t new_bytes, int flags, void *target);

static bool fault_due(struct fault *f) {
    uint64_t call = atomic_fetch_add(&f->n_calls, 1);
    if (call < f->first || call - f->first >= f->n || (call - f->first) % f->every != 0)
        return false;
    errno = f->error;
    return true;
}

void *__wrap_os_sys_mmap(void *hint, size_t bytes, int prot, int flags) {
    return fault_due(&mmap_fault) ? MAP_FAILED : __real_os_sys_mmap(hint, bytes, prot, flags);
}

int __wrap_os_sys_munmap(void *addr, size_t bytes) {
    return fault_due(&munmap_fault) ? -1 : __real_os_sys_munmap(addr, bytes);
}

int __wrap_os_sys_madvise(void *addr, size_t bytes, int advice) {
    return fault_due(&madvise_fault) ? -1 : __real_os_sys_madvise(addr, bytes, advice);
}

void *__wrap_os_sys_mremap(void *addr, size_t old_bytes, size_t new_bytes, int flags, void *target) {
    if (!fault_due(&mremap_fault))
        return __real_os_sys_mremap(addr, old_bytes, new_bytes, flags, target);
    if (mremap_unmaps_target)
        munmap(target, new_bytes);
    if (mremap_lets_foreign_in) {
        foreign = mmap((char *)target + new_bytes / 2, 4096, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        memset(foreign, 0x6f, 4096);
    }
    errno = mremap_fault.error;
    return MAP_FAILED;
}

static void set_fault(struct fault *f, uint64_t first, uint64_t n, uint64_t every, int error) {
    atomic_store(&f->n_calls, 0);
    f->first = first;
    f->n = n;
    f->every = every;
    f->error = error;
}

static void clear_faults(void) {
    set_fault(&mmap_fault, NEVER, 0, 1, 0);
    set_fault(&munmap_fault, NEVER, 0, 1, 0);
    set_fault(&madvise_fault, NEVER, 0, 1, 0);
    set_fault(&mremap_fault, NEVER, 0, 1, 0);
}

static struct heap_ops ops;

/* In a child, whose allocator has not been used: the program under the faults, then, without, a second one. Exit 0: all
 * held; the number of mmap calls of the first comes back through a pipe. */
static void child_main(uint64_t seed, int fd) {
    heap_ops_init(&ops, &heap_calls_arena, seed << 32, MAX_LIVE_BYTES);
    ops.may_fail = true;
    heap_ops_run_random(&ops, seed << 32, N_OPS);
    uint64_t n_calls = atomic_load(&mmap_fault.n_calls);
    if (write(fd, &n_calls, sizeof n_calls) != sizeof n_calls)
        _exit(3);
    clear_faults();
    ops.may_fail = false;
    heap_ops_run_random(&ops, (seed + 1) << 32, N_OPS / 4);
    if (heap_ops_finish(&ops) == NULL)
        _exit(0);
    dprintf(STDERR_FILENO, "%s (size %zu)\n", ops.error, ops.error_at);
    _exit(1);
}

static uint64_t run_child(uint64_t seed, const char *what, uint64_t n) {
    int fds[2], status = 0;
    uint64_t n_calls = 0;
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        child_main(seed, fds[1]);
    close(fds[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("%s at call %lu, seed %lu: wait status %#x", what, n, seed, status);
    assert_int_equal(read(fds[0], &n_calls, sizeof n_calls), sizeof n_calls);
    close(fds[0]);
    return n_calls;
}

/* Every n would be one process for each of its calls; the short form takes all of the first ones, then each seventh. */
static uint64_t next_n(uint64_t n) {
    return getenv("HEAPDYNO_LONG") != NULL || n < 24 ? n + 1 : n + 7;
}

static void mmap_may_fail_once_at_any_call(void **state) {
    (void)state;
    clear_faults();
    uint64_t n_calls = run_child(1, "nothing failing", 0);
    assert_in_range(n_calls, 20, 100000); /* some 27: the program does reach the system in many places */
    for (uint64_t n = 0; n < n_calls; n = next_n(n)) {
        clear_faults();
        set_fault(&mmap_fault, n, 1, 1, ENOMEM);
        run_child(1, "mmap failing once", n);
    }
}

static void mmap_may_fail_from_any_call_on(void **state) {
    (void)state;
    clear_faults();
    uint64_t n_calls = run_child(2, "nothing failing", 0);
    for (uint64_t n = 0; n < n_calls; n = next_n(n)) {
        clear_faults();
        set_fault(&mmap_fault, n, NEVER, 1, ENOMEM);
        run_child(2, "mmap failing from there on", n);
    }
}

static void the_other_calls_may_fail(void **state) {
    (void)state;
    struct fault *const faults[] = {&munmap_fault, &madvise_fault, &mremap_fault};
    const char *const names[] = {"munmap", "madvise", "mremap"};
    for (uint64_t i = 0; i < 7; i++)
        for (uint64_t every = 1; every <= 3; every++) {
            clear_faults();
            for (unsigned f = 0; f < 3; f++)
                if (i == f || i >= 3)
                    set_fault(faults[f], i, NEVER, every + (i >= 3 ? f : 0), f == 1 ? EINVAL : ENOMEM);
            run_child(10 + i, i < 3 ? names[i] : "all but mmap", every);
        }
}

static void everything_may_fail_now_and_then(void **state) {
    (void)state;
    for (uint64_t every = 2; every < 8; every++) {
        clear_faults();
        set_fault(&mmap_fault, 3, NEVER, every, ENOMEM);
        set_fault(&munmap_fault, 1, NEVER, every / 2, ENOMEM);
        set_fault(&madvise_fault, 1, NEVER, every - 1, EINVAL);
        set_fault(&mremap_fault, 1, NEVER, 2, ENOMEM);
        run_child(20 + every, "everything", every);
    }
}

/* A thread that has never allocated gets a block to free when there is no memory even for an arena. */
static void *free_it(void *block) {
    arena_free(block);
    return arena_malloc(64);
}

static void new_threads_live_without_memory(void **state) {
    (void)state;
    const size_t sizes[] = {24, 3000, 40000, 3000000};
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (unsigned t = 0; t < 80; t++) {
            clear_faults();
            void *block = arena_malloc(sizes[i]), *result = NULL;
            pthread_t thread;
            assert_non_null(block);
            set_fault(&mmap_fault, 0, NEVER, 1, ENOMEM);
            assert_int_equal(pthread_create(&thread, NULL, free_it, block), 0);
            assert_int_equal(pthread_join(thread, &result), 0);
            clear_faults();
            arena_free(result);
        }
    }
}

#define GROWN_BYTES ((size_t)40 << 20)

/* Grows a block whose pages cannot be moved, and checks what it and the foreign page hold afterwards. */
static void grow_without_moving(void) {
    const size_t size = (size_t)4 << 20;
    char *block = arena_malloc(size), *fence = arena_malloc(size);
    memset(block, 0x5c, size);
    uint64_t n_before = atomic_load(&mremap_fault.n_calls);
    /* Where the next page is taken, it cannot grow in place. */
    char *beyond =
        mmap(block + size, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    block = arena_realloc(block, GROWN_BYTES);
    assert_non_null(block);
    assert_int_equal(atomic_load(&mremap_fault.n_calls), n_before + 1);
    for (size_t i = 0; i < size; i += 64)
        assert_int_equal(block[i], 0x5c);
    for (size_t i = 0; foreign != NULL && i < 4096; i++)
        assert_int_equal(foreign[i], 0x6f);
    memset(block, 1, GROWN_BYTES);
    arena_free(block);
    arena_free(fence);
    if (beyond != MAP_FAILED)
        munmap(beyond, 4096);
}

static void a_failed_move_leaves_alone_what_others_mapped(void **state) {
    (void)state;
#if defined(ARENA_HARDENED)
    skip(); /* a block is never moved there: its guard has to be written anew */
#endif
    clear_faults();
    set_fault(&mremap_fault, 0, NEVER, 1, ENOMEM);
    mremap_unmaps_target = true;
    for (int i = 0; i < 20; i++)
        grow_without_moving(); /* the whole target is free: nothing is lost, and moving is tried again */
    mremap_lets_foreign_in = true;
    grow_without_moving();
    arena_malloc_trim(0);
    for (size_t i = 0; i < 4096; i++)
        assert_int_equal(foreign[i], 0x6f);
    mremap_unmaps_target = mremap_lets_foreign_in = false;
    clear_faults();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mmap_may_fail_once_at_any_call),
        cmocka_unit_test(mmap_may_fail_from_any_call_on),
        cmocka_unit_test(the_other_calls_may_fail),
        cmocka_unit_test(everything_may_fail_now_and_then),
        cmocka_unit_test(new_threads_live_without_memory),
        cmocka_unit_test(a_failed_move_leaves_alone_what_others_mapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
