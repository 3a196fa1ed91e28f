/*
 * Misuse that the default build promises to find, at the call or when the thread's cache is flushed: each kind, for
 * small, large and huge blocks, in a child that must end by SIGABRT after exactly the message promised.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARENA_PREFIXED 1
#include "allocators/arena/arena.h"
#include "allocators/arena/shim.h"

#define SMALL 100
#define MEDIUM 5000
#define LARGE 40000
#define EXACT 180000 /* past the caches, known by its first page only */
#define HUGE_BYTES 3000000
#define EXIT_UNNOTICED 55
#if defined(ARENA_HARDENED)
#define IS_HARDENED 1
#else
#define IS_HARDENED 0
#endif

static const size_t sizes[] = {1, SMALL, MEDIUM, 14320, LARGE, EXACT, HUGE_BYTES};
#define N_SIZES (sizeof sizes / sizeof sizes[0])

/* What a case frees wrongly; the message must name this address. */
static void *volatile wrong;

static void flush(void) {
    arena_mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
}

static char *block_of(size_t size) {
    char *block = arena_malloc(size);
    if (block == NULL)
        _exit(1);
    return block;
}

/* Runs a case in a child; its standard error comes back in text. The wait status. */
static int run_case(void (*act)(size_t), size_t size, char *text, size_t text_size, void **address) {
    int fds[2], status = 0;
    void **shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGABRT, SIG_DFL);
        dup2(fds[1], STDERR_FILENO);
        wrong = block_of(size);
        *shared = wrong;
        act(size);
        flush();
        _exit(EXIT_UNNOTICED);
    }
    close(fds[1]);
    size_t n = 0;
    for (ssize_t got; n + 1 < text_size && (got = read(fds[0], text + n, text_size - 1 - n)) > 0;)
        n += (size_t)got;
    text[n] = '\0';
    close(fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    *address = *shared;
    munmap(shared, 4096);
    return status;
}

/* The line must be "arena: MESSAGE 0xADDRESS"; the address is that of the block, offset bytes on, or anything. */
#define ANY_ADDRESS (-1)
static void assert_aborts(const char *name, void (*act)(size_t), size_t size, const char *message,
                          long offset) {
    char text[512], expected[512];
    void *address;
    int status = run_case(act, size, text, sizeof text, &address);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
        fail_msg("%s, %zu bytes: status %#x instead of SIGABRT, it wrote: %s", name, size, status, text);
    snprintf(expected, sizeof expected, "arena: %s 0x%lx\n", message,
             (unsigned long)address + (size_t)offset);
    if (offset == ANY_ADDRESS)
        snprintf(expected, sizeof expected, "arena: %s", message);
    if (offset == ANY_ADDRESS ? strncmp(text, expected, strlen(expected)) != 0 : strcmp(text, expected) != 0)
        fail_msg("%s, %zu bytes: it wrote %s instead of %s", name, size, text, expected);
}

/* What is said of a block that has no class. */
static const char *if_class(size_t size, const char *message) {
    return size == EXACT ? "double or wild free of" : message;
}

static void free_twice(size_t size) {
    (void)size;
    arena_free(wrong);
    arena_free(wrong);
}

static void double_free_at_once(void **state) {
    (void)state;
    for (size_t i = 0; i < N_SIZES; i++)
        assert_aborts("double free at once", free_twice, sizes[i], if_class(sizes[i], "double free of"), 0);
}

static void free_with_others_between(size_t size) {
    char *others[6];
    for (int i = 0; i < 6; i++)
        others[i] = block_of(size);
    arena_free(wrong);
    for (int i = 0; i < 6; i++)
        arena_free(others[i]);
    arena_free(wrong);
}

static void double_free_found_at_the_flush(void **state) {
    (void)state;
    for (size_t i = 0; i < N_SIZES; i++)
        /* An exact block is in no cache: the page map tells at the call that nothing begins there. */
        assert_aborts("double free", free_with_others_between, sizes[i],
                      sizes[i] == EXACT ? "double or wild free of" : "double free of", 0);
}

static void free_flush_free(size_t size) {
    (void)size;
    arena_free(wrong);
    flush();
    arena_free(wrong);
}

static void double_free_across_a_flush(void **state) {
    (void)state;
    for (size_t i = 0; i < N_SIZES; i++)
        /* The first free has reached the page map, but for a block that stays in its run or in the cache of huge ones. */
        assert_aborts("double free across a flush", free_flush_free, sizes[i],
                      sizes[i] == LARGE || sizes[i] == EXACT ? "double or wild free of" : "double free of",
                      0);
}

static void *call(void *act) {
    (*(void (**)(size_t))act)(0);
    flush();
    return NULL;
}

static void in_a_thread(void (*act)(size_t)) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, call, &act) != 0 || pthread_join(thread, NULL) != 0)
        _exit(1);
}

static void *others_block[6];

static void free_around_others(size_t size) {
    (void)size;
    arena_free(wrong);
    for (int i = 0; i < 6; i++)
        arena_free(others_block[i]);
    arena_free(wrong);
}

