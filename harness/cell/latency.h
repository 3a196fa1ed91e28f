/*
 * Latency of single calls, by sampling: the same calls, passed on to the subject, of which each thread times about one
 * in sample_every. For the latency pass only.
 *
 * Owns: the clock, a sampler for each slot, their histograms. A sampler belongs to the thread that serves its slot;
 * latency_report may be called when all of them have ended. Does not know: workloads, phases.
 *
 * The number of calls from one sample to the next is drawn anew each time, uniformly from 1 to twice the mean less one,
 * so that it cannot keep step with the workload. What is not timed costs a look at a counter of the thread's own.
 */
#ifndef HEAPDYNO_LATENCY_H
#define HEAPDYNO_LATENCY_H

#include <stdbool.h>

#include "harness/protocol.h"

/*
 * Sets up the clock and the samplers, and fills `outer` with entries that time `inner`'s. Times are kept while
 * *is_measuring, but for first allocations, which are kept always. Once per process. 0 or -ENOMEM.
 */
int latency_open(const struct alloc_ops *inner, struct alloc_ops *outer, const struct cell_spec *spec,
                 const bool *is_measuring);

/* The calling thread serves this slot from now on, and has not allocated yet. */
void latency_serve(unsigned slot);

/* Notes a time of the calling thread that serves a slot: LATENCY_TRANSACTION, LATENCY_SERVICE or LATENCY_DELAY. */
void latency_note_ns(enum latency_op op, uint64_t ns);

/* Merges what all slots have noted into rows, and tells the clock and what it costs. main_ns, open_ns and the counts of
 * transactions are left alone. 0, -ENOMEM, or -ERANGE when the clock went backward. */
int latency_report(struct cell_latency *out);

#endif
