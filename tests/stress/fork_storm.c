/*
 * Forks in a process whose other threads allocate, free, start threads and write to streams, also while they hold the
 * lock that fork itself wants: a stream whose write function allocates, flushed by fflush(NULL), which holds the list
 * of all streams. Each child checks what it inherited, allocates, frees, starts a thread and ends.
 *
 *   fork_storm N_FORKS            with all of that
 *   fork_storm N_FORKS unflushed  but for fflush(NULL): allocators that hold their lock over the whole fork
 *
 * Prints the number of children; exit code 1: a child did not end well. A deadlock does not end: run under timeout.
 */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_KEPT 200
#define N_WORKERS 3

static _Atomic bool is_over;
static _Atomic unsigned n_written;

/* One of each kind: small, large, huge, growing in place. */
static void allocate_all_kinds(unsigned seed) {
    static const size_t sizes[] = {24, 700, 9000, 60000, 400000, 3000000};
    void *blocks[6];
    for (unsigned i = 0; i < 6; i++) {
        blocks[i] = malloc(sizes[i] + seed % 16);
        if (blocks[i] == NULL)
            abort();
        memset(blocks[i], (int)seed, 24);
    }
    for (unsigned i = 0; i < 6; i++) {
        blocks[i] = realloc(blocks[i], sizes[i] * 2);
        if (blocks[i] == NULL)
            abort();
    }
    for (unsigned i = 0; i < 6; i++)
        free(blocks[i]);
}

static ssize_t cookie_write(void *cookie, const char *text, size_t n) {
    (void)cookie;
    (void)text;
    allocate_all_kinds(atomic_fetch_add(&n_written, 1));
    return (ssize_t)n;
}

/* Holds the stream's lock, then the list's. */
static void *write_streams(void *arg) {
    FILE *stream = fopencookie(arg, "w", (cookie_io_functions_t){.write = cookie_write});
    while (!is_over) {
        fprintf(stream, "%d", 17);
        fflush(NULL);
    }
    fclose(stream);
    return NULL;
}

/* A stream that grows by realloc under its lock. */
static void *write_memory(void *arg) {
    (void)arg;
    while (!is_over) {
        char *text;
        size_t n;
        FILE *stream = open_memstream(&text, &n);
        for (int i = 0; i < 3000; i++)
            fprintf(stream, "%d %s\n", i, "a line");
        fclose(stream);
        free(text);
    }
    return NULL;
}

static void *touch(void *arg) {
    allocate_all_kinds(3);
    return arg;
}

static void *work(void *arg) {
    unsigned n = 0;
    while (!is_over) {
        pthread_t thread;
        allocate_all_kinds(n++);
        if (n % 8 == 0 && pthread_create(&thread, NULL, touch, arg) == 0)
            pthread_join(thread, NULL);
    }
    return NULL;
}

static int child_main(char *const kept[N_KEPT]) {
    pthread_t thread;
    alarm(60);
    for (int i = 0; i < N_KEPT; i++) {
        for (size_t at = 0; at < (size_t)i * 40; at++)
            if (kept[i][at] != (char)i)
                return 2;
        free(kept[i]);
    }
    for (unsigned i = 0; i < 20; i++)
        allocate_all_kinds(i);
    if (pthread_create(&thread, NULL, touch, NULL) != 0 || pthread_join(thread, NULL) != 0)
        return 3;
    FILE *stream = fopen("/dev/null", "w");
    if (stream == NULL || fprintf(stream, "%d", 5) < 0 || fclose(stream) != 0)
        return 4;
    /* And a child of the child, by the other ways. */
    pid_t grandchild = vfork();
    if (grandchild == 0)
        _exit(7);
    int status;
    if (waitpid(grandchild, &status, 0) != grandchild || WEXITSTATUS(status) != 7)
        return 5;
    return 0;
}

static int fork_once(char *const kept[N_KEPT]) {
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        _exit(child_main(kept));
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    if (status != 0)
        fprintf(stderr, "fork_storm: a child ended with wait status %#x\n", (unsigned)status);
    return status;
}

int main(int argc, char **argv) {
    int n_forks = argc > 1 ? atoi(argv[1]) : 50, status = 0;
    bool is_unflushed = argc > 2 && strcmp(argv[2], "unflushed") == 0;
    pthread_t threads[N_WORKERS + 2];
    char *kept[N_KEPT];
    for (int i = 0; i < N_KEPT; i++) {
        kept[i] = malloc((size_t)i * 40 + 1);
        memset(kept[i], i, (size_t)i * 40 + 1);
    }
    pthread_create(&threads[0], NULL, is_unflushed ? work : write_streams, NULL);
    pthread_create(&threads[1], NULL, write_memory, NULL);
    for (int i = 0; i < N_WORKERS; i++)
        pthread_create(&threads[2 + i], NULL, work, NULL);
    int n = 0;
    for (; n < n_forks && status == 0; n++)
        status = fork_once(kept);
    is_over = true;
    for (int i = 0; i < N_WORKERS + 2; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < N_KEPT; i++)
        free(kept[i]);
    printf("%d children\n", n);
    return status != 0;
}
