#include "bin.h"

#include "os.h"
#include "row.h"

void bin_init(struct bin *bin, unsigned class_idx) {
    lock_init(&bin->lock, LOCK_BIN);
    bin->class_idx = class_idx;
}

static _Noreturn UTIL_COLD void bin_die_interior(const void *p) {
    os_die("free of an interior pointer", p);
}

static _Noreturn UTIL_COLD void bin_die_double_free(const void *p) {
    os_die("double free of", p);
}

/* Of the regions in one word of a bitmap the lowest is named. */
static _Noreturn UTIL_COLD void bin_die_sent_twice(const struct run *run, size_t word, uint64_t bits) {
    size_t idx = word * 64 + (size_t)__builtin_ctzl(bits);
    bin_die_double_free((void *)(run_base(run) + idx * run_classes[run->class_idx].region_bytes));
}

/* All regions are back, and yet some were sent: freed by their owner, too. */
static _Noreturn UTIL_COLD void bin_die_still_pending(struct run *run) {
    for (size_t w = 0; w < run_classes[run->class_idx].n_words; w++) {
        uint64_t bits = atomic_load_explicit(&run_remote_of(run)->bits[w], memory_order_relaxed);
        if (bits != 0)
            bin_die_sent_twice(run, w, bits);
    }
    bin_die_double_free((void *)run_base(run));
}

static void bin_release(struct bin *bin, const struct bin_supply *supply, struct run *run) {
    if (UTIL_UNLIKELY(atomic_load_explicit(&run_remote_of(run)->n_pending, memory_order_relaxed) != 0))
        bin_die_still_pending(run);
    bin->n_runs--;
    supply->give(supply->ctx, run);
}

/* A run that is not current has become empty: of it and the spare, the lower one is kept. */
static void bin_retire(struct bin *bin, const struct bin_supply *supply, struct run *run) {
    struct run *other = bin->spare;
    if (other != NULL && run_base(other) < run_base(run)) {
        bin_release(bin, supply, run);
        return;
    }
    run->state = RUN_SPARE;
    bin->spare = run;
    if (other != NULL)
        bin_release(bin, supply, other);
}

/* Makes `run` the current one; the old one, if any, is kept as what it now is. */
static void bin_install(struct bin *bin, const struct bin_supply *supply, struct run *run) {
    struct run *old = bin->current;
    run->state = RUN_CURRENT;
    bin->current = run;
    if (old == NULL)
        return;
    if (run_n_free(old) == 0) {
        old->state = RUN_FULL;
    } else if (run_is_empty(old)) {
        bin_retire(bin, supply, old);
    } else {
        old->state = RUN_WAITING;
        heap_insert(&bin->waiting, &old->by_address);
    }
}

/* The current run is full: the lowest waiting one, else the spare, else a new one takes its place. */
static bool bin_next_run(struct bin *bin, const struct bin_supply *supply) {
    struct heap_node *node = heap_pop(&bin->waiting);
    struct run *run = node != NULL ? (struct run *)(void *)node : bin->spare;
    if (node == NULL && run != NULL)
        bin->spare = NULL;
    if (run == NULL) {
        run = supply->take(supply->ctx, bin->class_idx);
        if (run == NULL)
            return false;
        bin->n_runs++;
    }
    bin_install(bin, supply, run);
    return true;
}

/* Regions of the run were freed, n_free having been n_before. */
static void bin_settle(struct bin *bin, const struct bin_supply *supply, struct run *run, unsigned n_before) {
    if (run->state <= RUN_HELD) /* or current */
        return;
    if (run_is_empty(run)) {
        if (n_before != 0)
            heap_remove(&bin->waiting, &run->by_address);
        bin_retire(bin, supply, run);
        return;
    }
    if (n_before != 0)
        return;
    if (bin->current != NULL && run_base(run) < run_base(bin->current)) {
        bin_install(bin, supply, run);
    } else {
        run->state = RUN_WAITING;
        heap_insert(&bin->waiting, &run->by_address);
    }
}

size_t bin_fill(struct bin *bin, const struct bin_supply *supply, void **out, size_t n) {
    size_t left = n;
    if (UTIL_UNLIKELY(atomic_load_explicit(&bin->remote, memory_order_relaxed) != NULL))
        bin_drain(bin, supply);
    for (;;) {
        if (bin->current != NULL && run_n_free(bin->current) != 0) {
            left -= run_take(bin->current, out + left, left);
            bin->current->round = bin->round;
            bin->current->n_free_purged = 0;
        }
        if (left == 0 || !bin_next_run(bin, supply))
            break;
    }
    if (UTIL_UNLIKELY(left != 0))
        for (size_t i = 0; i < n - left; i++)
            out[i] = out[i + left];
    bin->n_taken += n - left;
    bin->n_fills++;
    return n - left;
}

