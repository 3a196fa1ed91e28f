#include "harness/cell/run.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <sys/prctl.h>

#include "harness/cell/scratch.h"

_Static_assert(CELL_MAX_THREADS <= SHARING_MAX_OWNER, "a slot is an owner, main another");

/* Enough for the linker's surplus of thread-local storage and any workload; only touched pages count. */
#define STACK_BYTES ((size_t)256 << 10)
/* After a failure: what the threads get to come to the gate before main reports without them. */
#define GRACE_NS UINT64_C(2000000000)

int cell_fail(struct cell *c, int err, const char *why) {
    int none = 0;
    if (err <= 0)
        err = EINVAL;
    if (atomic_compare_exchange_strong(&c->failed_errno, &none, err))
        snprintf(c->why, sizeof c->why, "%s", why); /* read by main after the gate, or after its grace */
    atomic_store(&c->is_stopping, true);
    struct run *r = (struct run *)(void *)((char *)c - offsetof(struct run, cell));
    bell_ring(&r->bell);
    return -err;
}

/* Waits until all are at the gate, or a failure and its grace have passed. 0, or -errno of the failure. */
static int wait_gate(struct run *r) {
    uint64_t deadline_ns = UINT64_MAX;
    for (;;) {
        uint32_t seen = atomic_load(&r->bell.n_rings);
        if (gate_is_full(&r->gate))
            break;
        if (deadline_ns == UINT64_MAX && atomic_load(&r->cell.failed_errno))
            deadline_ns = probe_now_ns() + GRACE_NS;
        if (!bell_wait(&r->bell, seen, deadline_ns))
            break;
    }
    return -atomic_load(&r->cell.failed_errno);
}

/* Memory that the driver may map, too. NULL when there is none. */
static struct worker *make_shared_workers(struct run *r) {
    size_t n_bytes = r->cell.n_threads * sizeof(struct worker);
    r->workers_fd = memfd_create("workers", MFD_CLOEXEC);
    if (r->workers_fd < 0 || ftruncate(r->workers_fd, (off_t)n_bytes) != 0)
        return NULL;
    void *map = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, r->workers_fd, 0);
    return map == MAP_FAILED ? NULL : map;
}

static int make_slots(struct run *r) {
    struct cell *c = &r->cell;
    c->workers = r->is_watched ? make_shared_workers(r)
                               : scratch_alloc(c->n_threads * sizeof *c->workers, WORKER_ALIGN_BYTES);
    r->slots = scratch_alloc(c->n_threads * sizeof *r->slots, WORKER_ALIGN_BYTES);
    if (!c->workers || !r->slots)
        return cell_fail(c, ENOMEM, "no memory for the workers");
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct worker *w = &c->workers[i];
        w->heap = c->heap;
        w->cell = c;
        w->idx = i;
        prng_seed(&w->prng, c->seed, i);
        r->slots[i] = (struct slot){.worker = w, .run = r, .phase = PHASE_BORN};
    }
    return 0;
}

int run_create(struct run *r, const struct cell_spec *spec, const struct workload *workload,
               const struct alloc_ops *heap) {
    r->spec = spec;
    r->workload = workload;
    r->cell.heap = heap;
    r->cell.params = spec->params;
    r->cell.n_threads = spec->n_threads;
    r->cell.seed = spec->seed;
    r->cell.shared_line_fraction = NAN;
    r->is_watched = spec->pass == PASS_RSS;
    r->cell.is_course = r->is_watched && spec->ops_total == 0;
    r->gate.n_threads = spec->n_threads;
    r->gate.bell = &r->bell;
    pthread_mutex_init(&r->window_lock, NULL);
    int err = make_slots(r);
    if (err)
        return err;
    pthread_attr_init(&r->attr);
    pthread_attr_setstacksize(&r->attr, STACK_BYTES);
    for (unsigned i = 0; i < spec->n_threads; i++) {
        pthread_t thread; /* the thread notes itself: it may be gone before this call returns */
        err = pthread_create(&thread, &r->attr, slot_main, &r->slots[i]);
        if (err)
            return cell_fail(&r->cell, err, "a thread could not be made");
    }
    return wait_gate(r);
}

