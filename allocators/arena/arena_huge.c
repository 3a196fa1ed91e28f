/* Huge blocks of an arena: live ones are their users'; freed ones, and the tails of live ones, are kept until they decay,
 * under huge_lock. */
#include "arena.h"
#include "conf.h"
#include "os.h"

/* Cached blocks looked at for one that fits. */
#define ARENA_HUGE_TRIES 8u
/* Doublings by which a cached block may be larger than what it is cut down to. */
#define ARENA_HUGE_LG_FIT 6u
/* A tail is at most so many times as long as its block. */
#define ARENA_HUGE_TAIL_SHARE 3u
/* A block smaller than a huge page has none. */
#define ARENA_HUGE_THP_BYTES ((size_t)2 << 20)

void arena_huge_init(struct arena *arena) {
    lock_init(&arena->huge_lock, LOCK_HUGE);
    list_init(&arena->huge_oldest);
    for (unsigned i = 0; i < ARENA_N_HUGE_LISTS; i++)
        list_init(&arena->huge_cached[i]);
}

/* By powers of two of the size. */
static inline unsigned arena_huge_list_of(size_t bytes) {
    return util_lg_floor(bytes);
}

static inline void arena_count_huge_cached(struct arena *arena, size_t bytes) {
    size_t n = atomic_load_explicit(&arena->n_huge_cached_bytes, memory_order_relaxed);
    atomic_store_explicit(&arena->n_huge_cached_bytes, n + bytes, memory_order_relaxed);
}

static inline void arena_huge_uncache(struct arena *arena, struct chunk *huge) {
    list_unlink(&huge->all_link);
    list_unlink(&huge->dirty_link);
    atomic_store_explicit(&huge->huge_tail, 0, memory_order_relaxed);
    arena_count_huge_cached(arena, -huge->huge_bytes);
}

static UTIL_NOINLINE void arena_huge_take_tail_slow(struct arena *arena, struct chunk *huge, size_t tail) {
    if ((tail & (CHUNK_HUGE_IS_CACHED | CHUNK_HUGE_IS_FREED)) != 0)
        os_die("double free of", huge_payload(huge));
    list_unlink(&huge->dirty_link);
    atomic_store_explicit(&huge->huge_tail, 0, memory_order_relaxed);
    arena_count_huge_cached(arena, -tail);
    huge->huge_bytes += tail;
}

/* Makes the tail of a live block part of it; aborts if it is not live. Holds huge_lock. */
static inline void arena_huge_take_tail(struct arena *arena, struct chunk *huge) {
    size_t tail = atomic_load_explicit(&huge->huge_tail, memory_order_relaxed);
    if (UTIL_UNLIKELY(tail != 0))
        arena_huge_take_tail_slow(arena, huge, tail);
}

/* Cuts a live block without a tail down to `bytes`. A tail of a few times its size stays, to grow into: it is dirty and
 * decays. What is beyond it, and nobody else could use, is unmapped. Holds huge_lock. */
static void arena_huge_cut(struct arena *arena, struct chunk *huge, size_t bytes) {
    size_t rest = huge->huge_bytes - bytes;
    size_t tail = arena->dirty_decay.time_ms == 0 ? 0 : util_min(rest, ARENA_HUGE_TAIL_SHARE * bytes);
    if (rest != tail && os_unmap((char *)huge_payload(huge) + bytes + tail, rest - tail) != 0)
        tail = rest;
    atomic_fetch_sub_explicit(&arena->n_huge_bytes, rest - tail, memory_order_relaxed);
    huge->huge_bytes = bytes;
    if (tail == 0)
        return;
    atomic_store_explicit(&huge->huge_tail, tail, memory_order_relaxed);
    list_push_tail(&arena->huge_oldest, &huge->dirty_link);
    arena_count_huge_cached(arena, tail);
}

/* A cached block of at least `bytes`, cut down: the latest that fits, of the lowest power of two that has one. Were much
 * larger ones passed over, a program that grows one buffer after another would leave each behind at its full size. */
static UTIL_NOINLINE struct chunk *arena_huge_fit(struct arena *arena, size_t bytes, size_t align) {
    unsigned idx = arena_huge_list_of(bytes);
    for (unsigned i = idx; i <= idx + ARENA_HUGE_LG_FIT && i < ARENA_N_HUGE_LISTS; i++) {
        struct list *head = &arena->huge_cached[i];
        unsigned n_tries = ARENA_HUGE_TRIES;
        for (struct list *at = head->next; at != head && n_tries != 0; at = at->next, n_tries--) {
            struct chunk *huge = LIST_ENTRY(at, struct chunk, all_link);
            if (huge->huge_bytes < bytes || ((uintptr_t)huge_payload(huge) & (align - 1)) != 0)
                continue;
            arena_huge_uncache(arena, huge);
            arena_huge_cut(arena, huge, bytes);
            return huge;
        }
    }
    return NULL;
}

