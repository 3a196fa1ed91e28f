/*
 * The environment of a measured process: built from nothing, so that a variable somebody happens to have set
 * cannot change a result. What allocators and sanitizers read is passed on and recorded in the manifest.
 */
#ifndef HEAPDYNO_ENVIRONMENT_H
#define HEAPDYNO_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "harness/problem.h"

#define ENVIRONMENT_MAX 256

struct environment {
    char *variables[ENVIRONMENT_MAX + 1]; /* "NAME=VALUE", NULL-terminated */
    size_t n;
};

/*
 * outside  the driver's own environment
 * config   of the allocator, "VAR=VALUE;VAR2=VALUE"; wins over what is passed on
 * preload  library for LD_PRELOAD, or empty
 * 0 or -errno with the reason. Call environment_free in either case.
 */
int environment_make(struct environment *e, char *const *outside, const char *config, const char *preload,
                     struct problem *p);
void environment_free(struct environment *e);

/* The variables of `outside` that allocators or workloads read, "VAR=VALUE;VAR2=VALUE" in the order of their names, empty
 * without any: they reach every measured process and make another measurement of it. To be freed; NULL when out
 * of memory. */
char *environment_describe_ambient(char *const *outside);

/* Whether "NAME=VALUE" of the driver's environment reaches measured processes and can change results. */
bool environment_is_recorded(const char *variable);

#endif
