/*
 * The driver links the workloads for their names and parameters and never runs one. These are the parts of
 * the run context that the kernels refer to and that the measured process defines (harness/cell/): a workload
 * run here by mistake fails, it measures nothing.
 */
#include <errno.h>

#include "workloads/workload.h"

void *cell_scratch(struct cell *c, size_t n_bytes, size_t align_bytes) {
    (void)n_bytes;
    (void)align_bytes;
    cell_fail(c, ENOSYS, "workloads run in the measured process only");
    return NULL;
}

int cell_fail(struct cell *c, int err, const char *why) {
    (void)why;
    atomic_store(&c->failed_errno, err);
    atomic_store(&c->is_stopping, true);
    return -err;
}
