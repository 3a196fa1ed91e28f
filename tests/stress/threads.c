/*
 * Threads that come and go.
 *
 *   threads churn N     N threads, one after the other, each allocates 64 sizes and frees them; prints by how many KiB
 *                       the resident size grew after the first tenth
 *   threads exit N      N threads with destructors that allocate and free after everybody else's have run, whose blocks
 *                       are freed by other threads; libraries opened and closed meanwhile
 *   threads signals N   N milliseconds of signals from a timer and from other threads, whose handler changes nothing
 *                       but a counter, while blocks are allocated, checked and freed
 *
 * Exit code 1 if something did not hold.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define N_SIZES 64
#define N_KEYS 8

static _Atomic unsigned n_bad;

static long resident_kib(void) {
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%*d %ld", &pages) != 1)
        exit(2);
    fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void *allocate_sizes(void *arg) {
    unsigned char *blocks[N_SIZES];
    for (int i = 0; i < N_SIZES; i++) {
        size_t size = (size_t)16 << i / 6;
        blocks[i] = malloc(size + size / 6 * (size_t)(i % 6));
        if (blocks[i] == NULL)
            abort();
        memset(blocks[i], i, 16);
    }
    for (int i = 0; i < N_SIZES; i++) {
        n_bad += blocks[i][15] != i;
        free(blocks[i]);
    }
    return arg;
}

static void run_thread(void *(*body)(void *), void *arg) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, arg) != 0 || pthread_join(thread, NULL) != 0)
        abort();
}

static int churn(int n) {
    long before = 0;
    for (int i = 0; i < n; i++) {
        if (i == n / 10)
            before = resident_kib();
        run_thread(allocate_sizes, NULL);
    }
    printf("%ld\n", resident_kib() - before);
    return n_bad != 0;
}

static pthread_key_t keys[N_KEYS];
static void *_Atomic left_behind[N_KEYS];

/* Runs up to PTHREAD_DESTRUCTOR_ITERATIONS times, the last ones after the allocator's own destructor. */
static void destroy(void *value) {
    unsigned char *block = value;
    size_t key = block[0], round = block[1];
    n_bad += block[2] != 0x77;
    free(block);
    allocate_sizes(NULL);
    block = calloc(1, 100 + 5000 * key);
    free(atomic_exchange(&left_behind[key], malloc(200 << key)));
    n_bad += block == NULL || block[50] != 0;
    if (round == 3) {
        free(block);
        return;
    }
    block = realloc(block, 300);
    block[0] = (unsigned char)key;
    block[1] = (unsigned char)(round + 1);
    block[2] = 0x77;
    pthread_setspecific(keys[key], block);
}

static void *set_keys(void *arg) {
    for (unsigned char i = 0; i < N_KEYS; i++) {
        unsigned char *block = malloc(64);
        block[0] = i;
        block[1] = 0;
        block[2] = 0x77;
        pthread_setspecific(keys[i], block);
    }
    return arg;
}

static int exits(int n) {
    for (int i = 0; i < N_KEYS; i++)
        if (pthread_key_create(&keys[i], destroy) != 0)
            return 2;
    for (int i = 0; i < n; i++) {
        void *library = dlopen(i % 2 ? "libstdc++.so.6" : "libsqlite3.so.0", RTLD_NOW);
        run_thread(set_keys, NULL);
        if (library != NULL)
            dlclose(library);
    }
    for (int i = 0; i < N_KEYS; i++)
        free(left_behind[i]);
    return n_bad != 0;
}

static _Atomic unsigned n_signals;
static _Atomic int is_over;

static void on_signal(int number) {
    (void)number;
    n_signals++;
}

static void *check_blocks(void *arg) {
    while (!is_over) {
        errno = 17;
        allocate_sizes(NULL);
        void *huge = malloc(1000000);
        free(huge);
        n_bad += errno != 17;
    }
    return arg;
}

static int signals(int n_ms) {
    pthread_t threads[2];
    struct sigaction action = {.sa_handler = on_signal};
    struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
    sigaction(SIGALRM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, check_blocks, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < n_ms; i++) {
        pthread_kill(threads[i % 2], SIGUSR1);
        allocate_sizes(NULL);
        usleep(1000);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    is_over = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    printf("%u signals\n", n_signals);
    return n_bad != 0 || n_signals == 0;
}

int main(int argc, char **argv) {
    int n = argc > 2 ? atoi(argv[2]) : 0;
    if (n > 0 && strcmp(argv[1], "churn") == 0)
        return churn(n);
    if (n > 0 && strcmp(argv[1], "exit") == 0)
        return exits(n);
    if (n > 0 && strcmp(argv[1], "signals") == 0)
        return signals(n);
    return 2;
}
