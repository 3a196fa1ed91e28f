/* run: some pages of a chunk cut into regions of one small class, and which of these are free.
 *
 * Owns the geometry of each class's runs and the run's record, which lies in a slot of the chunk's header,
 * never in live objects. Does not know bins, locks or threads: the lock is the one of the bin that has the
 * run.
 *
 *   struct run | bitmap: 1 = free region           in the chunk's header
 *   struct run_remote | bitmap: 1 = sent back      in the header too, on pages of their own
 *   region | region | region | ...                 n_pages whole pages, divided exactly
 */
#ifndef ARENA_RUN_H
#define ARENA_RUN_H

#include "chunk.h"
#include "size_class.h"

enum run_state {
    RUN_CURRENT, /* regions are taken from it */
    RUN_HELD,    /* in the hands of who purges its unused pages; nothing is taken from it */
    RUN_WAITING, /* has free regions, in the bin's heap */
    RUN_FULL,    /* known to its objects only */
    RUN_SPARE    /* empty, kept against thrashing */
};

/* Constant by class after run_init_classes. */
struct run_class {
    uint32_t region_bytes, n_regions;
    uint32_t inverse; /* ceil(2^32 / region_bytes): offset * inverse >> 32 is the region index */
    uint16_t n_pages;
    uint8_t pool, n_words;
};

extern struct run_class run_classes[SIZE_CLASS_N_SMALL];

struct run {
    struct heap_node by_address; /* key: address of the first region */
    _Atomic uint16_t n_free; /* changed under the bin's lock; who sends regions back looks at it without */
    uint16_t first_page;
    uint16_t slot;
    uint8_t class_idx;
    uint8_t state;
    uint16_t n_free_purged; /* n_free when its unused pages were last purged; 0 = something was taken since */
    uint32_t round;         /* the bin's when something was last taken, or unused pages purged */
    uint64_t free_bits[];
};

#define RUN_MAX_WORDS 32u

/* What threads that do not own the run have freed of it: the side of its slot. Written without the bin's lock.
 *
 * Whoever sends regions first announces them in n_pending; if it was zero, puts the run on its bin's remote list; and
 * only then sets their bits. So a run with n_pending above zero is on the list, or is being put there by a thread
 * whose regions still count as in use; it cannot become empty, and cannot be destroyed, under anybody's hands. */
struct run_remote {
    struct run *_Atomic next; /* in the bin's remote list */
    _Atomic uint32_t n_pending;
    _Atomic uint64_t bits[];
};

/** Chooses the runs of all classes for a chunk of lg_chunk; fills in what chunk_init wants to know. */
void run_init_classes(unsigned lg_chunk, struct chunk_slots slots[CHUNK_N_POOLS]);

/** Makes a run of the class from n_pages free pages at first_page: record, page map. */
struct run *run_create(struct chunk *chunk, size_t first_page, unsigned class_idx);

/** Undoes run_create; the pages are not yet given back. */
void run_destroy(struct chunk *chunk, struct run *run);

static inline uintptr_t run_base(const struct run *run) {
    return run->by_address.key;
}

/** The run of a pointer into a small page of the chunk. */
static inline struct run *run_of(struct chunk *chunk, const void *p) {
    size_t page = chunk_page_of(chunk, p);
    unsigned pool = run_classes[chunk_map(chunk)[page]].pool;
    return chunk_slot(chunk, pool, chunk_info(chunk)[page]);
}

/** Index of the region that begins at p, or n_regions if none does (an interior pointer). */
static inline uint32_t run_region_of(const struct run *run, const struct run_class *rc, const void *p) {
    uint64_t offset = (uintptr_t)p - run_base(run);
    uint32_t idx = (uint32_t)(offset * rc->inverse >> 32);
    return (uint64_t)idx * rc->region_bytes == offset ? idx : rc->n_regions;
}

static inline unsigned run_n_free(const struct run *run) {
    return atomic_load_explicit(&run->n_free, memory_order_relaxed);
}

static inline void run_set_n_free(struct run *run, size_t n) {
    atomic_store_explicit(&run->n_free, (uint16_t)n, memory_order_relaxed);
}

static inline bool run_is_empty(const struct run *run) {
    return run_n_free(run) == run_classes[run->class_idx].n_regions;
}

static inline struct run_remote *run_remote_of(struct run *run) {
    struct chunk *chunk = chunk_of((void *)run_base(run));
    return chunk_side(chunk, run_classes[run->class_idx].pool, run->slot);
}

/** Takes up to n regions, lowest first, and stores them downwards from end[-1], so that a stack filled with
 * them gives the lowest first. Returns how many. */
size_t run_take(struct run *run, void **end, size_t n);

/** Pages that lie wholly in free regions: the next range of them in the row of free regions at *at or after it; *at then
 *  is behind that row. *first counts from the run's first page. False: there is none. The caller is to purge them: to the
 *  regions in them it is as if they had never been used. */
bool run_unused_pages(struct run *run, size_t *at, size_t *first, size_t *n);

#endif
