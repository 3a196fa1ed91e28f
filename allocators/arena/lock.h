/* lock: the mutex of the allocator (spin briefly, then futex), its order, and what fork does to it.
 *
 * Owns the lock order and the fork flag. Does not know what a lock protects. Allocates nothing.
 *
 * Order: a thread takes locks of strictly rising rank, so there is no cycle. Debug builds assert it.
 *
 * Fork: between the prepare handler and the end of fork every lock is held by the forking thread, while the C
 * library still takes the locks of stdio. A thread that owns a stdio lock and allocates must therefore not
 * wait for us: the first lock that an allocation takes is taken with lock_acquire_unless_forking, and the
 * caller goes to the reserve arena if that is refused. Frees never wait: they go by a remote list. Who holds a lock
 * may wait for locks of higher rank, because fork, which takes them in order of rank, cannot have those yet.
 *
 * The forking thread itself, which holds them all, passes through them: other handlers of fork, which run between ours
 * and the fork, or in the child before ours, may allocate, and must not depend on what other threads were doing.
 */
#ifndef ARENA_LOCK_H
#define ARENA_LOCK_H

#include <stdatomic.h>

#include "util.h"

enum lock_rank {
    LOCK_TCACHE_POOL, /* an arena's thread caches */
    LOCK_PURGE,       /* an arena's purging, which lets go of the locks below while the system works */
    LOCK_BIN,         /* one bin of one arena */
    LOCK_HUGE,        /* an arena's cache of huge blocks */
    LOCK_PAGES,       /* an arena's chunks, page maps, purging */
    LOCK_RECYCLE,     /* the global list of chunks to be used again */
    LOCK_CONTROL,     /* mallctl, background thread */
    LOCK_N_RANKS
};

/* A state of its own for what a fork holds: a thread that saw the lock held otherwise, and goes to sleep on that, does
 * not miss the fork that took it in between. */
enum lock_state { LOCK_FREE, LOCK_HELD, LOCK_HELD_SLEEPERS /* somebody may sleep */, LOCK_HELD_BY_FORK };

struct lock {
    _Atomic uint32_t state;
    uint32_t rank;
    uint64_t n_contended;
};

void lock_init(struct lock *lock, enum lock_rank rank);
void lock_acquire_slow(struct lock *lock);
bool lock_acquire_unless_forking_slow(struct lock *lock);
void lock_release_slow(struct lock *lock);

#if defined(ARENA_DEBUG)
void lock_note_acquired(const struct lock *lock);
void lock_note_released(const struct lock *lock);
#else
static inline void lock_note_acquired(const struct lock *lock) {
    (void)lock;
}
static inline void lock_note_released(const struct lock *lock) {
    (void)lock;
}
#endif

static inline bool lock_try(struct lock *lock) {
    uint32_t expected = LOCK_FREE;
    if (!atomic_compare_exchange_strong_explicit(&lock->state, &expected, LOCK_HELD, memory_order_acquire,
                                                 memory_order_relaxed))
        return false;
    lock_note_acquired(lock);
    return true;
}

static inline void lock_acquire(struct lock *lock) {
    if (UTIL_UNLIKELY(!lock_try(lock)))
        lock_acquire_slow(lock);
}

/** False if another thread's fork holds the lock; never waits for a fork. */
static inline bool lock_acquire_unless_forking(struct lock *lock) {
    return UTIL_LIKELY(lock_try(lock)) || lock_acquire_unless_forking_slow(lock);
}

static inline void lock_release(struct lock *lock) {
    uint32_t expected = LOCK_HELD;
    lock_note_released(lock);
    if (UTIL_UNLIKELY(!atomic_compare_exchange_strong_explicit(&lock->state, &expected, LOCK_FREE,
                                                               memory_order_release, memory_order_relaxed)))
        lock_release_slow(lock);
}

/** Takes a lock on behalf of fork, in any order, and wakes whoever sleeps on it so that it sees the fork. */
void lock_acquire_for_fork(struct lock *lock);
void lock_release_after_fork(struct lock *lock);

/** In the child: the lock is free, nobody else exists. */
void lock_reset_in_child(struct lock *lock);

/** The calling thread holds all locks for a fork, and until the end, in parent or child, passes through them. */
void lock_fork_begin(void);
void lock_fork_end(void);

/** True of the forking thread between the two. It must not wait for locks that the fork does not hold where it can do
 *  without: in the child nobody may be there to release them. */
bool lock_fork_is_own(void);

#endif
