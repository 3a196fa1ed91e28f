#include "chunk.h"

#include <string.h>

#include "base.h"
#include "bitmap.h"
#include "conf.h"
#include "os.h"

struct chunk_geometry chunk_geo;
size_t chunk_bytes;
_Atomic uintptr_t chunk_dir[CHUNK_DIR_ENTRIES];

_Atomic(struct chunk_leaf *) chunk_registry[CHUNK_N_LEAVES];

/* Purged chunks by address. A chunk here is registered nowhere and, unless the purge failed, all zero. */
#define STORE_MAX 16
static struct {
    struct lock lock;
    _Atomic unsigned n; /* changed under the lock */
    uintptr_t bases[STORE_MAX];
} store;

static _Atomic uintptr_t chunk_next_hint;

static size_t chunk_bits_bytes(size_t n_bits) {
    return BITMAP_WORDS(n_bits) * sizeof(uint64_t);
}

void chunk_init(unsigned lg_chunk, const struct chunk_slots slots[CHUNK_N_POOLS]) {
    struct chunk_geometry *geo = &chunk_geo;
    geo->lg = lg_chunk;
    geo->n_pages = 1u << (lg_chunk - PAGE_LG);
    size_t at = sizeof(struct chunk) + geo->n_pages;
    geo->info_offset = at;
    at += geo->n_pages * sizeof(uint16_t);
    geo->free_offset = at;
    geo->dirty_offset = at += chunk_bits_bytes(geo->n_pages);
    geo->muzzy_offset = at += chunk_bits_bytes(geo->n_pages);
    at += chunk_bits_bytes(geo->n_pages);
    for (unsigned i = 0; i < CHUNK_N_POOLS; i++) {
        geo->pools[i].slot_bytes = slots[i].slot_bytes;
        geo->pools[i].side_bytes = slots[i].side_bytes;
        geo->pools[i].n_slots = geo->n_pages / slots[i].min_pages;
        geo->pools[i].bits_offset = at;
        at += chunk_bits_bytes(geo->pools[i].n_slots);
    }
    at = util_align_up(at, UTIL_LINE_BYTES);
    for (unsigned i = 0; i < CHUNK_N_POOLS; i++) {
        geo->pools[i].offset = at;
        at += geo->pools[i].n_slots * slots[i].slot_bytes;
    }
    /* The skew of the header counts: also in the chunk with the greatest one the sides begin on a page of their own. */
    at = util_align_up(at + (CHUNK_N_SKEWS - 1) * UTIL_LINE_BYTES, PAGE_BYTES);
    for (unsigned i = 0; i < CHUNK_N_POOLS; i++) {
        geo->pools[i].side_offset = at;
        at += geo->pools[i].n_slots * slots[i].side_bytes;
    }
    at += (CHUNK_N_SKEWS - 1) * UTIL_LINE_BYTES;
    geo->n_header_pages = (unsigned)(util_align_up(at, PAGE_BYTES) >> PAGE_LG);
    geo->mask = ~(((uintptr_t)1 << lg_chunk) - 1);
    lock_init(&store.lock, LOCK_RECYCLE);
    /* Entry 0 must not match NULL, nor any entry an address below the first chunk. */
    for (size_t i = 0; i < ((size_t)1 << CHUNK_LG_MAX >> CHUNK_DIR_SHIFT); i++)
        atomic_store_explicit(&chunk_dir[i], (uintptr_t)1 << 63, memory_order_relaxed);
    chunk_bytes = (size_t)1 << lg_chunk;
}

static struct chunk_leaf *chunk_leaf(uintptr_t base, bool may_create) {
    if (base >> 47 != 0)
        return NULL;
    _Atomic(struct chunk_leaf *) *where = &chunk_registry[base >> CHUNK_LEAF_LG];
    struct chunk_leaf *leaf = atomic_load_explicit(where, memory_order_acquire);
    if (leaf != NULL || !may_create)
        return leaf;
    struct chunk_leaf *fresh = base_alloc(sizeof *fresh);
    if (fresh != NULL && atomic_compare_exchange_strong_explicit(where, &leaf, fresh, memory_order_acq_rel,
                                                                 memory_order_acquire))
        return fresh;
    return leaf;
}

