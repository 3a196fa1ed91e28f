/*
 * prodcons: some threads only allocate, others only free.
 *
 * Origin   xmalloc-test of the SuperMalloc suite (Kuszmaul, ISMM 2015), after Lever and Boreham's malloc-test 2.
 *          There all share one queue behind a mutex; here the queue is not the bottleneck.
 * Threads  The first producer_percent of the slots produce, rounded down but at least one; the rest, at least one,
 *          consume; one thread alone does both in turn. A producer allocates a batch record and its objects, writes
 *          them, and leaves the batch in a mailbox. Each producer p has `mailboxes` of them, or as many more as let no
 *          consumer go without, number s being for consumer (p + s) mod n_consumers alone. So each mailbox is one pointer with one writer and one reader, a consumer that is
 *          not running holds up a part of its producers' mailboxes only, and the blocks in flight are bounded,
 *          whatever the speed.
 * Timed    Everything, including waiting: a look round the mailboxes, a short spin, then sleep on a futex.
 * Op       One object freed by its consumer. Producers have no ops of their own.
 * Remote   All frees, records included, unless one thread does both.
 * Verify   A consumer checks the record and what the producer wrote into each object; at the end as many
 *          objects were consumed as produced.
 * Allocs   One per op, and one per batch: the last batch of a producer in a phase may be short.
 *
 * A phase ends with the producers: by budget or by the stop flag. Consumers go on until all their producers
 * have finished and the mailboxes are empty, so nothing is in flight between phases.
 */
#include <string.h>

#include "workloads/futex.h"
#include "workloads/kernel.h"

enum { SIZE_BYTES, BATCH_OBJECTS, MAILBOXES, PRODUCER_PERCENT };

static const struct param params[] = {
    [SIZE_BYTES] = {"size_bytes", "bytes", 64, 1, 1 << 20, "size of each object"},
    [BATCH_OBJECTS] = {"batch_objects", "objects", 4096, 1, 1 << 20, "objects handed over at a time"},
    [MAILBOXES] = {"mailboxes", "batches", 4, 2, 64, "batches a producer may have waiting, at least"},
    [PRODUCER_PERCENT] = {"producer_percent", "%", 50, 1, 99,
                          "of the threads produce, but one of each at least"},
    {0},
};

static const struct preset presets[] = {
    {"supermalloc", "xmalloc-test as published: objects of 1 KiB", {{"size_bytes", 1024}}},
    {"mimalloc-bench", "xmalloc-test as run there (the defaults)", {{"size_bytes", 64}}},
    {"one-to-many", "one thread produces for all others", {{"producer_percent", 1}}},
    {"many-to-one", "all but one produce", {{"producer_percent", 99}}},
    {0},
};

#define TOUCH_MAX_BYTES 128
#define SPINS 200 /* looks at the event word before sleeping: microseconds, far below a batch */

/* Lives in the measured heap, like the objects. Object i holds the byte pattern + i throughout. */
struct batch {
    uint64_t check; /* over what follows */
    uint32_t n_objects;
    unsigned char pattern;
    unsigned char *objects[];
};

struct mailbox {
    _Alignas(WORKER_ALIGN_BYTES) _Atomic(struct batch *) batch; /* NULL = empty: the producer may fill it */
};

/* A mailbox as one of its two users sees it. */
struct link {
    struct mailbox *box;
    struct peer *other;
};

/* A slot of the run. `event` counts what others did to its mailboxes. */
struct peer {
    _Alignas(WORKER_ALIGN_BYTES) _Atomic uint32_t event; /* a futex word */
    _Atomic bool is_sleeping;
    _Atomic uint32_t finished_phase; /* producers: the last phase that is over */
    uint32_t phase;
    struct link *links;
    unsigned n_links, next_link;
    uint64_t n_batches, n_objects; /* produced, all phases */
};

