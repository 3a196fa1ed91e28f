/*
 * false-sharing-*: do objects of different threads end up in one cache line?
 *
 * Origin   Berger et al., "Hoard: A Scalable Memory Allocator for Multithreaded Applications" (ASPLOS 2000):
 *          active-false (cache-thrash) and passive-false (cache-scratch).
 * Threads  All alike, but for `serial`. Each takes an object, passes over it `writes` times, frees it; again.
 *            active    the allocator alone decides where the objects lie
 *            passive   main allocates adjacent objects and hands one to each thread, which frees it before it
 *                      begins: an allocator that gives a freed object to the thread that freed it shares lines
 *            separate  control: padded, so that no object shares a pair of lines with anything: no sharing
 *            serial    control: slot 0 does the passes of all, the others sleep: no parallelism
 *          Between the controls an allocator is judged: at or near `separate` the lines are private; below
 *          `serial` the threads are worth less than none.
 * Timed    Passes, with one malloc and one free per `writes` of them.
 * Op       One pass: each byte of the object is read, incremented and written back, through volatile accesses,
 *          for elsewhere compilers were found to delete the loop together with the allocations.
 * Verify   Before an object is freed its bytes must equal the number of passes.
 * Allocs   A slot's object lives on from warm-up to measured phase, so a slot that did n passes allocated
 *          ceil(n / writes) objects; passive: and one per slot in setup; both: and those of the probe.
 * Probe    Without timing, before anything else is asked of the heap by the threads, the same for every run: objects
 *          of probe_bytes are allocated turn by turn, slot after slot; what share of the 64-byte lines that hold any
 *          of them hold those of more than one thread? For passive, main allocated as many adjacent ones in setup
 *          and handed them out in turn; each slot frees its own first. The turns fix in which order an allocator
 *          first sees the threads, from which many choose the part of the heap that a thread gets. The objects
 *          live until the end: freed, they would be what the timed loop is given.
 */
#include <string.h>

#include "workloads/futex.h"
#include "workloads/kernel.h"

enum { OBJECT_BYTES, WRITES, PROBE_BYTES, PROBE_OBJECTS };

#define OBJECT_PARAMS                                                                                        \
    [OBJECT_BYTES] = {"object_bytes", "bytes", 8, 1, 1 << 16, "size of the object each thread writes to"},   \
    [WRITES] = {"writes", "passes", 10000, 1, 1 << 30, "passes over an object before it is freed"}

static const struct param params[] = {
    OBJECT_PARAMS,
    [PROBE_BYTES] = {"probe_bytes", "bytes", 16, 1, 4096, "size of the objects of the shared-line probe"},
    [PROBE_OBJECTS] = {"probe_objects", "objects", 64, 1, 4096, "objects of each thread in the probe"},
    {0},
};
static const struct param control_params[] = {OBJECT_PARAMS, {0}};

/* The originals divide the writes of an object by the number of threads; here a thread does them all. */
static const struct preset presets[] = {
    {"hoard", "a million writes to 8 bytes; also of scalloc", {{"object_bytes", 8}, {"writes", 1000000}}},
    {"mimalloc-bench", "two million writes to one byte", {{"object_bytes", 1}, {"writes", 2000000}}},
    {"allocbench", "ten million writes to 8 bytes", {{"object_bytes", 8}, {"writes", 10000000}}},
    {0},
};

#define BATCH_PASSES 1000 /* 10 us alone, a millisecond when each access fetches the line from another core */
#define LINE_BYTES 64u
#define LINE_PAIR_BYTES 128u /* the adjacent-line prefetcher fetches both */

struct sharing {
    bool is_passive, is_padded;
    struct line *lines; /* hash table of the probe, n_lines entries, a power of two */
    size_t n_lines;
    _Atomic uint32_t n_serial_phases; /* that slot 0 has finished; a futex word */
};

/* An entry of the probe's hash table: idx = line number + 1, 0 = empty. */
struct line {
    uintptr_t idx;
    unsigned owner;
    bool is_shared;
};

struct sharing_slot {
    _Alignas(WORKER_ALIGN_BYTES) unsigned char *object; /* inside block; NULL: none is live */
    void *block;                                        /* as malloc returned it */
    uint64_t passes_left;                               /* of the live object */
    uint32_t n_phases;                                  /* run was called so often */
    void *handed;                                       /* passive: from main, until the thread freed it */
    void **probed; /* live objects of the probe; before it, those handed */
};