/* Sets [first, first + n) of the bitmap. False if one of them was set. */
static bool bin_set_free(uint64_t *bits, size_t first, size_t n) {
    uint64_t *word = bits + first / 64;
    size_t at = first % 64;
    for (; n != 0; word++, at = 0) {
        size_t n_here = util_min(n, 64 - at);
        uint64_t mask = ~(uint64_t)0 >> (64 - n_here) % 64 << at;
        if (UTIL_UNLIKELY((*word & mask) != 0))
            return false;
        *word |= mask;
        n -= n_here;
    }
    return true;
}

/* Length of the row at regions[0]: neighbours that follow each other upwards or downwards in memory, at most `up` or
 * `down` of them, which is how far the run reaches. *is_down tells the direction. */
static inline size_t bin_row_length(void *const *regions, size_t n, uint64_t region_bytes, size_t up,
                                    size_t down, bool *is_down) {
    // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): n of them are set
    *is_down = n > 1 && (uintptr_t)regions[1] + region_bytes == (uintptr_t)regions[0];
    return *is_down ? row_length(regions, util_min(n, down), -region_bytes)
                    : row_length(regions, util_min(n, up), region_bytes);
}

/* Puts back regions[0..n) as long as they lie in the run; how many. The inner loop of every flush. Neighbours in a row,
 * as programs give them that free in order or in reverse, cost 5 instructions each, others some 40, checks included. */
static size_t bin_put_same_run(struct run *run, const struct run_class *rc, void *const *regions, size_t n) {
    const uintptr_t base = run_base(run), run_bytes = (uintptr_t)rc->n_pages << PAGE_LG;
    const uint64_t inverse = rc->inverse, region_bytes = rc->region_bytes, n_regions = rc->n_regions;
    size_t i = 0;
    uint64_t offset = (uintptr_t)regions[0] - base;
    do {
        bool is_down;
        uint64_t idx = offset * inverse >> 32;
        if (UTIL_UNLIKELY(idx * region_bytes != offset))
            bin_die_interior(regions[i]);
        size_t n_row = bin_row_length(regions + i, n - i, region_bytes, n_regions - idx, idx + 1, &is_down);
        if (is_down)
            idx -= n_row - 1;
        if (UTIL_UNLIKELY(!bin_set_free(run->free_bits, idx, n_row)))
            bin_die_double_free(regions[i]);
        i += n_row;
        if (i == n)
            break;
        offset = (uintptr_t)regions[i] - base;
    } while (offset < run_bytes);
    run_set_n_free(run, run_n_free(run) + i);
    return i;
}

size_t bin_flush(struct bin *bin, const struct bin_supply *supply, void **regions, size_t n) {
    const struct run_class *rc = &run_classes[bin->class_idx];
    size_t n_foreign = 0;
    for (size_t i = 0; i < n;) {
        struct chunk *chunk = chunk_of(regions[i]);
        if (UTIL_UNLIKELY(chunk->owner != supply->ctx)) {
            regions[n_foreign++] = regions[i++];
            continue;
        }
        if (UTIL_UNLIKELY(chunk_map(chunk)[chunk_page_of(chunk, regions[i])] != bin->class_idx))
            bin_die_double_free(regions[i]); /* its run is gone already */
        struct run *run = run_of(chunk, regions[i]);
        unsigned n_before = run_n_free(run);
        i += bin_put_same_run(run, rc, regions + i, n - i);
        bin_settle(bin, supply, run, n_before);
    }
    bin->n_put += n - n_foreign;
    bin->n_flushes++;
    return n_foreign;
}

static void bin_remote_put(struct bin *bin, struct run *run, struct run_remote *remote) {
    struct run *head = atomic_load_explicit(&bin->remote, memory_order_relaxed);
    do
        atomic_store_explicit(&remote->next, head, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&bin->remote, &head, run, memory_order_release,
                                                  memory_order_relaxed));
}

/* Collects the regions that belong to the run into mask[]; they come to the front. Looks 64 places beyond the last one
 * found, so that a batch from many runs costs no more than that for each. How many. */
