/*
 * What a cell that has ended is worth. Owns: the evidence that a row needs before it counts as ok, and which of its
 * figures are none under an instrument. Does not know: how the process was started and listened to.
 */
#ifndef HEAPDYNO_JUDGE_H
#define HEAPDYNO_JUDGE_H

#include "harness/instruments.h"
#include "harness/record.h"

/* How a measured process came to its end. */
struct ending {
    int wait_status;
    bool was_killed;   /* by the driver, which has settled the status */
    bool has_told_all; /* it had nothing left to do but to end */
    bool has_oom_kill; /* the kernel killed somebody for want of memory since it was started */
    const char *stage; /* what it was doing */
    const char *cell_path;
    const struct instruments *instruments; /* it ran under */
};

/* Settles the status of a record, with the reason, and drops the figures that may not be believed. */
void judge_cell(struct record *r, const struct ending *e);

#endif
