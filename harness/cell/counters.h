/*
 * The processor's counters over the measured phase, by perf_event_open.
 *
 * Owns: the descriptors of the events. Does not know: slots, phases. Called by main alone, while the threads wait.
 *
 * Each event belongs to one thread and is inherited by the threads that it makes. User mode only, which is what an
 * ordinary user may count.
 */
#ifndef HEAPDYNO_COUNTERS_H
#define HEAPDYNO_COUNTERS_H

#include <stdint.h>

enum counter { COUNTER_INSTRUCTIONS, COUNTER_CYCLES, COUNTER_CACHE_MISSES, COUNTER_DTLB_MISSES, N_COUNTERS };

struct counters {
    int *fds; /* N_COUNTERS for each thread; -1: this one cannot be counted */
    unsigned n_threads;
    uint64_t values[N_COUNTERS]; /* UINT64_MAX: not measured */
};

/* Starts counting in these threads. What the machine cannot count is not measured: no error. */
void counters_open(struct counters *c, const int32_t *tids, unsigned n_threads);

/* Sums over the threads, successors included, and closes the events. A counter that was missing in any thread, or
 * that shared its register with another for a part of the time, is not measured. */
void counters_read(struct counters *c);

#endif
