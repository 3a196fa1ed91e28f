/*
 * Memory over time: a measured process watched from outside while it runs and after it has freed everything.
 *
 * Owns: the samples of one cell, their schedule, what taking them costs. Does not know: messages, cells, files.
 *
 * Each sample has the live bytes, read from the memory that the process shares (struct worker), and the resident set,
 * from /proc/PID/statm, which costs microseconds. PSS and huge pages come from /proc/PID/smaps_rollup, which walks the page
 * tables with the map of the process locked, some 9 ms per GiB: it is read with a sample only when the last reading
 * took less than a twentieth of the time that has passed since.
 */
#ifndef HEAPDYNO_WATCH_H
#define HEAPDYNO_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/problem.h"
#include "workloads/workload.h"

/* Times after everything was freed at which the resident set is noted. */
enum watch_mark { MARK_100_MS, MARK_1_S, MARK_5_S, N_MARKS };

/* UINT64_MAX = not measured, in this sample or at all. */
struct watch_sample {
    uint64_t t_ns; /* since the threads were let go */
    uint64_t live_bytes, rss_bytes, pss_bytes, anon_huge_bytes;
    uint64_t n_generations; /* successors made so far, all slots */
};

/* What becomes columns of the row. UINT64_MAX = not measured. */
struct watch_result {
    uint64_t interval_ns, n_samples;
    uint64_t sampling_ns; /* spent in taking them */
    uint64_t freed_ns;    /* when everything had been freed, since the threads were let go */
    /* Of the sample with the most live bytes, of several the one that holds most: */
    uint64_t peak_live_bytes, peak_live_rss_bytes;
    uint64_t kept_rss_bytes[N_MARKS];
};

struct watch {
    struct watch_result result;
    struct watch_sample *samples;
    size_t n_room;
    const struct worker *workers; /* mapped; NULL: not open */
    unsigned n_workers;
    bool has_live;       /* the workload keeps live_bytes */
    bool has_successors; /* and its threads succeed each other */
    int statm_fd, rollup_fd;
    uint64_t page_bytes;
    uint64_t start_ns, next_ns, next_rollup_ns; /* CLOCK_MONOTONIC */
    unsigned next_mark, n_marks;                /* marks from n_marks on are not waited for */
};

/* A watch that measures nothing. */
void watch_init(struct watch *w);

/* Starts to watch process `pid`, whose workers lie in the memory of `workers_fd`, every interval_ns; after the freeing
 * until idle_ns have passed. 0, or -errno with the reason. watch_close in either case. */
int watch_open(struct watch *w, int pid, int workers_fd, unsigned n_workers, const struct workload *workload,
               uint64_t interval_ns, uint64_t idle_ns, struct problem *p);
/* Lets go of the process; the samples stay. */
void watch_close(struct watch *w);
/* Forgets the samples. */
void watch_free(struct watch *w);

/* When the next sample is due. */
uint64_t watch_due_ns(const struct watch *w);

/* Takes a sample if one is due. 0, or -errno with the reason: the process cannot be read, or no memory is left. */
int watch_take_due(struct watch *w, struct problem *p);

/* The process has freed everything just now. */
void watch_note_freed(struct watch *w);
/* True once the last mark after that has been noted. */
bool watch_is_over(const struct watch *w);

/* Takes back all numbers. */
void watch_result_clear(struct watch_result *r);

#endif
