#include "arena.h"

#include "base.h"
#include "conf.h"
#include "os.h"

/* When so many bytes of large objects wait on one remote list, whoever adds to it drains it, if the owner's lock is free:
 * an owner that never allocates again would otherwise keep them for ever. */
#define ARENA_REMOTE_MAX_BYTES ((size_t)256 << 10)

static _Atomic(struct arena *) arena_table[ARENA_MAX + 1]; /* the last one made: the reserve */
static unsigned arena_n_in_table;
static _Atomic unsigned arena_next_join, arena_n_leavings;
static _Atomic(struct arena *) arena_spare;

void arena_init_table(unsigned n, unsigned lg_chunk) {
    struct chunk_slots slots[CHUNK_N_POOLS];
    run_init_classes(lg_chunk, slots);
    chunk_init(lg_chunk, slots);
    bin_init_links(util_mix(os_now_ns() ^ (uintptr_t)&slots));
    arena_n_in_table = n;
}

unsigned arena_n(void) {
    return arena_n_in_table;
}

/* Makes an arena and publishes it in *where; if another thread was faster, its arena. */
static struct arena *arena_create(_Atomic(struct arena *) *where, unsigned idx) {
    struct arena *arena = base_alloc(sizeof *arena), *other = NULL;
    if (arena == NULL)
        return NULL;
    arena->idx = idx;
    arena->node = arena_numa_node_of(conf.arena_numa, idx);
    lock_init(&arena->tcache_lock, LOCK_TCACHE_POOL);
    lock_init(&arena->purge_lock, LOCK_PURGE);
    list_init(&arena->tcaches);
    arena_pages_init(arena);
    arena_huge_init(arena);
    for (unsigned i = 0; i < SIZE_CLASS_N_SMALL; i++)
        bin_init(&arena->bins[i], i);
    return atomic_compare_exchange_strong_explicit(where, &other, arena, memory_order_acq_rel,
                                                   memory_order_acquire)
               ? arena
               : other;
}

struct arena *arena_peek(unsigned idx) {
    return idx < arena_n_in_table ? atomic_load_explicit(&arena_table[idx], memory_order_acquire) : NULL;
}

struct arena *arena_get(unsigned idx) {
    struct arena *arena = arena_peek(idx);
    if (arena == NULL && idx < arena_n_in_table)
        arena = arena_create(&arena_table[idx], idx);
    return arena;
}

struct arena *arena_peek_reserve(void) {
    return atomic_load_explicit(&arena_spare, memory_order_acquire);
}

struct arena *arena_reserve(void) {
    struct arena *arena = arena_peek_reserve();
    return arena != NULL ? arena : arena_create(&arena_spare, ARENA_MAX);
}

/* What speaks against joining the arena: its threads, then, where there are none, how long ago the last one left. */
static uint64_t arena_burden(unsigned idx) {
    struct arena *arena = arena_peek(idx);
    if (arena == NULL)
        return UINT32_MAX;
    uint64_t n_threads = atomic_load_explicit(&arena->n_threads, memory_order_relaxed);
    if (n_threads != 0)
        return n_threads << 32;
    return UINT32_MAX - atomic_load_explicit(&arena->n_left_at, memory_order_relaxed);
}

/* Least burdened arena, the next in turn on a tie, or NULL if it cannot be made; *n_threads is its load. */
static struct arena *arena_least_loaded(unsigned *n_threads) {
    unsigned n = arena_n_in_table, best = 0;
    unsigned start = atomic_fetch_add_explicit(&arena_next_join, 1, memory_order_relaxed) % n;
    uint64_t least = UINT64_MAX;
    /* Those on the caller's node, or all if there are none. */
    for (int pass = 0; pass < 2 && least == UINT64_MAX; pass++)
        for (unsigned i = 0; i < n; i++) {
            uint64_t burden = arena_burden((start + i) % n);
            if (burden < least && (pass == 1 || arena_numa_allows((start + i) % n))) {
                least = burden;
                best = (start + i) % n;
            }
        }
    *n_threads = (unsigned)(least >> 32);
    return arena_get(best);
}

/* Joining is a compare-and-swap on the load that made the arena the choice: of two threads that start together and
 * see the same idle arena, one gets it and the other looks again. */
struct arena *arena_join(void) {
    for (;;) {
        unsigned n_threads;
        struct arena *arena = arena_least_loaded(&n_threads);
        if (arena == NULL ||
            atomic_compare_exchange_strong_explicit(&arena->n_threads, &n_threads, n_threads + 1,
                                                    memory_order_relaxed, memory_order_relaxed))
            return arena;
    }
}