static size_t bin_gather(const struct run *run, void **regions, size_t n, uint64_t mask[RUN_MAX_WORDS]) {
    const struct run_class *rc = &run_classes[run->class_idx];
    const uintptr_t base = run_base(run), run_bytes = (uintptr_t)rc->n_pages << PAGE_LG;
    const uint64_t inverse = rc->inverse, region_bytes = rc->region_bytes, n_regions = rc->n_regions;
    size_t n_found = 0, n_row;
    for (size_t i = 0; i < n && i < n_found + 64; i += n_row) {
        void *p = regions[i];
        uint64_t offset = (uintptr_t)p - base, idx = offset * inverse >> 32;
        bool is_down = false;
        n_row = 1;
        if (offset >= run_bytes)
            continue;
        if (UTIL_UNLIKELY(idx * region_bytes != offset))
            bin_die_interior(p);
        if (i == n_found) /* no gap so far: a row need not be moved */
            n_row = bin_row_length(regions + i, n - i, region_bytes, n_regions - idx, idx + 1, &is_down);
        if (is_down)
            idx -= n_row - 1;
        if (UTIL_UNLIKELY(!bin_set_free(mask, idx, n_row)))
            bin_die_double_free(p);
        regions[i] = regions[n_found];
        regions[n_found] = p;
        n_found += n_row;
    }
    return n_found;
}

size_t bin_send(struct bin *bin, struct run *run, void **regions, size_t n, bool *is_last) {
    const struct run_class *rc = &run_classes[run->class_idx];
    struct run_remote *remote = run_remote_of(run);
    uint64_t mask[RUN_MAX_WORDS];
    for (size_t w = 0; w < rc->n_words; w++)
        mask[w] = 0;
    n = bin_gather(run, regions, n, mask);
    uint32_t n_before = atomic_fetch_add_explicit(&remote->n_pending, (uint32_t)n, memory_order_acq_rel);
    if (n_before == 0)
        bin_remote_put(bin, run, remote);
    *is_last = n_before + n + run_n_free(run) >= rc->n_regions;
    for (size_t w = 0; w < rc->n_words; w++) {
        // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): n_words of them are set above
        if (mask[w] == 0)
            continue;
        uint64_t twice = atomic_fetch_or_explicit(&remote->bits[w], mask[w], memory_order_release) & mask[w];
        if (UTIL_UNLIKELY(twice != 0))
            bin_die_sent_twice(run, w, twice);
    }
    return n;
}

/* Moves what was sent into the run's own bitmap. How many. */
static size_t bin_collect(struct run *run, struct run_remote *remote) {
    size_t n = 0;
    for (size_t w = 0; w < run_classes[run->class_idx].n_words; w++) {
        if (atomic_load_explicit(&remote->bits[w], memory_order_relaxed) == 0)
            continue;
        uint64_t bits = atomic_exchange_explicit(&remote->bits[w], 0, memory_order_acquire);
        if (UTIL_UNLIKELY((run->free_bits[w] & bits) != 0))
            bin_die_sent_twice(run, w, run->free_bits[w] & bits);
        run->free_bits[w] |= bits;
        n += (size_t)__builtin_popcountl(bits);
    }
    run_set_n_free(run, run_n_free(run) + n);
    return n;
}

void bin_drain(struct bin *bin, const struct bin_supply *supply) {
    struct run *run = atomic_exchange_explicit(&bin->remote, NULL, memory_order_acquire), *next;
    for (; run != NULL; run = next) {
        struct run_remote *remote = run_remote_of(run);
        next = atomic_load_explicit(&remote->next, memory_order_relaxed);
        unsigned n_before = run_n_free(run);
        size_t n = bin_collect(run, remote);
        /* Announced, but not yet there: they will be found the next time. */
        if (atomic_fetch_sub_explicit(&remote->n_pending, (uint32_t)n, memory_order_acq_rel) != n)
            bin_remote_put(bin, run, remote);
        bin->n_put += n;
        if (n != 0)
            bin_settle(bin, supply, run, n_before);
    }
}

void bin_trim(struct bin *bin, const struct bin_supply *supply) {
    struct run *current = bin->current;
    if (current != NULL && run_is_empty(current)) {
        bin->current = NULL;
        bin_release(bin, supply, current);
    }
    if (bin->spare != NULL) {
        bin_release(bin, supply, bin->spare);
        bin->spare = NULL;
    }
}

bool bin_trim_idle(struct bin *bin, const struct bin_supply *supply, uint64_t now_ns, uint64_t idle_ns) {
    if (bin->spare == NULL && (bin->current == NULL || !run_is_empty(bin->current)))
        return false;
    size_t n_used = bin->n_fills + bin->n_flushes;
    if (bin->n_seen != n_used) {
        bin->n_seen = n_used;
        bin->seen_at_ns = now_ns;
    }
    if (now_ns - bin->seen_at_ns < idle_ns)
        return true;
    bin_trim(bin, supply);
    return false;
}

void bin_next_round(struct bin *bin) {
    bin->round++;
}

static bool bin_is_to_hold(const struct bin *bin, const struct run *run, unsigned n_rounds, bool *is_early) {
    if (run_n_free(run) <= run->n_free_purged || run_is_empty(run))
        return false;
    bool is_idle = bin->round - run->round >= n_rounds;
    *is_early |= !is_idle;
    return is_idle;
}

