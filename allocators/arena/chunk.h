/* chunk: from an address to its metadata; which pages of a chunk are free, dirty or muzzy; chunks used again.
 *
 * Owns the geometry of chunks, the registry of all chunks, the directory that the fast path of free reads,
 * and the store of purged chunks. Does not know size classes (map bytes are numbers to it), bins or arenas
 * (owner is an opaque pointer). A chunk's content is guarded by its owner's page lock; registry and directory
 * are lock-free; the store has the lock LOCK_RECYCLE, which is only ever tried, so that a fork cannot block
 * it.
 *
 *   base                                               base + chunk_bytes, a power of two, aligned
 *   | skew | struct chunk | map | info | bit sets | slots ... | sides ... | page | page | ...
 *            a byte a page -'      '- two bytes a page                    '- header pages end here
 *
 * Everything is found by masking. The skew, a function of the address, spreads the headers over the cache
 * sets: without it the maps of all chunks would compete for the same few.
 */
#ifndef ARENA_CHUNK_H
#define ARENA_CHUNK_H

#include <stdatomic.h>

#include "heap.h"
#include "list.h"
#include "lock.h"
#include "util.h"

#define CHUNK_LG_MIN 18
#define CHUNK_LG_MAX 26
#define CHUNK_MAGIC 0x61c8a7e3u
#define CHUNK_HUGE_MAGIC 0x61c8a7e5u
#define CHUNK_N_SKEWS 16
#define CHUNK_N_POOLS 2

/* Map byte of a page that holds no object that a thread cache may take: header, free, inside or uncached. */
#define CHUNK_MAP_NONE 50

/* Marks in huge_tail. The first: freed while a fork held huge_lock, to go when the tail does. */
#define CHUNK_HUGE_IS_FREED ((size_t)1)
#define CHUNK_HUGE_IS_CACHED ((size_t)2)

struct chunk {
    uint32_t magic;
    uint32_t longest_pages; /* upper bound of the longest range of free pages */
    uint32_t lowest_page;   /* no page below it is free */
    uint32_t lowest_clean;  /* no page below it is free and not dirty */
    void *owner;
    struct heap_node by_address; /* in its owner's bucket */
    struct list dirty_link;      /* in its owner's list of chunks with dirty pages, oldest first */
    struct list all_link;
    uint32_t n_free_pages, n_dirty_pages, n_muzzy_pages, bucket;
    bool is_thp; /* it has been asked that huge pages back it */
    /* For a huge block (CHUNK_HUGE_MAGIC) only: */
    bool huge_is_zeroed;
    size_t huge_bytes;  /* pages of the payload */
    size_t huge_offset; /* from the chunk's base to the payload */
    /* Bytes behind the payload that are mapped and unused, with CHUNK_HUGE_IS_FREED or not; or CHUNK_HUGE_IS_CACHED. In one
     * word, so that a free has one thing to ask. Changed under its arena's huge_lock, but for the first of the marks. */
    _Atomic size_t huge_tail;
} UTIL_ALIGN_LINE;

/* Fixed by chunk_init, constant afterwards. Offsets are relative to struct chunk. */
struct chunk_geometry {
    size_t bytes;   /* 0 until chunk_init, so that the fast path of free fails over */
    uintptr_t mask; /* of the base */
    unsigned lg;
    unsigned n_pages, n_header_pages;
    size_t info_offset, free_offset, dirty_offset, muzzy_offset;
    struct chunk_pool {
        size_t slot_bytes, offset, bits_offset;
        size_t side_bytes, side_offset;
        unsigned n_slots;
    } pools[CHUNK_N_POOLS];
};

extern struct chunk_geometry chunk_geo;

/* 0 until chunk_init, so that the fast path of free fails over. */
extern size_t chunk_bytes __attribute__((visibility("hidden")));

/* A direct-mapped cache of the registry. An entry is the address of a chunk's map; map addresses lie in page
 * 0 of their chunk, so (p xor entry) is below the chunk size exactly if p lies in that chunk, and its bits
 * from 12 up are then p's page index. */
