/*
 * One measured process from start to end, made into a record with a status.
 * Owns: the driver's side of harness/protocol.h, the deadline. Does not know: the plan's order, files.
 */
#ifndef HEAPDYNO_COLLECT_H
#define HEAPDYNO_COLLECT_H

#include "harness/bench.h"
#include "harness/record.h"

#define COLLECT_STOPPED 1

/*
 * Runs r->cell and fills r. `library` is what LD_PRELOAD gets in preload mode (empty: nothing, libc), ignored
 * otherwise; `load` is how the allocator gets into the process.
 * 0 whatever became of the cell, r->status says it; COLLECT_STOPPED when the user stopped the run: nothing
 * was measured; -errno with the reason when no process can be made at all.
 */
int collect_cell(struct bench *b, enum allocator_load load, const char *library, struct record *r,
                 struct problem *p);

#endif