size_t bin_hold_idle(struct bin *bin, unsigned n_rounds, struct run **held, size_t n, bool *is_early) {
    size_t n_held = 0;
    if (bin->current != NULL && n_held < n && bin_is_to_hold(bin, bin->current, n_rounds, is_early)) {
        held[n_held++] = bin->current;
        bin->current = NULL;
    }
    for (struct heap_node *node = bin->waiting.min; node != NULL && n_held < n; node = heap_next(node)) {
        struct run *run = (struct run *)(void *)node;
        if (bin_is_to_hold(bin, run, n_rounds, is_early))
            held[n_held++] = run;
    }
    for (size_t i = 0; i < n_held; i++) {
        if (held[i]->state == RUN_WAITING)
            heap_remove(&bin->waiting, &held[i]->by_address);
        held[i]->state = RUN_HELD;
        held[i]->n_free_purged = (uint16_t)run_n_free(held[i]);
        held[i]->round = bin->round;
    }
    return n_held;
}

void bin_put_back(struct bin *bin, const struct bin_supply *supply, struct run *run) {
    run->state = RUN_FULL;
    bin_settle(bin, supply, run, 0);
}

static uintptr_t bin_link_key;

void bin_init_links(uint64_t key) {
    bin_link_key = key;
}

/* The key makes of what a program has written there an address that is hardly ours. */
static inline void bin_link_set(void *block, const void *next) {
    *(uintptr_t *)block = (uintptr_t)next ^ bin_link_key;
}

static inline void *bin_link_get(const void *block) {
    return (void *)(*(const uintptr_t *)block ^ bin_link_key);
}

/* Links the blocks in order. A block that is there twice has been linked twice, so that its first link, or that of a
 * later pair, is not the one that was written: the last block links to NULL, so no cycle can hide it. */
static void bin_remote_chain(void **blocks, size_t n) {
    for (size_t i = 0; i + 1 < n; i++)
        bin_link_set(blocks[i], blocks[i + 1]);
    bin_link_set(blocks[n - 1], NULL);
    for (size_t i = 0; i + 1 < n; i++)
        if (UTIL_UNLIKELY(bin_link_get(blocks[i]) != blocks[i + 1]))
            os_die("double free of", blocks[i]);
}

size_t bin_remote_push(_Atomic uint64_t *remote, void **blocks, size_t n) {
    bin_remote_chain(blocks, n);
    uint64_t old = atomic_load_explicit(remote, memory_order_relaxed), fresh;
    size_t count;
    do {
        bin_link_set(blocks[n - 1], (void *)(old << 16 >> 16));
        count = util_min((old >> BIN_REMOTE_COUNT_SHIFT) + n, BIN_REMOTE_COUNT_MAX);
        fresh = (uint64_t)(uintptr_t)blocks[0] | (uint64_t)count << BIN_REMOTE_COUNT_SHIFT;
    } while (!atomic_compare_exchange_weak_explicit(remote, &old, fresh, memory_order_release,
                                                    memory_order_relaxed));
    return count;
}

struct bin_remote_walk bin_remote_take(_Atomic uint64_t *remote) {
    uint64_t head = atomic_exchange_explicit(remote, 0, memory_order_acquire);
    size_t count = head >> BIN_REMOTE_COUNT_SHIFT;
    return (struct bin_remote_walk){(void *)(head << 16 >> 16),
                                    count == BIN_REMOTE_COUNT_MAX ? SIZE_MAX : count};
}

/* Neighbours on the list are mostly of one chunk; the first block is one that was pushed, so its chunk is the owner's. */
static bool bin_link_is_sound(const void *block, const void *next, const void *owner) {
    uintptr_t base = chunk_base_of(next);
    if (UTIL_LIKELY(base == chunk_base_of(block)))
        return true;
    if (!chunk_is_registered(base))
        return false;
    const struct chunk *chunk = chunk_at_base(base);
    return chunk->magic == CHUNK_MAGIC && chunk->owner == owner;
}

void *bin_remote_next(struct bin_remote_walk *walk, const void *owner) {
    void *block = walk->next;
    if (block == NULL)
        return NULL;
    void *next = bin_link_get(block);
    if (next != NULL && UTIL_UNLIKELY(!bin_link_is_sound(block, next, owner)))
        os_die("double free or write after free of", block);
    if (walk->n_left != SIZE_MAX && UTIL_UNLIKELY((--walk->n_left == 0) != (next == NULL)))
        bin_die_double_free(block);
    walk->next = next;
    return block;
}

void bin_check_region(struct chunk *chunk, const void *p) {
    const struct run *run = run_of(chunk, p);
    const struct run_class *rc = &run_classes[run->class_idx];
    if (run_region_of(run, rc, p) >= rc->n_regions)
        bin_die_interior(p);
}
