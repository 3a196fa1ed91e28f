/*
 * Counting system calls with strace: the command that a measured process is wrapped in, and what is in the trace that
 * it leaves. Owns: that file. Does not know: cells, allocators.
 *
 * The measured process marks what counts (protocol.h, enum cell_mark). The method is described in docs/syscalls.md.
 */
#ifndef HEAPDYNO_STRACE_H
#define HEAPDYNO_STRACE_H

#include <stdint.h>
#include <stdio.h>

#include "harness/problem.h"

#define STRACE_PATH_MAX 64
#define STRACE_SLOWDOWN 20 /* by how much a deadline is stretched */

/* The names that have a column. */
enum syscall_name {
    SYSCALL_MMAP,
    SYSCALL_MUNMAP,
    SYSCALL_MREMAP,
    SYSCALL_MADVISE,
    SYSCALL_MPROTECT,
    SYSCALL_BRK,
    SYSCALL_FUTEX,
    SYSCALL_SCHED_YIELD,
    N_SYSCALL_NAMES
};

/* UINT64_MAX: not measured. */
struct syscall_counts {
    uint64_t total; /* of every name */
    uint64_t by_name[N_SYSCALL_NAMES];
};

struct strace {
    char trace[STRACE_PATH_MAX];
    char command[256]; /* words before the program's */
};

void syscall_counts_clear(struct syscall_counts *c);

/* Is there a strace that may trace? 0 or -ENOENT with the reason. */
int strace_check(struct problem *p);

/* Makes an empty trace and the command that fills it. 0 or -errno with the reason. */
int strace_open(struct strace *s, struct problem *p);

/* Removes the trace, if there is one. */
void strace_close(struct strace *s);

/* Counts what lies between the marks, after the process has ended. 0, or -EBADMSG with the reason: the marks are not
 * all there. */
int strace_read(const struct strace *s, struct syscall_counts *out, struct problem *p);

/* The same from an open file. */
int strace_parse(FILE *in, struct syscall_counts *out, struct problem *p);

#endif