static int sharing_alloc(struct cell *c, size_t n_bytes, void **out) {
    unsigned char *block = c->heap->alloc(n_bytes);
    if (!block)
        return cell_fail(c, ENOMEM, "false-sharing: malloc returned NULL");
    *block = 0;
    *out = block;
    return 0;
}

static void sharing_free(struct cell *c, void **block) {
    if (*block)
        c->heap->free(*block);
    *block = NULL;
}

/* ---- setup ------------------------------------------------------------------------------------------ */

static struct sharing *sharing_setup(struct cell *c) {
    struct sharing *s = cell_scratch(c, sizeof *s, WORKER_ALIGN_BYTES);
    if (!s)
        return NULL;
    for (unsigned i = 0; i < c->n_threads; i++) {
        c->workers[i].state = cell_scratch(c, sizeof(struct sharing_slot), _Alignof(struct sharing_slot));
        if (!c->workers[i].state)
            return NULL;
    }
    c->state = s;
    return s;
}

static int controls_setup(struct cell *c) {
    return sharing_setup(c) ? 0 : -ENOMEM;
}

static int separate_setup(struct cell *c) {
    struct sharing *s = sharing_setup(c);
    if (!s)
        return -ENOMEM;
    s->is_padded = true;
    return 0;
}

static int probe_setup(struct cell *c, struct sharing *s) {
    size_t n_objects = (size_t)c->params[PROBE_OBJECTS];
    size_t lines_per_object = (size_t)c->params[PROBE_BYTES] / LINE_BYTES + 2;
    size_t n_used = c->n_threads * n_objects * lines_per_object;

    for (s->n_lines = 1; s->n_lines < 2 * n_used;)
        s->n_lines *= 2;
    s->lines = cell_scratch(c, s->n_lines * sizeof *s->lines, WORKER_ALIGN_BYTES);
    if (!s->lines)
        return -ENOMEM;
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct sharing_slot *slot = c->workers[i].state;
        slot->probed = cell_scratch(c, n_objects * sizeof *slot->probed, WORKER_ALIGN_BYTES);
        if (!slot->probed)
            return -ENOMEM;
    }
    return 0;
}

static int active_setup(struct cell *c) {
    struct sharing *s = sharing_setup(c);
    return s ? probe_setup(c, s) : -ENOMEM;
}

/* Adjacent objects are those allocated one after another; the n-th goes to slot n mod n_threads. */
static int passive_setup(struct cell *c) {
    struct sharing *s = sharing_setup(c);
    if (!s)
        return -ENOMEM;
    s->is_passive = true;
    int err = probe_setup(c, s);
    for (unsigned i = 0; i < c->n_threads && err == 0; i++) {
        struct sharing_slot *slot = c->workers[i].state;
        err = sharing_alloc(c, (size_t)c->params[OBJECT_BYTES], &slot->handed);
    }
    uint64_t n_probed = c->n_threads * (uint64_t)c->params[PROBE_OBJECTS];
    for (uint64_t k = 0; k < n_probed && err == 0; k++) {
        struct sharing_slot *slot = c->workers[k % c->n_threads].state;
        err = sharing_alloc(c, (size_t)c->params[PROBE_BYTES], &slot->probed[k / c->n_threads]);
    }
    return err;
}

/* ---- probe ------------------------------------------------------------------------------------------ */

static void line_note(struct sharing *s, uintptr_t line_idx, unsigned owner, uint64_t *n_lines,
                      uint64_t *n_shared) {
    size_t at = (line_idx * UINT64_C(0x9e3779b97f4a7c15)) >> 20 & (s->n_lines - 1);
    while (s->lines[at].idx != 0 && s->lines[at].idx != line_idx + 1)
        at = (at + 1) & (s->n_lines - 1);
    struct line *line = &s->lines[at];
    if (line->idx == 0) {
        *line = (struct line){.idx = line_idx + 1, .owner = owner};
        ++*n_lines;
    } else if (line->owner != owner && !line->is_shared) {
        line->is_shared = true;
        ++*n_shared;
    }
}

