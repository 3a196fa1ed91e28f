/* arena: an independent allocator: its chunks, bins, huge blocks, and what is unused of them.
 *
 * Owns the arena table, the supply of pages to runs, large objects, cached huge blocks, purging, and the
 * frees that come from other threads. Does not know thread caches (it keeps an opaque list head and lock for
 * them) or the ABI. Locks, by rank: each bin's own; huge_lock for cached huge blocks; pages_lock for chunks,
 * page maps, purging.
 */
#ifndef ARENA_ARENA_H
#define ARENA_ARENA_H

#include "bin.h"
#include "chunk.h"
#include "decay.h"
#include "huge.h"
#include "size_class.h"

#define ARENA_MAX 1024
#define ARENA_N_BUCKETS 64
#define ARENA_BUCKET_NONE 255
#define ARENA_N_LARGE (SIZE_CLASS_N_BINS - SIZE_CLASS_N_SMALL)
#define ARENA_N_HUGE_LISTS 64

/* A large class has no runs to keep, only what other threads sent back, and counters under pages_lock. */
struct arena_large {
    _Atomic uint64_t remote UTIL_ALIGN_LINE;
    size_t n_taken, n_put, n_fills, n_flushes;
};

struct arena {
    unsigned idx;
    int node; /* NUMA node its memory is bound to, or -1 */
    _Atomic unsigned n_threads;
    _Atomic unsigned
        n_left_at; /* number, among all leavings, of the last thread that left it; 0 = none has */

    struct lock purge_lock; /* held by who purges, also while pages_lock is let go */
    uint64_t next_tidy_ns;  /* guarded by purge_lock */
    uint64_t next_round_ns; /* the same */
    bool has_spare_runs;    /* the same: bins keep some that wait to be given up */
    bool has_unused_pages;  /* the same: some in runs wait to be purged */
    bool is_held_by_fork;   /* guarded by the lock of forks */
    bool is_abandoned; /* in a forked child: not locked by the fork, so its locks may never be free again */
    struct lock pages_lock UTIL_ALIGN_LINE;
    uint64_t bucket_bits; /* bit b: buckets[b] is not empty */
    struct list chunks, dirty_chunks;
    size_t n_chunks, n_active_pages, n_exact_pages;
    _Atomic uint64_t exact_remote;
    size_t n_dirty_pages, n_muzzy_pages;
    size_t n_dirty_low; /* least n_dirty_pages plus cached huge pages since the last epoch */
    size_t n_muzzy_low;
    size_t n_purge_passes, n_purge_calls, n_purged_pages;
    _Atomic uint64_t next_tick_ns;        /* changed under pages_lock */
    struct heap buckets[ARENA_N_BUCKETS]; /* chunks by the longest range of free pages they may have */
    struct decay dirty_decay, muzzy_decay;

    struct lock huge_lock UTIL_ALIGN_LINE;
    struct list huge_oldest;                     /* cached blocks and live ones with a tail, oldest first */
    struct list huge_cached[ARENA_N_HUGE_LISTS]; /* cached blocks by class, newest first */
    _Atomic size_t n_huge, n_huge_bytes;         /* live and cached, tails too; no lock */
    _Atomic size_t n_huge_cached_bytes;          /* and of tails; changed under huge_lock, read without */

    struct lock tcache_lock UTIL_ALIGN_LINE;
    struct list tcaches; /* for the room above */
    void *tcache_pool;
    uint64_t n_thread_allocated_bytes, n_thread_freed_bytes; /* of threads that are gone */

    struct arena_large larges[ARENA_N_LARGE];
    struct bin bins[SIZE_CLASS_N_SMALL];
};

/** Fixes classes and chunks and prepares the table for n arenas (1..ARENA_MAX). Call once. */
void arena_init_table(unsigned n, unsigned lg_chunk);
unsigned arena_n(void);

/** The arena, made if it is not there yet; NULL if there is no memory or no such index. */
struct arena *arena_get(unsigned idx);

/** The arena if it has been made, else NULL. */
struct arena *arena_peek(unsigned idx);

/** The arena with the fewest threads, counted as having one more. Of several without threads, the one left last, whose
 *  unused memory is warm; else round-robin. NULL: no memory. */
struct arena *arena_join(void);

/** The same with the arena of that index. */
struct arena *arena_join_at(unsigned idx);
void arena_leave(struct arena *arena);

/** Does for one arena that no thread belongs to, the reserve among them, what its own would do: takes in what was sent
 *  back, and ticks. *turn is the caller's, to go round; now_ns is os_now_ns(). */
void arena_tick_idle(unsigned *turn, uint64_t now_ns);

