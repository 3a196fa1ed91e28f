/* The folder of a run. Owns: making it, and writing whole files into it. */
#ifndef HEAPDYNO_FOLDER_H
#define HEAPDYNO_FOLDER_H

#include <linux/limits.h>
#include <stdint.h>
#include <stdio.h>

#include "harness/problem.h"

struct folder {
    char path[PATH_MAX]; /* absolute */
    int lock_fd;         /* of folder_lock; 0: not locked */
};

/* Makes `wanted` (its parents too), which must be new or empty; NULL: results/YYYYmmdd-HHMMSS (UTC) below
 * `root`, numbered when that is taken. 0 or -errno with the reason. */
int folder_create(struct folder *f, const char *wanted, const char *root, uint64_t unix_ns,
                  struct problem *p);

/* An existing one. 0 or -errno with the reason. */
int folder_open(struct folder *f, const char *path, struct problem *p);

/*
 * Claims the folder for this process until folder_unlock or its end, so that two runs never write rows into one
 * file. The lock lies on topology.xml, which every run writes once and never replaces. 0, -EBUSY when another
 * process has it, or -errno, with the reason.
 */
int folder_lock(struct folder *f, struct problem *p);
void folder_unlock(struct folder *f);

/* Joins; -ENAMETOOLONG with the reason. */
int folder_path(const struct folder *f, const char *name, char out[PATH_MAX], struct problem *p);

/* Writes a file whole: under another name first, then renamed. 0 or -errno with the reason, the file
 * named. */
int folder_write(const struct folder *f, const char *name, const char *text, size_t n, struct problem *p);

#endif
