/* What the threads do: the phases of one slot, and the making of successors. */
#include <errno.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <valgrind/callgrind.h>

#include "harness/cell/latency.h"
#include "harness/cell/run.h"

/* Counting system calls or instructions, the harness's own reading of the scheduler is left out. */
static bool is_delay_wanted(const struct run *r) {
    return r->spec->pass != PASS_INSTRUCTIONS && r->spec->pass != PASS_SYSCALLS;
}

/* Of a thread when it begins to serve: what it had waited for a processor, and how often it had left one. */
struct delay {
    uint64_t ns, n_switches;
    bool is_birth; /* ns is how long it took to make the thread */
};

/* A birth that takes longer has waited for another load's time slice, which is milliseconds. On an idle machine, with eight
 * allocators, 999 of 1000 took less than 0.4 ms and all but one less than 0.9; beside a busy loop those that wait take 3 to 5. */
#define LONG_BIRTH_NS 1000000u

/* A successor waits at its birth until its predecessor has left their processor, which is no other load's doing: as long
 * as it took to make it, at most. That is told without reading the scheduler's file, which would take a tenth and more
 * of the measured time of threads that live for a hundred microseconds. */
static struct delay delay_before(const struct slot *s) {
    if (!is_delay_wanted(s->run))
        return (struct delay){.ns = UINT64_MAX};
    if (s->is_started)
        return (struct delay){.ns = s->birth_ns, .is_birth = true};
    return (struct delay){.ns = probe_run_delay_ns(), .n_switches = probe_switches()};
}

static void add_run_delay(struct slot *s, struct delay before) {
    if (before.ns == UINT64_MAX)
        s->run_delay_ns = UINT64_MAX;
    if (s->run_delay_ns == UINT64_MAX)
        return;
    if (before.is_birth && before.ns >= LONG_BIRTH_NS)
        s->run_delay_ns += before.ns;
    if (probe_switches() == before.n_switches)
        return; /* it never left its processor, and so has not waited for one */
    uint64_t now_ns = probe_run_delay_ns();
    s->run_delay_ns += now_ns > before.ns ? now_ns - before.ns : 0;
}

/* A predecessor ended long ago, unless it was preempted on its last steps: joining it costs next to nothing,
 * bounds the number of threads, and leaves no dying thread to give back caches while memory is read. */
static void join_predecessor(struct slot *s) {
    if (s->has_predecessor)
        pthread_join(s->predecessor, NULL);
    s->has_predecessor = false;
}

/* Hands the slot to a new thread, which inherits the mask of this one. False: this thread has to go on. After
 * true the slot is no longer this thread's. */
static bool make_successor(struct slot *s) {
    pthread_t thread;
    s->predecessor = pthread_self();
    s->has_predecessor = true;
    s->worker->n_generations++;
    s->counters = counting_hand_over();
    s->birth_ns = probe_now_ns();
    int err = pthread_create(&thread, &s->run->attr, slot_main, s);
    if (err == 0)
        return true;
    counting_take_over(s->counters);
    s->has_predecessor = false;
    s->worker->n_generations--;
    cell_fail(&s->run->cell, err, "a successor thread could not be made");
    return false;
}

/* What this thread does next counts in the trace, or no longer. */
static void mark(const struct run *r, enum cell_mark mark) {
    if (r->spec->pass == PASS_SYSCALLS)
        prctl(CELL_MARK_OPTION, mark, 0, 0, 0);
}

/* The workload's own loop, and nothing else, is what callgrind is let to see. Elsewhere its requests are no-ops. */
static enum run_result run_counted(struct slot *s) {
    CALLGRIND_START_INSTRUMENTATION;
    enum run_result result = s->run->workload->run(s->worker);
    CALLGRIND_STOP_INSTRUMENTATION;
    return result;
}

static enum run_result run_phase(struct slot *s) {
    const struct cell_spec *spec = s->run->spec;
    if (s->phase == PHASE_MEASURED && spec->pass == PASS_INSTRUCTIONS)
        return run_counted(s);
    if (s->phase == PHASE_MEASURED && spec->pass == PASS_LATENCY && spec->rate_per_s > 0)
        return schedule_serve(&s->schedule, spec, s->worker, s->run->workload->run);
    return s->run->workload->run(s->worker);
}

/* Serves the slot until its share is done. False: a successor goes on with it and this thread ends. */
static bool serve(struct slot *s) {
    struct run *r = s->run;
    bool is_measured = s->phase == PHASE_MEASURED;
    bool is_counted = is_measured && r->spec->pass == PASS_INSTRUCTIONS;
    struct delay delay = {0};
    enum run_result result;

    if (is_measured)
        delay = delay_before(s);
    if (is_measured && !s->is_started) {
        if (is_counted) /* no window: opening one wakes main, which would be counted too */
            s->is_started = true;
        else
            window_enter(r, s);
        mark(r, MARK_IN);
    }
    /* Also after a stop: other slots may wait for this one. */
    result = run_phase(s);
    if (result == RUN_SUCCEED && atomic_load(&r->cell.is_stopping))
        result = RUN_DONE; /* a successor born after the end would have nothing to do */
    if (result == RUN_DONE && is_measured) {
        mark(r, MARK_OUT);
        s->finish_ns = probe_now_ns();
        window_close(r);
    }
    if (is_measured)
        add_run_delay(s, delay);
    join_predecessor(s);
    if (result != RUN_SUCCEED)
        return true;
    return !make_successor(s);
}

/* A call of the workload that may be missing. It is made although another thread's has failed: the slots may go in
 * lockstep there, and wait for those that do not come. */
static void call(struct slot *s, int (*fn)(struct worker *w), const char *why) {
    if (!fn)
        return;
    int err = fn(s->worker);
    if (err)
        cell_fail(&s->run->cell, -err, why); /* a second failure: the workload's own reason stays */
}

void *slot_main(void *arg) {
    struct slot *s = arg;
    struct run *r = s->run;

    s->thread = pthread_self();
    s->birth_ns = probe_now_ns() - s->birth_ns;
    counting_take_over(s->counters);
    if (r->spec->pass == PASS_SHARING)
        sharing_set_owner(s->worker->idx + 1);
    if (r->spec->pass == PASS_LATENCY)
        latency_serve(s->worker->idx);
    if (s->phase == PHASE_BORN) {
        s->tid = (int32_t)gettid();
        gate_pass(&r->gate);
        s->phase = PHASE_SETUP;
        call(s, r->workload->thread_setup, "thread_setup failed");
        gate_pass(&r->gate);
        s->phase = PHASE_WARMUP;
    }
    if (s->phase == PHASE_WARMUP) {
        if (s->worker->ops_budget > 0 && !serve(s))
            return NULL;
        mark(r, MARK_OUT);
        gate_pass(&r->gate);
        s->phase = PHASE_MEASURED;
    }
    if (s->phase == PHASE_MEASURED) {
        if (!serve(s))
            return NULL;
        gate_pass(&r->gate);
        s->phase = PHASE_PROBE;
    }
    call(s, r->workload->thread_probe, "thread_probe failed");
    gate_pass(&r->gate);
    s->phase = PHASE_TEARDOWN;
    if (r->workload->thread_teardown)
        r->workload->thread_teardown(s->worker);
    if (r->is_watched)
        gate_pass(&r->gate); /* alive and idle, until main has seen what is kept of all that was freed */
    return NULL;
}
