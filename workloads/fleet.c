/*
 * fleet: sizes, rates and lifetimes from a table.
 *
 * Origin   The idea is that of the empirical driver of fleetbench (Google): replay what a heap profile says of a service,
 *          class by class: how large, how often, how many alive. The table and the way of driving are our own. The default
 *          table is workloads/data/fleet.csv, compiled in, which says where its numbers come from; the environment variable
 *          HEAPDYNO_FLEET_CSV names another file of the same form.
 * Threads  All alike; none sees another's block. Each has its share of total_bytes, to which the table's numbers of
 *          live objects are scaled, rounded down. Before the run each thread allocates them, in an order that mixes the classes.
 * Timed    Steps: draw a class by its rate, free a random object of the class, allocate one in its place, and write to its
 *          ends and each of its pages. So each class keeps its number of objects, and an object lives for as many steps of its
 *          class, on average, as there are objects, geometrically distributed: the memoryless lifetimes of a service in
 *          equilibrium, without its fluctuations. A class whose share is no whole object has temporary ones: allocated
 *          and freed. Classes with objects larger than a share are left out.
 * Op       One step.
 * Allocs   The objects of the start, and one per op.
 * Live     At most total_bytes, and one temporary object a thread, which is no larger than a share.
 */
#include "workloads/block.h"
#include "workloads/fleet_table.h"

enum { TOTAL_BYTES };

static const struct param params[] = {
    [TOTAL_BYTES] = {"total_bytes", "bytes", 128 << 20, 1 << 12, INT64_C(1) << 40, "live objects, in all"},
    {0},
};

#define BATCH_STEPS 512

/* The cell's state: read-only during the run. */
struct fleet {
    struct fleet_table table;
    uint32_t *first; /* n_classes + 1: a slot's objects of class i are first[i] to first[i + 1] - 1 */
};

/* The set's places are never moved: each belongs to a class. Holes at first. */
static int fleet_populate(struct cell *c, struct fleet *f, uint64_t share_bytes) {
    f->first = cell_scratch(c, (f->table.n_classes + 1) * sizeof *f->first, WORKER_ALIGN_BYTES);
    if (!f->first)
        return -ENOMEM;
    for (uint32_t i = 0; i < f->table.n_classes; i++) {
        double scale = (double)share_bytes / f->table.live_bytes;
        uint64_t n_objects = (uint64_t)(f->table.classes[i].live_objects * scale);
        if (f->first[i] + n_objects > UINT32_MAX)
            return cell_fail(c, EINVAL, "fleet: too many live objects");
        f->first[i + 1] = f->first[i] + (uint32_t)n_objects;
    }
    return 0;
}

static int fleet_setup(struct cell *c) {
    const uint64_t share_bytes = (uint64_t)c->params[TOTAL_BYTES] / c->n_threads;
    struct fleet *f = cell_scratch(c, sizeof *f, _Alignof(struct fleet));
    if (!f)
        return -ENOMEM;
    int err = fleet_table_load(c, &f->table);
    if (err == 0)
        err = fleet_table_prepare(c, &f->table, share_bytes);
    if (err == 0)
        err = fleet_populate(c, f, share_bytes);
    c->state = err == 0 ? f : NULL;
    for (unsigned i = 0; i < c->n_threads && err == 0; i++) {
        struct block_set *set =
            block_slot_create(&c->workers[i], sizeof *set, f->first[f->table.n_classes] + UINT64_C(1));
        if (set)
            set->n_blocks = f->first[f->table.n_classes];
        else
            err = -ENOMEM;
    }
    return err;
}

static uint32_t class_of_place(const struct fleet *f, uint64_t place) {
    uint32_t low = 0, high = f->table.n_classes;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (f->first[middle + 1] <= place)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint64_t greatest_common_divisor(uint64_t a, uint64_t b) {
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* A stride that has no divisor in common with the number of places visits each of them once. */
static int fleet_thread_setup(struct worker *w) {
    const struct fleet *f = w->cell->state;
    struct block_set *set = w->state;
    uint64_t stride = set->n_blocks * 5 / 8 + 1, place = 0;
    while (greatest_common_divisor(stride, set->n_blocks) > 1)
        stride++;
    for (uint64_t i = 0; i < set->n_blocks; i++, place = (place + stride) % set->n_blocks) {
        size_t size_bytes = f->table.classes[class_of_place(f, place)].size_bytes;
        if (!block_make(w, &set->blocks[place], size_bytes, w->idx))
            return -ENOMEM;
    }
    return 0;
}

static bool fleet_step(struct worker *w, const struct fleet *f, struct block_set *set) {
    const uint32_t class = fleet_draw(&f->table, &w->prng);
    const uint32_t n_objects = f->first[class + 1] - f->first[class];
    const size_t size_bytes = f->table.classes[class].size_bytes;
    if (n_objects == 0) {
        struct block temporary;
        return block_make(w, &temporary, size_bytes, w->idx) && block_free(w, &temporary, w->idx);
    }
    uint64_t place = f->first[class] + prng_below(&w->prng, n_objects);
    return block_replace(w, &set->blocks[place], size_bytes, w->idx);
}

static enum run_result fleet_run(struct worker *w) {
    uint64_t done = worker_ops(w);
    while (worker_continue(w, done)) {
        uint64_t n_steps = worker_batch(w, done, BATCH_STEPS);
        for (uint64_t i = 0; i < n_steps; i++)
            if (!fleet_step(w, w->cell->state, w->state))
                return RUN_FAILED;
        done += n_steps;
    }
    return RUN_DONE;
}

static uint64_t fleet_expected_allocs(const struct cell *c) {
    const struct fleet *f = c->state;
    uint64_t n_start = f ? (uint64_t)c->n_threads * f->first[f->table.n_classes] : 0;
    return n_start + cell_ops_total(c);
}

static uint64_t fleet_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    (void)n_threads;
    return 2 * (uint64_t)p[TOTAL_BYTES];
}

const struct workload workload_fleet = {
    .name = "fleet",
    .version = 1,
    .summary = "sizes, rates and lifetimes from a table, yours if you like",
    .origin = "after fleetbench",
    .op = "free and malloc of one object of a class",
    .groups = "speed,memory",
    .params = params,
    .flags = WORKLOAD_OPEN_LOOP,
    .min_threads = 1,
    .warmup_ops = 10000,
    .audit_ops = 1000000,
    .setup = fleet_setup,
    .thread_setup = fleet_thread_setup,
    .run = fleet_run,
    .verify = block_slots_verify,
    .teardown = block_slots_teardown,
    .expected_allocs = fleet_expected_allocs,
    .peak_live_bytes = fleet_peak_live_bytes,
};
