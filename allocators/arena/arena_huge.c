/* Huge blocks of an arena: live ones are listed, freed ones cached until they decay. All under huge_lock. */
#include "arena.h"
#include "conf.h"
#include "os.h"

/* Cached blocks looked at for one that fits. */
#define ARENA_HUGE_TRIES 8u

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
    huge->huge_is_cached = false;
    arena_count_huge_cached(arena, -huge->huge_bytes);
}

/* A cached block of at least `bytes` and at most twice that, which is then cut down; among the latest of the two lists
 * in question. */
static UTIL_NOINLINE struct chunk *arena_huge_fit(struct arena *arena, size_t bytes) {
    unsigned idx = arena_huge_list_of(bytes);
    for (unsigned i = idx; i < idx + 2 && i < ARENA_N_HUGE_LISTS; i++) {
        struct list *head = &arena->huge_cached[i];
        unsigned n_tries = ARENA_HUGE_TRIES;
        for (struct list *at = head->next; at != head && n_tries != 0; at = at->next, n_tries--) {
            struct chunk *huge = LIST_ENTRY(at, struct chunk, all_link);
            if (huge->huge_bytes < bytes || huge->huge_bytes / 2 > bytes)
                continue;
            arena_huge_uncache(arena, huge);
            arena->n_huge_bytes -= huge->huge_bytes;
            if (huge->huge_bytes != bytes)
                huge_resize_in_place(huge, bytes); /* if refused, it stays larger */
            arena->n_huge_bytes += huge->huge_bytes;
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

/* A new block, made without the lock, which is held again afterwards. */
static UTIL_NOINLINE struct chunk *arena_huge_make(struct arena *arena, size_t bytes, size_t align) {
    lock_release(&arena->huge_lock);
    struct chunk *huge = huge_create(arena, bytes, align);
    if (huge != NULL && conf.thp != CONF_THP_DEFAULT)
        os_advise_huge_pages(huge_payload(huge), huge->huge_bytes, conf.thp == CONF_THP_ALWAYS);
    lock_acquire(&arena->huge_lock);
    if (huge != NULL) {
        arena->n_huge++;
        arena->n_huge_bytes += huge->huge_bytes;
    }
    return huge;
}

void *arena_huge_alloc(struct arena *arena, size_t bytes, size_t align, bool *is_zeroed) {
    /* Even an empty block gets a page: aligned to a chunk, it lies where another chunk would begin. */
    bytes = util_align_up(util_max(bytes, 1), PAGE_BYTES);
    struct chunk *huge = NULL;
    if (UTIL_UNLIKELY(!lock_acquire_unless_forking(&arena->huge_lock))) {
        arena = arena_reserve();
        if (arena == NULL)
            return NULL;
        lock_acquire(&arena->huge_lock);
    }
    if (align <= PAGE_BYTES)
        huge = arena_huge_fit(arena, bytes);
    if (huge == NULL)
        huge = arena_huge_make(arena, bytes, align);
    if (huge == NULL) {
        lock_release(&arena->huge_lock);
        return NULL;
    }
    *is_zeroed = huge->huge_is_zeroed;
    lock_release(&arena->huge_lock);
    return huge_payload(huge);
}

/* A block that is not to be cached. */
static UTIL_NOINLINE void arena_huge_drop(struct arena *arena, struct chunk *huge) {
    lock_acquire(&arena->huge_lock);
    arena->n_huge--;
    arena->n_huge_bytes -= huge->huge_bytes;
    lock_release(&arena->huge_lock);
    huge_destroy(huge);
}

void arena_huge_free(struct chunk *huge) {
    struct arena *arena = huge->owner;
    if (UTIL_UNLIKELY(huge->huge_offset != PAGE_BYTES || arena->dirty_decay.time_ms == 0)) {
        arena_huge_drop(arena, huge);
        return;
    }
    lock_acquire(&arena->huge_lock);
    if (UTIL_UNLIKELY(huge->huge_is_cached))
        os_die("double free of", huge_payload(huge));
    huge->huge_is_cached = true;
    huge->huge_is_zeroed = false;
    list_push_head(&arena->huge_cached[arena_huge_list_of(huge->huge_bytes)], &huge->all_link);
    list_push_tail(&arena->huge_oldest, &huge->dirty_link);
    arena_count_huge_cached(arena, huge->huge_bytes);
    lock_release(&arena->huge_lock);
}

void *arena_huge_resize(struct chunk *huge, size_t bytes, bool may_move) {
    struct arena *arena = huge->owner;
    size_t old = huge->huge_bytes;
    bytes = util_align_up(bytes, PAGE_BYTES);
    lock_acquire(&arena->huge_lock);
    bool is_done = bytes == old || huge_resize_in_place(huge, bytes);
    if (is_done)
        arena->n_huge_bytes += bytes - old;
    lock_release(&arena->huge_lock);
    if (is_done)
        return huge_payload(huge);
    if (!may_move || bytes < old || huge->huge_offset != PAGE_BYTES)
        return NULL;
    struct chunk *moved = huge_move(huge, bytes);
    if (moved == NULL)
        return NULL;
    lock_acquire(&arena->huge_lock);
    arena->n_huge_bytes += bytes - old;
    lock_release(&arena->huge_lock);
    return huge_payload(moved);
}

void arena_huge_purge(struct arena *arena, size_t n_pages_limit) {
    lock_acquire(&arena->huge_lock);
    while (!list_is_empty(&arena->huge_oldest) &&
           atomic_load_explicit(&arena->n_huge_cached_bytes, memory_order_relaxed) >> PAGE_LG >
               n_pages_limit) {
        struct chunk *huge = LIST_ENTRY(arena->huge_oldest.next, struct chunk, dirty_link);
        arena_huge_uncache(arena, huge);
        lock_release(&arena->huge_lock);
        arena_huge_drop(arena, huge);
        lock_acquire(&arena->huge_lock);
    }
    lock_release(&arena->huge_lock);
}