static unsigned n_producers(const struct cell *c) {
    if (c->n_threads == 1)
        return 0;
    uint64_t n = c->n_threads * (uint64_t)c->params[PRODUCER_PERCENT] / 100;
    return (unsigned)max_u64(1, min_u64(n, c->n_threads - 1));
}

static unsigned n_consumers(const struct cell *c) {
    return c->n_threads - n_producers(c);
}

/* ---- batches ---------------------------------------------------------------------------------------- */

static uint64_t check_begin(uint32_t n_objects, unsigned char pattern) {
    return ((uint64_t)n_objects << 8 | pattern) ^ UINT64_C(0x62617463685f6f6b);
}

static uint64_t check_add(uint64_t check, const unsigned char *object) {
    return prng_rotl(check, 1) ^ (uintptr_t)object;
}

static bool batch_is_intact(const struct batch *b, uint64_t max_objects) {
    if (b->n_objects > max_objects)
        return false;
    uint64_t check = check_begin(b->n_objects, b->pattern);
    for (uint32_t i = 0; i < b->n_objects; i++)
        check = check_add(check, b->objects[i]);
    return b->check == check;
}

static size_t touched_bytes(const struct cell *c) {
    return (size_t)min_u64((uint64_t)c->params[SIZE_BYTES], TOUCH_MAX_BYTES);
}

/* NULL, and nothing is left behind, when the heap is dry. Reads nothing back from the record: an allocator that
 * gives its memory out once more must not lead us astray before the check tells. */
static struct batch *batch_make(struct worker *w, uint32_t n_objects) {
    const struct alloc_ops *heap = w->heap;
    const size_t size_bytes = (size_t)w->cell->params[SIZE_BYTES], n_touched = touched_bytes(w->cell);
    const unsigned char pattern = (unsigned char)prng_next(&w->prng);
    struct peer *me = w->state;
    uint64_t check = check_begin(n_objects, pattern);
    uint32_t n_made = 0;
    struct batch *b = heap->alloc(sizeof *b + (size_t)w->cell->params[BATCH_OBJECTS] * sizeof b->objects[0]);

    if (!b)
        goto dry;
    *b = (struct batch){.n_objects = n_objects, .pattern = pattern};
    for (; n_made < n_objects; n_made++) {
        unsigned char *object = heap->alloc(size_bytes);
        if (!object)
            goto dry;
        memset(object, (unsigned char)(pattern + n_made), n_touched);
        b->objects[n_made] = object;
        check = check_add(check, object);
    }
    b->check = check;
    me->n_batches++;
    me->n_objects += n_objects;
    return b;
dry:
    for (uint32_t i = 0; i < n_made; i++)
        heap->free(b->objects[i]);
    if (b)
        heap->free(b);
    cell_fail(w->cell, ENOMEM, "prodcons: malloc returned NULL");
    return NULL;
}

/* Frees a batch and counts it into *done. A damaged record is not followed: -EBADMSG, its memory is lost. */
static int batch_consume(struct worker *w, struct batch *b, bool is_remote, uint64_t *done) {
    const struct alloc_ops *heap = w->heap;
    const size_t n_touched = touched_bytes(w->cell);
    const uint32_t n_objects = b->n_objects;
    bool is_intact = true;

    if (!batch_is_intact(b, (uint64_t)w->cell->params[BATCH_OBJECTS]))
        return cell_fail(w->cell, EBADMSG, "prodcons: a batch record does not hold what was written to it");
    for (uint32_t i = 0; i < n_objects; i++) {
        unsigned char *object = b->objects[i], expected = (unsigned char)(b->pattern + i);
        is_intact &= object[0] == expected && object[n_touched - 1] == expected;
        heap->free(object);
    }
    heap->free(b);
    *done += n_objects;
    worker_count_frees(w, n_objects + 1, is_remote ? n_objects + 1 : 0);
    return is_intact
               ? 0
               : cell_fail(w->cell, EBADMSG, "prodcons: an object does not hold what was written to it");
}

/* ---- mailboxes -------------------------------------------------------------------------------------- */

