#include "harness/bench.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "harness/units.h"

#define ROOT_MARK "workloads/workload.h"

static void cut_last(char *path) {
    char *slash = strrchr(path, '/');
    if (slash != NULL)
        *slash = '\0';
}

/* HEAPDYNO_ROOT, or the first folder upward from the program that is the source tree. */
static void find_root(struct bench *b) {
    char mark[PATH_MAX + 32];
    const char *given = getenv("HEAPDYNO_ROOT");
    snprintf(b->root, sizeof b->root, "%s", given != NULL ? given : b->build_dir);
    while (given == NULL && b->root[0] != '\0') {
        snprintf(mark, sizeof mark, "%s/" ROOT_MARK, b->root);
        if (access(mark, R_OK) == 0)
            return;
        cut_last(b->root);
    }
}

static int take_signals(struct bench *b, struct problem *p) {
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGHUP);
    signal(SIGINT, SIG_DFL); /* a shell ignores them for its background jobs: signalfd would see nothing */
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_IGN); /* run-bench | head: the rows and the summary are made all the same */
    signal(SIGXFSZ, SIG_IGN); /* a size limit is an error of write, which names the file */
    if (sigprocmask(SIG_BLOCK, &stop, NULL) != 0 ||
        (b->stop_fd = signalfd(-1, &stop, SFD_NONBLOCK | SFD_CLOEXEC)) < 0)
        return problem_set(p, errno, "cannot take over signals: %s", strerror(errno));
    return 0;
}

int bench_open(struct bench *b, const struct options *o, const struct topology *t, struct problem *p) {
    *b = (struct bench){.options = o, .topology = t, .stop_fd = -1};
    ssize_t n = readlink("/proc/self/exe", b->build_dir, sizeof b->build_dir - 1);
    if (n < 0)
        return problem_set(p, errno, "cannot find this program's own folder: %s", strerror(errno));
    b->build_dir[n] = '\0';
    cut_last(b->build_dir);
    if ((size_t)snprintf(b->cell_path, sizeof b->cell_path, "%s/cell", b->build_dir) >= sizeof b->cell_path ||
        strlen(b->build_dir) >= ALLOCATOR_PATH_MAX)
        return problem_set(p, ENAMETOOLONG, "the path of the build folder %s is too long", b->build_dir);
    if (access(b->cell_path, X_OK) != 0)
        return problem_set(p, errno, "cannot execute %s: %s; run make first", b->cell_path, strerror(errno));
    find_root(b);
    return take_signals(b, p);
}

void bench_close(struct bench *b) {
    if (b->stop_fd >= 0)
        close(b->stop_fd);
    b->stop_fd = -1;
    free(b->digests);
    b->digests = NULL;
    b->n_digests = 0;
}

bool bench_is_stopped(const struct bench *b) {
    struct pollfd stop = {.fd = b->stop_fd, .events = POLLIN};
    return poll(&stop, 1, 0) > 0;
}

static bool is_same_file(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* The entry for a path, a new one if there is none. NULL when out of memory. */
static struct library_digest *find_digest(struct bench *b, const char *path) {
    for (size_t i = 0; i < b->n_digests; i++) {
        if (strcmp(b->digests[i].path, path) == 0)
            return &b->digests[i];
    }
    struct library_digest *grown = realloc(b->digests, (b->n_digests + 1) * sizeof *grown);
    if (grown == NULL)
        return NULL;
    b->digests = grown;
    struct library_digest *one = &grown[b->n_digests++];
    *one = (struct library_digest){0};
    snprintf(one->path, sizeof one->path, "%s", path);
    return one;
}

const char *bench_library_sha256(struct bench *b, const char *path) {
    struct stat now;
    struct library_digest *one = find_digest(b, path);
    if (one == NULL || stat(path, &now) != 0)
        return "";
    if (one->sha256[0] != '\0' && is_same_file(&one->stat, &now))
        return one->sha256;
    one->stat = now;
    if (digest_file(path, one->sha256) != 0)
        one->sha256[0] = '\0';
    return one->sha256;
}

static uint64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * UNITS_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t bench_now_ns(void) {
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t bench_unix_now_ns(void) {
    return clock_ns(CLOCK_REALTIME);
}