/* All probe objects are live. Once per run: the table is not cleared. */
static void shared_lines_measure(struct cell *c) {
    struct sharing *s = c->state;
    uint64_t n_lines = 0, n_shared = 0;
    for (unsigned i = 0; i < c->n_threads; i++) {
        const struct sharing_slot *slot = c->workers[i].state;
        for (int64_t k = 0; k < c->params[PROBE_OBJECTS]; k++) {
            uintptr_t first = (uintptr_t)slot->probed[k];
            uintptr_t last = first + (uintptr_t)c->params[PROBE_BYTES] - 1;
            for (uintptr_t line = first / LINE_BYTES; line <= last / LINE_BYTES; line++)
                line_note(s, line, i, &n_lines, &n_shared);
        }
    }
    c->shared_line_fraction = (double)n_shared / (double)n_lines;
}

static int probe_alloc(struct worker *w, unsigned round) {
    struct sharing_slot *slot = w->state;
    return sharing_alloc(w->cell, (size_t)w->cell->params[PROBE_BYTES], &slot->probed[round]);
}

static int probe_free(struct worker *w, unsigned round) {
    struct sharing_slot *slot = w->state;
    sharing_free(w->cell, &slot->probed[round]);
    return 0;
}

/* All take part in each lockstep, whatever failed: the others wait for them. */
static int sharing_thread_setup(struct worker *w) {
    const struct sharing *s = w->cell->state;
    struct sharing_slot *slot = w->state;
    unsigned n_rounds = (unsigned)w->cell->params[PROBE_OBJECTS];
    if (s->is_passive)
        cell_lockstep(w, n_rounds, probe_free);
    int err = cell_lockstep(w, n_rounds, probe_alloc);
    if (w->idx == 0 && atomic_load(&w->cell->failed_errno) == 0)
        shared_lines_measure(w->cell);
    sharing_free(w->cell, &slot->handed);
    return err;
}

/* ---- run -------------------------------------------------------------------------------------------- */

/* The measured loop. */
static __attribute__((noinline)) void sharing_passes(volatile unsigned char *object, size_t n_bytes,
                                                     uint64_t n_passes) {
    for (; n_passes > 0; n_passes--)
        for (size_t i = 0; i < n_bytes; i++)
            object[i]++;
}

static int object_begin(struct worker *w, struct sharing_slot *slot) {
    const struct sharing *s = w->cell->state;
    size_t n_bytes = (size_t)w->cell->params[OBJECT_BYTES];
    size_t padded_bytes = (n_bytes + LINE_PAIR_BYTES - 1) / LINE_PAIR_BYTES * LINE_PAIR_BYTES;
    int err = sharing_alloc(w->cell, s->is_padded ? padded_bytes + LINE_PAIR_BYTES : n_bytes, &slot->block);
    if (err)
        return err;
    slot->object = slot->block;
    if (s->is_padded)
        slot->object += -(uintptr_t)slot->object & (LINE_PAIR_BYTES - 1);
    memset(slot->object, 0, n_bytes);
    slot->passes_left = (uint64_t)w->cell->params[WRITES];
    return 0;
}

static int object_end(struct worker *w, struct sharing_slot *slot) {
    size_t n_bytes = (size_t)w->cell->params[OBJECT_BYTES];
    unsigned char n_passes = (unsigned char)((uint64_t)w->cell->params[WRITES] - slot->passes_left);
    int err = 0;
    for (size_t i = 0; i < n_bytes && err == 0; i++)
        if (slot->object[i] != n_passes)
            err =
                cell_fail(w->cell, EBADMSG, "false-sharing: an object does not hold what was written to it");
    sharing_free(w->cell, &slot->block);
    slot->object = NULL;
    return err;
}

static enum run_result sharing_work(struct worker *w, uint64_t budget) {
    struct sharing_slot *slot = w->state;
    uint64_t done = worker_ops(w);

    while (worker_continue_to(w, done, budget)) {
        if (!slot->object && object_begin(w, slot) != 0)
            return RUN_FAILED;
        uint64_t n_passes = min_u64(min_u64(BATCH_PASSES, slot->passes_left), budget - done);
        sharing_passes(slot->object, (size_t)w->cell->params[OBJECT_BYTES], n_passes);
        done += n_passes;
        slot->passes_left -= n_passes;
        if (slot->passes_left == 0) {
            if (object_end(w, slot) != 0)
                return RUN_FAILED;
            worker_count_frees(w, 1, 0);
        }
    }
    return RUN_DONE;
}