/* All are of this thread's arena, so the other one sends them back in one batch. */
static void double_free_in_a_remote_batch(size_t size) {
    for (int i = 0; i < 6; i++)
        others_block[i] = block_of(size);
    in_a_thread(free_around_others);
    arena_mallctl("arena.0.purge", NULL, NULL, NULL, 0);
}

static void free_wrong(size_t size) {
    (void)size;
    arena_free(wrong);
}

static void free_here_and_there(size_t size) {
    (void)size;
    in_a_thread(free_wrong);
    arena_free(wrong);
    flush();
    arena_mallctl("arena.0.purge", NULL, NULL, NULL, 0);
}

static void free_there_twice(size_t size) {
    (void)size;
    in_a_thread(free_wrong);
    in_a_thread(free_wrong);
    arena_mallctl("arena.0.purge", NULL, NULL, NULL, 0);
}

static void double_free_by_other_threads(void **state) {
    (void)state;
    for (size_t i = 0; i < N_SIZES; i++) {
        /* Larger ones go in several batches: the list then has a cycle, of which another block may be named, or the
         * first free has reached the page map. */
        bool is_one_batch = sizes[i] <= SMALL;
        assert_aborts("by another", double_free_in_a_remote_batch, sizes[i],
                      is_one_batch ? "double free of" : "double ", is_one_batch ? 0 : ANY_ADDRESS);
        assert_aborts("here and there", free_here_and_there, sizes[i], if_class(sizes[i], "double free of"),
                      0);
        assert_aborts("by two threads", free_there_twice, sizes[i], if_class(sizes[i], "double free of"), 0);
    }
}

static void begin_fork(size_t size) {
    (void)size;
    arena_fork_prepare();
}

static void free_again_in_a_fork(size_t size) {
    (void)size;
    arena_free(wrong);
    in_a_thread(begin_fork);
    arena_free(wrong);
}

static void shrink_and_free_twice_in_a_fork(size_t size) {
    wrong = arena_realloc(wrong, size / 2);
    in_a_thread(begin_fork);
    arena_free(wrong);
    arena_free(wrong);
}

/* Of the blocks whose frees then do without a lock. */
static void double_free_while_another_thread_forks(void **state) {
    (void)state;
    assert_aborts("cached", free_again_in_a_fork, HUGE_BYTES, "double free of", 0);
    if (!IS_HARDENED) /* which moves what is resized */
        assert_aborts("with a tail", shrink_and_free_twice_in_a_fork, HUGE_BYTES, "double free of", 0);
}

/* What the one who gets the block a second time writes to its beginning. */
static unsigned long first_word;

/* Freed by another thread and by this one, handed out once more before the first free has arrived, and written to. Of a
 * large block the drain finds its link damaged. A small one carries none, so nothing is damaged; its free is the one
 * too many. */
static void free_there_and_here_and_write(size_t size) {
    unsigned long *again;
    others_block[0] = block_of(size); /* so that the run stays */
    in_a_thread(free_wrong);
    arena_free(wrong);
    again = (void *)block_of(size);
    *again = first_word;
    arena_mallctl("arena.0.purge", NULL, NULL, NULL, 0);
    arena_free(again);
}

static void double_free_of_a_block_that_is_in_use_again(void **state) {
    (void)state;
    void *live = arena_malloc(SMALL);
    const unsigned long words[] = {0, 0x4141414141414141, (unsigned long)live, 4096};
    for (size_t i = 0; i < N_SIZES; i++)
        for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
            bool is_at_call = IS_HARDENED || sizes[i] == HUGE_BYTES;
            const char *message = sizes[i] == EXACT                 ? "double or wild free of"
                                  : is_at_call || sizes[i] <= 14336 ? "double free of"
                                                                    : "double free or write after free of";
            first_word = words[w];
            assert_aborts("in use again", free_there_and_here_and_write, sizes[i], message, 0);
        }
    arena_free(live);
}

/* The same, but without a write: the drain lets it pass, for what is freed twice is only that which is in use; the
 * flush of the last free finds it. */
static void free_there_and_here_and_again(size_t size) {
    others_block[0] = block_of(size); /* so that the chunk stays */
    in_a_thread(free_wrong);
    arena_free(wrong);
    void *again = block_of(size);
    arena_mallctl("arena.0.purge", NULL, NULL, NULL, 0);
    arena_free(again);
}

static void double_free_of_a_block_that_is_freed_again(void **state) {
    (void)state;
    for (size_t i = 0; i + 2 < N_SIZES; i++)
        assert_aborts("freed again", free_there_and_here_and_again, sizes[i], "double ", ANY_ADDRESS);
}

static void free_inside_by_16(size_t size) {
    (void)size;
    arena_free((char *)wrong + 16);
}

static void free_inside_by_1(size_t size) {
    (void)size;
    arena_free((char *)wrong + 1);
}

static void free_inside_by_a_page(size_t size) {
    (void)size;
    arena_free((char *)wrong + 4096);
}

