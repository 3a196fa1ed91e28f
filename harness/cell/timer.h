/*
 * The clock that single calls are timed with: the processor's time stamp counter, or clock_gettime where that is the
 * cheaper one or the counter cannot be trusted.
 *
 * Owns: the choice and its calibration. Does not know: what is timed. Set up by main before there are threads.
 *
 * A reading waits for what comes before it and holds back what comes after it, so that the call lies between two
 * readings whole (Intel, "How to Benchmark Code Execution Times", Paoloni 2010, with LFENCE in place of CPUID).
 */
#ifndef HEAPDYNO_TIMER_H
#define HEAPDYNO_TIMER_H

#include <stdbool.h>
#include <stdint.h>
#ifdef __x86_64__
#include <x86intrin.h>
#endif

#include "harness/cell/probe.h"

struct timer {
    bool is_counter;
    uint64_t anchor_ticks, anchor_ns;           /* the same moment by both clocks, at the start */
    double ns_per_tick;                         /* after timer_settle */
    uint64_t step_ticks;                        /* least change that was seen: no time is known better */
    uint64_t cost_min_ticks, cost_median_ticks; /* from one reading to the next */
};

/* Chooses the clock and measures what it costs. Takes a millisecond. 0 or -ENOMEM. */
int timer_open(struct timer *t);

/* Finds the length of a tick, over the time since timer_open; waits until that is 20 ms at least. */
void timer_settle(struct timer *t);

static inline uint64_t timer_start(const struct timer *t) {
#ifdef __x86_64__
    if (t->is_counter) {
        _mm_lfence();
        uint64_t ticks = __rdtsc();
        _mm_lfence();
        return ticks;
    }
#endif
    return probe_now_ns();
}

static inline uint64_t timer_stop(const struct timer *t) {
#ifdef __x86_64__
    if (t->is_counter) {
        unsigned processor;
        uint64_t ticks = __rdtscp(&processor);
        _mm_lfence();
        return ticks;
    }
#endif
    return probe_now_ns();
}

#endif