struct arena *arena_join_at(unsigned idx) {
    struct arena *arena = arena_get(idx);
    if (arena != NULL)
        atomic_fetch_add_explicit(&arena->n_threads, 1, memory_order_relaxed);
    return arena;
}

void arena_leave(struct arena *arena) {
    unsigned now = atomic_fetch_add_explicit(&arena_n_leavings, 1, memory_order_relaxed) + 1;
    atomic_store_explicit(&arena->n_left_at, now, memory_order_relaxed);
    atomic_fetch_sub_explicit(&arena->n_threads, 1, memory_order_relaxed);
}

static size_t arena_fill_locked(struct arena *arena, unsigned class_idx, void **out, size_t n) {
    if (class_idx < SIZE_CLASS_N_SMALL) {
        const struct bin_supply supply = {arena_run_take, arena_run_give, arena};
        return bin_fill(&arena->bins[class_idx], &supply, out, n);
    }
    return arena_large_fill(arena, class_idx, out, n);
}

static struct lock *arena_lock_of(struct arena *arena, unsigned class_idx) {
    return class_idx < SIZE_CLASS_N_SMALL ? &arena->bins[class_idx].lock : &arena->pages_lock;
}

size_t arena_fill(struct arena *arena, unsigned class_idx, void **out, size_t n) {
    if (UTIL_UNLIKELY(!lock_acquire_unless_forking(arena_lock_of(arena, class_idx)))) {
        arena = arena_reserve();
        if (arena == NULL)
            return 0;
        lock_acquire(arena_lock_of(arena, class_idx));
    }
    size_t got = arena_fill_locked(arena, class_idx, out, n);
    lock_release(arena_lock_of(arena, class_idx));
    return got;
}

/* Frees the arena's own objects; those of others come to the front. Returns how many these are. */
static size_t arena_flush_locked(struct arena *arena, unsigned class_idx, void **objects, size_t n) {
    if (class_idx < SIZE_CLASS_N_SMALL) {
        const struct bin_supply supply = {arena_run_take, arena_run_give, arena};
        return bin_flush(&arena->bins[class_idx], &supply, objects, n);
    }
    return arena_large_flush(arena, class_idx, objects, n);
}

static void arena_drain_locked(struct arena *arena, unsigned class_idx) {
    if (class_idx < SIZE_CLASS_N_SMALL) {
        const struct bin_supply supply = {arena_run_take, arena_run_give, arena};
        bin_drain(&arena->bins[class_idx], &supply);
    } else {
        arena_large_drain(arena, class_idx);
    }
}

static void arena_try_drain(struct arena *arena, unsigned class_idx) {
    if (!arena->is_abandoned && !lock_fork_is_own() && lock_try(arena_lock_of(arena, class_idx))) {
        arena_drain_locked(arena, class_idx);
        lock_release(arena_lock_of(arena, class_idx));
    }
}

/* Regions of one run; how many, which stand at the front. Whoever sends the last one that was in use drains the bin, if
 * its lock is free: the owner may never allocate of this class again, and the run's pages would stay. */
static size_t arena_send_regions(unsigned class_idx, void **objects, size_t n) {
    struct chunk *chunk = chunk_of(objects[0]);
    struct arena *owner = chunk->owner;
    bool is_last;
    if (UTIL_UNLIKELY(chunk_map(chunk)[chunk_page_of(chunk, objects[0])] != class_idx))
        os_die("double free of", objects[0]); /* its run is gone already */
    n = bin_send(&owner->bins[class_idx], run_of(chunk, objects[0]), objects, n, &is_last);
    if (is_last)
        arena_try_drain(owner, class_idx);
    return n;
}

/* Large objects of one owner, in one batch; how many, which stand at the front. */
static size_t arena_send_pages(unsigned class_idx, void **objects, size_t n) {
    struct arena *owner = chunk_of(objects[0])->owner;
    size_t n_same = 0;
    for (size_t i = 0; i < n; i++) {
        void *p = objects[i];
        struct chunk *chunk = chunk_of(p);
        if (chunk->owner != owner)
            continue;
        /* The link goes into the objects, so they are checked first. */
        if (UTIL_UNLIKELY(chunk_map(chunk)[chunk_page_of(chunk, p)] != class_idx))
            os_die("double free of", p);
        if (UTIL_UNLIKELY(((uintptr_t)p & (PAGE_BYTES - 1)) != 0))
            os_die("free of an interior pointer", p);
        objects[i] = objects[n_same];
        objects[n_same++] = p;
    }
    size_t n_waiting =
        bin_remote_push(&owner->larges[class_idx - SIZE_CLASS_N_SMALL].remote, objects, n_same);
    if (n_waiting * size_class_bytes(class_idx) >= ARENA_REMOTE_MAX_BYTES)
        arena_try_drain(owner, class_idx);
    return n_same;
}

