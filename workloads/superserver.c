/*
 * superserver: objects of all sizes that live the longer the larger they are, each in a random thread's care.
 *
 * Origin   The server simulation of Kuszmaul, "SuperMalloc" (ISMM 2015). There the payload of an object that is evicted
 *          early is lost and never freed; here all objects are freed.
 * Threads  All alike. A thread allocates objects and pushes each on the list of a random thread, which takes all that
 *          is there before it goes on, keeps them in a heap by the time of their death, and frees them.
 * Timed    Steps: take what others pushed; free what is due; allocate one object of 2^k (1 + u) bytes, u uniform in
 *          [0, 1), k from 4 to max_class, each half as likely as the one before; hand it over. An object of n bytes
 *          is due n x life_percent / 100 steps of its keeper after that one took it. Each page is written.
 * Op       One step.
 * Remote   Objects made by another thread: (T-1)/T but for those whose list was full.
 * Verify   A word in the object must belong to it and its last byte be as written.
 * Live     At most live_bytes and two objects a thread: a keeper at its share frees the next to die before their time;
 *          a list that holds a quarter of a share takes no more, and the maker keeps the object.
 * Allocs   One per op.
 */
#include "workloads/block.h"
#include "workloads/draw.h"
#include "workloads/stamp.h"

enum { LIVE_BYTES, MAX_CLASS, LIFE_PERCENT };

static const struct param params[] = {
    [LIVE_BYTES] = {"live_bytes", "bytes", 256 << 20, 1 << 16, INT64_C(1) << 40,
                    "cap of what lives, over all threads"},
    [MAX_CLASS] = {"max_class", "", 19, 4, 22, "sizes are below 2^(max_class + 1)"},
    [LIFE_PERCENT] = {"life_percent", "%", 100, 1, 10000, "lifetime in steps, of the size in bytes"},
    {0},
};

static const struct preset presets[] = {
    {"supermalloc", "the original's cap of 256 MiB", {{"live_bytes", 256 << 20}}},
    {0},
};

#define MIN_CLASS 4
#define BATCH_STEPS 128
#define KEPT_MAX_OBJECTS 16384 /* a thousand times what lives at a time on average, at life_percent 100 */
#define INBOX_PART 4           /* of a share: a quarter */

/* In the measured heap. */
struct object {
    struct object *next; /* in a list */
    uint64_t stamp;
};

struct kept {
    uint64_t due_step;
    struct object *object;
};

struct server {
    _Alignas(WORKER_ALIGN_BYTES) _Atomic(struct object *) inbox;
    _Atomic int64_t inbox_bytes; /* counted before the push and after the take: never below what is there */
    /* The keeper's own. */
    _Alignas(WORKER_ALIGN_BYTES) struct kept *kept; /* binary heap, the next to die first */
    size_t n_kept;
    int64_t kept_bytes, kept_max_bytes, inbox_max_bytes;
    uint64_t n_steps;
};

/* ---- heap by time of death --------------------------------------------------------------------------- */

static void kept_push(struct server *s, uint64_t due_step, struct object *object) {
    size_t i = s->n_kept++;
    for (; i > 0 && s->kept[(i - 1) / 2].due_step > due_step; i = (i - 1) / 2)
        s->kept[i] = s->kept[(i - 1) / 2];
    s->kept[i] = (struct kept){due_step, object};
}

static struct object *kept_pop(struct server *s) {
    struct object *first = s->kept[0].object;
    struct kept last = s->kept[--s->n_kept];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < s->n_kept; i = child) {
        if (child + 1 < s->n_kept && s->kept[child + 1].due_step < s->kept[child].due_step)
            child++;
        if (s->kept[child].due_step >= last.due_step)
            break;
        s->kept[i] = s->kept[child];
    }
    s->kept[i] = last;
    return first;
}

/* ---- objects ----------------------------------------------------------------------------------------- */

static struct object *object_make(struct worker *w, size_t size_bytes) {
    unsigned char *at = w->heap->alloc(size_bytes);
    if (!at) {
        cell_fail(w->cell, ENOMEM, "malloc returned NULL");
        return NULL;
    }
    uint64_t stamp = stamp_make(at, size_bytes, w->idx);
    for (size_t i = PAGE_BYTES; i < size_bytes; i += PAGE_BYTES)
        at[i] = (unsigned char)stamp;
    struct object *object = (struct object *)(void *)at;
    *object = (struct object){.stamp = stamp};
    if (size_bytes > sizeof *object)
        at[size_bytes - 1] = (unsigned char)stamp;
    worker_live_add(w, (int64_t)size_bytes);
    return object;
}

static bool object_is_intact(const struct object *object) {
    size_t size_bytes = stamp_bytes(object->stamp);
    return stamp_is_of(object->stamp, object) &&
           (size_bytes <= sizeof *object ||
            ((const unsigned char *)object)[size_bytes - 1] == (unsigned char)object->stamp);
}

/* False after cell_fail: then the object is lost. */
static bool object_free(struct worker *w, struct object *object) {
    const uint64_t stamp = object->stamp;
    if (!object_is_intact(object)) {
        cell_fail(w->cell, EBADMSG, "superserver: an object does not hold what was written to it");
        return false;
    }
    object->stamp = 0;
    w->heap->free(object);
    worker_live_add(w, -(int64_t)stamp_bytes(stamp));
    worker_count_frees(w, 1, !stamp_is_by(stamp, w->idx));
    return true;
}

/* ---- run --------------------------------------------------------------------------------------------- */

static bool first_kept_free(struct worker *w, struct server *me) {
    struct object *object = kept_pop(me);
    me->kept_bytes -= (int64_t)stamp_bytes(object->stamp);
    return object_free(w, object);
}

