/*
 * A test double of the measured process: runs a workload's whole life on threads, over libc's heap or another,
 * with entries that count calls and know who owns a block.
 *
 * Owns: cell_scratch and cell_fail of the test programs. One run at a time.
 * Does not know: pinning, time, the driver.
 */
#ifndef HEAPDYNO_FAKE_CELL_H
#define HEAPDYNO_FAKE_CELL_H

#include "workloads/workload.h"

struct fake_spec {
    const struct workload *workload;
    unsigned n_threads;
    int64_t params[WORKLOAD_MAX_PARAMS];
    uint64_t seed;
    uint64_t warmup_ops; /* per thread */
    uint64_t ops_total;  /* measured phase; 0: until duration_ms is over and something was done */
    unsigned duration_ms;
    bool is_course;                /* with ops_total 0: nobody stops the run, it ends by itself */
    uint64_t fail_after;           /* allocations that succeed; 0 = all */
    const struct alloc_ops *inner; /* heap to count calls of; NULL: libc, with the owner before each block */
};

struct fake_result {
    int err; /* 0 or the first cell_fail, negative */
    char why[ALLOCATOR_WHY_MAX];
    uint64_t measured_ops, expected_allocs;
    uint64_t n_allocs, n_frees;                   /* counted by the entries, whole life */
    uint64_t n_measured_frees, n_measured_remote; /* by the entries, which know the threads; not with inner */
    uint64_t claimed_frees, claimed_remote;       /* by the workload */
    /* Asked for and not freed; by the entries, not with inner. The first two at the end of the measured phase. */
    int64_t live_bytes, claimed_live_bytes, peak_live_bytes;
    uint32_t n_generations_min;
    unsigned n_slots_with_ops; /* in the measured phase */
    double shared_line_fraction;
};

/* Defaults of the workload, a small warm-up, 20000 operations. */
void fake_spec_init(struct fake_spec *spec, const char *workload, unsigned n_threads);
void fake_param_set(struct fake_spec *spec, const char *name, int64_t value);
/* Entries of a library of the build folder, opened like an allocator. */
void fake_library_open(struct alloc_ops *ops, const char *file);
void fake_run(const struct fake_spec *spec, struct fake_result *result);

#endif
