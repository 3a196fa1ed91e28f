/* Pages of an arena: chunks by what fits, runs and large objects, purging. All under pages_lock. */
#include <string.h>

#include "arena.h"
#include "bitmap.h"
#include "conf.h"
#include "os.h"
#include "row.h"

/* Chunks looked at for huge pages when there is a new one. */
#define ARENA_THP_TRIES 8u

void arena_pages_init(struct arena *arena) {
    lock_init(&arena->pages_lock, LOCK_PAGES);
    list_init(&arena->chunks);
    list_init(&arena->dirty_chunks);
    decay_init(&arena->dirty_decay, conf.dirty_decay_ms, os_now_ns(), arena->idx * 2 + 1);
    decay_init(&arena->muzzy_decay, conf.muzzy_decay_ms, os_now_ns(), arena->idx * 2 + 2);
}

static void arena_bucket_leave(struct arena *arena, struct chunk *chunk) {
    if (chunk->bucket == ARENA_BUCKET_NONE)
        return;
    struct heap *heap = &arena->buckets[chunk->bucket];
    heap_remove(heap, &chunk->by_address);
    if (heap->min == NULL)
        arena->bucket_bits &= ~((uint64_t)1 << chunk->bucket);
    chunk->bucket = ARENA_BUCKET_NONE;
}

/* Moves the chunk to the bucket of its longest range, if it is not there. */
static void arena_bucket_update(struct arena *arena, struct chunk *chunk) {
    unsigned bucket =
        chunk->longest_pages == 0 ? ARENA_BUCKET_NONE : size_class_page_bucket(chunk->longest_pages);
    if (bucket == chunk->bucket)
        return;
    arena_bucket_leave(arena, chunk);
    if (bucket == ARENA_BUCKET_NONE)
        return;
    chunk->bucket = bucket;
    heap_insert(&arena->buckets[bucket], &chunk->by_address);
    arena->bucket_bits |= (uint64_t)1 << bucket;
}

static void arena_chunk_link(struct arena *arena, struct chunk *chunk) {
    chunk->bucket = ARENA_BUCKET_NONE;
    list_push_tail(&arena->chunks, &chunk->all_link);
    arena->n_chunks++;
    arena_bucket_update(arena, chunk);
}

/* At most a quarter is unused. */
static bool arena_chunk_is_mostly_active(const struct chunk *chunk) {
    return chunk->n_free_pages <= chunk_usable_pages() / 4;
}

/* thp:always. That another chunk is needed says that those before it, the last in the list, are about full: huge pages
 * for a chunk are asked for then, not when it is new and most of it may never be touched. */
static void arena_chunks_advise(struct arena *arena) {
    unsigned n_tries = ARENA_THP_TRIES;
    for (struct list *at = arena->chunks.prev; at != &arena->chunks && n_tries != 0;
         at = at->prev, n_tries--) {
        struct chunk *chunk = LIST_ENTRY(at, struct chunk, all_link);
        if (chunk->is_thp)
            break;
        if (arena_chunk_is_mostly_active(chunk))
            chunk->is_thp = os_advise_huge_pages((void *)chunk_base(chunk), chunk_bytes, true) == 0;
    }
}

static struct chunk *arena_chunk_new(struct arena *arena) {
    if (conf.thp == CONF_THP_ALWAYS)
        arena_chunks_advise(arena);
    struct chunk *chunk = chunk_create(arena);
    if (chunk == NULL)
        return NULL;
    if (conf.thp == CONF_THP_NEVER)
        os_advise_huge_pages((void *)chunk_base(chunk), chunk_bytes, false);
    arena_numa_bind(arena, (void *)chunk_base(chunk), chunk_bytes);
    arena_chunk_link(arena, chunk);
    return chunk;
}