static void peer_notify(struct peer *p) {
    atomic_fetch_add(&p->event, 1);
    if (atomic_load(&p->is_sleeping))
        futex_wake(&p->event, 1);
}

/* Until the event word differs from `seen`. Whoever notifies changes the word before it looks for a sleeper,
 * the sleeper says so before the kernel compares the word: one of them sees the other. */
static void peer_sleep(struct peer *me, uint32_t seen) {
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&me->event, memory_order_acquire) != seen)
            return;
        __builtin_ia32_pause();
    }
    atomic_store(&me->is_sleeping, true);
    futex_wait(&me->event, seen);
    atomic_store(&me->is_sleeping, false);
}

/* The next mailbox in turn that is full, or empty, as wanted. NULL: none is. */
static struct link *link_find(struct peer *me, bool is_full_wanted) {
    for (unsigned i = 0; i < me->n_links; i++) {
        struct link *link = &me->links[me->next_link];
        me->next_link = me->next_link + 1 == me->n_links ? 0 : me->next_link + 1;
        if ((atomic_load(&link->box->batch) != NULL) == is_full_wanted)
            return link;
    }
    return NULL;
}

static bool producers_finished(const struct peer *me) {
    for (unsigned i = 0; i < me->n_links; i++)
        if (atomic_load(&me->links[i].other->finished_phase) < me->phase)
            return false;
    return true;
}

/* Waits for a mailbox as wanted. NULL: a consumer has nothing to wait for in this phase any more. Producers
 * sleep only while all their mailboxes are full, consumers while theirs are empty and a producer is at work, so
 * someone is always awake, also after the stop flag. */
static struct link *link_wait(struct peer *me, bool is_full_wanted) {
    for (;;) {
        uint32_t seen = atomic_load(&me->event);
        bool is_over =
            is_full_wanted && producers_finished(me); /* before the look round: it may be the last */
        struct link *link = link_find(me, is_full_wanted);
        if (link || is_over)
            return link;
        peer_sleep(me, seen);
    }
}

/* ---- run -------------------------------------------------------------------------------------------- */

static enum run_result produce(struct worker *w, struct peer *me) {
    const struct cell *c = w->cell;
    const uint64_t total = cell_ops_budget(c), n = n_producers(c);
    const uint64_t share = total == UINT64_MAX ? total : total / n + (w->idx < total % n);
    enum run_result result = RUN_DONE;

    for (uint64_t made = 0; made < share && !atomic_load(&c->is_stopping);) {
        uint32_t n_objects = (uint32_t)min_u64((uint64_t)c->params[BATCH_OBJECTS], share - made);
        struct batch *b = batch_make(w, n_objects);
        if (!b) {
            result = RUN_FAILED;
            break;
        }
        made += n_objects;
        struct link *link = link_wait(me, false);
        atomic_store(&link->box->batch, b);
        peer_notify(link->other);
    }
    atomic_store(&me->finished_phase, me->phase);
    for (unsigned i = 0; i < me->n_links; i++)
        peer_notify(me->links[i].other);
    return result;
}

static enum run_result consume(struct worker *w, struct peer *me) {
    uint64_t done = worker_ops(w);
    enum run_result result = RUN_DONE;
    struct link *link;

    while ((link = link_wait(me, true)) != NULL) {
        struct batch *b = atomic_load(&link->box->batch);
        atomic_store(&link->box->batch, NULL);
        peer_notify(link->other);
        if (batch_consume(w, b, true, &done) != 0)
            result = RUN_FAILED; /* and on, or the producers would wait for ever */
        atomic_store_explicit(&w->ops, done, memory_order_relaxed);
    }
    return result;
}

static enum run_result alternate(struct worker *w) {
    uint64_t done = worker_ops(w);
    while (worker_continue(w, done)) {
        uint64_t n_objects = worker_batch(w, done, (uint64_t)w->cell->params[BATCH_OBJECTS]);
        struct batch *b = batch_make(w, (uint32_t)n_objects);
        if (!b || batch_consume(w, b, false, &done) != 0)
            return RUN_FAILED;
    }
    return RUN_DONE;
}