#define CHUNK_DIR_SHIFT 21
#define CHUNK_DIR_ENTRIES ((size_t)1 << (32 - CHUNK_DIR_SHIFT))
extern _Atomic uintptr_t chunk_dir[CHUNK_DIR_ENTRIES];

/** The entry for an address: bits 21 to 31, one instruction less than any other choice. Chunks 4 GiB apart displace
 *  each other; who finds another one's entry asks the registry and puts its own there. */
static inline size_t chunk_dir_idx(uintptr_t at) {
    return (uint32_t)at >> CHUNK_DIR_SHIFT;
}

/* What the two pools of run slots hold. A slot has a second part, its side, on header pages that hold nothing else:
 * they cost address space, and memory only once they are written to; statistics count them as resident all the same. */
struct chunk_slots {
    size_t slot_bytes, side_bytes;
    unsigned min_pages; /* a run with such a slot has at least so many, which bounds their number */
};

/** Fixes the geometry. Call once. */
void chunk_init(unsigned lg_chunk, const struct chunk_slots slots[CHUNK_N_POOLS]);

/* The registry: one bit for each 256 KiB of the 47-bit user address space, in two levels. */
#define CHUNK_LEAF_LG 33
#define CHUNK_N_LEAVES ((size_t)1 << (47 - CHUNK_LEAF_LG))
#define CHUNK_LEAF_BITS ((size_t)1 << (CHUNK_LEAF_LG - CHUNK_LG_MIN))

struct chunk_leaf {
    _Atomic uint64_t words[CHUNK_LEAF_BITS / 64];
};

extern _Atomic(struct chunk_leaf *) chunk_registry[CHUNK_N_LEAVES];

/** True if base is that of a chunk of ours, arena's or huge. Never touches the memory at base. */
static inline bool chunk_is_registered(uintptr_t base) {
    if (base >> 47 != 0)
        return false;
    struct chunk_leaf *leaf =
        atomic_load_explicit(&chunk_registry[base >> CHUNK_LEAF_LG], memory_order_acquire);
    size_t bit = (base >> CHUNK_LG_MIN) % CHUNK_LEAF_BITS;
    return leaf != NULL &&
           (atomic_load_explicit(&leaf->words[bit / 64], memory_order_acquire) >> (bit % 64) & 1) != 0;
}

/** Base of the chunk that p lies in. p - 1, so that a huge block aligned to chunks, which starts where a
 * chunk would, is found in the chunk before it, where its header is. */
static inline uintptr_t chunk_base_of(const void *p) {
    return ((uintptr_t)p - 1) & chunk_geo.mask;
}

static inline struct chunk *chunk_at_base(uintptr_t base) {
    return (struct chunk *)(base + ((base >> chunk_geo.lg) % CHUNK_N_SKEWS) * UTIL_LINE_BYTES);
}

/** Header of the chunk of a pointer that is known to be ours. */
static inline struct chunk *chunk_of(const void *p) {
    return chunk_at_base(chunk_base_of(p));
}

static inline uintptr_t chunk_base(const struct chunk *chunk) {
    return (uintptr_t)chunk & chunk_geo.mask;
}

static inline uint8_t *chunk_map(struct chunk *chunk) {
    return (uint8_t *)(chunk + 1);
}

/* Per page: the run slot (small), or the number of pages (first page of an exact block), or 0. */
static inline uint16_t *chunk_info(struct chunk *chunk) {
    return (uint16_t *)(void *)((char *)chunk + chunk_geo.info_offset);
}

static inline uint64_t *chunk_free_bits(struct chunk *chunk) {
    return (uint64_t *)(void *)((char *)chunk + chunk_geo.free_offset);
}

/* 1 = written since it was last purged. Pages in use are always dirty; n_dirty_pages counts the free ones only. */
static inline uint64_t *chunk_dirty_bits(struct chunk *chunk) {
    return (uint64_t *)(void *)((char *)chunk + chunk_geo.dirty_offset);
}

