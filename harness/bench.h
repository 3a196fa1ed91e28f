/*
 * What every part of a run needs: where things are, what was asked for, how to be stopped.
 * Owns: paths, the stop descriptor, the library digests. Does not know: results.
 */
#ifndef HEAPDYNO_BENCH_H
#define HEAPDYNO_BENCH_H

#include <linux/limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "harness/digest.h"
#include "harness/options.h"
#include "harness/topology.h"

/* Of a file as it was: a library rebuilt in mid-run has another time or another inode. */
struct library_digest {
    char path[ALLOCATOR_PATH_MAX];
    struct stat stat; /* st_dev, st_ino, st_size and st_mtim are compared */
    char sha256[DIGEST_HEX_BYTES];
};

struct bench {
    const struct options *options;
    const struct topology *topology;
    char build_dir[PATH_MAX]; /* this program's folder: the cell binary and in-tree libraries */
    char root[PATH_MAX];      /* of the source tree: scripts, results; empty when there is none */
    char cell_path[PATH_MAX];
    int stop_fd; /* signalfd: readable when the user wants to stop */
    struct library_digest *digests;
    size_t n_digests;
};

/* Finds the folders and takes over SIGINT, SIGTERM and SIGHUP. 0 or -errno with the reason. */
int bench_open(struct bench *b, const struct options *o, const struct topology *t, struct problem *p);
void bench_close(struct bench *b);

/* True from the first signal on. */
bool bench_is_stopped(const struct bench *b);

/* SHA-256 of a library as hex, computed anew when the file has changed; "" when it cannot be read. */
const char *bench_library_sha256(struct bench *b, const char *path);

uint64_t bench_now_ns(void);      /* monotonic */
uint64_t bench_unix_now_ns(void); /* since 1970 */

#endif