static size_t arena_pages_take_from(struct arena *arena, struct chunk *chunk, size_t n, size_t align_pages,
                                    size_t *n_objects, bool *is_zeroed) {
    size_t n_dirty = chunk->n_dirty_pages, n_muzzy = chunk->n_muzzy_pages;
    size_t first = chunk_pages_take(chunk, n, align_pages, n_objects, is_zeroed);
    if (UTIL_UNLIKELY(chunk->n_free_pages < n || first == 0)) /* longest_pages is another one */
        arena_bucket_update(arena, chunk);
    if (UTIL_UNLIKELY(first == 0))
        return 0;
    arena->n_dirty_pages -= n_dirty - chunk->n_dirty_pages;
    arena->n_muzzy_pages -= n_muzzy - chunk->n_muzzy_pages;
    arena->n_active_pages += n * *n_objects;
    arena->n_dirty_low = util_min(arena->n_dirty_low, arena_unused_pages(arena));
    arena->n_muzzy_low = util_min(arena->n_muzzy_low, arena->n_muzzy_pages);
    return first;
}

static bool arena_pages_extend(struct arena *arena, struct chunk *chunk, size_t first, size_t n) {
    size_t n_dirty = chunk->n_dirty_pages, n_muzzy = chunk->n_muzzy_pages;
    if (!chunk_pages_extend(chunk, first, n))
        return false;
    arena->n_dirty_pages -= n_dirty - chunk->n_dirty_pages;
    arena->n_muzzy_pages -= n_muzzy - chunk->n_muzzy_pages;
    arena->n_active_pages += n;
    return true;
}

/* Smallest bucket all of whose chunks fit, lowest chunk in it: first-best-fit. longest_pages is an upper bound that a
 * failing search makes exact, after which the chunk moves to a lower bucket; so the loop ends. The bucket below may
 * have a chunk that fits, too; its lowest is tried before there is a new chunk. */
size_t arena_pages_take(struct arena *arena, size_t n, size_t align_pages, size_t *n_objects,
                        struct chunk **chunk, bool *is_zeroed) {
    size_t n_wanted = n + align_pages - 1, first;
    if (n_wanted > chunk_usable_pages())
        return 0;
    const unsigned fits = size_class_page_bucket_above(n_wanted);
    for (uint64_t bits; (bits = arena->bucket_bits >> fits << fits) != 0;) {
        *chunk = LIST_ENTRY(arena->buckets[__builtin_ctzl(bits)].min, struct chunk, by_address);
        first = arena_pages_take_from(arena, *chunk, n, align_pages, n_objects, is_zeroed);
        if (UTIL_LIKELY(first != 0))
            return first;
    }
    const unsigned below = size_class_page_bucket(n_wanted);
    if (arena->buckets[below].min != NULL) {
        *chunk = LIST_ENTRY(arena->buckets[below].min, struct chunk, by_address);
        first = arena_pages_take_from(arena, *chunk, n, align_pages, n_objects, is_zeroed);
        if (first != 0)
            return first;
    }
    *chunk = arena_chunk_new(arena);
    return *chunk == NULL ? 0 : arena_pages_take_from(arena, *chunk, n, align_pages, n_objects, is_zeroed);
}

void arena_pages_give(struct arena *arena, struct chunk *chunk, size_t first, size_t n) {
    chunk_pages_give(chunk, first, n);
    arena->n_dirty_pages += n;
    arena->n_active_pages -= n;
    arena_bucket_update(arena, chunk);
    if (list_is_empty(&chunk->dirty_link))
        list_push_tail(&arena->dirty_chunks, &chunk->dirty_link);
    if (chunk->n_free_pages == chunk_usable_pages()) { /* whole chunks go first */
        list_remove(&chunk->dirty_link);
        list_push_head(&arena->dirty_chunks, &chunk->dirty_link);
    }
}

