#include "harness/cell/latency.h"

#include <errno.h>
#include <math.h>

#include "harness/cell/histogram.h"
#include "harness/cell/scratch.h"
#include "harness/cell/timer.h"
#include "workloads/prng.h"

#define SAMPLING_STREAM UINT64_C(0x5a3b1e00000000) /* no slot of a workload draws from these */
#define N_GROUPS (LATENCY_N_CLASSES + 1)           /* the last: the call does not say the size */

struct sampler {
    _Alignas(WORKER_ALIGN_BYTES) uint64_t n_left; /* calls to the next that is timed, itself included */
    bool is_fresh; /* the thread has not allocated yet: every call is looked at */
    bool is_full;  /* there was no memory for a histogram */
    uint64_t n_backward;
    struct prng prng;
    struct histogram *calls[LATENCY_N_CALLS][N_GROUPS];
    struct histogram *others[LATENCY_N_OPS]; /* above LATENCY_ANY_CALL; NULL until something is noted */
};

static struct alloc_ops inner_ops;
static struct timer timer;
static struct sampler *samplers;
static unsigned n_samplers;
static uint64_t sample_every;
static const bool *is_kept;
/* Initial-exec: the default model may call malloc on a thread's first access. NULL: a thread that serves no slot. */
static _Thread_local struct sampler *own_sampler __attribute__((tls_model("initial-exec")));

static const uint64_t class_bytes[LATENCY_N_CLASSES] = LATENCY_CLASS_BYTES;
static const uint32_t shares_ppm[LATENCY_N_PPM] = LATENCY_PPM;

static unsigned group_of(size_t size_bytes) {
    unsigned i = 0;
    while (size_bytes > class_bytes[i])
        i++;
    return i;
}

static void note(struct sampler *s, struct histogram **h, uint64_t value) {
    if (!*h)
        *h = scratch_alloc(sizeof **h, _Alignof(struct histogram));
    if (*h)
        histogram_add(*h, value);
    else
        s->is_full = true;
}

/* A call was due: its time is kept, and the next is drawn. Frees do not end a thread's wait for its first
 * allocation. */
static __attribute__((noinline)) void take(struct sampler *s, enum latency_op op, unsigned group,
                                           uint64_t start, uint64_t stop) {
    uint64_t ticks = stop - start;
    s->n_left = 1;
    if (stop < start) {
        s->n_backward++;
        return;
    }
    if (s->is_fresh && op == LATENCY_FREE)
        return;
    s->n_left += prng_below(&s->prng, 2 * sample_every - 1);
    if (s->is_fresh)
        note(s, &s->others[LATENCY_FIRST_MALLOC], ticks);
    else if (*is_kept)
        note(s, &s->calls[op][group], ticks);
    s->is_fresh = false;
}

static inline bool is_due(struct sampler *s) {
    return s && --s->n_left == 0;
}

static void *time_alloc(size_t size_bytes) {
    struct sampler *s = own_sampler;
    if (!is_due(s))
        return inner_ops.alloc(size_bytes);
    uint64_t start = timer_start(&timer);
    void *block = inner_ops.alloc(size_bytes);
    uint64_t stop = timer_stop(&timer);
    take(s, LATENCY_MALLOC, group_of(size_bytes), start, stop);
    return block;
}

static void *time_calloc(size_t n, size_t size_bytes) {
    struct sampler *s = own_sampler;
    if (!is_due(s))
        return inner_ops.calloc(n, size_bytes);
    uint64_t start = timer_start(&timer);
    void *block = inner_ops.calloc(n, size_bytes);
    uint64_t stop = timer_stop(&timer);
    take(s, LATENCY_CALLOC, group_of(n * size_bytes), start, stop);
    return block;
}

static void *time_aligned_alloc(size_t align_bytes, size_t size_bytes) {
    struct sampler *s = own_sampler;
    if (!is_due(s))
        return inner_ops.aligned_alloc(align_bytes, size_bytes);
    uint64_t start = timer_start(&timer);
    void *block = inner_ops.aligned_alloc(align_bytes, size_bytes);
    uint64_t stop = timer_stop(&timer);
    take(s, LATENCY_ALIGNED_ALLOC, group_of(size_bytes), start, stop);
    return block;
}

static void *time_realloc(void *old, size_t size_bytes) {
    struct sampler *s = own_sampler;
    if (!is_due(s))
        return inner_ops.realloc(old, size_bytes);
    uint64_t start = timer_start(&timer);
    void *block = inner_ops.realloc(old, size_bytes);
    uint64_t stop = timer_stop(&timer);
    take(s, LATENCY_REALLOC, group_of(size_bytes), start, stop);
    return block;
}

static void time_free(void *block) {
    struct sampler *s = own_sampler;
    if (!is_due(s)) {
        inner_ops.free(block);
        return;
    }
    uint64_t start = timer_start(&timer);
    inner_ops.free(block);
    uint64_t stop = timer_stop(&timer);
    take(s, LATENCY_FREE, LATENCY_N_CLASSES, start, stop);
}