static void begin_phase(struct run *r, enum phase phase) {
    struct cell *c = &r->cell;
    uint64_t n = c->n_threads, total = r->spec->ops_total;
    for (unsigned i = 0; i < n; i++) {
        struct worker *w = &c->workers[i];
        w->ops_before += atomic_load(&w->ops);
        atomic_store(&w->ops, 0);
        w->n_generations = 0;
        if (phase == PHASE_WARMUP)
            w->ops_budget =
                c->is_course ? 0 : r->spec->warmup_ops; /* a course is watched from its beginning */
        else
            w->ops_budget = total ? total / n + (i < total % n) : UINT64_MAX;
    }
    c->is_measuring = phase == PHASE_MEASURED;
}

/* With a duration: waits for its end, counted from the opening of the window, and raises the stop flag. */
static void end_by_clock(struct run *r) {
    uint64_t deadline_ns = UINT64_MAX;
    for (;;) {
        uint32_t seen = atomic_load(&r->bell.n_rings);
        int state = r->window_state;
        if (gate_is_full(&r->gate) || atomic_load(&r->cell.failed_errno))
            break;
        if (deadline_ns == UINT64_MAX && state != WINDOW_NEVER)
            deadline_ns = (state == WINDOW_VOID ? probe_now_ns() : r->open_ns) + r->spec->duration_ns;
        if (!bell_wait(&r->bell, seen, deadline_ns))
            break;
    }
    window_close(r);
    atomic_store(&r->cell.is_stopping, true);
}

/* Of all threads while they wait at the gate: the slots' first threads, whose successors count with them. */
static void open_counters(struct run *r) {
    int32_t *tids = scratch_alloc(r->cell.n_threads * sizeof *tids, sizeof *tids);
    for (unsigned i = 0; tids && i < r->cell.n_threads; i++)
        tids[i] = r->slots[i].tid;
    counters_open(&r->counters, tids, tids ? r->cell.n_threads : 0);
}

/* The measured phase begins or has ended: all threads are at the gate. */
static void note_edge(struct run *r, bool is_begin) {
    struct probe_usage usage = probe_usage();
    *(is_begin ? &r->usage_before : &r->usage_after) = usage;
    if (r->spec->pass == PASS_SHARING)
        sharing_read(is_begin ? &r->sharing_before : &r->sharing_after);
    else if (r->spec->pass == PASS_SYSCALLS)
        prctl(CELL_MARK_OPTION, is_begin ? MARK_BEGIN : MARK_END, 0, 0, 0);
}

int run_measure(struct run *r) {
    struct cell *c = &r->cell;
    int err = r->workload->setup ? r->workload->setup(c) : 0;
    if (err)
        return cell_fail(c, -err, "setup failed");
    gate_open(&r->gate);
    err = wait_gate(r); /* thread_setup */
    if (err)
        return err;
    begin_phase(r, PHASE_WARMUP);
    gate_open(&r->gate);
    err = wait_gate(r);
    if (err)
        return err;
    begin_phase(r, PHASE_MEASURED);
    if (r->spec->has_counters)
        open_counters(r);
    note_edge(r, true);
    gate_open(&r->gate);
    if (r->spec->ops_total == 0 && !c->is_course)
        end_by_clock(r);
    err = wait_gate(r);
    note_edge(r, false);
    if (r->spec->has_counters)
        counters_read(&r->counters);
    c->is_measuring = false;
    return err;
}

static void join_all(struct run *r) {
    for (unsigned i = 0; i < r->cell.n_threads; i++)
        pthread_join(r->slots[i].thread, NULL);
}

int run_finish(struct run *r) {
    struct cell *c = &r->cell;
    gate_open(&r->gate);
    int err = wait_gate(r); /* thread_probe */
    if (err)
        return err;
    gate_open(&r->gate);
    if (!r->is_watched)
        join_all(r);
    else if ((err = wait_gate(r)) != 0)
        return err;
    if (r->workload->verify) {
        err = r->workload->verify(c);
        if (err)
            cell_fail(c, -err, "the workload's verification failed");
    }
    return -atomic_load(&c->failed_errno);
}