/* Takes the object into care; makes room first. */
static bool keep(struct worker *w, struct server *me, struct object *object) {
    int64_t size_bytes = (int64_t)stamp_bytes(object->stamp);
    uint64_t life_steps = (uint64_t)(size_bytes * w->cell->params[LIFE_PERCENT] / 100);
    bool is_intact = true;

    while (me->n_kept > 0 &&
           (me->n_kept == KEPT_MAX_OBJECTS || me->kept_bytes + size_bytes > me->kept_max_bytes))
        is_intact &= first_kept_free(w, me);
    kept_push(me, me->n_steps + life_steps, object);
    me->kept_bytes += size_bytes;
    return is_intact;
}

/* Whole list at once: nobody else takes, so a pushed object cannot be there twice. */
static bool inbox_take(struct worker *w, struct server *me) {
    if (!atomic_load_explicit(&me->inbox, memory_order_relaxed))
        return true;
    struct object *object = atomic_exchange(&me->inbox, NULL), *next;
    bool is_intact = true;
    for (; object; object = next) {
        next = object->next;
        int64_t size_bytes = (int64_t)stamp_bytes(object->stamp);
        is_intact &= keep(w, me, object);
        atomic_fetch_sub(&me->inbox_bytes, size_bytes);
    }
    return is_intact;
}

/* False when the list is full. */
static bool inbox_push(struct server *to, struct object *object) {
    int64_t size_bytes = (int64_t)stamp_bytes(object->stamp);
    if (atomic_fetch_add(&to->inbox_bytes, size_bytes) + size_bytes > to->inbox_max_bytes) {
        atomic_fetch_sub(&to->inbox_bytes, size_bytes);
        return false;
    }
    object->next = atomic_load(&to->inbox);
    while (!atomic_compare_exchange_weak(&to->inbox, &object->next, object))
        ;
    return true;
}

static bool step(struct worker *w, struct server *me) {
    const struct cell *c = w->cell;
    if (!inbox_take(w, me))
        return false;
    me->n_steps++;
    while (me->n_kept > 0 && me->kept[0].due_step <= me->n_steps)
        if (!first_kept_free(w, me))
            return false;
    size_t base = (size_t)1 << draw_halving(&w->prng, MIN_CLASS, (unsigned)c->params[MAX_CLASS]);
    struct object *object = object_make(w, base + prng_below(&w->prng, base));
    if (!object)
        return false;
    struct server *to = c->workers[prng_below(&w->prng, c->n_threads)].state;
    return (to != me && inbox_push(to, object)) || keep(w, me, object);
}

static enum run_result superserver_run(struct worker *w) {
    uint64_t done = worker_ops(w);
    while (worker_continue(w, done)) {
        for (uint64_t n = worker_batch(w, done, BATCH_STEPS); n > 0; n--, done++)
            if (!step(w, w->state))
                return RUN_FAILED;
    }
    return RUN_DONE;
}

/* ---- setup and end ----------------------------------------------------------------------------------- */

static int superserver_setup(struct cell *c) {
    int64_t share_bytes = c->params[LIVE_BYTES] / c->n_threads;
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct server *s = cell_scratch(c, sizeof *s, _Alignof(struct server));
        if (!s)
            return -ENOMEM;
        s->kept = cell_scratch(c, KEPT_MAX_OBJECTS * sizeof *s->kept, WORKER_ALIGN_BYTES);
        if (!s->kept)
            return -ENOMEM;
        s->inbox_max_bytes = share_bytes / INBOX_PART;
        s->kept_max_bytes = share_bytes - s->inbox_max_bytes;
        c->table_bytes += KEPT_MAX_OBJECTS * sizeof *s->kept;
        c->workers[i].state = s;
    }
    return 0;
}

static int superserver_verify(struct cell *c) {
    for (unsigned i = 0; i < c->n_threads; i++) {
        const struct server *s = c->workers[i].state;
        bool is_intact = true;
        for (size_t k = 0; k < s->n_kept; k++)
            is_intact &= object_is_intact(s->kept[k].object);
        if (!is_intact)
            return cell_fail(c, EBADMSG, "superserver: a live object lost what was written to it");
    }
    return 0;
}

static void superserver_teardown(struct cell *c) {
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct server *s = c->workers[i].state;
        if (!s)
            continue;
        for (struct object *object = atomic_load(&s->inbox), *next; object; object = next) {
            next = object->next;
            c->heap->free(object);
        }
        for (; s->n_kept > 0; s->n_kept--)
            c->heap->free(s->kept[s->n_kept - 1].object);
    }
}

static uint64_t superserver_expected_allocs(const struct cell *c) {
    return cell_ops_total(c);
}

/* A keeper may hold one object that is larger than its share, and the one that it makes. */
static uint64_t superserver_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    return (uint64_t)p[LIVE_BYTES] + (UINT64_C(2) << p[MAX_CLASS]) * 2 * n_threads;
}

const struct workload workload_superserver = {
    .name = "superserver",
    .version = 1,
    .summary = "objects of all sizes in random threads' care, living the longer the larger they are",
    .origin = "Kuszmaul 2015: the server simulation of SuperMalloc's suite",
    .op = "malloc, with the frees that are due",
    .groups = "memory,scaling",
    .params = params,
    .presets = presets,
    .flags = WORKLOAD_OPEN_LOOP,
    .min_threads = 1,
    .warmup_ops = 10000,
    .audit_ops = 300000,
    .setup = superserver_setup,
    .run = superserver_run,
    .verify = superserver_verify,
    .teardown = superserver_teardown,
    .expected_allocs = superserver_expected_allocs,
    .peak_live_bytes = superserver_peak_live_bytes,
};