void arena_flush(struct arena *self, unsigned class_idx, void **objects, size_t n) {
    bool may_own = self != NULL;
    while (n != 0) {
        /* Own ones all at once, as soon as the first is met: a thread that frees for others takes no lock. */
        if (may_own && chunk_of(objects[0])->owner == self) {
            may_own = false;
            if (UTIL_LIKELY(lock_acquire_unless_forking(arena_lock_of(self, class_idx)))) {
                n = arena_flush_locked(self, class_idx, objects, n);
                lock_release(arena_lock_of(self, class_idx));
                continue;
            }
        }
        size_t n_sent = class_idx < SIZE_CLASS_N_SMALL ? arena_send_regions(class_idx, objects, n)
                                                       : arena_send_pages(class_idx, objects, n);
        objects += n_sent;
        n -= n_sent;
    }
}

/* Holds purge_lock and pages_lock; the latter is let go. */
static void arena_tick_held(struct arena *arena, uint64_t now_ns) {
    size_t n_unused = arena_unused_pages(arena);
    size_t n_dirty_max = decay_update(&arena->dirty_decay, now_ns, n_unused, arena->n_dirty_low);
    size_t n_muzzy_max = decay_update(&arena->muzzy_decay, now_ns, arena->n_muzzy_pages, arena->n_muzzy_low);
    if (n_dirty_max != SIZE_MAX)
        arena->n_dirty_low = n_unused;
    if (n_muzzy_max != SIZE_MAX)
        arena->n_muzzy_low = arena->n_muzzy_pages;
    arena->next_tick_ns = arena->dirty_decay.deadline_ns;
    if (arena->n_muzzy_pages != 0)
        arena->next_tick_ns = util_min(arena->next_tick_ns, arena->muzzy_decay.deadline_ns);
    size_t n_huge = atomic_load_explicit(&arena->n_huge_cached_bytes, memory_order_relaxed) >> PAGE_LG;
    size_t n_excess = n_unused > n_dirty_max ? n_unused - n_dirty_max : 0;
    size_t n_huge_excess = util_min(n_excess, n_huge);
    if (n_excess > n_huge_excess || arena->n_muzzy_pages > n_muzzy_max) {
        size_t n_pages_excess = n_excess - n_huge_excess;
        arena_pages_purge(arena, arena->n_dirty_pages - util_min(arena->n_dirty_pages, n_pages_excess),
                          n_muzzy_max);
    }
    lock_release(&arena->pages_lock);
    if (n_huge_excess != 0)
        arena_huge_purge(arena, n_huge - n_huge_excess);
    if (n_excess != 0) {
        lock_acquire(&arena->pages_lock);
        decay_note_purged(&arena->dirty_decay, arena_unused_pages(arena));
        decay_note_purged(&arena->muzzy_decay, arena->n_muzzy_pages);
        lock_release(&arena->pages_lock);
    }
}

/* Runs whose unused pages are purged at a time. */
#define ARENA_N_HELD 64
/* Least time between two looks at all runs, also if the decay time is zero. */
#define ARENA_MIN_ROUND_NS ((uint64_t)100 * 1000 * 1000)

/* Purges the unused pages of a run that is held. Holds purge_lock; how many. */
static size_t arena_run_purge(struct bin *bin, const struct bin_supply *supply, struct run *run) {
    size_t at = 0, first, n, n_purged = 0;
    for (bool is_over = false; !is_over;) {
        lock_acquire(&bin->lock);
        is_over = !run_unused_pages(run, &at, &first, &n);
        if (is_over)
            bin_put_back(bin, supply, run);
        lock_release(&bin->lock);
        if (!is_over && os_purge((char *)run_base(run) + (first << PAGE_LG), n << PAGE_LG) == 0)
            n_purged += n;
    }
    return n_purged;
}

/* A run may be all but unused and yet not empty: what is left may be an object in the cache of a thread that sleeps. Purges
 * the pages that no object lies on in runs that nothing was taken from for n_rounds. Huge pages that were asked for are
 * not broken up. Holds purge_lock. True: there is something to wait for. */
