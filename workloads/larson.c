/*
 * larson: a server whose threads die and leave their blocks to successors.
 *
 * Origin   Larson and Krishnan, "Memory allocation for long-running server applications" (ISMM 1998).
 * Threads  Main fills every slot's array, shuffles the blocks over all slots and replaces four times as many
 *          as there are. Then each worker replaces blocks of its own array; after rounds x chunks steps it
 *          makes its successor, hands the array over and ends. What the successor frees of it is "bleeding".
 * Timed    Steps: pick an entry, free its block, malloc another of min_bytes <= size < max_bytes, write two
 *          bytes; and the making of successors.
 * Op       One step (free + malloc).
 * Remote   Each entry remembers the thread that malloc gave its block to, main and each generation being
 *          threads of their own, so the count is exact. A generation replaces chunks x (1 - e^-rounds) foreign
 *          blocks in chunks x rounds steps: the share is 1/rounds, 2 % with the paper's 50 rounds. Where a run is
 *          too short for generations only main's blocks are foreign, and no share is reported.
 * Allocs   5 x threads x chunks in setup, one per op.
 * Audit    As many steps as three generations of each slot take, if those are more than the usual number; but where
 *          they would be millions for each slot, the usual number, and no successors.
 *
 * Defaults: the sizes of mimalloc-bench and the thousand chunks that most suites use, but 10 rounds, a tenth of
 * remote frees. With 10,000 steps a generation each of 64 threads on 2 processors has a few successors in a
 * second, if not over every allocator the three from which on their number is told; with the paper's 50 rounds they
 * are fewer, and the 5000 x 100 of mimalloc-bench need a processor for each thread. What other suites call larson has
 * remote shares from 2 % down to 0.002 %.
 */
#include "workloads/kernel.h"

enum { MIN_BYTES, MAX_BYTES, CHUNKS, ROUNDS };

static const struct param params[] = {
    [MIN_BYTES] = {"min_bytes", "bytes", 8, 2, 1 << 24, "smallest block"},
    [MAX_BYTES] = {"max_bytes", "bytes", 1000, 3, 1 << 24, "sizes are below this"},
    [CHUNKS] = {"chunks", "blocks", 1000, 1, 1 << 20, "live blocks of a thread"},
    [ROUNDS] = {"rounds", "", 10, 1, 1 << 20, "a thread ends after rounds x chunks steps"},
    {0},
};

static const struct preset presets[] = {
    {"paper", "the paper's 2 % of remote frees", {{"rounds", 50}}},
    {"mimalloc-bench", "1 % of remote frees", {{"chunks", 5000}, {"rounds", 100}}},
    {"hoard",
     "also of scalloc and SuperMalloc; generations of ten million steps",
     {{"min_bytes", 7}, {"max_bytes", 500}, {"rounds", 10000}}},
    {"hoard-8", "the same with blocks of 7 bytes", {{"min_bytes", 7}, {"max_bytes", 8}, {"rounds", 10000}}},
    {"allocbench-64", "generations of 50 million steps", {{"max_bytes", 64}, {"rounds", 50000}}},
    {"allocbench-512", "the same below 512 bytes", {{"max_bytes", 512}, {"rounds", 50000}}},
    {"allocbench-1024", "the same below 1024 bytes", {{"max_bytes", 1024}, {"rounds", 50000}}},
    {0},
};

#define MAX_AUDIT_STEPS 2000000u /* of a slot: a second or two for 64 of them on two processors */

#define BATCH_STEPS 512
#define REPLACEMENTS_PER_BLOCK 4

/* `tag` was written to the block's first two bytes. */
struct larson_entry {
    unsigned char *block;
    uint32_t owner; /* thread that malloc gave the block to: 0 = main */
    uint16_t tag;
};

struct larson_slot {
    _Alignas(WORKER_ALIGN_BYTES) struct larson_entry *entries;
    uint64_t steps_left; /* of this generation */
    uint32_t owner;      /* number of the thread that serves the slot now */
};

static bool larson_fill(const struct alloc_ops *heap, struct prng *prng, const int64_t *p,
                        struct larson_entry *entry, uint32_t owner) {
    uint64_t draw = prng_next(prng);
    uint64_t span = (uint64_t)(p[MAX_BYTES] - p[MIN_BYTES]);
    /* The size comes from the high bits, the tag from the low ones. */
    size_t size_bytes = (size_t)p[MIN_BYTES] + (size_t)(((unsigned __int128)draw * span) >> 64);

    entry->block = heap->alloc(size_bytes);
    if (!entry->block)
        return false;
    entry->tag = (uint16_t)draw;
    entry->owner = owner;
    entry->block[0] = (unsigned char)entry->tag;
    entry->block[1] = (unsigned char)(entry->tag >> 8);
    return true;
}

static struct larson_entry *larson_entry_at(const struct cell *c, uint64_t i) {
    uint64_t n_chunks = (uint64_t)c->params[CHUNKS];
    struct larson_slot *slot = c->workers[i / n_chunks].state;
    return &slot->entries[i % n_chunks];
}

