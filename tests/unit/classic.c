#include "tests/unit/classic.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fuzz/heap_ops.h"

#define N_THREADS 4
#define MAX_LIVE_BYTES ((size_t)24 << 20)
#define N_SLICES 16
#define SLICE_OPS 500

static const struct heap_calls calls = {
    .malloc = biglock_malloc,
    .free = biglock_free,
    .calloc = biglock_calloc,
    .realloc = biglock_realloc,
    .reallocarray = biglock_reallocarray,
    .usable_size = biglock_malloc_usable_size,
    .aligned_alloc = biglock_aligned_alloc,
    .memalign = biglock_memalign,
    .valloc = biglock_valloc,
    .pvalloc = biglock_pvalloc,
    .posix_memalign = biglock_posix_memalign,
};

static struct heap_ops thread_ops[N_THREADS];

void assert_sound(void) {
    const char *fault = biglock_check();
    if (fault != NULL)
        fail_msg("heap: %s", fault);
}

static void assert_holds(const char *error, uint64_t seed) {
    if (error != NULL)
        fail_msg("seed %lu: %s", seed, error);
}

void random_programs_agree_with_the_model(void **state) {
    struct heap_ops *ops = &thread_ops[0];
    int64_t before_bytes = biglock_allocated_bytes();
    uint64_t n_seeds = getenv("HEAPDYNO_LONG") != NULL ? 60 : 6;
    (void)state;
    for (uint64_t seed = 1; seed <= n_seeds; seed++) {
        heap_ops_init(ops, &calls, seed << 32, MAX_LIVE_BYTES);
        for (uint64_t slice = 0; slice < N_SLICES && ops->error == NULL; slice++) {
            heap_ops_run_random(ops, (seed << 32) + slice * SLICE_OPS, SLICE_OPS);
            assert_sound();
        }
        assert_holds(heap_ops_finish(ops), seed);
        assert_sound();
        assert_int_equal(biglock_allocated_bytes(), before_bytes);
    }
}

static void *run_ops(void *arg) {
    struct heap_ops *ops = arg;
    heap_ops_run_random(ops, ops->next_seed << 8, 6000);
    return NULL;
}

