/*
 * migrate: blocks that pass between threads through a shared table, every word of them checked.
 *
 * Origin   mstress of mimalloc-bench, a stress test: it is to find wrong allocators, and shows how they fare under it.
 * Threads  All alike. One lives for 150 x scale x (slot mod 8 + 1) steps, frees what it holds and half of its share of
 *          the table, makes its successor and ends.
 * Timed    A step allocates a block, in two of three cases for the table of short-lived ones, 2^0 to 2^4 words, else one
 *          that is kept to the thread's end, 2^0 to 2^6 words; 1 % are 100, 0.1 % 1000 and 0.01 % 10,000 times as large.
 *          Then, with a probability of 66 %, a random short-lived block is freed; with 25 % one is exchanged for what is
 *          in a random place of the table that all share. Every word is written, and read at the free.
 * Op       One step, that is, one malloc.
 * Remote   Frees of blocks found in the table and of those that an earlier thread of the slot left there.
 * Live     What the threads alive have allocated in their lives, and the table.
 * Allocs   One per op.
 */
#include "workloads/block.h"

enum { SCALE, PLACES };

static const struct param params[] = {
    [SCALE] = {"scale", "", 50, 1, 1 << 12, "a thread lives for 150 x scale x (slot mod 8 + 1) steps"},
    [PLACES] = {"places", "blocks", 1000, 1, 1 << 20, "in the table that all threads share"},
    {0},
};

static const struct preset presets[] = {
    {"mimalloc-bench", "its scale", {{"scale", 50}}},
    {0},
};

#define BATCH_STEPS 64
#define SHORT_PER_SCALE 100
#define KEPT_PER_SCALE 50
#define MAX_SLOT_FACTOR 8

/* A block and what it must hold: word i is key + i x WORD_STEP. Items are neither made nor lost after setup. */
struct item {
    uint64_t *words; /* NULL: no block */
    uint64_t key;
    uint32_t n_words, owner;
};

#define WORD_STEP UINT64_C(0x9e3779b97f4a7c15)

typedef _Atomic(struct item *) place;

struct migrate_slot {
    _Alignas(WORKER_ALIGN_BYTES) struct item **items; /* short-lived; the first n_items have a block */
    struct item *kept;
    uint64_t n_items, n_kept;
    uint64_t n_short_left, n_kept_left; /* of this thread */
    uint32_t owner;                     /* number of the thread that serves the slot */
};

/* ---- setup ------------------------------------------------------------------------------------------- */

static uint64_t n_short(const struct worker *w) {
    return SHORT_PER_SCALE * (uint64_t)w->cell->params[SCALE] * (w->idx % MAX_SLOT_FACTOR + 1);
}

static uint64_t n_kept(const struct worker *w) {
    return n_short(w) / (SHORT_PER_SCALE / KEPT_PER_SCALE);
}

static void life_begin(struct worker *w, struct migrate_slot *slot) {
    slot->n_short_left = n_short(w);
    slot->n_kept_left = n_kept(w);
}

static struct item *items_create(struct cell *c, uint64_t n) {
    c->table_bytes += n * sizeof(struct item);
    return cell_scratch(c, n * sizeof(struct item), WORKER_ALIGN_BYTES);
}

static int slot_create(struct worker *w) {
    struct cell *c = w->cell;
    struct migrate_slot *slot = cell_scratch(c, sizeof *slot, _Alignof(struct migrate_slot));
    if (!slot)
        return -ENOMEM;
    struct item *items = items_create(c, n_short(w));
    slot->kept = items_create(c, n_kept(w));
    slot->items = cell_scratch(c, n_short(w) * sizeof(struct item *), WORKER_ALIGN_BYTES);
    if (!items || !slot->kept || !slot->items)
        return -ENOMEM;
    for (uint64_t i = 0; i < n_short(w); i++)
        slot->items[i] = &items[i];
    slot->owner = w->idx;
    life_begin(w, slot);
    w->state = slot;
    return 0;
}