static bool arena_bin_purge(struct bin *bin, const struct bin_supply *supply, unsigned n_rounds) {
    struct arena *arena = supply->ctx;
    struct run *held[ARENA_N_HELD];
    size_t n_held, n_purged = 0;
    bool is_early = false;
    if (conf.thp == CONF_THP_ALWAYS)
        return false;
    lock_acquire(&bin->lock);
    bin_next_round(bin);
    lock_release(&bin->lock);
    do {
        lock_acquire(&bin->lock);
        n_held = bin_hold_idle(bin, n_rounds, held, ARENA_N_HELD, &is_early);
        lock_release(&bin->lock);
        for (size_t i = 0; i < n_held; i++)
            n_purged += arena_run_purge(bin, supply, held[i]);
    } while (n_held == ARENA_N_HELD);
    lock_acquire(&arena->pages_lock);
    arena->n_purged_pages += n_purged;
    lock_release(&arena->pages_lock);
    return is_early;
}

/* True each time so much time has passed. */
static bool arena_is_due(uint64_t *next_ns, uint64_t now_ns, uint64_t interval_ns) {
    /* Further off: the decay time, and with it the interval, was longer when it was set. */
    if (now_ns < *next_ns && *next_ns - now_ns <= interval_ns)
        return false;
    *next_ns = now_ns + interval_ns;
    return true;
}

/* Every sixteenth of the decay time, takes in what was sent back and, being the last of its run, freed by its owner, which
 * nobody else would notice; and gives up empty runs that bins keep against thrashing and have not used for a quarter of
 * the decay time: they become dirty pages, which decay. Every quarter, purges unused pages of runs from which nothing was
 * taken for as long. Holds purge_lock. */
static void arena_tidy(struct arena *arena, uint64_t now_ns) {
    const struct bin_supply supply = {arena_run_take, arena_run_give, arena};
    if (!lock_try(&arena->pages_lock))
        return;
    const int64_t decay_ms = arena->dirty_decay.time_ms;
    lock_release(&arena->pages_lock);
    const uint64_t decay_ns = (uint64_t)decay_ms * 1000000;
    if (decay_ms < 0 || !arena_is_due(&arena->next_tidy_ns, now_ns, decay_ns / 16))
        return;
    arena->has_spare_runs = false;
    arena_drain(arena);
    for (unsigned i = 0; i < SIZE_CLASS_N_SMALL; i++) {
        struct bin *bin = &arena->bins[i];
        if (!lock_try(&bin->lock))
            continue;
        arena->has_spare_runs |= bin_trim_idle(bin, &supply, now_ns, decay_ns / 4);
        lock_release(&bin->lock);
    }
    if (!arena_is_due(&arena->next_round_ns, now_ns, util_max(decay_ns / 4, ARENA_MIN_ROUND_NS)))
        return;
    arena->has_unused_pages = false;
    for (unsigned i = 0; i < SIZE_CLASS_N_SMALL; i++)
        arena->has_unused_pages |= arena_bin_purge(&arena->bins[i], &supply, 2);
}

/* What arena_tick does when it is due. */
static UTIL_NOINLINE bool arena_tick_due(struct arena *arena, uint64_t now_ns) {
    bool is_busy = true;
    if (!lock_try(&arena->purge_lock))
        return true;
    arena_tidy(arena, now_ns);
    if (lock_try(&arena->pages_lock)) {
        is_busy = arena->has_spare_runs || arena->has_unused_pages || arena_unused_pages(arena) != 0;
        arena_tick_held(arena, now_ns);
    }
    lock_release(&arena->purge_lock);
    return is_busy;
}

bool arena_tick(struct arena *arena, uint64_t now_ns) {
    return now_ns < atomic_load_explicit(&arena->next_tick_ns, memory_order_relaxed) ||
           arena_tick_due(arena, now_ns);
}

void arena_drain(struct arena *arena) {
    for (unsigned i = 0; i < SIZE_CLASS_N_BINS; i++) {
        bool is_waiting = i < SIZE_CLASS_N_SMALL
                              ? atomic_load_explicit(&arena->bins[i].remote, memory_order_relaxed) != NULL
                              : atomic_load_explicit(&arena->larges[i - SIZE_CLASS_N_SMALL].remote,
                                                     memory_order_relaxed) != 0;
        if (is_waiting)
            arena_try_drain(arena, i);
    }
    if (atomic_load_explicit(&arena->exact_remote, memory_order_relaxed) != 0 &&
        lock_try(&arena->pages_lock)) {
        arena_exact_drain(arena);
        lock_release(&arena->pages_lock);
    }
}

void arena_tick_idle(unsigned *turn, uint64_t now_ns) {
    *turn = (*turn + 1) % (arena_n_in_table + 1);
    struct arena *arena = *turn == arena_n_in_table ? arena_peek_reserve() : arena_peek(*turn);
    if (arena == NULL || lock_fork_is_own() ||
        atomic_load_explicit(&arena->n_threads, memory_order_relaxed) != 0)
        return;
    arena_drain(arena);
    arena_tick(arena, now_ns);
}

