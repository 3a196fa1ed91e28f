/*
 * The files of a run that grow by a cell: samples.csv, and latency.csv and rss.csv once a cell has something for them.
 * Owns: their order, so that a row in samples.csv says that all of the cell is there. Does not know: what is in a row.
 */
#ifndef HEAPDYNO_ROWS_H
#define HEAPDYNO_ROWS_H

#include "harness/csv.h"
#include "harness/folder.h"
#include "harness/record.h"

struct rows {
    const struct folder *folder;
    struct csv_file samples;
    struct csv_file latency; /* opened with the first cell that is to have some */
    struct csv_file rss;     /* opened with the first watched cell */
};

/* Nothing is open. The folder must outlive it. */
void rows_init(struct rows *rows, const struct folder *folder);

/* Opens samples.csv, with its header if it is new or was torn within it. 0 or -errno with the reason. */
int rows_open(struct rows *rows, struct problem *p);

/* Writes all that the record says; what belongs to the cell beside its row goes first. 0 or -errno with the reason. */
int rows_write(struct rows *rows, const struct record *r, struct problem *p);

/* Closes what is open. 0, or -errno with the reason of the first file that could not be closed. */
int rows_close(struct rows *rows, struct problem *p);

#endif