static int migrate_setup(struct cell *c) {
    const uint64_t n_places = (uint64_t)c->params[PLACES];
    place *places = cell_scratch(c, n_places * sizeof *places, WORKER_ALIGN_BYTES);
    struct item *items = items_create(c, n_places);
    if (!places || !items)
        return -ENOMEM;
    for (uint64_t i = 0; i < n_places; i++)
        atomic_store(&places[i], &items[i]);
    c->state = places;
    int err = 0;
    for (unsigned i = 0; i < c->n_threads && !err; i++)
        err = slot_create(&c->workers[i]);
    return err;
}

/* ---- items ------------------------------------------------------------------------------------------- */

static uint32_t draw_words(struct prng *g, unsigned n_sizes) {
    uint32_t n_words = UINT32_C(1) << prng_below(g, n_sizes);
    uint64_t chance = prng_below(g, 10000);
    return n_words * (chance < 1 ? 10000 : chance < 10 ? 1000 : chance < 100 ? 100 : 1);
}

static bool item_fill(struct worker *w, struct item *item, uint32_t n_words, uint32_t owner) {
    item->words = w->heap->alloc(n_words * sizeof *item->words);
    if (!item->words) {
        cell_fail(w->cell, ENOMEM, "malloc returned NULL");
        return false;
    }
    item->n_words = n_words;
    item->owner = owner;
    item->key = prng_next(&w->prng);
    for (uint32_t i = 0; i < n_words; i++)
        item->words[i] = item->key + i * WORD_STEP;
    worker_live_add(w, (int64_t)(n_words * sizeof *item->words));
    return true;
}

static bool item_is_intact(const struct item *item) {
    uint64_t differs = 0;
    for (uint32_t i = 0; i < item->n_words; i++)
        differs |= item->words[i] ^ (item->key + i * WORD_STEP);
    return differs == 0;
}

/* An item without a block is left alone. False after cell_fail. */
static bool item_empty(struct worker *w, struct item *item, uint32_t self) {
    if (!item->words)
        return true;
    bool is_intact = item_is_intact(item);
    w->heap->free(item->words);
    item->words = NULL;
    worker_live_add(w, -(int64_t)(item->n_words * sizeof *item->words));
    worker_count_frees(w, 1, item->owner != self);
    if (!is_intact)
        cell_fail(w->cell, EBADMSG, "migrate: a block does not hold what was written to it");
    return is_intact;
}

/* ---- run --------------------------------------------------------------------------------------------- */

/* Item i has no block any more: the last one that has changes places with it. */
static void retire(struct migrate_slot *slot, uint64_t i) {
    struct item *item = slot->items[i];
    slot->items[i] = slot->items[--slot->n_items];
    slot->items[slot->n_items] = item;
}

static bool allocate(struct worker *w, struct migrate_slot *slot) {
    bool is_short = slot->n_kept_left == 0 || (slot->n_short_left > 0 && prng_next(&w->prng) >> 63);
    struct item *item = is_short ? slot->items[slot->n_items] : &slot->kept[slot->n_kept];
    if (!item_fill(w, item, draw_words(&w->prng, is_short ? 5 : 7), slot->owner))
        return false;
    if (is_short) {
        slot->n_short_left--;
        slot->n_items++;
    } else {
        slot->n_kept_left--;
        slot->n_kept++;
    }
    return true;
}

static bool step(struct worker *w, struct migrate_slot *slot) {
    place *places = w->cell->state;
    if (!allocate(w, slot))
        return false;
    if (slot->n_items > 0 && prng_below(&w->prng, 100) < 66) {
        uint64_t i = prng_below(&w->prng, slot->n_items);
        if (!item_empty(w, slot->items[i], slot->owner))
            return false;
        retire(slot, i);
    }
    if (slot->n_items > 0 && prng_below(&w->prng, 100) < 25) {
        uint64_t i = prng_below(&w->prng, slot->n_items);
        place *at = &places[prng_below(&w->prng, (uint64_t)w->cell->params[PLACES])];
        slot->items[i] = atomic_exchange(at, slot->items[i]);
        if (!slot->items[i]->words)
            retire(slot, i);
    }
    return true;
}