void run_end(struct run *r) {
    if (!r->is_watched)
        return;
    gate_open(&r->gate);
    join_all(r);
}

static void report_window(const struct run *r, struct cell_result *out) {
    out->window_ns = out->window_ops = out->min_thread_ops = out->max_thread_ops = UINT64_MAX;
    if (r->window_state != WINDOW_CLOSED || r->close_ns <= r->open_ns)
        return;
    out->window_ns = r->close_ns - r->open_ns;
    out->window_ops = out->max_thread_ops = 0;
    for (unsigned i = 0; i < r->cell.n_threads; i++) {
        uint64_t ops = r->slots[i].close_ops - r->slots[i].open_ops;
        out->window_ops += ops;
        out->min_thread_ops = ops < out->min_thread_ops ? ops : out->min_thread_ops;
        out->max_thread_ops = ops > out->max_thread_ops ? ops : out->max_thread_ops;
    }
}

static void report_slots(const struct run *r, struct cell_result *out) {
    uint64_t first_start = UINT64_MAX, last_start = 0, last_finish = 0, n_remote = 0, n_frees = 0;
    uint64_t n_generations = UINT64_MAX;
    out->ops = out->run_delay_ns = 0;
    for (unsigned i = 0; i < r->cell.n_threads; i++) {
        const struct slot *s = &r->slots[i];
        const struct worker *w = s->worker;
        out->ops += atomic_load(&w->ops);
        n_remote += w->n_remote_frees;
        n_frees += w->n_frees;
        uint64_t n_own = atomic_load(&w->n_generations);
        n_generations = n_own < n_generations ? n_own : n_generations;
        first_start = s->start_ns < first_start ? s->start_ns : first_start;
        last_start = s->start_ns > last_start ? s->start_ns : last_start;
        last_finish = s->finish_ns > last_finish ? s->finish_ns : last_finish;
        if (out->run_delay_ns != UINT64_MAX)
            out->run_delay_ns =
                s->run_delay_ns == UINT64_MAX ? UINT64_MAX : out->run_delay_ns + s->run_delay_ns;
    }
    out->wall_ns = last_finish - first_start;
    out->start_skew_ns = last_start - first_start;
    out->n_generations_min = r->workload->flags & WORKLOAD_SUCCESSORS ? n_generations : UINT64_MAX;
    bool is_told = !(r->workload->flags & WORKLOAD_BEQUEATHS) || n_generations >= WORKLOAD_MIN_GENERATIONS;
    out->remote_free_fraction = n_frees && is_told ? (double)n_remote / (double)n_frees : NAN;
}

static void report_sharing(const struct run *r, struct cell_result *out) {
    const struct alloc_sharing *a = &r->sharing_before, *b = &r->sharing_after;
    out->shared_line_fraction = r->cell.shared_line_fraction;
    if (r->spec->pass != PASS_SHARING)
        return;
    double n_lines = (double)(b->n_lines - a->n_lines);
    out->shared_line_fraction = n_lines > 0 ? (double)(b->n_shared - a->n_shared) / n_lines : NAN;
    out->passive_line_fraction = n_lines > 0 ? (double)(b->n_passive - a->n_passive) / n_lines : NAN;
}

void run_report(const struct run *r, struct cell_result *out) {
    const struct probe_usage *a = &r->usage_before, *b = &r->usage_after;
    report_slots(r, out);
    report_window(r, out);
    report_sharing(r, out);
    out->user_ns = b->user_ns - a->user_ns;
    out->sys_ns = b->sys_ns - a->sys_ns;
    out->nvcsw = b->nvcsw - a->nvcsw;
    out->nivcsw = b->nivcsw - a->nivcsw;
    out->minflt = b->minflt - a->minflt;
    out->majflt = b->majflt - a->majflt;
    if (r->spec->has_counters) {
        out->instructions = r->counters.values[COUNTER_INSTRUCTIONS];
        out->cycles = r->counters.values[COUNTER_CYCLES];
        out->cache_misses = r->counters.values[COUNTER_CACHE_MISSES];
        out->dtlb_misses = r->counters.values[COUNTER_DTLB_MISSES];
    }
}