static void time_free_sized(void *block, size_t size_bytes) {
    struct sampler *s = own_sampler;
    if (!is_due(s)) {
        inner_ops.free_sized(block, size_bytes);
        return;
    }
    uint64_t start = timer_start(&timer);
    inner_ops.free_sized(block, size_bytes);
    uint64_t stop = timer_stop(&timer);
    take(s, LATENCY_FREE, group_of(size_bytes), start, stop);
}

int latency_open(const struct alloc_ops *inner, struct alloc_ops *outer, const struct cell_spec *spec,
                 const bool *is_measuring) {
    n_samplers = spec->n_threads;
    sample_every = spec->sample_every;
    is_kept = is_measuring;
    inner_ops = *inner;
    *outer = (struct alloc_ops){
        .alloc = time_alloc,
        .free = time_free,
        .calloc = inner->calloc ? time_calloc : NULL,
        .realloc = inner->realloc ? time_realloc : NULL,
        .aligned_alloc = inner->aligned_alloc ? time_aligned_alloc : NULL,
        .usable_size = inner->usable_size,
        .free_sized = inner->free_sized ? time_free_sized : NULL,
    };
    samplers = scratch_alloc(n_samplers * sizeof *samplers, WORKER_ALIGN_BYTES);
    if (!samplers)
        return -ENOMEM;
    for (unsigned i = 0; i < n_samplers; i++)
        prng_seed(&samplers[i].prng, spec->seed, SAMPLING_STREAM + i);
    return timer_open(&timer);
}

void latency_serve(unsigned slot) {
    struct sampler *s = &samplers[slot];
    s->is_fresh = true;
    s->n_left = 1;
    own_sampler = s;
}

void latency_note_ns(enum latency_op op, uint64_t ns) {
    note(own_sampler, &own_sampler->others[op], ns);
}

static void add_row(struct cell_latency *out, enum latency_op op, unsigned size_class,
                    const struct histogram *h, double ns_per_tick) {
    if (!h || h->n == 0 || out->n_rows == LATENCY_MAX_ROWS)
        return;
    struct latency_row *row = &out->rows[out->n_rows++];
    row->op = op;
    row->size_class = size_class;
    row->n = h->n;
    for (unsigned i = 0; i < LATENCY_N_PPM; i++) {
        unsigned __int128 n_beyond_ppm = (unsigned __int128)h->n * (1000000 - shares_ppm[i]);
        bool is_known = shares_ppm[i] == 0 || shares_ppm[i] == 1000000 || n_beyond_ppm >= 1000000;
        row->ns[i] = is_known ? (double)histogram_quantile(h, shares_ppm[i]) * ns_per_tick : NAN;
    }
}

/* All slots' histograms into the first slot's. */
static void merge_slots(struct histogram **first, size_t offset_bytes) {
    for (unsigned i = 1; i < n_samplers; i++) {
        struct histogram *other = *(struct histogram **)(void *)((char *)&samplers[i] + offset_bytes);
        if (other && *first)
            histogram_merge(*first, other);
        else if (other)
            *first = other;
    }
}

static void add_calls(struct cell_latency *out, struct histogram *of_op, struct histogram *of_all) {
    struct sampler *s = &samplers[0];
    for (unsigned op = 0; op < LATENCY_N_CALLS; op++) {
        struct histogram *sum = &of_op[op];
        for (unsigned group = 0; group < N_GROUPS; group++) {
            struct histogram **h = &s->calls[op][group];
            merge_slots(h, (size_t)((char *)h - (char *)s));
            if (group < LATENCY_N_CLASSES)
                add_row(out, op, group, *h, timer.ns_per_tick);
            if (*h)
                histogram_merge(sum, *h);
        }
        add_row(out, op, LATENCY_ANY_CLASS, sum, timer.ns_per_tick);
        histogram_merge(of_all, sum);
    }
    add_row(out, LATENCY_ANY_CALL, LATENCY_ANY_CLASS, of_all, timer.ns_per_tick);
}

int latency_report(struct cell_latency *out) {
    struct histogram *sums = scratch_alloc((LATENCY_N_CALLS + 1) * sizeof *sums, _Alignof(struct histogram));
    if (!sums)
        return -ENOMEM;
    timer_settle(&timer);
    out->timer = timer.is_counter ? TIMER_RDTSCP : TIMER_CLOCK_GETTIME;
    out->timer_min_ns = (double)timer.cost_min_ticks * timer.ns_per_tick;
    out->timer_step_ns = (double)timer.step_ticks * timer.ns_per_tick;
    out->timer_median_ns = (double)timer.cost_median_ticks * timer.ns_per_tick;
    out->n_rows = 0;
    for (unsigned i = 0; i < n_samplers; i++) {
        if (samplers[i].is_full)
            return -ENOMEM;
        if (samplers[i].n_backward > 0)
            return -ERANGE;
    }
    add_calls(out, sums, &sums[LATENCY_N_CALLS]);
    for (unsigned op = LATENCY_ANY_CALL + 1; op < LATENCY_N_OPS; op++) {
        struct histogram **h = &samplers[0].others[op];
        merge_slots(h, (size_t)((char *)h - (char *)&samplers[0]));
        add_row(out, op, LATENCY_ANY_CLASS, *h, op == LATENCY_FIRST_MALLOC ? timer.ns_per_tick : 1);
    }
    return 0;
}