/* Frees all that the thread holds, and each place of its share of the table with one chance in two. */
static bool life_end(struct worker *w, struct migrate_slot *slot) {
    const unsigned n_slots = w->cell->n_threads;
    const uint64_t n_places = (uint64_t)w->cell->params[PLACES];
    place *places = w->cell->state;
    bool is_intact = true;

    for (; slot->n_items > 0; slot->n_items--)
        is_intact &= item_empty(w, slot->items[slot->n_items - 1], slot->owner);
    for (; slot->n_kept > 0; slot->n_kept--)
        is_intact &= item_empty(w, &slot->kept[slot->n_kept - 1], slot->owner);
    for (uint64_t i = w->idx; i < n_places; i += n_slots) {
        if (prng_next(&w->prng) >> 63)
            continue;
        slot->items[0] = atomic_exchange(&places[i], slot->items[0]);
        is_intact &= item_empty(w, slot->items[0], slot->owner);
    }
    return is_intact;
}

static enum run_result migrate_run(struct worker *w) {
    struct migrate_slot *slot = w->state;
    uint64_t done = worker_ops(w);

    while (worker_continue(w, done)) {
        if (slot->n_short_left + slot->n_kept_left == 0) {
            if (!life_end(w, slot))
                return RUN_FAILED;
            life_begin(w, slot);
            slot->owner += w->cell->n_threads;
            return RUN_SUCCEED;
        }
        uint64_t n = worker_batch(w, done, min_u64(BATCH_STEPS, slot->n_short_left + slot->n_kept_left));
        for (; n > 0; n--, done++)
            if (!step(w, slot))
                return RUN_FAILED;
    }
    return RUN_DONE;
}

/* ---- end --------------------------------------------------------------------------------------------- */

static int migrate_verify(struct cell *c) {
    place *places = c->state;
    bool is_intact = true;
    for (int64_t i = 0; i < c->params[PLACES]; i++) {
        const struct item *item = atomic_load(&places[i]);
        is_intact &= !item->words || item_is_intact(item);
    }
    for (unsigned i = 0; i < c->n_threads; i++) {
        const struct migrate_slot *slot = c->workers[i].state;
        for (uint64_t k = 0; k < slot->n_items; k++)
            is_intact &= item_is_intact(slot->items[k]);
        for (uint64_t k = 0; k < slot->n_kept; k++)
            is_intact &= item_is_intact(&slot->kept[k]);
    }
    return is_intact ? 0 : cell_fail(c, EBADMSG, "migrate: a live block lost what was written to it");
}

static void item_drop(struct cell *c, struct item *item) {
    if (item->words)
        c->heap->free(item->words);
    item->words = NULL;
}

static void migrate_teardown(struct cell *c) {
    place *places = c->state;
    for (int64_t i = 0; places && i < c->params[PLACES]; i++)
        item_drop(c, atomic_load(&places[i]));
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct migrate_slot *slot = c->workers[i].state;
        for (uint64_t k = 0; slot && k < slot->n_items; k++)
            item_drop(c, slot->items[k]);
        for (uint64_t k = 0; slot && k < slot->n_kept; k++)
            item_drop(c, &slot->kept[k]);
    }
}

static uint64_t migrate_expected_allocs(const struct cell *c) {
    return cell_ops_total(c);
}

const struct workload workload_migrate = {
    .name = "migrate",
    .version = 1,
    .summary = "blocks exchanged between short-lived threads, every word checked",
    .origin = "mstress of mimalloc-bench",
    .op = "malloc, with its share of frees and exchanges",
    .groups = "speed,scaling",
    .params = params,
    .presets = presets,
    .flags = WORKLOAD_SUCCESSORS,
    .min_threads = 1,
    .warmup_ops = 5000,
    .audit_ops = 300000,
    .setup = migrate_setup,
    .run = migrate_run,
    .verify = migrate_verify,
    .teardown = migrate_teardown,
    .expected_allocs = migrate_expected_allocs,
};
