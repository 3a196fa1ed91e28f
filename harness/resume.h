/*
 * What an interrupted run has left. Owns: reading the folder back, repairing a torn last row.
 * Does not know: how cells are run.
 */
#ifndef HEAPDYNO_RESUME_H
#define HEAPDYNO_RESUME_H

#include <stdbool.h>

#include "harness/csv.h"
#include "harness/folder.h"
#include "harness/record.h"

/* What the audit of an identity said; its timed repetitions depend on it. */
struct verdict {
    bool is_known;
    enum cell_status status;
    char why[ALLOCATOR_WHY_MAX];
};

struct past {
    bool *is_done; /* one for each cell of the plan */
    size_t n_done, n_ok, n_skipped, n_failed;
    struct verdict *verdicts; /* one for each identity of the plan */
    size_t n_verdicts;
    size_t n_torn_bytes; /* that were cut off samples.csv */
};

/* The past of a new run: nothing is done. 0 or -ENOMEM. past_free in either case. */
int past_make(struct past *past, const struct plan *plan);
void past_free(struct past *past);

/* Room for the verdicts of that many identities. 0 or -ENOMEM. */
int past_reserve(struct past *past, size_t n_identities);

/* Counts a cell that has ended, and notes what an audit said. */
void past_count(struct past *past, const struct plan_cell *cell, enum cell_status status, const char *why);

/* Notes what became of a cell of the plan; for rows read back and for rows just written. */
void past_add(struct past *past, const struct plan *plan, size_t cell_idx, enum cell_status status,
              const char *why);

/* Fills the past from samples.csv, cutting off a torn last row; a missing file is an empty one. 0, or -errno
 * with the reason: -EINVAL when a row is not in the plan or a cell is there twice. */
int past_read(struct past *past, const struct plan *plan, const struct folder *folder, struct problem *p);

/* The rows of samples.csv, cutting off a torn last one; an empty table if there is no file. 0 or -errno with the
 * reason. past_rows_close in any case. */
struct past_rows {
    struct csv_table table;
    char path[PATH_MAX];
    int cell_id, repetition, status, why; /* columns */
    size_t n_torn_bytes;
};
int past_rows_open(struct past_rows *rows, const struct folder *folder, struct problem *p);
void past_rows_close(struct past_rows *rows);

/* For a plan that is read as it is run: whether the cell is the next of the measured ones, which is then counted. 1,
 * 0 when all of those were seen, or -EINVAL with the reason when another cell was measured in its place. */
int past_pass_over(struct past *past, const struct past_rows *rows, const struct plan_cell *cell,
                   struct problem *p);

/* Cuts off a file beside samples.csv, whose rows begin with cell_id and are written before the cell's row there, what
 * belongs to a cell that has no such row: the run was killed between the two, and it is measured again. 0, or -errno
 * with the reason; a missing file is an empty one. */
int past_trim_rows(const struct folder *folder, const char *name, struct problem *p);

/* The plan must be the one the run was started with, byte for byte. 0, or -errno with the reason. */
int past_check_plan(const struct plan *plan, const struct folder *folder, struct problem *p);

#endif
