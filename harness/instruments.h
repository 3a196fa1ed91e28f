/*
 * What cells are measured with and under. Owns: whether this machine has it, and which pass runs under what. Does not
 * know: how each instrument works.
 */
#ifndef HEAPDYNO_INSTRUMENTS_H
#define HEAPDYNO_INSTRUMENTS_H

#include <stdio.h>

#include "harness/callgrind.h"
#include "harness/options.h"
#include "harness/protocol.h"
#include "harness/strace.h"

/* 0, or -errno with the reason when what was asked for cannot be had. Counters of the processor that are missing are
 * no error, since rows without them are still rows: one line to `notices` says so. */
int instruments_check(const struct options *o, FILE *notices, struct problem *p);

/* What one cell is run under. */
struct instruments {
    struct callgrind counter;
    struct strace tracer;
    const char *wrap;  /* NULL: nothing */
    unsigned slowdown; /* by how much the deadline is stretched */
};

/* Makes ready what cells of the pass are run under. 0 or -errno with the reason; instruments_close in either case. */
int instruments_open(struct instruments *x, const struct options *o, enum cell_pass pass, struct problem *p);
void instruments_close(struct instruments *x);

#endif
