/*
 * mleak: does a thread that ends leave memory behind that nobody finds again?
 *
 * Origin   mleak of the mimalloc-bench suite (Leijen et al.): rounds of ten threads, each allocates one object, leaves it in one
 *          of a thousand places, frees what it finds there, and ends. Our rounds do not wait for the slowest thread.
 * Threads  T chains. Each thread does `steps` of: calloc an object, check that it is zero, sign it, exchange it for what
 *          is in a random place of a table that all share, free that; then it makes its successor and ends.
 * Timed    Everything; with few steps that is the making of threads.
 * Op       One calloc with its exchange and its free, if there was something to free.
 * Remote   Each object carries the number of the thread that made it.
 * Verify   The signature of each object, when it is freed and at the end.
 * Allocs   One per op.
 * Live     `places` objects and one a thread.
 */
#include "workloads/kernel.h"

enum { OBJECT_BYTES, PLACES, STEPS };

static const struct param params[] = {
    [OBJECT_BYTES] = {"object_bytes", "bytes", 128, 16, 1 << 20, "size of an object"},
    [PLACES] = {"places", "objects", 1000, 1, 1 << 24, "in the table that all threads share"},
    [STEPS] = {"steps", "steps", 1, 1, 1 << 30, "of a thread's life"},
    {0},
};

#define BATCH_STEPS 256

/* What an object begins with. */
struct mleak_object {
    uint64_t owner, check;
};

typedef _Atomic(struct mleak_object *) mleak_place;

struct mleak_slot {
    _Alignas(WORKER_ALIGN_BYTES) uint64_t steps_left; /* of this thread */
    uint64_t owner;                                   /* number of the thread that serves the slot now */
};

static int mleak_setup(struct cell *c) {
    size_t n_bytes = (size_t)c->params[PLACES] * sizeof(mleak_place);
    c->state = cell_scratch(c, n_bytes, WORKER_ALIGN_BYTES);
    if (!c->state)
        return -ENOMEM;
    c->table_bytes += n_bytes;
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct mleak_slot *s = cell_scratch(c, sizeof *s, _Alignof(struct mleak_slot));
        if (!s)
            return -ENOMEM;
        *s = (struct mleak_slot){.steps_left = (uint64_t)c->params[STEPS], .owner = i};
        c->workers[i].state = s;
    }
    return 0;
}

static uint64_t object_check(const struct mleak_object *object) {
    uint64_t x = object->owner ^ (uintptr_t)object;
    return prng_mix(&x);
}

static bool is_zero(const unsigned char *bytes, size_t n_bytes) {
    unsigned char any = 0;
    for (size_t i = 0; i < n_bytes; i++)
        any |= bytes[i];
    return any == 0;
}

static int object_free(struct worker *w, struct mleak_object *object, uint64_t self) {
    if (object->check != object_check(object))
        return cell_fail(w->cell, EBADMSG, "mleak: an object does not hold what was written to it");
    worker_count_frees(w, 1, object->owner != self);
    worker_live_add(w, -w->cell->params[OBJECT_BYTES]);
    w->heap->free(object);
    return 0;
}

static int mleak_step(struct worker *w, uint64_t self) {
    const size_t size_bytes = (size_t)w->cell->params[OBJECT_BYTES];
    mleak_place *places = w->cell->state;
    struct mleak_object *object = w->heap->calloc(1, size_bytes);
    if (!object)
        return cell_fail(w->cell, ENOMEM, "mleak: calloc returned NULL");
    worker_live_add(w, (int64_t)size_bytes);
    bool is_cleared = is_zero((unsigned char *)object, size_bytes);
    object->owner = self;
    object->check = object_check(object);
    uint64_t place = prng_below(&w->prng, (uint64_t)w->cell->params[PLACES]);
    struct mleak_object *found = atomic_exchange(&places[place], object);
    if (!is_cleared)
        return cell_fail(w->cell, EBADMSG, "mleak: what calloc returned was not zero");
    return found ? object_free(w, found, self) : 0;
}

static enum run_result mleak_run(struct worker *w) {
    struct mleak_slot *s = w->state;
    uint64_t done = worker_ops(w);

    while (worker_continue(w, done)) {
        uint64_t n_steps = worker_batch(w, done, min_u64(BATCH_STEPS, s->steps_left));
        for (uint64_t i = 0; i < n_steps; i++)
            if (mleak_step(w, s->owner) != 0)
                return RUN_FAILED;
        done += n_steps;
        s->steps_left -= n_steps;
        if (s->steps_left == 0) {
            s->steps_left = (uint64_t)w->cell->params[STEPS];
            s->owner += w->cell->n_threads; /* each slot counts in steps of the number of slots */
            worker_continue(w, done);
            return RUN_SUCCEED;
        }
    }
    return RUN_DONE;
}

static int mleak_verify(struct cell *c) {
    mleak_place *places = c->state;
    for (int64_t i = 0; i < c->params[PLACES]; i++) {
        const struct mleak_object *object = atomic_load(&places[i]);
        if (object && object->check != object_check(object))
            return cell_fail(c, EBADMSG, "mleak: a live object does not hold what was written to it");
    }
    return 0;
}

static void mleak_teardown(struct cell *c) {
    mleak_place *places = c->state;
    for (int64_t i = 0; places && i < c->params[PLACES]; i++) {
        struct mleak_object *object = atomic_exchange(&places[i], NULL);
        if (!object)
            continue;
        c->heap->free(object);
        worker_live_add(&c->workers[0], -c->params[OBJECT_BYTES]);
    }
}

static uint64_t mleak_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    return ((uint64_t)p[PLACES] + n_threads) * (uint64_t)p[OBJECT_BYTES];
}

static const struct preset presets[] = {
    {"mimalloc-bench", "one object a thread; run it with --threads 10", {{"steps", 1}}},
    {0},
};

const struct workload workload_mleak = {
    .name = "mleak",
    .version = 1,
    .summary = "threads that live for one calloc and leave it to others",
    .origin = "mimalloc-bench",
    .op = "calloc, exchange, and free of what was found",
    .groups = "memory",
    .params = params,
    .presets = presets,
    .flags = WORKLOAD_SUCCESSORS,
    .min_threads = 1,
    .needs = NEEDS_CALLOC,
    .warmup_ops = 50,
    .audit_ops = 4000,
    .setup = mleak_setup,
    .run = mleak_run,
    .verify = mleak_verify,
    .teardown = mleak_teardown,
    .expected_allocs = cell_ops_total,
    .peak_live_bytes = mleak_peak_live_bytes,
};
