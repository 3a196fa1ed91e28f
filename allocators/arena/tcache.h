/* tcache: what a thread keeps for itself: a stack of objects for each class.
 *
 * Owns the one thread-local, the caches behind it, their ageing, and the choice of the thread's arena. Does
 * not know the ABI. A cache is touched by its thread only; the arena's tcache_lock guards the lists and the
 * pool of caches.
 *
 *   tcache_tls, by class:     head = newest      top --------.            limit -----.
 *                                                            v                     v
 *   array:  NULL | oldest | object | NULL? | object | object | (free room)         |
 *           ^ under the oldest       ^ mark: stands for an object kept in marked
 *
 * The newest object is in the thread-local itself: malloc has its result by one load instead of two that wait for each
 * other. malloc takes the head, moves the next one there and is stopped by a NULL; free moves the head to the array and
 * is stopped by the limit: no counter, no lock, no atomic. In all-zero TLS, before the first call, head is NULL and top
 * equals limit.
 *
 * Ageing: every tcache_gc_bytes allocated, one bin is visited; of a thread that allocates slowly, all of them after an
 * eighth of the decay time. A mark, a NULL in the middle of its stack, tells at the next visit whether the objects
 * below were needed meanwhile; if not, three quarters of them go back. A bin of a fast thread that ran dry since the last
 * visit gets none.
 */
#ifndef ARENA_TCACHE_H
#define ARENA_TCACHE_H

#include "arena.h"

enum tcache_state {
    TCACHE_UNUSED, /* no cache yet: the thread has not allocated, or could not get one when it did */
    TCACHE_DIRECT, /* no cache: switched off, or being made */
    TCACHE_ACTIVE,
    TCACHE_DEAD /* the thread is exiting; allocations of later destructors go to the arena */
};

struct tcache;

struct tcache_tls {
    int64_t budget; /* requested bytes until the next event; always negative without a cache */
    /* Stacks by class. One more than there are classes: the last one, CHUNK_MAP_NONE, is always full, so that a free
     * of a page without cacheable objects leaves the fast path without a test of its own. Arrays of their own, because
     * an index then needs no shift. */
    void *heads[SIZE_CLASS_N_BINS + 1];
    void **tops[SIZE_CLASS_N_BINS + 1];
    uint16_t
        limits[SIZE_CLASS_N_BINS + 1]; /* low bits of the address of the limit: arrays are at most 16 KiB */
    struct tcache *cold;
    struct arena *arena;
    uint64_t n_direct_bytes; /* allocated past the cache */
    unsigned n_direct_calls; /* mallocs and frees of small and large objects past the cache */
    enum tcache_state state;
};

extern _Thread_local struct tcache_tls tcache_tls
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* The same thread-local for the fast paths. By the segment register the compiler needs one instruction less for each
 * access with an index; that is all there is to it, and elsewhere plain C does. */
#if defined(__x86_64__) && defined(__SEG_FS) && !defined(__STRICT_ANSI__) &&                                 \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define TCACHE_SEGMENT __seg_fs
static inline TCACHE_SEGMENT struct tcache_tls *tcache_fast(void) {
    uintptr_t offset;
    __asm__("movq tcache_tls@gottpoff(%%rip), %0" : "=r"(offset));
    return (TCACHE_SEGMENT struct tcache_tls *)offset;
}
#else
#define TCACHE_SEGMENT
static inline struct tcache_tls *tcache_fast(void) {
    return &tcache_tls;
}
#endif

_Static_assert(CHUNK_MAP_NONE == SIZE_CLASS_N_BINS,
               "the page map's escape must be the bin that is always full");
_Static_assert(sizeof(struct tcache_tls) <= 2048, "the library must fit into the surplus of static TLS");

/** Prepares thread exit. Call once, before threads allocate. */
void tcache_init(void);

/** The thread's arena, chosen at its first call; NULL: no memory at all. */
struct arena *tcache_arena(void);

/** Makes the thread's cache if it may have one. Call when state is TCACHE_UNUSED. */
void tcache_attach(void);

/** Call when the budget, already charged, is used up or a fast path failed: attaches a new thread's cache,
 * and does ageing and purging when they are due. */
void tcache_settle(void);

/** Accounts for a block that no cache serves. It counts for ageing as 64 KiB at most: its cost is not in the bytes. */
static inline void tcache_charge_uncached(size_t bytes) {
    struct tcache_tls *tls = &tcache_tls;
    size_t charged = util_min(bytes, (size_t)64 << 10);
    tls->n_direct_bytes += bytes - charged;
    tls->budget -= (int64_t)charged;
    if (UTIL_UNLIKELY(tls->budget < 0))
        tcache_settle();
}

/** Forgets the caches of threads that do not exist in a forked child. */
void tcache_fork_child(void);

/** Pops an object when the fast path could not: mark, fill, or past the cache. NULL: no memory. */
void *tcache_alloc_slow(unsigned class_idx);

/** Pushes when the fast path could not: makes room by growing or flushing, or goes past the cache. */
void tcache_free_slow(unsigned class_idx, void *p);

/** Returns everything that the calling thread has cached. */
void tcache_flush(void);

/** Moves the calling thread to another arena; its cache is emptied. False: no such arena, or the thread forks and does
 *  not hold it. */
bool tcache_set_arena(unsigned idx);

/** Bytes requested by the thread so far, and of these (rounded to classes) no longer held by it. */
uint64_t tcache_allocated_bytes(void);
uint64_t tcache_freed_bytes(void);

/** Bytes cached by all threads of an arena; approximate while they run. Takes tcache_lock. */
size_t tcache_cached_bytes(struct arena *arena, size_t *n_threads);

#endif