void arena_purge(struct arena *arena) {
    const struct bin_supply supply = {arena_run_take, arena_run_give, arena};
    if (!lock_acquire_unless_forking(&arena->purge_lock))
        return;
    for (unsigned i = 0; i < SIZE_CLASS_N_SMALL; i++) {
        lock_acquire(&arena->bins[i].lock);
        bin_drain(&arena->bins[i], &supply);
        bin_trim(&arena->bins[i], &supply);
        lock_release(&arena->bins[i].lock);
        arena_bin_purge(&arena->bins[i], &supply, 1);
    }
    arena_huge_purge(arena, 0);
    lock_acquire(&arena->pages_lock);
    for (unsigned i = SIZE_CLASS_N_SMALL; i < SIZE_CLASS_N_BINS; i++)
        arena_large_drain(arena, i);
    arena_exact_drain(arena);
    arena_pages_purge(arena, 0, 0);
    decay_note_purged(&arena->dirty_decay, 0);
    decay_note_purged(&arena->muzzy_decay, 0);
    lock_release(&arena->pages_lock);
    lock_release(&arena->purge_lock);
}

void arena_purge_all(void) {
    for (unsigned i = 0; i < arena_n_in_table; i++)
        if (arena_peek(i) != NULL)
            arena_purge(arena_peek(i));
    if (arena_peek_reserve() != NULL)
        arena_purge(arena_peek_reserve());
    chunk_store_trim();
}

void arena_set_decay(struct arena *arena, int64_t dirty_ms, int64_t muzzy_ms) {
    lock_acquire(&arena->pages_lock);
    decay_set_time(&arena->dirty_decay, dirty_ms, os_now_ns());
    decay_set_time(&arena->muzzy_decay, muzzy_ms, os_now_ns());
    arena->next_tick_ns = 0;
    lock_release(&arena->pages_lock);
}

/* One fork at a time; taken by no one else. */
static struct lock arena_fork_lock;

/* Applies an operation to the locks of all arenas that the fork holds, rank by rank: whoever holds a lock of a lower
 * rank can still get the higher ones that it needs to finish. */
static void arena_fork_each(void (*op)(struct lock *)) {
    for (unsigned rank = 0; rank < LOCK_N_RANKS; rank++)
        for (unsigned i = 0; i < arena_n_in_table; i++) {
            struct arena *arena = arena_peek(i);
            if (arena == NULL || !arena->is_held_by_fork)
                continue;
            if (rank == LOCK_TCACHE_POOL)
                op(&arena->tcache_lock);
            if (rank == LOCK_PURGE)
                op(&arena->purge_lock);
            for (unsigned b = 0; rank == LOCK_BIN && b < SIZE_CLASS_N_SMALL; b++)
                op(&arena->bins[b].lock);
            if (rank == LOCK_HUGE)
                op(&arena->huge_lock);
            if (rank == LOCK_PAGES)
                op(&arena->pages_lock);
        }
}

static void arena_fork_forget(void) {
    for (unsigned i = 0; i < arena_n_in_table; i++)
        if (arena_peek(i) != NULL)
            arena_peek(i)->is_held_by_fork = false;
}

void arena_fork_prepare(void) {
    lock_acquire_for_fork(&arena_fork_lock);
    for (unsigned i = 0; i < arena_n_in_table; i++)
        if (arena_peek(i) != NULL)
            arena_peek(i)->is_held_by_fork = true;
    arena_fork_each(lock_acquire_for_fork);
    lock_fork_begin();
}

void arena_fork_parent(void) {
    lock_fork_end();
    arena_fork_each(lock_release_after_fork);
    arena_fork_forget();
    lock_release_after_fork(&arena_fork_lock);
}

void arena_fork_child(void) {
    lock_fork_end();
    arena_fork_each(lock_reset_in_child);
    /* The reserve arena, and those made during the fork, were not locked and may be half-way through something: they
     * are left behind. Frees into them end on their remote lists, which stay valid. */
    struct arena *spare = atomic_load_explicit(&arena_spare, memory_order_relaxed);
    if (spare != NULL)
        spare->is_abandoned = true;
    atomic_store_explicit(&arena_spare, NULL, memory_order_release);
    for (unsigned i = 0; i < arena_n_in_table; i++)
        if (arena_peek(i) != NULL && !arena_peek(i)->is_held_by_fork) {
            arena_peek(i)->is_abandoned = true;
            atomic_store_explicit(&arena_table[i], NULL, memory_order_release);
        }
    arena_fork_forget();
    lock_reset_in_child(&arena_fork_lock);
}
