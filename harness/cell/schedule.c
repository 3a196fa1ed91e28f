#include "harness/cell/schedule.h"

#include <time.h>

#include "harness/cell/latency.h"
#include "harness/cell/probe.h"

#define ARRIVAL_STREAM UINT64_C(0xa1217a1) /* no slot of a workload draws from these */
#define SPIN_NS 100000  /* a sleep may end so much too late; the rest of a wait is spent awake */
#define LOOK_NS 5000000 /* for the end of the run, while there is nothing to do */

static double draw_unit(struct prng *g) {
    return (double)(prng_next(g) >> 11) * 0x1p-53;
}

/* J. von Neumann, "Various techniques used in connection with random digits" (1951): the fraction is the first of a
 * run of falling uniform numbers whose length is odd; each run of even length adds one. Needs no logarithm, and so no
 * libm. */
double schedule_draw_exponential(struct prng *g) {
    for (unsigned whole = 0;; whole++) {
        double first = draw_unit(g), last = first;
        for (unsigned length = 1;; length++) {
            double next = draw_unit(g);
            if (next < last) {
                last = next;
                continue;
            }
            if (length % 2 == 1)
                return whole + first;
            break;
        }
    }
}

/* The next arrival at this slot, which has its share of the rate. */
static void schedule_next(struct schedule *s, const struct cell_spec *spec, double gaps) {
    double mean_ns = 1e9 * spec->n_threads / (double)spec->rate_per_s;
    double ahead_ns = s->due_fraction + mean_ns * gaps;
    uint64_t whole_ns = (uint64_t)ahead_ns;
    s->due_ns += whole_ns;
    s->due_fraction = ahead_ns - (double)whole_ns;
}

static double draw_gaps(struct schedule *s, const struct cell_spec *spec) {
    return spec->is_fixed_rate ? 1 : schedule_draw_exponential(&s->prng);
}

/* Arrivals at equal distances are spread over the slots. */
static void schedule_begin(struct schedule *s, const struct cell_spec *spec, const struct worker *w) {
    s->is_begun = true;
    s->budget_ops = w->ops_budget;
    s->due_ns = probe_now_ns();
    prng_seed(&s->prng, spec->seed, ARRIVAL_STREAM + w->idx);
    schedule_next(s, spec, spec->is_fixed_rate ? (1.0 + w->idx) / spec->n_threads : draw_gaps(s, spec));
}

/* Until it is due. False: the run is over before. */
static bool wait_until_due(const struct schedule *s, const struct cell *c) {
    while (!atomic_load_explicit(&c->is_stopping, memory_order_relaxed)) {
        uint64_t now_ns = probe_now_ns();
        if (now_ns >= s->due_ns)
            return true;
        uint64_t left_ns = s->due_ns - now_ns;
        if (left_ns <= SPIN_NS)
            continue;
        left_ns -= SPIN_NS;
        struct timespec rest = {0, (long)(left_ns < LOOK_NS ? left_ns : LOOK_NS)};
        nanosleep(&rest, NULL);
    }
    return false;
}

/* What was due before the end and is not done took at least until now. Without this the percentiles of a load that
 * cannot be borne would be those of the part that was. */
static void count_missed(struct schedule *s, const struct cell_spec *spec) {
    uint64_t now_ns = probe_now_ns();
    if (s->is_busy) { /* its delay is known */
        s->is_busy = false;
        s->n_missed++;
        latency_note_ns(LATENCY_TRANSACTION, now_ns - s->due_ns);
        schedule_next(s, spec, draw_gaps(s, spec));
    }
    for (; s->due_ns < now_ns; schedule_next(s, spec, draw_gaps(s, spec))) {
        s->n_due++;
        s->n_missed++;
        latency_note_ns(LATENCY_TRANSACTION, now_ns - s->due_ns);
        latency_note_ns(LATENCY_DELAY, now_ns - s->due_ns);
    }
}

static void transaction_begin(struct schedule *s, const struct cell_spec *spec, const struct worker *w,
                              bool is_waiting) {
    uint64_t done = atomic_load_explicit(&w->ops, memory_order_relaxed), left = s->budget_ops - done;
    s->is_busy = true;
    s->begin_ns = probe_now_ns();
    s->end_ops = done + (spec->transaction_ops < left ? spec->transaction_ops : left);
    s->n_due++;
    s->n_late += is_waiting;
    latency_note_ns(LATENCY_DELAY, s->begin_ns - s->due_ns);
}

static void transaction_end(struct schedule *s, const struct cell_spec *spec) {
    uint64_t now_ns = probe_now_ns();
    s->is_busy = false;
    latency_note_ns(LATENCY_SERVICE, now_ns - s->begin_ns);
    latency_note_ns(LATENCY_TRANSACTION, now_ns - s->due_ns);
    schedule_next(s, spec, draw_gaps(s, spec));
}

enum run_result schedule_serve(struct schedule *s, const struct cell_spec *spec, struct worker *w,
                               enum run_result (*run)(struct worker *w)) {
    if (!s->is_begun)
        schedule_begin(s, spec, w);
    for (;;) {
        if (!s->is_busy) {
            bool is_waiting = probe_now_ns() > s->due_ns; /* it came while the one before was served */
            if (atomic_load_explicit(&w->ops, memory_order_relaxed) >= s->budget_ops)
                return RUN_DONE;
            if (!wait_until_due(s, w->cell)) {
                count_missed(s, spec);
                return RUN_DONE;
            }
            transaction_begin(s, spec, w, is_waiting);
        }
        w->ops_budget = s->end_ops;
        enum run_result result = run(w);
        w->ops_budget = s->budget_ops;
        if (result != RUN_DONE)
            return result;
        if (atomic_load_explicit(&w->ops, memory_order_relaxed) < s->end_ops) { /* stopped in the middle */
            count_missed(s, spec);
            return RUN_DONE;
        }
        transaction_end(s, spec);
    }
}
