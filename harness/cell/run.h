/*
 * One run in the measured process: threads, phases, the window in which all threads run.
 *
 * Owns: struct run, the slots, their threads. Does not know: the protocol's messages, how an allocator is
 * opened or proved.
 *
 * The window's state and both of its snapshots are guarded by window_lock. A slot belongs to the thread that
 * serves it; it passes to a successor by pthread_create and to main by the gate.
 */
#ifndef HEAPDYNO_RUN_H
#define HEAPDYNO_RUN_H

#include <pthread.h>

#include "harness/cell/counters.h"
#include "harness/cell/gate.h"
#include "harness/cell/probe.h"
#include "harness/cell/schedule.h"
#include "harness/protocol.h"
#include "workloads/workload.h"

enum phase { PHASE_BORN, PHASE_SETUP, PHASE_WARMUP, PHASE_MEASURED, PHASE_PROBE, PHASE_TEARDOWN };

enum window_state { WINDOW_NEVER, WINDOW_OPEN, WINDOW_CLOSED, WINDOW_VOID };

/* The harness's side of a worker. */
struct slot {
    _Alignas(WORKER_ALIGN_BYTES) struct worker *worker;
    struct run *run;
    pthread_t thread;      /* serves now */
    pthread_t predecessor; /* has ended or is about to; joined by its successor */
    bool has_predecessor;
    void *counters; /* left by the predecessor to its successor */
    int32_t tid;
    enum phase phase;
    bool is_started; /* entered the measured run; successors do not enter again */
    uint64_t start_ns, finish_ns;
    uint64_t birth_ns; /* when its thread began to be made; in slot_main, how long that took */
    uint64_t run_delay_ns;
    uint64_t open_ops, close_ops;
    struct schedule schedule; /* of the measured run, when spec->rate_per_s says so */
};

struct run {
    const struct cell_spec *spec;
    const struct workload *workload;
    struct cell cell;
    struct slot *slots;
    pthread_attr_t attr;
    struct bell bell;
    struct gate gate;
    _Atomic unsigned n_started;
    pthread_mutex_t window_lock;
    _Atomic int window_state; /* written under window_lock; main peeks */
    uint64_t open_ns, close_ns;
    struct probe_usage usage_before, usage_after;
    struct alloc_sharing sharing_before, sharing_after; /* of the measured phase, in the sharing pass */
    struct counters counters;                           /* of the measured phase, when spec->has_counters */
    bool is_watched; /* PASS_RSS: the workers can be read from outside, threads end only at run_end */
    int workers_fd;  /* the memory they lie in, when is_watched */
};

/* Fills run and makes its threads, which publish their tids and wait. 0, or -errno after cell_fail. */
int run_create(struct run *r, const struct cell_spec *spec, const struct workload *workload,
               const struct alloc_ops *heap);

/* From setup to the end of the measured phase; the threads wait. 0, or -errno after cell_fail: then the threads
 * are wherever they are, and all that is left to do is to report and exit. */
int run_measure(struct run *r);

/* From the probe through the threads' teardown, after which they end unless they are watched, to verify;
 * everything is still allocated that the threads' teardown leaves. 0, or -errno after cell_fail, as above. */
int run_finish(struct run *r);

/* Ends the threads of a watched run; nothing to do in others. */
void run_end(struct run *r);

/* What the measured phase gave: counts, times, window, usage. Times and counts of other origin are left alone. */
void run_report(const struct run *r, struct cell_result *result);

/* Start routine of a slot's threads. */
void *slot_main(void *slot);

/* A slot enters the measured run; the last to do so opens the window. */
void window_enter(struct run *r, struct slot *s);

/* Closes the window if it is open; it can never open again. Called by the first to finish, and by main. */
void window_close(struct run *r);

#endif