/** The arena for allocations that find theirs locked by a fork. Its locks are not taken by a fork. */
struct arena *arena_reserve(void);

/** That arena if it has been made, else NULL. */
struct arena *arena_peek_reserve(void);

/** Fills out[0..n) with objects of a class below SIZE_CLASS_N_BINS, the lowest last. Returns how many; 0
 * means no memory. */
size_t arena_fill(struct arena *arena, unsigned class_idx, void **out, size_t n);

/** Frees n objects of one class, of whichever arenas; self is the caller's, NULL if there was no memory for one.
 * Those of others are sent back, small ones a run at a time, large ones an owner at a time. Reorders the array. Aborts on pointers that are not live objects of the
 * class. */
void arena_flush(struct arena *self, unsigned class_idx, void **objects, size_t n);

/* Exact: large objects of as many pages as they need, past the caches; the page map shows none of them to the fast
 * path of free, and their number of pages stands in the chunk's info. */

/** bytes: at least one, at most a chunk's; align: up to a 32nd of a chunk. *is_zeroed tells if it reads as zero. */
void *arena_exact_alloc(struct arena *arena, size_t bytes, size_t align, bool *is_zeroed);

/** Frees it; if it is not self's, by the owner's remote list. */
void arena_exact_free(struct arena *self, struct chunk *chunk, void *p);

/** Grows or shrinks it in place. False if that cannot be, or it is not self's. */
bool arena_exact_resize(struct arena *self, struct chunk *chunk, void *p, size_t bytes);

/** A huge block; bytes are rounded up to pages. NULL: no memory. */
void *arena_huge_alloc(struct arena *arena, size_t bytes, size_t align, bool *is_zeroed);
void arena_huge_free(struct chunk *huge);

/** A cached block of exactly `bytes`, a page multiple, not zeroed: the fast way. NULL: there is none at hand. */
void *arena_huge_take(struct arena *arena, size_t bytes);

/** Changes the size of a live huge block: in place, or by moving its pages. Its address then, or NULL. */
void *arena_huge_resize(struct chunk *huge, size_t bytes, bool may_move);

/** Advances decay if an epoch has passed; purges what is over the limit. Cheap if nothing is due. now_ns is
 *  os_now_ns(). False if it found nothing unused. */
bool arena_tick(struct arena *arena, uint64_t now_ns);

/** Takes in what other threads sent back, as far as no lock has to be waited for. For owners that sleep. */
void arena_drain(struct arena *arena);

/** Gives all unused pages of the arena back at once, remote lists drained and spare runs included. */
void arena_purge(struct arena *arena);

/** The same for all arenas, and the store of chunks: for malloc_trim and when memory has run out. */
void arena_purge_all(void);

void arena_set_decay(struct arena *arena, int64_t dirty_ms, int64_t muzzy_ms);

/** Checks the invariants of README.md over the whole arena, which must be at rest. NULL, or which one does not hold. */
const char *arena_check(struct arena *arena);

void arena_fork_prepare(void);
void arena_fork_parent(void);
void arena_fork_child(void);

/** Node of arena idx by a map like "0-3@0;4-7@1"; -1 if it says nothing about it. */
int arena_numa_node_of(const char *map, unsigned idx);

/** False if the setting arena_numa puts arena idx on another node than the caller's. */
bool arena_numa_allows(unsigned idx);

/* Between the files of this room. */
void arena_numa_bind(const struct arena *arena, void *addr, size_t bytes);
struct run *arena_run_take(void *arena, unsigned class_idx);
void arena_run_give(void *arena, struct run *run);
size_t arena_pages_take(struct arena *arena, size_t n, size_t align_pages, size_t *n_objects,
                        struct chunk **chunk, bool *is_zeroed);
void arena_pages_give(struct arena *arena, struct chunk *chunk, size_t first, size_t n);
size_t arena_large_fill(struct arena *arena, unsigned class_idx, void **out, size_t n);
size_t arena_large_flush(struct arena *arena, unsigned class_idx, void **objects, size_t n);
void arena_exact_drain(struct arena *arena);
void arena_large_drain(struct arena *arena, unsigned class_idx);
void arena_pages_purge(struct arena *arena, size_t n_dirty_limit, size_t n_muzzy_limit);
void arena_huge_purge(struct arena *arena, size_t n_pages_limit);
void arena_pages_init(struct arena *arena);
void arena_huge_init(struct arena *arena);

static inline size_t arena_unused_pages(struct arena *arena) {
    return arena->n_dirty_pages +
           (atomic_load_explicit(&arena->n_huge_cached_bytes, memory_order_relaxed) >> PAGE_LG);
}

#endif