void *arena_huge_take(struct arena *arena, size_t bytes) {
    void *p = NULL;
    if (UTIL_UNLIKELY(!lock_try(&arena->huge_lock)))
        return NULL;
    struct list *head = &arena->huge_cached[arena_huge_list_of(bytes)];
    struct chunk *huge = LIST_ENTRY(head->next, struct chunk, all_link);
    if (UTIL_LIKELY(head->next != head && huge->huge_bytes == bytes)) {
        arena_huge_uncache(arena, huge);
        p = huge_payload(huge);
    }
    lock_release(&arena->huge_lock);
    return p;
}

/* What the settings say about where the pages of a new or grown block come from. */
static void arena_huge_place(const struct arena *arena, const struct chunk *huge) {
    bool is_large = huge->huge_bytes >= ARENA_HUGE_THP_BYTES;
    if (conf.thp == CONF_THP_NEVER || (conf.thp == CONF_THP_ALWAYS && is_large))
        os_advise_huge_pages(huge_payload(huge), huge->huge_bytes, conf.thp == CONF_THP_ALWAYS);
    arena_numa_bind(arena, huge_payload(huge), huge->huge_bytes);
}

/* A new block, made without the lock. */
static UTIL_NOINLINE struct chunk *arena_huge_make(struct arena *arena, size_t bytes, size_t align) {
    struct chunk *huge = huge_create(arena, bytes, align);
    if (huge == NULL)
        return NULL;
    arena_huge_place(arena, huge);
    atomic_fetch_add_explicit(&arena->n_huge, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&arena->n_huge_bytes, huge->huge_bytes, memory_order_relaxed);
    return huge;
}

void *arena_huge_alloc(struct arena *arena, size_t bytes, size_t align, bool *is_zeroed) {
    /* Even an empty block gets a page: aligned to a chunk, it lies where another chunk would begin. */
    bytes = util_align_up(util_max(bytes, 1), PAGE_BYTES);
    struct chunk *huge = NULL;
    /* While another thread forks, new ones are made. */
    if (lock_acquire_unless_forking(&arena->huge_lock)) {
        huge = arena_huge_fit(arena, bytes, align);
        lock_release(&arena->huge_lock);
    }
    if (huge == NULL)
        huge = arena_huge_make(arena, bytes, align);
    if (huge == NULL)
        return NULL;
    *is_zeroed = huge->huge_is_zeroed;
    return huge_payload(huge);
}

/* A block that is not to be cached. */
static UTIL_NOINLINE void arena_huge_drop(struct arena *arena, struct chunk *huge) {
    atomic_fetch_sub_explicit(&arena->n_huge, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&arena->n_huge_bytes, huge->huge_bytes, memory_order_relaxed);
    huge_destroy(huge);
}

/* Freed while another thread forks. A block with a tail is on a list, which cannot be changed now: who takes the tail off
 * it next finds the mark. The exchange fails if that has happened since, and the block is on no list. */
static UTIL_NOINLINE void arena_huge_free_in_fork(struct arena *arena, struct chunk *huge) {
    size_t tail = atomic_load_explicit(&huge->huge_tail, memory_order_acquire);
    if (UTIL_UNLIKELY((tail & (CHUNK_HUGE_IS_CACHED | CHUNK_HUGE_IS_FREED)) != 0))
        os_die("double free of", huge_payload(huge));
    if (tail == 0 ||
        !atomic_compare_exchange_strong_explicit(&huge->huge_tail, &tail, tail | CHUNK_HUGE_IS_FREED,
                                                 memory_order_acq_rel, memory_order_acquire))
        arena_huge_drop(arena, huge);
}