struct run *arena_run_take(void *ctx, unsigned class_idx) {
    struct arena *arena = ctx;
    struct chunk *chunk;
    bool is_zeroed;
    struct run *run = NULL;
    lock_acquire(&arena->pages_lock);
    size_t n_runs = 1;
    size_t first = arena_pages_take(arena, run_classes[class_idx].n_pages, 1, &n_runs, &chunk, &is_zeroed);
    if (first != 0)
        run = run_create(chunk, first, class_idx);
    lock_release(&arena->pages_lock);
    return run;
}

void arena_run_give(void *ctx, struct run *run) {
    struct arena *arena = ctx;
    struct chunk *chunk = chunk_of((void *)run_base(run));
    size_t first = run->first_page, n = run_classes[run->class_idx].n_pages;
    lock_acquire(&arena->pages_lock);
    run_destroy(chunk, run);
    arena_pages_give(arena, chunk, first, n);
    lock_release(&arena->pages_lock);
}

/* Carves up to n objects of the class from one range; they are stored downwards from end[-1]. How many. */
static size_t arena_large_carve(struct arena *arena, unsigned class_idx, void **end, size_t n) {
    struct chunk *chunk;
    bool is_zeroed;
    const size_t bytes = size_class_bytes(class_idx), n_pages = bytes >> PAGE_LG;
    size_t n_got = n;
    size_t first = arena_pages_take(arena, n_pages, 1, &n_got, &chunk, &is_zeroed);
    if (first == 0)
        return 0;
    uint8_t *map = chunk_map(chunk) + first;
    char *at = chunk_page_address(chunk, first);
#pragma GCC unroll 4
    for (void **stop = end - n_got; end != stop; at += bytes, map += n_pages) {
        *map = (uint8_t)class_idx;
        *--end = at;
    }
    return n_got;
}

size_t arena_large_fill(struct arena *arena, unsigned class_idx, void **out, size_t n) {
    struct arena_large *large = &arena->larges[class_idx - SIZE_CLASS_N_SMALL];
    size_t left = n, n_got;
    if (UTIL_UNLIKELY(atomic_load_explicit(&large->remote, memory_order_relaxed) != 0))
        arena_large_drain(arena, class_idx);
    do {
        n_got = arena_large_carve(arena, class_idx, out + left, left);
        left -= n_got;
    } while (left != 0 && n_got != 0);
    if (UTIL_UNLIKELY(left != 0))
        memmove(out, out + left, (n - left) * sizeof out[0]);
    large->n_taken += n - left;
    large->n_fills++;
    return n - left;
}

size_t arena_large_flush(struct arena *arena, unsigned class_idx, void **objects, size_t n) {
    struct arena_large *large = &arena->larges[class_idx - SIZE_CLASS_N_SMALL];
    const size_t bytes = size_class_bytes(class_idx), n_pages = bytes >> PAGE_LG;
    size_t n_foreign = 0;
    for (size_t i = 0; i < n;) {
        char *p = objects[i];
        struct chunk *chunk = chunk_of(p);
        if (UTIL_UNLIKELY(chunk->owner != arena)) {
            objects[n_foreign++] = objects[i++];
            continue;
        }
        if (UTIL_UNLIKELY(((uintptr_t)p & (PAGE_BYTES - 1)) != 0))
            os_die("free of an interior pointer", p);
        /* Neighbours in a row, as a program that frees in order gives them, go back together. */
        const size_t n_row = row_length(objects + i, n - i, bytes);
        const size_t first = chunk_page_of(chunk, p), end = first + n_row * n_pages;
        if (UTIL_UNLIKELY(end > chunk_geo.n_pages))
            os_die("double or wild free of", objects[i + n_row - 1]);
        uint8_t *map = chunk_map(chunk);
        for (size_t page = first; page != end; page += n_pages) {
            if (UTIL_UNLIKELY(map[page] != (uint8_t)class_idx))
                os_die("double free of", chunk_page_address(chunk, page));
            map[page] = CHUNK_MAP_NONE;
        }
        i += n_row;
        arena_pages_give(arena, chunk, first, end - first);
    }
    large->n_put += n - n_foreign;
    large->n_flushes++;
    return n_foreign;
}