/* 1 = free, and purged lazily: the kernel may take it, its content is undefined. */
static inline uint64_t *chunk_muzzy_bits(struct chunk *chunk) {
    return (uint64_t *)(void *)((char *)chunk + chunk_geo.muzzy_offset);
}

static inline void *chunk_slot(struct chunk *chunk, unsigned pool, unsigned slot) {
    const struct chunk_pool *p = &chunk_geo.pools[pool];
    return (char *)chunk + p->offset + slot * p->slot_bytes;
}

/** The slot's side. All zero when the slot is taken; to be left so when it is given back. */
static inline void *chunk_side(struct chunk *chunk, unsigned pool, unsigned slot) {
    const struct chunk_pool *p = &chunk_geo.pools[pool];
    return (char *)chunk + p->side_offset + slot * p->side_bytes;
}

static inline size_t chunk_page_of(const struct chunk *chunk, const void *p) {
    return ((uintptr_t)p - chunk_base(chunk)) >> PAGE_LG;
}

static inline void *chunk_page_address(const struct chunk *chunk, size_t page) {
    return (void *)(chunk_base(chunk) + (page << PAGE_LG));
}

static inline unsigned chunk_usable_pages(void) {
    return chunk_geo.n_pages - chunk_geo.n_header_pages;
}

/** A chunk with all pages free, used again or new, registered; NULL if the system refuses. */
struct chunk *chunk_create(void *owner);

/** Gives up a chunk whose pages are all free: to the store, purged, or to the system. False if the system
 * refuses both; the chunk is then as it was. The caller must have made sure that nobody can find it any more.
 */
bool chunk_destroy(struct chunk *chunk);

/** Unmaps all chunks in the store; the bytes given back. For purges and when memory runs out. */
size_t chunk_store_trim(void);
size_t chunk_store_bytes(void);

/** In a forked child: if another thread was at work in the store, its content is left behind. */
void chunk_fork_child(void);

/** Enters or removes a base in the registry; false if there is no memory for it. */
bool chunk_register(uintptr_t base);
void chunk_unregister(uintptr_t base);

/** Puts a registered chunk of runs into the directory, for the addresses around p. */
void chunk_dir_enter(struct chunk *chunk, const void *p);

/** Base of a good place for the next chunk: below the last one. */
void *chunk_hint(void);
void chunk_set_hint(uintptr_t base, size_t bytes);

/** Takes up to *n_objects times n free pages in a row: the lowest range that holds n, aligned to align_pages counted
 *  from the chunk's base, and as much of it as is wanted. Returns the page index, with *n_objects as got, or 0 with
 *  longest_pages made exact; it is lowered too when fewer than n pages are left at all. *is_zeroed tells whether all
 *  pages read as zero. */
size_t chunk_pages_take(struct chunk *chunk, size_t n, size_t align_pages, size_t *n_objects,
                        bool *is_zeroed);

/** Takes exactly the n pages from first on, if all are free. */
bool chunk_pages_extend(struct chunk *chunk, size_t first, size_t n);

/** Gives n pages back, dirty. */
void chunk_pages_give(struct chunk *chunk, size_t first, size_t n);

/* For purging: a range of free pages is detached, so that nobody takes it while the lock is released, and attached
 * again in the state that it has then. */
enum chunk_page_state { CHUNK_CLEAN, CHUNK_DIRTY, CHUNK_MUZZY };

/** Detaches the lowest range of free pages that are dirty (or else muzzy): first page and *n; 0 if there is none. */
size_t chunk_pages_detach(struct chunk *chunk, bool is_dirty, size_t *n);
void chunk_pages_attach(struct chunk *chunk, size_t first, size_t n, enum chunk_page_state state);

/* Marks pages free, whatever their state, and keeps longest_pages an upper bound. */
void chunk_pages_set_free(struct chunk *chunk, size_t first, size_t n);

/** Lowest free slot of a pool. There is one, for the pools are sized for the smallest runs. */
unsigned chunk_slot_take(struct chunk *chunk, unsigned pool);
void chunk_slot_give(struct chunk *chunk, unsigned pool, unsigned slot);

#endif
