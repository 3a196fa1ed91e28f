/* How far a run is: a bar on a terminal, a line for each cell elsewhere. On stderr; results go to stdout. */
#ifndef HEAPDYNO_PROGRESS_H
#define HEAPDYNO_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "harness/record.h"

struct progress {
    FILE *out;
    bool is_terminal;
    size_t n_done, n_total;
    uint64_t started_ns;
    uint64_t estimate_done_ns, estimate_left_ns; /* of this start of the run, by the plan */
};

/* An empty plan: nobody knows how many cells there will be, and each has its line. Counts what `is_done` (n_cells of the plan) leaves to do. */
void progress_start(struct progress *progress, FILE *out, const struct plan *plan, const bool *is_done);
/* Before and after a cell. */
void progress_cell_starts(const struct progress *progress, const struct plan_cell *cell);
void progress_cell_ends(struct progress *progress, const struct record *r);
/* Leaves the line. */
void progress_end(const struct progress *progress);

#endif