static size_t chunk_leaf_bit(uintptr_t base) {
    return (base >> CHUNK_LG_MIN) % CHUNK_LEAF_BITS;
}

bool chunk_register(uintptr_t base) {
    struct chunk_leaf *leaf = chunk_leaf(base, true);
    if (leaf == NULL)
        return false;
    size_t bit = chunk_leaf_bit(base);
    atomic_fetch_or_explicit(&leaf->words[bit / 64], (uint64_t)1 << (bit % 64), memory_order_release);
    return true;
}

void chunk_unregister(uintptr_t base) {
    struct chunk_leaf *leaf = chunk_leaf(base, false);
    size_t bit = chunk_leaf_bit(base);
    atomic_fetch_and_explicit(&leaf->words[bit / 64], ~((uint64_t)1 << (bit % 64)), memory_order_release);
    const uintptr_t map = (uintptr_t)chunk_map(chunk_at_base(base));
    for (size_t at = 0; at < chunk_bytes; at += (size_t)1 << CHUNK_DIR_SHIFT) {
        uintptr_t entry = map;
        atomic_compare_exchange_strong_explicit(&chunk_dir[chunk_dir_idx(base + at)], &entry,
                                                (uintptr_t)1 << 63, memory_order_relaxed,
                                                memory_order_relaxed);
    }
}

void chunk_dir_enter(struct chunk *chunk, const void *p) {
    atomic_store_explicit(&chunk_dir[chunk_dir_idx((uintptr_t)p)], (uintptr_t)chunk_map(chunk),
                          memory_order_relaxed);
}

void *chunk_hint(void) {
    return (void *)atomic_load_explicit(&chunk_next_hint, memory_order_relaxed);
}

void chunk_set_hint(uintptr_t base, size_t bytes) {
    uintptr_t below = (base - util_align_up(bytes, chunk_bytes)) & chunk_geo.mask;
    atomic_store_explicit(&chunk_next_hint, below, memory_order_relaxed);
}

/* Takes the lowest chunk of the store, or 0. */
static uintptr_t chunk_store_take(void) {
    uintptr_t base = 0;
    if (store.n == 0 || !lock_try(&store.lock))
        return 0;
    if (store.n != 0) {
        base = store.bases[0];
        store.n--;
        memmove(store.bases, store.bases + 1, store.n * sizeof store.bases[0]);
    }
    lock_release(&store.lock);
    return base;
}

/* False if the store is full or busy. */
static bool chunk_store_put(uintptr_t base) {
    if (!lock_try(&store.lock))
        return false;
    bool has_room = store.n < STORE_MAX;
    if (has_room) {
        unsigned i = store.n++;
        for (; i > 0 && store.bases[i - 1] > base; i--)
            store.bases[i] = store.bases[i - 1];
        store.bases[i] = base;
    }
    lock_release(&store.lock);
    return has_room;
}

size_t chunk_store_trim(void) {
    size_t n = 0;
    for (uintptr_t base; (base = chunk_store_take()) != 0; n++)
        if (os_unmap((void *)base, chunk_bytes) != 0) {
            chunk_store_put(base);
            break;
        }
    return n * chunk_bytes;
}

void chunk_fork_child(void) {
    if (atomic_load_explicit(&store.lock.state, memory_order_relaxed) != 0)
        store.n = 0;
    lock_reset_in_child(&store.lock);
}

size_t chunk_store_bytes(void) {
    return store.n * chunk_bytes;
}

static uint64_t *chunk_slot_bits(struct chunk *chunk, unsigned pool) {
    return (uint64_t *)(void *)((char *)chunk + chunk_geo.pools[pool].bits_offset);
}

