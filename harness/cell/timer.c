#include "harness/cell/timer.h"

#include <errno.h>
#include <time.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif

#include "harness/cell/histogram.h"
#include "harness/cell/scratch.h"

#define N_COST_READINGS 1001
#define N_ANCHOR_TRIES 16
#define MIN_SPAN_NS UINT64_C(20000000) /* two anchors are good to some 50 ns: 5 millionths of this */

/* Does the counter run at one rate whatever the processor's, and can it be read in order? */
static bool has_steady_counter(void) {
#ifdef __x86_64__
    unsigned a, b, c, d;
    if (!__get_cpuid(0x80000001, &a, &b, &c, &d) || !(d & 1u << 27)) /* RDTSCP */
        return false;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & 1u << 8); /* invariant */
#else
    return false;
#endif
}

static uint64_t read_quickly(const struct timer *t) {
#ifdef __x86_64__
    if (t->is_counter)
        return __rdtsc();
#endif
    return probe_now_ns();
}

static void measure_cost(struct timer *t, struct histogram *costs) {
    for (int i = 0; i < N_COST_READINGS; i++) {
        uint64_t start = timer_start(t);
        histogram_add(costs, timer_stop(t) - start);
    }
    t->cost_min_ticks = costs->min;
    t->cost_median_ticks = histogram_quantile(costs, 500000);
}

/* On some machines the counter goes forward in leaps of many ticks. Readings as close together as can be: a step
 * that is smaller than the time one of them takes is not seen, so this is an upper bound. */
static void measure_step(struct timer *t) {
    t->step_ticks = UINT64_MAX;
    for (int i = 0; i < N_COST_READINGS; i++) {
        uint64_t then = read_quickly(t), now;
        while ((now = read_quickly(t)) == then)
            ;
        t->step_ticks = now - then < t->step_ticks ? now - then : t->step_ticks;
    }
}

/* Both clocks at one moment: the try in which the readings around it lie closest together. */
static void take_anchor(const struct timer *t, uint64_t *ticks, uint64_t *ns) {
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < N_ANCHOR_TRIES; i++) {
        uint64_t before = timer_start(t);
        uint64_t now_ns = probe_now_ns();
        uint64_t width = timer_stop(t) - before;
        if (width >= best)
            continue;
        best = width;
        *ticks = before + width / 2;
        *ns = now_ns;
    }
}

static void find_tick(struct timer *t, uint64_t min_span_ns) {
    uint64_t ticks = 0, ns = 0;
    do
        take_anchor(t, &ticks, &ns);
    while (ns - t->anchor_ns < min_span_ns);
    t->ns_per_tick = t->is_counter ? (double)(ns - t->anchor_ns) / (double)(ticks - t->anchor_ticks) : 1;
}

int timer_open(struct timer *t) {
    struct timer counter = {.is_counter = true};
    struct histogram *costs = scratch_alloc(2 * sizeof *costs, _Alignof(struct histogram));
    if (!costs)
        return -ENOMEM;
    *t = (struct timer){.is_counter = false, .ns_per_tick = 1};
    measure_cost(t, &costs[0]);
    if (has_steady_counter()) {
        take_anchor(&counter, &counter.anchor_ticks, &counter.anchor_ns);
        measure_cost(&counter, &costs[1]);
        find_tick(&counter, 500000);
        if (counter.ns_per_tick * (double)counter.cost_median_ticks < (double)t->cost_median_ticks)
            *t = counter;
    }
    measure_step(t);
    take_anchor(t, &t->anchor_ticks, &t->anchor_ns);
    return 0;
}

void timer_settle(struct timer *t) {
    uint64_t now_ns = probe_now_ns(), end_ns = t->anchor_ns + MIN_SPAN_NS;
    if (now_ns < end_ns) {
        struct timespec rest = {0, (long)(end_ns - now_ns)};
        nanosleep(&rest, NULL);
    }
    find_tick(t, MIN_SPAN_NS);
}