void arena_large_drain(struct arena *arena, unsigned class_idx) {
    struct bin_remote_walk walk = bin_remote_take(&arena->larges[class_idx - SIZE_CLASS_N_SMALL].remote);
    for (void *p; (p = bin_remote_next(&walk, arena)) != NULL;)
        arena_large_flush(arena, class_idx, &p, 1);
}

static void arena_exact_put(struct arena *arena, void *p) {
    struct chunk *chunk = chunk_of(p);
    size_t first = chunk_page_of(chunk, p), n_pages = chunk_info(chunk)[first];
    if (((uintptr_t)p & (PAGE_BYTES - 1)) != 0 || n_pages == 0)
        os_die("double or wild free of", p);
    chunk_info(chunk)[first] = 0;
    arena->n_exact_pages -= n_pages;
    arena_pages_give(arena, chunk, first, n_pages);
}

void arena_exact_drain(struct arena *arena) {
    struct bin_remote_walk walk = bin_remote_take(&arena->exact_remote);
    for (void *p; (p = bin_remote_next(&walk, arena)) != NULL;)
        arena_exact_put(arena, p);
}

void *arena_exact_alloc(struct arena *arena, size_t bytes, size_t align, bool *is_zeroed) {
    struct chunk *chunk;
    void *p = NULL;
    size_t n_pages = util_align_up(bytes, PAGE_BYTES) >> PAGE_LG, n_objects = 1;
    if (!lock_acquire_unless_forking(&arena->pages_lock)) {
        arena = arena_reserve();
        if (arena == NULL)
            return NULL;
        lock_acquire(&arena->pages_lock);
    }
    if (atomic_load_explicit(&arena->exact_remote, memory_order_relaxed) != 0)
        arena_exact_drain(arena);
    size_t first =
        arena_pages_take(arena, n_pages, util_max(align >> PAGE_LG, 1), &n_objects, &chunk, is_zeroed);
    if (first != 0) {
        chunk_info(chunk)[first] = (uint16_t)n_pages;
        arena->n_exact_pages += n_pages;
        p = chunk_page_address(chunk, first);
    }
    lock_release(&arena->pages_lock);
    return p;
}

void arena_exact_free(struct arena *self, struct chunk *chunk, void *p) {
    struct arena *owner = chunk->owner;
    if (owner == self && lock_acquire_unless_forking(&owner->pages_lock)) {
        arena_exact_put(owner, p);
        lock_release(&owner->pages_lock);
        return;
    }
    bin_remote_push(&owner->exact_remote, &p, 1);
    if (lock_try(&owner->pages_lock)) {
        arena_exact_drain(owner);
        lock_release(&owner->pages_lock);
    }
}

bool arena_exact_resize(struct arena *self, struct chunk *chunk, void *p, size_t bytes) {
    struct arena *owner = chunk->owner;
    size_t first = chunk_page_of(chunk, p), n_old = chunk_info(chunk)[first];
    size_t n_new = util_align_up(bytes, PAGE_BYTES) >> PAGE_LG;
    if (n_new == n_old)
        return true;
    if (owner != self || !lock_acquire_unless_forking(&owner->pages_lock))
        return false;
    bool is_done = n_new < n_old;
    if (is_done) {
        arena_pages_give(owner, chunk, first + n_new, n_old - n_new);
    } else if (arena_pages_extend(owner, chunk, first + n_old, n_new - n_old)) {
        is_done = true;
    }
    if (is_done) {
        chunk_info(chunk)[first] = (uint16_t)n_new;
        owner->n_exact_pages += n_new - n_old;
    }
    lock_release(&owner->pages_lock);
    return is_done;
}

/* Takes the chunk out of everything and destroys it without the lock. False: it is still there, but clean or
 * dirty as chunk_destroy left it, and linked again. */
