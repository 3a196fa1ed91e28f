/*
 * What the hardened and debug builds find at the call: writes past the end at free, writes after free at reuse, double
 * frees whatever lies between, sized frees with a wrong size. The default build does not promise it, so these skip there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARENA_PREFIXED 1
#include "allocators/arena/shim.h"

#define EXIT_UNNOTICED 55

static const size_t sizes[] = {1, 7, 24, 100, 1000, 5000, 40000, 180000, 3000000};
#define N_SIZES (sizeof sizes / sizeof sizes[0])

/* The case must end by SIGABRT after "arena: MESSAGE 0x..." and a newline, at the call: nothing is flushed. */
static void assert_aborts(const char *name, void (*act)(unsigned char *, size_t), size_t size,
                          const char *message) {
    char text[512] = "", expected[128];
    int fds[2], status = 0;
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGABRT, SIG_DFL);
        dup2(fds[1], STDERR_FILENO);
        unsigned char *block = arena_malloc(size);
        if (block == NULL)
            _exit(1);
        act(block, size);
        _exit(EXIT_UNNOTICED);
    }
    close(fds[1]);
    ssize_t n = read(fds[0], text, sizeof text - 1);
    close(fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
        fail_msg("%s, %zu bytes: status %#x instead of SIGABRT, it wrote: %s", name, size, status, text);
    snprintf(expected, sizeof expected, "arena: %s 0x", message);
    if (n <= 0 || strncmp(text, expected, strlen(expected)) != 0)
        fail_msg("%s, %zu bytes: it wrote %s instead of %s", name, size, text, expected);
}

static void each_size(const char *name, void (*act)(unsigned char *, size_t), const char *message) {
#if !defined(ARENA_HARDENED)
    skip();
#endif
    for (size_t i = 0; i < N_SIZES; i++)
        assert_aborts(name, act, sizes[i], message);
}

static void write_one_past(unsigned char *block, size_t size) {
    block[size] ^= 1;
    arena_free(block);
}

static void write_sixteen_past(unsigned char *block, size_t size) {
    memset(block + size, 0x41, 8);
    (void)arena_realloc(block, size * 2);
}

static void writes_past_the_end_are_found_at_free(void **state) {
    (void)state;
    each_size("one byte past", write_one_past, "write past the end of");
    each_size("eight bytes past", write_sixteen_past, "write past the end of");
}

static void free_with_one_between(unsigned char *block, size_t size) {
    void *other = arena_malloc(size);
    arena_free(block);
    arena_free(other);
    arena_free(block);
}

static void double_frees_are_found_at_the_call(void **state) {
    (void)state;
#if !defined(ARENA_HARDENED)
    skip();
#endif
    for (size_t i = 0; i < N_SIZES; i++)
        assert_aborts("double free", free_with_one_between, sizes[i],
                      sizes[i] == 180000 ? "double or wild free of" : "double free of");
}

static void write_after_free(unsigned char *block, size_t size) {
    arena_free(block);
    block[size / 2 + 8] = 1;
    for (int i = 0; i < 100; i++)
        (void)!arena_malloc(size);
}

/* Blocks of pages may have gone back to the system between. */
static void writes_after_free_are_found_at_reuse(void **state) {
    (void)state;
#if !defined(ARENA_HARDENED)
    skip();
#endif
    for (size_t i = 2; i < N_SIZES && sizes[i] <= 5000; i++)
        assert_aborts("write after free", write_after_free, sizes[i], "write after free of");
}

static void free_too_large(unsigned char *block, size_t size) {
    arena_free_sized(block, size + 1);
}

static void free_too_small(unsigned char *block, size_t size) {
    arena_free_sized(block, size > 1 ? size - 1 : 2); /* an empty block is one of one byte */
}

static void delete_wrong_size(unsigned char *block, size_t size) {
    arena_sdallocx(block, size + 100, 0);
}

static void sized_frees_must_fit(void **state) {
    (void)state;
    each_size("free_sized, one more", free_too_large, "sized free with a wrong size of");
    each_size("free_sized, one less", free_too_small, "sized free with a wrong size of");
    each_size("sdallocx", delete_wrong_size, "sized free with a wrong size of");
}

static void free_inside(unsigned char *block, size_t size) {
    (void)size;
    arena_free(block + 16);
}

static void interior_frees_are_found_at_the_call(void **state) {
    (void)state;
#if !defined(ARENA_HARDENED)
    skip();
#endif
    for (size_t i = 3; i < N_SIZES; i++)
        assert_aborts("interior", free_inside, sizes[i],
                      sizes[i] == 180000 ? "double or wild free of" : "free of an interior pointer");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_past_the_end_are_found_at_free),
        cmocka_unit_test(double_frees_are_found_at_the_call),
        cmocka_unit_test(writes_after_free_are_found_at_reuse),
        cmocka_unit_test(sized_frees_must_fit),
        cmocka_unit_test(interior_frees_are_found_at_the_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
