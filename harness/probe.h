/* What is installed: each allocator of a run opened and proved once, in a process of its own, by dlopen; a
 * library given by its path that dlopen refuses by LD_PRELOAD where that is what was asked for. */
#ifndef HEAPDYNO_PROBE_H
#define HEAPDYNO_PROBE_H

#include "harness/bench.h"
#include "harness/record.h"

struct probe {
    struct plan_cell cell;
    struct record record; /* of cell, pass PASS_PROBE: proof, status and why are filled */
};

struct probes {
    struct probe *items; /* in the order of options->allocators */
    size_t n;
};

/* Those of options->allocators, as options->load has it. 0, COLLECT_STOPPED, or -errno with the reason. Call
 * probes_free in any case. */
int probes_make(struct probes *probes, struct bench *b, struct problem *p);
/* Adds those of options->allocators that have come since. As probes_make. */
int probes_extend(struct probes *probes, struct bench *b, enum allocator_load load, struct problem *p);
void probes_free(struct probes *probes);

/* An allocator that was named on the command line must be there and open: 0, or -ENOENT with the reason and the
 * package that brings it, or -EINVAL with the reason for a library given by its path. */
int probes_check_named(const struct probes *probes, struct problem *p);

/* A library given by its path that cannot be opened any more in a run that is resumed: its rows are skips, but the
 * run has not done what it was asked for. NULL when there is none. */
const struct probe *probes_find_unusable(const struct probes *probes);

/*
 * Parameters may be at odds with each other, which only the workload's own setup can tell: each workload whose
 * parameters are not the defaults is set up once, with libc's allocator and the fewest threads. 0,
 * COLLECT_STOPPED, or -EINVAL with the workload's reason.
 */
int probe_check_params(struct bench *b, struct problem *p);

/* File for LD_PRELOAD; "" for libc's own. NULL: it is not known, nothing was found. */
const char *probe_library(const struct probe *probe);

#endif
