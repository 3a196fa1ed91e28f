/*
 * Where the pages of a measured process come from: a memory policy, set in the child before exec and kept by it.
 * Owns: the policies and their names. Does not know: processes, topology.
 */
#ifndef HEAPDYNO_MEMBIND_H
#define HEAPDYNO_MEMBIND_H

#include <stdio.h>

#include "harness/problem.h"

#define MEMBIND_NAME_MAX 16

enum membind_kind { MEMBIND_FIRST_TOUCH, MEMBIND_INTERLEAVE, MEMBIND_NODE };

struct membind {
    enum membind_kind kind;
    int node; /* MEMBIND_NODE: OS index */
};

/* 0 or -EINVAL. */
#define MEMBIND_ALLOWED "first-touch, interleave, or the number of a NUMA node"
int membind_parse(const char *text, struct membind *out);

/* As membind_parse takes it. The name is text's. */
const char *membind_name(const struct membind *m, char text[MEMBIND_NAME_MAX]);
void membind_write(FILE *out, const struct membind *m);

/* Can this machine do it, for this process? 0, or -errno with the reason: -ENODEV for a node that does not exist,
 * -EACCES for one that this process may not use, -ENOSYS for a kernel without memory policies. */
int membind_check(const struct membind *m, struct problem *p);

/* Sets the policy of the calling process, after fork. 0 or -errno. */
int membind_apply(const struct membind *m);

#endif