void arena_huge_free(struct chunk *huge) {
    struct arena *arena = huge->owner;
    if (UTIL_UNLIKELY(arena->is_abandoned))
        return; /* its pages stay: the list they are on may be half-changed */
    if (UTIL_UNLIKELY(!lock_acquire_unless_forking(&arena->huge_lock))) {
        arena_huge_free_in_fork(arena, huge);
        return;
    }
    arena_huge_take_tail(arena, huge);
    if (UTIL_UNLIKELY(arena->dirty_decay.time_ms == 0)) {
        lock_release(&arena->huge_lock);
        arena_huge_drop(arena, huge);
        return;
    }
    atomic_store_explicit(&huge->huge_tail, CHUNK_HUGE_IS_CACHED, memory_order_relaxed);
    huge->huge_is_zeroed = false;
    list_push_head(&arena->huge_cached[arena_huge_list_of(huge->huge_bytes)], &huge->all_link);
    list_push_tail(&arena->huge_oldest, &huge->dirty_link);
    arena_count_huge_cached(arena, huge->huge_bytes);
    lock_release(&arena->huge_lock);
}

/* A block without a tail becomes larger, by mapping more behind it or by moving its pages. The block is the caller's. */
static struct chunk *arena_huge_grow(struct arena *arena, struct chunk *huge, size_t bytes, bool may_move) {
    size_t more = bytes - huge->huge_bytes;
    if (!huge_grow_in_place(huge, more)) {
        huge = may_move && huge->huge_offset == PAGE_BYTES ? huge_move(huge, bytes) : NULL;
        if (huge == NULL)
            return NULL;
    }
    atomic_fetch_add_explicit(&arena->n_huge_bytes, more, memory_order_relaxed);
    arena_huge_place(arena, huge);
    return huge;
}

void *arena_huge_resize(struct chunk *huge, size_t bytes, bool may_move) {
    struct arena *arena = huge->owner;
    size_t old = huge->huge_bytes;
    bytes = util_align_up(bytes, PAGE_BYTES);
    if (bytes == old)
        return huge_payload(huge);
    if (UTIL_UNLIKELY(arena->is_abandoned) || !lock_acquire_unless_forking(&arena->huge_lock))
        return NULL;
    arena_huge_take_tail(arena, huge);
    bool fits = bytes <= huge->huge_bytes;
    if (fits)
        arena_huge_cut(arena, huge, bytes);
    lock_release(&arena->huge_lock);
    if (fits)
        return huge_payload(huge);
    struct chunk *grown = arena_huge_grow(arena, huge, bytes, may_move);
    if (grown != NULL)
        return huge_payload(grown);
    /* As it was; but for a fork in between, after which the tail stays part of it. */
    if (old != huge->huge_bytes && lock_acquire_unless_forking(&arena->huge_lock)) {
        arena_huge_cut(arena, huge, old);
        lock_release(&arena->huge_lock);
    }
    return NULL;
}

/* Takes the tail off a live block that may be changed by its owner as soon as the lock is let go: what is still mapped
 * behind it keeps others off, so it can be unmapped then. Holds huge_lock, but for that. The exchange comes last: who frees
 * the block in a fork that has just ended does not wait for the lock, and unmaps it on seeing no tail. */
static void arena_huge_purge_tail(struct arena *arena, struct chunk *huge) {
    void *at = (char *)huge_payload(huge) + huge->huge_bytes;
    list_unlink(&huge->dirty_link);
    size_t tail = atomic_exchange_explicit(&huge->huge_tail, 0, memory_order_acq_rel);
    bool is_freed = (tail & CHUNK_HUGE_IS_FREED) != 0;
    tail &= ~CHUNK_HUGE_IS_FREED;
    arena_count_huge_cached(arena, -tail);
    atomic_fetch_sub_explicit(&arena->n_huge_bytes, tail, memory_order_relaxed);
    lock_release(&arena->huge_lock);
    huge_unmap_tail(at, tail);
    if (is_freed)
        arena_huge_drop(arena, huge);
    lock_acquire(&arena->huge_lock);
}

/* The caller holds purge_lock, so no fork has huge_lock. */
void arena_huge_purge(struct arena *arena, size_t n_pages_limit) {
    lock_acquire(&arena->huge_lock);
    while (!list_is_empty(&arena->huge_oldest) &&
           atomic_load_explicit(&arena->n_huge_cached_bytes, memory_order_relaxed) >> PAGE_LG >
               n_pages_limit) {
        struct chunk *huge = LIST_ENTRY(arena->huge_oldest.next, struct chunk, dirty_link);
        if (!huge_is_cached(huge)) {
            arena_huge_purge_tail(arena, huge);
            continue;
        }
        arena_huge_uncache(arena, huge);
        lock_release(&arena->huge_lock);
        arena_huge_drop(arena, huge);
        lock_acquire(&arena->huge_lock);
    }
    lock_release(&arena->huge_lock);
}
