/*
 * The workload interface: one kernel a file, one `const struct workload` at its end, one row in registry.c.
 *
 * Owns: the run context a workload sees (struct cell, struct worker) and the registry.
 * Does not know: how threads are made, pinned or timed, what a CSV is. The harness fills `struct cell`.
 *
 * A workload calls the allocator through w->heap only, so that no compiler can delete a call, touches each
 * block it gets, and keeps its own bookkeeping in cell_scratch memory, never in the measured heap.
 * Its life in the measured process (all but setup, verify and teardown on threads of their own):
 *
 *   setup -> [thread_setup] barrier [run: warm-up] barrier [run: measured] barrier [thread_probe] barrier
 *         -> [thread_teardown] -> verify -> teardown
 *
 * In each phase run is called for every slot, even when is_stopping is up already: slots may wait for each other.
 * After teardown every block that was allocated has been freed: counted frees = counted allocations. That holds
 * for a run that failed for want of memory, too, and teardown bears a setup that failed half-way.
 */
#ifndef HEAPDYNO_WORKLOAD_H
#define HEAPDYNO_WORKLOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allocators/allocator.h"
#include "workloads/prng.h"

#define CELL_MAX_THREADS 1024
#define WORKLOAD_MAX_PARAMS 16
#define WORKER_ALIGN_BYTES 128 /* two lines: the adjacent-line prefetcher pairs them */

/* A parameter: a signed integer with unit, default and range. */
struct param {
    const char *name; /* carries its unit where it has one: min_bytes */
    const char *unit; /* "bytes", "objects", ...; "" = a pure number */
    int64_t def, min, max;
    const char *help;
};

/* A published parameter set under its origin's name: `larson@paper` is larson with these values set. */
struct preset {
    const char *name;
    const char *summary; /* whose set it is, and what it changes in kind */
    struct {
        const char *param; /* NULL ends the list */
        int64_t value;
    } set[WORKLOAD_MAX_PARAMS];
};

enum workload_flags {
    /* With two or more threads memory flows from some threads to others for ever. */
    WORKLOAD_ONE_WAY = 1 << 0,
    /* run may return RUN_SUCCEED. */
    WORKLOAD_SUCCESSORS = 1 << 1,
    /* A control: shows a bound, not a comparison; not in a default sweep. */
    WORKLOAD_REFERENCE = 1 << 2,
    /* Never reads a block back: a floor allocator, which has one for all, can serve it. */
    WORKLOAD_NO_LIVE_SET = 1 << 3,
    /* Heeds is_course: stages with a beginning and an end. */
    WORKLOAD_COURSE = 1 << 4,
    /* What is freed remotely was left by predecessors: before WORKLOAD_MIN_GENERATIONS its share says nothing. */
    WORKLOAD_BEQUEATHS = 1 << 5,
    /* An operation waits for no other slot: run may be called for a few at a time, each time with a budget that much
     * higher. */
    WORKLOAD_OPEN_LOOP = 1 << 6,
};

/* Fewest successors of each slot from which on threads can be said to succeed one another. */
#define WORKLOAD_MIN_GENERATIONS 3

enum run_result {
    RUN_DONE,    /* the worker's share is done or the stop flag is up */
    RUN_SUCCEED, /* this thread makes its successor, which runs on with the same worker, and ends */
    RUN_FAILED,  /* the allocator returned NULL where it must not; cell_fail was called */
};

/* One slot of the run. A slot outlives the threads that serve it one after another. */
struct worker {
    _Alignas(WORKER_ALIGN_BYTES) _Atomic uint64_t ops; /* done in this phase; own thread stores, relaxed */
    uint64_t ops_budget;                               /* of this phase; UINT64_MAX when a clock ends it */
    const struct alloc_ops *heap;
    struct cell *cell;
    struct prng prng; /* seeded from (master seed, workload, repetition, slot): same for every allocator */
    unsigned idx;
    _Atomic uint32_t n_generations; /* successors made in this phase; the harness counts */
    uint64_t ops_before; /* of finished phases: the harness adds ops and clears it before the next phase */
    uint64_t n_remote_frees; /* frees of blocks another thread had allocated; measured phase */
    uint64_t n_frees;        /* frees the workload made in the measured phase, for the remote fraction */
    void *state;             /* the workload's own, per slot */
    /* Bytes asked for and not freed yet, as this slot's calls changed them: a slot that frees what another
     * allocated goes below 0, the sum over the slots is what is live. Own thread stores, relaxed. */
    _Atomic int64_t live_bytes;
    _Atomic uint32_t n_turns; /* cell_lockstep: turns given to this slot and not yet taken; a futex word */
};