static bool arena_chunk_drop(struct arena *arena, struct chunk *chunk) {
    arena_bucket_leave(arena, chunk);
    list_remove(&chunk->dirty_link);
    list_remove(&chunk->all_link);
    arena->n_chunks--;
    arena->n_dirty_pages -= chunk->n_dirty_pages;
    arena->n_muzzy_pages -= chunk->n_muzzy_pages;
    arena->n_purged_pages += chunk->n_dirty_pages;
    arena->n_purge_calls++;
    lock_release(&arena->pages_lock);
    bool is_gone = chunk_destroy(chunk);
    lock_acquire(&arena->pages_lock);
    if (is_gone)
        return true;
    arena->n_dirty_pages += chunk->n_dirty_pages;
    arena->n_muzzy_pages += chunk->n_muzzy_pages;
    arena_chunk_link(arena, chunk);
    if (chunk->n_dirty_pages != 0)
        list_push_tail(&arena->dirty_chunks, &chunk->dirty_link);
    return false;
}

/* Purges one range of free pages, dirty ones or else muzzy ones, without the lock. False if there is none, or the
 * system refuses. */
static bool arena_range_purge(struct arena *arena, struct chunk *chunk, bool is_dirty, bool is_lazy) {
    size_t n, first = chunk_pages_detach(chunk, is_dirty, &n);
    if (first == 0)
        return false;
    *(is_dirty ? &arena->n_dirty_pages : &arena->n_muzzy_pages) -= n;
    /* The kernel would fill the gaps of a huge page again. */
    bool is_to_split = chunk->is_thp && !arena_chunk_is_mostly_active(chunk);
    if (is_to_split)
        chunk->is_thp = false;
    lock_release(&arena->pages_lock);
    void *at = chunk_page_address(chunk, first);
    if (is_to_split)
        os_advise_huge_pages((void *)chunk_base(chunk), chunk_bytes, false);
    int err = is_lazy ? os_purge_lazily(at, n << PAGE_LG) : os_purge(at, n << PAGE_LG);
    lock_acquire(&arena->pages_lock);
    arena->n_purge_calls++;
    enum chunk_page_state state = err != 0 ? CHUNK_DIRTY : is_lazy ? CHUNK_MUZZY : CHUNK_CLEAN;
    chunk_pages_attach(chunk, first, n, state);
    arena->n_dirty_pages += state == CHUNK_DIRTY ? n : 0;
    arena->n_muzzy_pages += state == CHUNK_MUZZY ? n : 0;
    arena->n_purged_pages += err == 0 ? n : 0;
    arena_bucket_update(arena, chunk);
    return err == 0;
}

void arena_pages_purge(struct arena *arena, size_t n_dirty_limit, size_t n_muzzy_limit) {
    bool is_lazy = arena->muzzy_decay.time_ms != 0 && n_muzzy_limit != 0;
    arena->n_purge_passes++;
    while (arena->n_dirty_pages > n_dirty_limit && !list_is_empty(&arena->dirty_chunks)) {
        struct chunk *chunk = LIST_ENTRY(arena->dirty_chunks.next, struct chunk, dirty_link);
        if (chunk->n_free_pages == chunk_usable_pages()) {
            if (!arena_chunk_drop(arena, chunk))
                break;
        } else if (chunk->n_dirty_pages == 0) {
            list_remove(&chunk->dirty_link);
        } else if (!arena_range_purge(arena, chunk, true, is_lazy)) {
            break;
        }
    }
    for (struct list *at = arena->chunks.next;
         at != &arena->chunks && arena->n_muzzy_pages > n_muzzy_limit;) {
        struct chunk *chunk = LIST_ENTRY(at, struct chunk, all_link);
        if (chunk->n_muzzy_pages == 0)
            at = at->next;
        else if (!arena_range_purge(arena, chunk, false, false))
            break;
    }
}
