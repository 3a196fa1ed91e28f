/*
 * A plan that was made elsewhere, row by row: the inverse of plan_write_row. What the rows say is checked as if it
 * had been said on the command line. Owns: the syntax of such a plan, the cell it is at. Does not know:
 * processes, results.
 *
 * Needed columns: pass, allocator, library, config, load, workload, workload_version, params, threads, placement,
 * block, slot, repetition, seed, duration_ns, ops_target. cell_id, membind and pus may be left out or empty;
 * if they are there they must be what would be planned here. Any other column is passed over.
 */
#ifndef HEAPDYNO_PLAN_READ_H
#define HEAPDYNO_PLAN_READ_H

#include <stdio.h>

#include "harness/plan.h"

#define PLAN_MAX_COLUMNS 64
enum plan_column {
    COLUMN_PASS,
    COLUMN_ALLOCATOR,
    COLUMN_LIBRARY,
    COLUMN_CONFIG,
    COLUMN_LOAD,
    COLUMN_WORKLOAD,
    COLUMN_WORKLOAD_VERSION,
    COLUMN_PARAMS,
    COLUMN_THREADS,
    COLUMN_PLACEMENT,
    COLUMN_BLOCK,
    COLUMN_SLOT,
    COLUMN_REPETITION,
    COLUMN_SEED,
    COLUMN_DURATION,
    COLUMN_OPS_TARGET,
    N_NEEDED_COLUMNS,
    COLUMN_CELL_ID = N_NEEDED_COLUMNS,
    COLUMN_MEMBIND,
    COLUMN_PUS,
    N_PLAN_COLUMNS
};

struct plan_reader {
    FILE *in;
    const char *name;        /* of the file, for reasons */
    struct options *options; /* allocators that turn up are added to its list */
    const struct topology *topology;
    int positions[N_PLAN_COLUMNS]; /* of a column in the file; -1: it is not there */
    int n_columns;
    size_t n_lines;
    char *line;
    size_t line_bytes;
    char (*identities)[PLAN_ID_BYTES]; /* ids that the audits have, in the order of their coming */
    size_t n_identities;
    struct workload_choice workload; /* of the cell */
    struct slots slots;              /* of the cell */
};

/* Opens o->plan and reads its header. 0 or -errno with the reason. plan_reader_close in any case. */
int plan_reader_open(struct plan_reader *r, struct options *o, const struct topology *t, struct problem *p);
void plan_reader_close(struct plan_reader *r);

/* The next cell, good until the next call. 1, 0 at the end, or -errno with the reason, the line named. */
int plan_reader_next(struct plan_reader *r, struct plan_cell *cell, struct problem *p);

#endif