static void interior_frees(void **state) {
    (void)state;
    for (size_t i = 1; i < N_SIZES; i++) {
        assert_aborts("free of p+1", free_inside_by_1, sizes[i],
                      if_class(sizes[i], "free of an interior pointer"), 1);
        assert_aborts("free of p+16", free_inside_by_16, sizes[i],
                      if_class(sizes[i], "free of an interior pointer"), 16);
    }
    assert_aborts("p+4096", free_inside_by_a_page, LARGE, "double or wild free of", 4096);
    assert_aborts("p+4096", free_inside_by_a_page, HUGE_BYTES, "free of an interior pointer", 4096);
}

static void free_inside_there(size_t size) {
    (void)size;
    in_a_thread(free_inside_by_16);
}

static void interior_frees_by_other_threads(void **state) {
    (void)state;
    for (size_t i = 1; i < N_SIZES; i++)
        assert_aborts("remote p+16", free_inside_there, sizes[i],
                      if_class(sizes[i], "free of an interior pointer"), 16);
}

static char in_data[64];

static void free_static(size_t size) {
    (void)size;
    arena_free(in_data + 16);
}

static void free_stack(size_t size) {
    char on_stack[64];
    (void)size;
    arena_free(on_stack);
}

static void free_libc(size_t size) {
    arena_free(malloc(size));
}

static void free_mapped(size_t size) {
    (void)size;
    arena_free(mmap(NULL, 1 << 16, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void free_low(size_t size) {
    arena_free((void *)size); /* the size itself as an address */
}

static void free_noncanonical(size_t size) {
    arena_free((void *)(0xdead000000000000u + size));
}

static void free_code(size_t size) {
    (void)size;
    arena_free((void *)(uintptr_t)free_code);
}

static void foreign_frees(void **state) {
    (void)state;
    void (*const acts[])(size_t) = {free_static, free_stack,        free_libc, free_mapped,
                                    free_low,    free_noncanonical, free_code};
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
        for (size_t s = 0; s < N_SIZES; s++)
            assert_aborts("foreign free", acts[i], sizes[s], "free of memory that is not ours:", ANY_ADDRESS);
}

static void realloc_inside(size_t size) {
    (void)arena_realloc((char *)wrong + 4096, size);
}

static void realloc_foreign(size_t size) {
    (void)arena_realloc(in_data + 16, size);
}

static void size_of_foreign(size_t size) {
    in_data[0] = (char)arena_malloc_usable_size(in_data + size % 32);
}

static void other_entry_points_look_too(void **state) {
    (void)state;
    const char *foreign = "free of memory that is not ours:";
    assert_aborts("realloc p+4096", realloc_inside, HUGE_BYTES, "free of an interior pointer", 4096);
    assert_aborts("realloc p+4096", realloc_inside, LARGE, "double or wild free of", 4096);
    assert_aborts("realloc of foreign memory", realloc_foreign, SMALL, foreign, ANY_ADDRESS);
    assert_aborts("size of foreign memory", size_of_foreign, SMALL, foreign, ANY_ADDRESS);
}

static void free_header(size_t size) {
    (void)size;
    arena_free((void *)(((uintptr_t)wrong & ~(((uintptr_t)1 << 21) - 1)) + 64));
}

/* The base of a chunk above another one: found by masking, it would be the end of the lower one. */
static void free_base_of_a_chunk(size_t size) {
    uintptr_t mask = ((uintptr_t)1 << 21) - 1, at[64];
    for (unsigned i = 0; i < 64; i++)
        at[i] = (uintptr_t)block_of(size);
    for (unsigned i = 0; i < 64; i++)
        for (unsigned j = 0; j < 64; j++)
            if ((at[i] & ~mask) == (at[j] & ~mask) + mask + 1)
                arena_free((void *)(at[i] & ~mask));
}

static void the_allocators_own_pages_are_not_freed(void **state) {
    (void)state;
    assert_aborts("chunk header", free_header, SMALL, "double or wild free of", ANY_ADDRESS);
    assert_aborts("huge header", free_header, HUGE_BYTES, "free of an interior pointer", ANY_ADDRESS);
    assert_aborts("base of a chunk", free_base_of_a_chunk, EXACT, "double or wild free of", ANY_ADDRESS);
}

static void free_trim_free(size_t size) {
    (void)size;
    arena_free(wrong);
    arena_malloc_trim(0);
    arena_free(wrong);
}

static void freed_after_it_went_back_to_the_system(void **state) {
    (void)state;
    assert_aborts("huge, unmapped", free_trim_free, HUGE_BYTES, "free of memory that is not ours:", 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(double_free_at_once),
        cmocka_unit_test(double_free_found_at_the_flush),
        cmocka_unit_test(double_free_across_a_flush),
        cmocka_unit_test(double_free_by_other_threads),
        cmocka_unit_test(double_free_while_another_thread_forks),
        cmocka_unit_test(double_free_of_a_block_that_is_in_use_again),
        cmocka_unit_test(double_free_of_a_block_that_is_freed_again),
        cmocka_unit_test(interior_frees),
        cmocka_unit_test(interior_frees_by_other_threads),
        cmocka_unit_test(foreign_frees),
        cmocka_unit_test(other_entry_points_look_too),
        cmocka_unit_test(the_allocators_own_pages_are_not_freed),
        cmocka_unit_test(freed_after_it_went_back_to_the_system),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