/* Makes a header in a zeroed chunk and registers it; NULL if there is no memory for the registry. */
static struct chunk *chunk_format(uintptr_t base, void *owner) {
    if (!chunk_register(base))
        return NULL;
    struct chunk *chunk = chunk_at_base(base);
    chunk->magic = CHUNK_MAGIC;
    chunk->owner = owner;
    chunk->by_address.key = base;
    list_init(&chunk->dirty_link);
    list_init(&chunk->all_link);
    chunk->n_free_pages = chunk->longest_pages = chunk_usable_pages();
    chunk->lowest_page = chunk->lowest_clean = chunk_geo.n_header_pages;
    memset(chunk_map(chunk), CHUNK_MAP_NONE, chunk_geo.n_pages);
    bitmap_set_range(chunk_free_bits(chunk), chunk_geo.n_header_pages, chunk_usable_pages());
    for (unsigned i = 0; i < CHUNK_N_POOLS; i++)
        bitmap_set_range(chunk_slot_bits(chunk, i), 0, chunk_geo.pools[i].n_slots);
    chunk_dir_enter(chunk, chunk);
    return chunk;
}

struct chunk *chunk_create(void *owner) {
    uintptr_t base = chunk_store_take();
    if (base == 0) {
        base = (uintptr_t)os_map_aligned(chunk_hint(), chunk_bytes, chunk_bytes);
        if (base == 0)
            return NULL;
        chunk_set_hint(base, chunk_bytes);
    }
    struct chunk *chunk = chunk_format(base, owner);
    if (chunk == NULL)
        os_unmap((void *)base, chunk_bytes);
    return chunk;
}

bool chunk_destroy(struct chunk *chunk) {
    uintptr_t base = chunk_base(chunk);
    void *owner = chunk->owner;
    chunk_unregister(base);
    bool is_kept = conf.is_retain && !chunk->is_thp && store.n < STORE_MAX;
    if (!is_kept && os_unmap((void *)base, chunk_bytes) == 0)
        return true;
    bool is_purged = os_purge((void *)base, chunk_bytes) == 0;
    if ((is_purged && chunk_store_put(base)) || (is_kept && os_unmap((void *)base, chunk_bytes) == 0))
        return true;
    if (is_purged) {
        chunk_format(base, owner); /* cannot fail: the registry has a leaf for it */
    } else {
        chunk_register(base);
        chunk_dir_enter(chunk, chunk);
    }
    return false;
}

/* Accounts for free pages of any state that are being taken: from now on they are dirty. True if all read as zero. */
static UTIL_NOINLINE bool chunk_pages_soil(struct chunk *chunk, size_t first, size_t n) {
    size_t n_dirty = bitmap_take_range(chunk_dirty_bits(chunk), first, n);
    size_t n_muzzy = bitmap_take_range(chunk_muzzy_bits(chunk), first, n);
    bitmap_set_range(chunk_dirty_bits(chunk), first, n);
    chunk->n_dirty_pages -= (uint32_t)n_dirty;
    chunk->n_muzzy_pages -= (uint32_t)n_muzzy;
    if (first <= chunk->lowest_clean)
        chunk->lowest_clean = (uint32_t)(first + n);
    return n_dirty + n_muzzy == 0;
}

/* Free pages are no longer free. In the steady state those at the lower end are dirty already, and there is nothing to
 * do but count. True if all of them read as zero. */
static inline bool chunk_pages_touch(struct chunk *chunk, size_t first, size_t n) {
    bool is_zeroed = false;
    bitmap_clear_range(chunk_free_bits(chunk), first, n);
    chunk->n_free_pages -= (uint32_t)n;
    if (UTIL_LIKELY(first + n <= chunk->lowest_clean))
        chunk->n_dirty_pages -= (uint32_t)n;
    else
        is_zeroed = chunk_pages_soil(chunk, first, n);
    return is_zeroed;
}

