/*
 * The options, a row for each: name, argument, help, and how a value is read. Owns: which values each option allows.
 * Does not know: which options go together, and defaults that depend on others.
 */
#ifndef HEAPDYNO_OPTIONS_TABLE_H
#define HEAPDYNO_OPTIONS_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "harness/options.h"

/* A row without a name is a heading of the help. */
struct option_row {
    const char *name;
    const char *arg; /* NULL: takes none; in brackets: may be left out */
    const char *help;
    /* Puts the value (NULL: left out) into o. 0 or -errno with what is allowed. */
    int (*take)(struct options *o, const char *value, struct problem *p);
};

extern const struct option_row option_table[];
extern const size_t n_options;

/* May it stand beside --plan, which says itself what is measured? */
bool option_goes_with_plan(const struct option_row *row);

#endif