struct cell {
    const struct alloc_ops *heap;
    const int64_t *params; /* in the order of workload->params */
    unsigned n_threads;
    struct worker *workers; /* n_threads */
    uint64_t seed;          /* master seed mixed with workload and repetition */
    _Atomic bool is_stopping;
    bool is_measuring; /* false during warm-up; set by the harness between barriers */
    /* A WORKLOAD_COURSE whose phase has no budget runs its course once, with its holds, and ends by itself.
     * For watching memory over time; false: course after course without holds, until the budget or the clock. */
    bool is_course;
    uint64_t table_bytes; /* resident bookkeeping of the workload: to be taken off what the process holds */
    void *state;          /* the workload's own, shared */
    /* Share of 64-byte lines holding live objects of more than one thread; NaN = not measured. */
    double shared_line_fraction;
    _Atomic int failed_errno; /* first cell_fail */
    char why[ALLOCATOR_WHY_MAX];
};

struct workload {
    const char *name;
    unsigned version; /* rises with every change of what is done */
    const char *summary;
    const char *origin;           /* paper or program */
    const char *op;               /* what one operation is: "malloc/free pair" */
    const char *groups;           /* comma separated, e.g. "core,false-sharing" */
    const struct param *params;   /* ends with a NULL name; at most WORKLOAD_MAX_PARAMS rows */
    const struct preset *presets; /* ends with a NULL name; NULL = none */
    unsigned flags;
    unsigned min_threads;
    unsigned needs;      /* enum workload_needs: optional entries used; missing = skip */
    uint64_t warmup_ops; /* per thread, always the same amount of work */
    uint64_t audit_ops;  /* total over threads in the fixed-operations passes, unless --ops is given */
    /* Operations that a slot needs at least in these passes; NULL: any share of audit_ops will do. */
    uint64_t (*audit_slot_ops)(const int64_t *params);

    /* Each of these but run may be NULL. int: 0 or -errno after cell_fail. */
    int (*setup)(struct cell *c);
    int (*thread_setup)(struct worker *w);
    enum run_result (*run)(struct worker *w);
    int (*thread_probe)(struct worker *w);
    void (*thread_teardown)(struct worker *w);
    int (*verify)(struct cell *c); /* contents, counts: -EBADMSG after cell_fail when something is wrong */
    void (*teardown)(struct cell *c);
    /* Allocations (alloc, calloc, aligned_alloc) from setup to teardown, from parameters and
     * operations done. */
    uint64_t (*expected_allocs)(const struct cell *c);
    /* Upper bound of the bytes live at any time, all threads together; NULL = not stated. A workload that
     * states it keeps worker->live_bytes. */
    uint64_t (*peak_live_bytes)(const int64_t *params, unsigned n_threads);
    /* Of a WORKLOAD_COURSE: how long it holds in all, ms; NULL = it never holds. */
    uint64_t (*course_hold_ms)(const int64_t *params, unsigned n_threads);
};

enum workload_needs { NEEDS_CALLOC = 1, NEEDS_REALLOC = 2, NEEDS_ALIGNED = 4, NEEDS_USABLE_SIZE = 8 };

extern const struct workload *const workload_table[]; /* NULL-terminated */
const struct workload *workload_find(const char *name);
int workload_table_check(char *why, size_t why_bytes);

/* Publishes `done` and says whether to go on. Call once per batch, not per operation. */
static inline bool worker_continue_to(struct worker *w, uint64_t done, uint64_t budget) {
    atomic_store_explicit(&w->ops, done, memory_order_relaxed);
    return done < budget && !atomic_load_explicit(&w->cell->is_stopping, memory_order_relaxed);
}

static inline bool worker_continue(struct worker *w, uint64_t done) {
    return worker_continue_to(w, done, w->ops_budget);
}

/* Budgets of all slots in this phase, for workloads that share them out otherwise; UINT64_MAX = a clock. */
uint64_t cell_ops_budget(const struct cell *c);

/* What the fixed-operations passes do with these parameters, all threads together. */
uint64_t workload_audit_ops(const struct workload *w, const int64_t *params, unsigned n_threads);

/* Operations of all phases and slots so far. */
uint64_t cell_ops_total(const struct cell *c);

/* Zeroed memory from the harness's own mapping, for bookkeeping; lives as long as the process. Not the
 * measured heap. Thread-safe. NULL when the mapping cannot grow, after cell_fail. align_bytes is a power of
 * two. */
void *cell_scratch(struct cell *c, size_t n_bytes, size_t align_bytes);

/* Records the first failure (positive errno value and a reason) and raises is_stopping; returns -err. */
int cell_fail(struct cell *c, int err, const char *why);

/* Calls fn with each turn taken strictly in the order of the slots 0..n-1, n_rounds times, on the slots' own
 * threads: all n threads must call it, and none returns before the last turn was taken. Once a cell_fail was
 * recorded the turns go round without calls. 0, or what fn returned to this thread. For deterministic phases.
 */
int cell_lockstep(struct worker *w, unsigned n_rounds, int (*fn)(struct worker *w, unsigned round));

#endif
