/*
 * The small languages of the command line: lists of threads and lists of allocators.
 * Owns: their syntax. Does not know: options, files other than the libraries that are named.
 */
#ifndef HEAPDYNO_GRAMMAR_H
#define HEAPDYNO_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>

#include "allocators/allocator.h"
#include "harness/problem.h"
#include "workloads/workload.h"

#define GRAMMAR_CONFIG_MAX 512
#define GRAMMAR_MAX_ALLOCATORS 256
#define GRAMMAR_LABEL_MAX (ALLOCATOR_NAME_MAX + GRAMMAR_CONFIG_MAX + 2)

struct thread_list {
    unsigned counts[CELL_MAX_THREADS]; /* ascending, each once */
    unsigned n;
};

/* One allocator of a sweep: what identifies it in figures is the name with its configuration. */
struct allocator_choice {
    char name[ALLOCATOR_NAME_MAX];
    char path[ALLOCATOR_PATH_MAX];   /* absolute; empty: the candidates of the row */
    char config[GRAMMAR_CONFIG_MAX]; /* "VAR=VALUE;VAR2=VALUE" set for this allocator alone; or empty */
    const struct allocator *row;     /* NULL: a library known by its path alone */
    bool is_named;                   /* on the command line: must be there */
};

struct allocator_list {
    struct allocator_choice *items; /* room for GRAMMAR_MAX_ALLOCATORS: they never move */
    size_t n;
};

/*
 * Items separated by commas: N; A..B doubles from A and ends with B; A..B+S goes from A in steps of S and
 * does not pass B. The result is sorted; a count named twice is one count. 0 or -EINVAL with the reason.
 */
int grammar_parse_threads(const char *text, struct thread_list *out, struct problem *p);

/*
 * Appends items separated by commas: NAME, NAME=PATH.so, each with an optional [VAR=VALUE;VAR2=VALUE], in
 * which commas belong to the value. 0, -EINVAL or -ENOENT with the reason, -ENOMEM. The caller frees items.
 */
int grammar_parse_allocators(const char *text, struct allocator_list *out, struct problem *p);

/* Appends one row of the registry as if its name had been given; is_named stays false. 0 or -ENOMEM. */
int grammar_add_allocator(const struct allocator *row, struct allocator_list *out, struct problem *p);

/* The one with these three (an empty library: the candidates of the registry), appended if it is new. 0 or -errno
 * with the reason. */
int grammar_take_allocator(const char *name, const char *library, const char *config,
                           struct allocator_list *list, const struct allocator_choice **out,
                           struct problem *p);

/* NAME or NAME[CONFIG], as on the command line and in figures. */
void grammar_allocator_label(const struct allocator_choice *choice, char *out, size_t out_bytes);

/*
 * Calls fn with each VAR=VALUE of a configuration. Stops at the first that is not 0 and returns it; -EINVAL
 * when an assignment is malformed.
 */
int grammar_each_assignment(const char *config, int (*fn)(const char *assignment, void *arg), void *arg);

#endif