static enum run_result prodcons_run(struct worker *w) {
    struct peer *me = w->state;
    me->phase++;
    if (w->cell->n_threads == 1)
        return alternate(w);
    return w->idx < n_producers(w->cell) ? produce(w, me) : consume(w, me);
}

/* ---- setup and end ---------------------------------------------------------------------------------- */

static void link_add(struct peer *p, struct mailbox *box, struct peer *other) {
    p->links[p->n_links++] = (struct link){box, other};
}

static struct peer *consumer_of(const struct cell *c, unsigned producer, unsigned s) {
    return c->workers[n_producers(c) + (producer + s) % n_consumers(c)].state;
}

/* Producers 0, 1, ... reach consumers 0 to n_producers + n_boxes - 2: all of them. */
static unsigned n_boxes(const struct cell *c) {
    unsigned n = n_producers(c), least = n_consumers(c) > n ? n_consumers(c) - n + 1 : 1;
    return (unsigned)max_u64((uint64_t)c->params[MAILBOXES], least);
}

/* Room for as many links as there are mailboxes on either side. */
static int links_create(struct cell *c) {
    for (unsigned i = 0; i < n_producers(c); i++) {
        ((struct peer *)c->workers[i].state)->n_links = n_boxes(c);
        for (unsigned s = 0; s < n_boxes(c); s++)
            consumer_of(c, i, s)->n_links++;
    }
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct peer *p = c->workers[i].state;
        p->links = cell_scratch(c, (p->n_links + 1) * sizeof *p->links, WORKER_ALIGN_BYTES);
        if (!p->links)
            return -ENOMEM;
        p->n_links = 0;
    }
    return 0;
}

static int prodcons_setup(struct cell *c) {
    for (unsigned i = 0; i < c->n_threads; i++) {
        c->workers[i].state = cell_scratch(c, sizeof(struct peer), _Alignof(struct peer));
        if (!c->workers[i].state)
            return -ENOMEM;
    }
    if (links_create(c) != 0)
        return -ENOMEM;
    for (unsigned i = 0; i < n_producers(c); i++) {
        struct mailbox *boxes = cell_scratch(c, n_boxes(c) * sizeof *boxes, _Alignof(struct mailbox));
        if (!boxes)
            return -ENOMEM;
        for (unsigned s = 0; s < n_boxes(c); s++) {
            link_add(c->workers[i].state, &boxes[s], consumer_of(c, i, s));
            link_add(consumer_of(c, i, s), &boxes[s], c->workers[i].state);
        }
    }
    return 0;
}

static int prodcons_verify(struct cell *c) {
    uint64_t n_produced = 0;
    for (unsigned i = 0; i < c->n_threads; i++)
        n_produced += ((const struct peer *)c->workers[i].state)->n_objects;
    if (n_produced != cell_ops_total(c))
        return cell_fail(c, EBADMSG, "prodcons: not all that was produced was consumed");
    return 0;
}

static uint64_t prodcons_expected_allocs(const struct cell *c) {
    uint64_t n_batches = 0;
    for (unsigned i = 0; i < c->n_threads; i++) {
        const struct peer *p = c->workers[i].state;
        n_batches += p ? p->n_batches : 0;
    }
    return cell_ops_total(c) + n_batches;
}

const struct workload workload_prodcons = {
    .name = "prodcons",
    .version = 1,
    .summary = "producers allocate, consumers free, batch by batch",
    .origin = "xmalloc-test: Kuszmaul 2015",
    .op = "object freed by its consumer",
    .groups = "core",
    .params = params,
    .presets = presets,
    .flags = WORKLOAD_ONE_WAY,
    .min_threads = 1,
    .warmup_ops = 4096,
    .audit_ops = 500000,
    .setup = prodcons_setup,
    .run = prodcons_run,
    .verify = prodcons_verify,
    .expected_allocs = prodcons_expected_allocs,
};
