/*
 * Counting instructions with valgrind's callgrind: the command that a measured process is wrapped in, and what is in
 * the profile that it leaves. Owns: that file. Does not know: cells, allocators.
 *
 * Callgrind counts from the client request that the measured process makes before its loop to the one after it. The
 * method is described in docs/instructions.md.
 */
#ifndef HEAPDYNO_CALLGRIND_H
#define HEAPDYNO_CALLGRIND_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "harness/problem.h"

#define CALLGRIND_PATH_MAX 64
#define CALLGRIND_SLOWDOWN 20 /* by how much a deadline is stretched */

struct callgrind {
    char profile[CALLGRIND_PATH_MAX];
    char command[512]; /* words before the program's */
};

struct callgrind_counts {
    uint64_t total;     /* everything between the two requests */
    uint64_t allocator; /* without the program's own code and what of libc it called itself */
};

/* Is there a valgrind that runs? 0 or -ENOENT with the reason. */
int callgrind_check(struct problem *p);

/* Makes an empty profile and the command that fills it. 0 or -errno with the reason. */
int callgrind_open(struct callgrind *c, struct problem *p);

/* Removes the profile, if there is one. */
void callgrind_close(struct callgrind *c);

/*
 * Sums up the profile after the process has ended. `program` is the path of the measured program, `is_libc_subject`
 * true when the allocator is libc's. 0, or -EBADMSG with the reason: nothing was counted, or the sums differ from
 * callgrind's own total.
 */
int callgrind_read(const struct callgrind *c, const char *program, bool is_libc_subject,
                   struct callgrind_counts *out, struct problem *p);

/* The same from an open file. */
int callgrind_parse(FILE *in, const char *program, bool is_libc_subject, struct callgrind_counts *out,
                    struct problem *p);

#endif