static enum run_result sharing_run(struct worker *w) {
    return sharing_work(w, w->ops_budget);
}

/* The sleepers end with slot 0, so that all are there in the window that counts. */
static enum run_result serial_run(struct worker *w) {
    struct sharing *s = w->cell->state;
    struct sharing_slot *slot = w->state;
    slot->n_phases++;
    if (w->idx == 0) {
        enum run_result result = sharing_work(w, cell_ops_budget(w->cell));
        atomic_fetch_add(&s->n_serial_phases, 1);
        futex_wake(&s->n_serial_phases, CELL_MAX_THREADS);
        return result;
    }
    uint32_t n_done;
    while ((n_done = atomic_load(&s->n_serial_phases)) < slot->n_phases)
        futex_wait(&s->n_serial_phases, n_done);
    return RUN_DONE;
}

/* ---- end -------------------------------------------------------------------------------------------- */

static void sharing_thread_teardown(struct worker *w) {
    struct sharing_slot *slot = w->state;
    if (slot->object)
        object_end(w, slot);
    for (int64_t k = 0; slot->probed && k < w->cell->params[PROBE_OBJECTS]; k++)
        sharing_free(w->cell, &slot->probed[k]);
}

/* What main handed out and no thread took, after a failed setup. */
static void passive_teardown(struct cell *c) {
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct sharing_slot *slot = c->workers[i].state;
        if (!slot || !slot->probed)
            continue;
        sharing_free(c, &slot->handed);
        for (int64_t k = 0; k < c->params[PROBE_OBJECTS]; k++)
            sharing_free(c, &slot->probed[k]);
    }
}

static uint64_t controls_expected_allocs(const struct cell *c) {
    uint64_t n_writes = (uint64_t)c->params[WRITES], n_objects = 0;
    for (unsigned i = 0; i < c->n_threads; i++)
        n_objects += (c->workers[i].ops_before + worker_ops(&c->workers[i]) + n_writes - 1) / n_writes;
    return n_objects;
}

static uint64_t active_expected_allocs(const struct cell *c) {
    return controls_expected_allocs(c) + c->n_threads * (uint64_t)c->params[PROBE_OBJECTS];
}

static uint64_t passive_expected_allocs(const struct cell *c) {
    return active_expected_allocs(c) + c->n_threads * (1 + (uint64_t)c->params[PROBE_OBJECTS]);
}

#define SHARING_COMMON                                                                                       \
    .version = 2, .origin = "Berger et al. 2000", .op = "read-and-write pass over an object",                \
    .min_threads = 1, .warmup_ops = 20000, .audit_ops = 2000000, .thread_teardown = sharing_thread_teardown

const struct workload workload_false_sharing_active = {
    SHARING_COMMON,
    .name = "false-sharing-active",
    .summary = "threads write to small objects of their own (cache-thrash)",
    .groups = "core,false-sharing",
    .params = params,
    .presets = presets,
    .setup = active_setup,
    .thread_setup = sharing_thread_setup,
    .run = sharing_run,
    .expected_allocs = active_expected_allocs,
};

const struct workload workload_false_sharing_passive = {
    SHARING_COMMON,
    .name = "false-sharing-passive",
    .summary = "the same after each thread freed one of main's adjacent objects (cache-scratch)",
    .groups = "core,false-sharing",
    .params = params,
    .presets = presets,
    .setup = passive_setup,
    .thread_setup = sharing_thread_setup,
    .run = sharing_run,
    .teardown = passive_teardown,
    .expected_allocs = passive_expected_allocs,
};

const struct workload workload_false_sharing_separate = {
    SHARING_COMMON,
    .name = "false-sharing-separate",
    .summary = "control: the objects lie in pairs of lines of their own",
    .groups = "false-sharing",
    .params = control_params,
    .presets = presets,
    .flags = WORKLOAD_REFERENCE,
    .setup = separate_setup,
    .run = sharing_run,
    .expected_allocs = controls_expected_allocs,
};

const struct workload workload_false_sharing_serial = {
    SHARING_COMMON,
    .name = "false-sharing-serial",
    .summary = "control: one thread does the passes of all",
    .groups = "false-sharing",
    .params = control_params,
    .presets = presets,
    .flags = WORKLOAD_REFERENCE,
    .setup = controls_setup,
    .run = serial_run,
    .expected_allocs = controls_expected_allocs,
};
