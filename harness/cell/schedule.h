/*
 * Open loop: transactions that arrive by a schedule, whether or not the one before is done, and are timed from the
 * moment they were due. A load that waits for the allocator before it asks again leaves out just the requests that
 * would have suffered (Tene's "coordinated omission"; Schroeder, Wierman and Harchol-Balter, NSDI 2006, on open and
 * closed systems).
 *
 * Owns: a schedule for each slot, which passes on to a successor as the slot does. Does not know: what an operation is.
 */
#ifndef HEAPDYNO_SCHEDULE_H
#define HEAPDYNO_SCHEDULE_H

#include <stdbool.h>

#include "harness/protocol.h"
#include "workloads/workload.h"

struct schedule {
    bool is_begun;       /* the first arrival is drawn */
    bool is_busy;        /* a transaction is under way */
    uint64_t due_ns;     /* of the one under way, or the next: CLOCK_MONOTONIC */
    uint64_t begin_ns;   /* of the one under way */
    uint64_t end_ops;    /* of the worker, at which it is done */
    uint64_t budget_ops; /* of the phase */
    double due_fraction; /* of a nanosecond, behind due_ns */
    uint64_t n_due, n_late, n_missed;
    struct prng prng;
};

/* Serves the slot's schedule: run() once for each transaction. RUN_DONE when the phase is over, otherwise what run
 * answered; after RUN_SUCCEED a successor goes on where this thread stopped. */
enum run_result schedule_serve(struct schedule *s, const struct cell_spec *spec, struct worker *w,
                               enum run_result (*run)(struct worker *w));

/* Exponentially distributed with mean 1. */
double schedule_draw_exponential(struct prng *g);

#endif
