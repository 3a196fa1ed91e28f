/*
 * What whole programs pay for their malloc, measured by scripts/bar_programs.py.
 *
 *   bar_program start           ends at once: for its start-up time, taken from outside
 *   bar_program idle            allocates nothing; prints peak RSS in bytes
 *   bar_program bytes SIZE N    N live objects, all written; prints resident anonymous bytes an object
 *   bar_program churn N         N threads, one after the other, each allocates 64 sizes and frees them; prints
 *                               microseconds a thread
 *   bar_program retain light    allocates 256 MiB of 16 B to 64 KiB, frees all; prints RSS above the start in bytes, 0, 500,
 *                               1000, 2000 ms after the last free; meanwhile a malloc and free of 64 bytes each 10 ms
 *   bar_program retain idle     the same without any call meanwhile
 *
 * Nothing here allocates but what is measured: tables come from mmap, /proc is read by system calls.
 * Exit code 1 if something failed, 2 for a wrong command line.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define N_SIZES 64
#define RETAIN_BYTES ((size_t)256 << 20)
#define MAX_RETAINED ((size_t)1 << 17)

static _Noreturn void fail(const char *what) {
    dprintf(2, "bar_program: %s failed\n", what);
    exit(1);
}

/* The bytes that a line such as "VmHWM:   1234 kB" of a file in /proc says. */
static long read_proc_bytes(const char *path, const char *key) {
    char text[8192];
    size_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail(path);
    for (ssize_t got; (got = read(fd, text + n, sizeof text - 1 - n)) > 0;)
        n += (size_t)got;
    close(fd);
    text[n] = '\0';
    const char *line = strstr(text, key);
    if (line == NULL)
        fail(key);
    return strtol(line + strlen(key), NULL, 10) * 1024;
}

static long resident_bytes(void) {
    return read_proc_bytes("/proc/self/smaps_rollup", "\nRss:");
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void sleep_until(int64_t at_ns) {
    struct timespec t = {at_ns / 1000000000, at_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0)
        ;
}

static void *allocate(size_t size, int byte) {
    void *p = malloc(size);
    if (p == NULL)
        fail("malloc");
    return memset(p, byte, size);
}

static void measure_bytes(size_t size, size_t n) {
    long before = read_proc_bytes("/proc/self/smaps_rollup", "\nAnonymous:");
    for (size_t i = 0; i < n; i++)
        allocate(size, 1);
    long after = read_proc_bytes("/proc/self/smaps_rollup", "\nAnonymous:");
    printf("%.4f\n", (double)(after - before) / (double)n);
}

static void *allocate_sizes(void *arg) {
    unsigned char *blocks[N_SIZES];
    for (int i = 0; i < N_SIZES; i++) {
        size_t size = (size_t)16 << i / 6;
        blocks[i] = malloc(size + size / 6 * (size_t)(i % 6));
        if (blocks[i] == NULL)
            fail("malloc");
        blocks[i][0] = 1;
    }
    for (int i = 0; i < N_SIZES; i++)
        free(blocks[i]);
    return arg;
}

static void run_threads(size_t n) {
    for (size_t i = 0; i < n; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, allocate_sizes, NULL) != 0 || pthread_join(thread, NULL) != 0)
            fail("a thread");
    }
}

static void measure_churn(size_t n) {
    run_threads(n / 10 + 1); /* stacks, arenas and caches are there */
    int64_t start_ns = now_ns();
    run_threads(n);
    printf("%.3f\n", (double)(now_ns() - start_ns) / 1e3 / (double)n);
}

static uint32_t draw(uint32_t *x) {
    *x = *x * 1664525 + 1013904223;
    return *x >> 8;
}

/* As many bytes of each power of two: 12 classes from 16 to 32768, each up to its double. Freed in random order. */
static void fill_and_free(void **blocks) {
    uint32_t x = 1;
    size_t n = 0;
    for (size_t sum = 0; sum < RETAIN_BYTES && n < MAX_RETAINED; n++) {
        size_t class_bytes = (size_t)16 << draw(&x) % 12;
        size_t size = class_bytes + draw(&x) % (class_bytes + 1);
        blocks[n] = allocate(size, 1);
        sum += size;
    }
    for (; n > 0; n--) {
        size_t i = draw(&x) % n;
        free(blocks[i]);
        blocks[i] = blocks[n - 1];
    }
}

static void measure_retained(int is_idle) {
    static const int64_t after_ms[] = {0, 500, 1000, 2000};
    void **blocks = mmap(NULL, MAX_RETAINED * sizeof *blocks, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (blocks == MAP_FAILED)
        fail("mmap");
    free(malloc(64));
    long start_bytes = resident_bytes(), held_bytes[4];
    fill_and_free(blocks);
    int64_t freed_ns = now_ns();
    for (int64_t ms = 0, i = 0; i < 4; ms += 10) {
        sleep_until(freed_ns + ms * 1000000);
        if (!is_idle)
            free(malloc(64));
        if (ms == after_ms[i])
            held_bytes[i++] = resident_bytes() - start_bytes;
    }
    for (int i = 0; i < 4; i++)
        printf("%lld %ld\n", (long long)after_ms[i], held_bytes[i]);
}

static size_t positive(const char *text) {
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || value == 0) {
        dprintf(2, "bar_program: '%s': a whole number above 0 is needed\n", text);
        exit(2);
    }
    return (size_t)value;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (argc == 2 && strcmp(what, "start") == 0)
        return 0;
    if (argc == 2 && strcmp(what, "idle") == 0)
        dprintf(1, "%ld\n", read_proc_bytes("/proc/self/status", "\nVmHWM:"));
    else if (argc == 4 && strcmp(what, "bytes") == 0)
        measure_bytes(positive(argv[2]), positive(argv[3]));
    else if (argc == 3 && strcmp(what, "churn") == 0)
        measure_churn(positive(argv[2]));
    else if (argc == 3 && strcmp(what, "retain") == 0 &&
             (strcmp(argv[2], "light") == 0 || strcmp(argv[2], "idle") == 0))
        measure_retained(strcmp(argv[2], "idle") == 0);
    else {
        dprintf(2, "usage: bar_program start | idle | bytes SIZE N | churn N | retain light|idle\n");
        return 2;
    }
    return 0;
}