size_t chunk_pages_take(struct chunk *chunk, size_t n, size_t align_pages, size_t *n_objects,
                        bool *is_zeroed) {
    size_t longest, n_range = n * *n_objects;
    size_t first = bitmap_find_range(chunk_free_bits(chunk), chunk_geo.n_pages, chunk->lowest_page, n,
                                     align_pages, &n_range, &longest);
    if (UTIL_UNLIKELY(first == chunk_geo.n_pages)) {
        chunk->longest_pages = (uint32_t)longest;
        return 0;
    }
    size_t n_taken = n;
    if (*n_objects > 1) {
        *n_objects = n_range / n;
        n_taken *= *n_objects;
    }
    *is_zeroed = chunk_pages_touch(chunk, first, n_taken);
    if (first == chunk->lowest_page)
        chunk->lowest_page += (uint32_t)n_taken;
    if (chunk->n_free_pages < n)
        chunk->longest_pages = (uint32_t)util_min(chunk->longest_pages, chunk->n_free_pages);
    return first;
}

bool chunk_pages_extend(struct chunk *chunk, size_t first, size_t n) {
    if (first + n > chunk_geo.n_pages ||
        bitmap_next_zero(chunk_free_bits(chunk), chunk_geo.n_pages, first) < first + n)
        return false;
    chunk_pages_touch(chunk, first, n);
    return true;
}

void chunk_pages_give(struct chunk *chunk, size_t first, size_t n) {
    chunk->n_dirty_pages += (uint32_t)n;
    chunk_pages_set_free(chunk, first, n);
}

void chunk_pages_set_free(struct chunk *chunk, size_t first, size_t n) {
    bitmap_set_range(chunk_free_bits(chunk), first, n);
    chunk->n_free_pages += (uint32_t)n;
    chunk->lowest_page = (uint32_t)util_min(chunk->lowest_page, first);
    if (chunk->longest_pages < chunk->n_free_pages) {
        size_t n_range = bitmap_range_around(chunk_free_bits(chunk), chunk_geo.n_pages, first, n);
        chunk->longest_pages = (uint32_t)util_max(chunk->longest_pages, n_range);
    }
}

size_t chunk_pages_detach(struct chunk *chunk, bool is_dirty, size_t *n) {
    const uint64_t *free_bits = chunk_free_bits(chunk);
    uint64_t *bits = is_dirty ? chunk_dirty_bits(chunk) : chunk_muzzy_bits(chunk);
    size_t first = 0, end = chunk_geo.n_pages;
    while ((first = bitmap_next_one(bits, chunk_geo.n_pages, first)) < end && !bitmap_has(free_bits, first))
        first++;
    if (first == end)
        return 0;
    for (end = first + 1; end < chunk_geo.n_pages && bitmap_has(bits, end) && bitmap_has(free_bits, end);)
        end++;
    *n = end - first;
    bitmap_clear_range(bits, first, *n);
    bitmap_clear_range(chunk_free_bits(chunk), first, *n);
    chunk->n_free_pages -= (uint32_t)*n;
    *(is_dirty ? &chunk->n_dirty_pages : &chunk->n_muzzy_pages) -= (uint32_t)*n;
    return first;
}

void chunk_pages_attach(struct chunk *chunk, size_t first, size_t n, enum chunk_page_state state) {
    if (state != CHUNK_DIRTY)
        chunk->lowest_clean = (uint32_t)util_min(chunk->lowest_clean, first);
    if (state == CHUNK_DIRTY) {
        bitmap_set_range(chunk_dirty_bits(chunk), first, n);
        chunk->n_dirty_pages += (uint32_t)n;
    } else if (state == CHUNK_MUZZY) {
        bitmap_set_range(chunk_muzzy_bits(chunk), first, n);
        chunk->n_muzzy_pages += (uint32_t)n;
    }
    chunk_pages_set_free(chunk, first, n);
}

unsigned chunk_slot_take(struct chunk *chunk, unsigned pool) {
    uint64_t *bits = chunk_slot_bits(chunk, pool);
    size_t slot = bitmap_next_one(bits, chunk_geo.pools[pool].n_slots, 0);
    if (slot == chunk_geo.pools[pool].n_slots)
        os_die("no run slot left in chunk", chunk);
    bitmap_clear(bits, slot);
    return (unsigned)slot;
}

void chunk_slot_give(struct chunk *chunk, unsigned pool, unsigned slot) {
    bitmap_set(chunk_slot_bits(chunk, pool), slot);
}