static int larson_populate(struct cell *c) {
    uint64_t n_blocks = c->n_threads * (uint64_t)c->params[CHUNKS];
    struct prng prng;
    prng_seed(&prng, c->seed, SETUP_STREAM);

    for (uint64_t i = 0; i < n_blocks; i++)
        if (!larson_fill(c->heap, &prng, c->params, larson_entry_at(c, i), 0))
            return cell_fail(c, ENOMEM, "larson: malloc returned NULL in setup");
    for (uint64_t i = n_blocks - 1; i > 0; i--) {
        struct larson_entry *a = larson_entry_at(c, i), *b = larson_entry_at(c, prng_below(&prng, i + 1));
        struct larson_entry kept = *a;
        *a = *b;
        *b = kept;
    }
    for (uint64_t i = 0; i < REPLACEMENTS_PER_BLOCK * n_blocks; i++) {
        struct larson_entry *entry = larson_entry_at(c, prng_below(&prng, n_blocks));
        c->heap->free(entry->block);
        if (!larson_fill(c->heap, &prng, c->params, entry, 0))
            return cell_fail(c, ENOMEM, "larson: malloc returned NULL in setup");
    }
    return 0;
}

static uint64_t larson_steps_per_generation(const int64_t *p) {
    return (uint64_t)p[CHUNKS] * (uint64_t)p[ROUNDS];
}

static uint64_t larson_audit_slot_ops(const int64_t *p) {
    uint64_t n_steps = WORKLOAD_MIN_GENERATIONS * larson_steps_per_generation(p);
    return n_steps <= MAX_AUDIT_STEPS ? n_steps : 0;
}

static int larson_setup(struct cell *c) {
    if (c->params[MIN_BYTES] >= c->params[MAX_BYTES])
        return cell_fail(c, EINVAL, "larson: min_bytes must be below max_bytes");
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct larson_slot *slot = cell_scratch(c, sizeof *slot, _Alignof(struct larson_slot));
        if (!slot)
            return -ENOMEM;
        slot->entries =
            cell_scratch(c, (size_t)c->params[CHUNKS] * sizeof *slot->entries, WORKER_ALIGN_BYTES);
        if (!slot->entries)
            return -ENOMEM;
        slot->steps_left = larson_steps_per_generation(c->params);
        slot->owner = 1 + i;
        c->workers[i].state = slot;
    }
    return larson_populate(c);
}

static bool larson_steps(struct worker *w, struct larson_slot *slot, uint64_t n_steps) {
    const struct cell *c = w->cell;
    const uint64_t n_chunks = (uint64_t)c->params[CHUNKS];
    uint64_t n_remote = 0;

    for (uint64_t i = 0; i < n_steps; i++) {
        struct larson_entry *entry = &slot->entries[prng_below(&w->prng, n_chunks)];
        n_remote += entry->owner != slot->owner;
        w->heap->free(entry->block);
        if (!larson_fill(w->heap, &w->prng, c->params, entry, slot->owner))
            return false;
    }
    worker_count_frees(w, n_steps, n_remote);
    return true;
}

static enum run_result larson_run(struct worker *w) {
    struct larson_slot *slot = w->state;
    uint64_t done = worker_ops(w);

    while (worker_continue(w, done)) {
        uint64_t n_steps = worker_batch(w, done, min_u64(BATCH_STEPS, slot->steps_left));
        if (!larson_steps(w, slot, n_steps)) {
            cell_fail(w->cell, ENOMEM, "larson: malloc returned NULL");
            return RUN_FAILED;
        }
        done += n_steps;
        slot->steps_left -= n_steps;
        if (slot->steps_left == 0) {
            /* The next thread to serve this slot is another owner; each slot counts in steps of n_threads. */
            slot->steps_left = larson_steps_per_generation(w->cell->params);
            slot->owner += w->cell->n_threads;
            worker_continue(w, done);
            return RUN_SUCCEED;
        }
    }
    return RUN_DONE;
}

static int larson_verify(struct cell *c) {
    uint64_t n_blocks = c->n_threads * (uint64_t)c->params[CHUNKS];
    for (uint64_t i = 0; i < n_blocks; i++) {
        const struct larson_entry *entry = larson_entry_at(c, i);
        if (entry->block[0] != (entry->tag & 0xff) || entry->block[1] != entry->tag >> 8)
            return cell_fail(c, EBADMSG, "larson: a live block lost what was written to it");
    }
    return 0;
}

static void larson_teardown(struct cell *c) {
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct larson_slot *slot = c->workers[i].state;
        for (int64_t k = 0; slot && slot->entries && k < c->params[CHUNKS]; k++) {
            if (slot->entries[k].block)
                c->heap->free(slot->entries[k].block);
            slot->entries[k].block = NULL;
        }
    }
}

static uint64_t larson_expected_allocs(const struct cell *c) {
    uint64_t n_blocks = c->n_threads * (uint64_t)c->params[CHUNKS];
    return (1 + REPLACEMENTS_PER_BLOCK) * n_blocks + cell_ops_total(c);
}

const struct workload workload_larson = {
    .name = "larson",
    .version = 1,
    .summary = "random replacement in arrays that dying threads leave to their successors",
    .origin = "Larson and Krishnan 1998",
    .op = "free and malloc of one entry",
    .groups = "core",
    .params = params,
    .presets = presets,
    .flags = WORKLOAD_SUCCESSORS | WORKLOAD_BEQUEATHS | WORKLOAD_OPEN_LOOP,
    .min_threads = 1,
    .warmup_ops = 5000,
    .audit_ops = 500000,
    .audit_slot_ops = larson_audit_slot_ops,
    .setup = larson_setup,
    .run = larson_run,
    .verify = larson_verify,
    .teardown = larson_teardown,
    .expected_allocs = larson_expected_allocs,
};