void threads_that_pass_blocks_on_agree_with_the_model(void **state) {
    struct heap_exchange exchange = {.lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[N_THREADS];
    (void)state;
    for (uint64_t i = 0; i < N_THREADS; i++) {
        heap_ops_init(&thread_ops[i], &calls, (i + 1) << 40, MAX_LIVE_BYTES / N_THREADS);
        thread_ops[i].exchange = &exchange;
        assert_int_equal(pthread_create(&threads[i], NULL, run_ops, &thread_ops[i]), 0);
    }
    for (unsigned i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_sound();
    for (unsigned i = 0; i < N_THREADS; i++)
        assert_holds(heap_ops_finish(&thread_ops[i]), i);
    assert_holds(heap_exchange_finish(&exchange, &calls), 0);
    assert_sound();
}

/* Every size up to two pages at once, each written in all of its usable bytes. */
void blocks_are_aligned_and_apart(void **state) {
    enum { N = 8200 };
    static unsigned char *blocks[N];
    (void)state;
    for (size_t i = 0; i < N; i++) {
        blocks[i] = biglock_malloc(i);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        assert_true(biglock_malloc_usable_size(blocks[i]) >= i);
        memset(blocks[i], (int)(i % 251), biglock_malloc_usable_size(blocks[i]));
    }
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < i; k++)
            if (blocks[i][k] != i % 251)
                fail_msg("byte %zu of a block of %zu bytes changed", k, i);
    for (size_t i = 0; i < N; i++)
        biglock_free(blocks[i * 3581 % N]); /* 3581 has no factor in common with N: each once */
    assert_sound();
}

void empty_blocks_are_blocks(void **state) {
    (void)state;
    void *a = biglock_malloc(0), *b = biglock_calloc(0, 5), *c = biglock_realloc(NULL, 0);
    assert_true(a != NULL && b != NULL && c != NULL && a != b && b != c && a != c);
    assert_null(biglock_realloc(a, 0)); /* frees */
    biglock_free(b);
    biglock_free(c);
    biglock_free(NULL);
    assert_int_equal(biglock_malloc_usable_size(NULL), 0);
    assert_sound();
}

static void assert_enomem(void *block) {
    assert_null(block);
    assert_int_equal(errno, ENOMEM);
    errno = 0;
}

void errno_tells_what_failed(void **state) {
    void *out = &out;
    (void)state;
    errno = 0;
    assert_enomem(biglock_malloc(PTRDIFF_MAX));
    assert_enomem(biglock_malloc(SIZE_MAX));
    assert_enomem(biglock_calloc(SIZE_MAX / 2, 3));
    assert_enomem(biglock_reallocarray(NULL, SIZE_MAX / 2, 3));
    assert_enomem(biglock_memalign(64, SIZE_MAX - 10));
    assert_enomem(biglock_memalign((size_t)1 << 62, 1 << 20));
    assert_enomem(biglock_pvalloc(SIZE_MAX));
    unsigned char *kept = biglock_malloc(100);
    memset(kept, 7, 100);
    assert_enomem(biglock_realloc(kept, SIZE_MAX / 2 - 4096));
    assert_enomem(biglock_reallocarray(kept, SIZE_MAX, SIZE_MAX));
    assert_true(kept[0] == 7 && kept[99] == 7);
    assert_null(biglock_aligned_alloc(48, 96));
    assert_int_equal(errno, EINVAL);
    errno = 17;
    assert_int_equal(biglock_posix_memalign(&out, 4, 8), EINVAL);
    assert_int_equal(biglock_posix_memalign(&out, 48, 8), EINVAL);
    assert_int_equal(biglock_posix_memalign(&out, 64, SIZE_MAX), ENOMEM);
    assert_ptr_equal(out, &out);
    biglock_free(kept);
    assert_int_equal(errno, 17);
    assert_sound();
}

void alignments_hold(void **state) {
    (void)state;
    for (unsigned lg = 0; lg <= 23; lg++)
        for (size_t size = 0; size < 600000; size = size * 3 + 1) {
            size_t align = (size_t)1 << lg;
            unsigned char *a = biglock_memalign(align, size), *b = biglock_aligned_alloc(align, size);
            assert_true(a != NULL && b != NULL);
            assert_int_equal((uintptr_t)a % align, 0);
            assert_int_equal((uintptr_t)b % align, 0);
            assert_true(biglock_malloc_usable_size(a) >= size);
            memset(a, 1, size);
            memset(b, 2, size);
            a = biglock_realloc(a, size + 1000);
            assert_true(a != NULL && (size == 0 || (a[0] == 1 && a[size - 1] == 1)));
            biglock_free(a);
            biglock_free(b);
        }
    assert_sound();
}

void live_bytes_are_counted(void **state) {
    static const size_t sizes[] = {1, 500, 3000, 70000, 400000};
    void *blocks[5];
    size_t usable_bytes = 0;
    int64_t before_bytes = biglock_allocated_bytes();
    (void)state;
    for (int i = 0; i < 5; i++) {
        blocks[i] = biglock_malloc(sizes[i]);
        blocks[i] = biglock_realloc(blocks[i], sizes[i] * 2);
        usable_bytes += biglock_malloc_usable_size(blocks[i]);
    }
    assert_int_equal(biglock_allocated_bytes() - before_bytes, usable_bytes);
    for (int i = 0; i < 5; i++)
        biglock_free(blocks[i]);
    assert_int_equal(biglock_allocated_bytes(), before_bytes);
}

static size_t mapped_pages(void) {
    char text[64] = "";
    int fd = open("/proc/self/statm", O_RDONLY);
    assert_true(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
    close(fd);
    return strtoul(text, NULL, 10);
}

/* 60 MB of small blocks, freed in disorder: all but a few MB are gone again. */
void memory_goes_back(void **state) {
    enum { N = 60000 };
    static void *blocks[N];
    (void)state;
    size_t before = mapped_pages();
    for (size_t i = 0; i < N; i++)
        assert_non_null(blocks[i] = biglock_malloc(1000));
    assert_true(mapped_pages() - before > 40000000 / 4096);
    for (size_t i = 0; i < N; i++)
        biglock_free(blocks[i * 7919 % N]); /* each once: 7919 is prime */
    assert_true(mapped_pages() < before + 8000000 / 4096);
    assert_sound();
}

static void free_twice(void) {
    void *block = biglock_malloc(100), *wall = biglock_malloc(100);
    biglock_free(block);
    biglock_free(block);
    biglock_free(wall);
}

static void free_inside(void) {
    unsigned char *block = biglock_malloc(100);
    biglock_free(memset(block, 0, 100) == block ? block + 8 : NULL);
}

static void realloc_freed(void) {
    void *block = biglock_malloc(100), *wall = biglock_malloc(100);
    biglock_free(block);
    biglock_free(biglock_realloc(block, 200));
    biglock_free(wall);
}

void corruption_ends_the_process(void **state) {
    void (*const faults[])(void) = {free_twice, free_inside, realloc_freed};
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            signal(SIGABRT, SIG_DFL);
            close(STDERR_FILENO);
            faults[i]();
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

static _Atomic bool is_over;

static void *allocate_until_over(void *arg) {
    while (!is_over) {
        void *a = biglock_malloc(100), *b = biglock_malloc(5000);
        biglock_free(a);
        biglock_free(biglock_realloc(b, 20000));
    }
    return arg;
}

/* Forked while others are in the middle of something. */
void a_child_inherits_a_whole_heap(void **state) {
    pthread_t threads[2];
    int status = 0;
    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, allocate_until_over, NULL), 0);
    for (int i = 0; i < 30 && status == 0; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(60);
            void *block = biglock_malloc(300000), *small = biglock_calloc(3, 5);
            biglock_free(block);
            biglock_free(small);
            _exit(block == NULL || small == NULL || biglock_check() != NULL);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
    }
    is_over = true;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    is_over = false;
    assert_int_equal(status, 0);
}
