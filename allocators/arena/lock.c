#include "lock.h"

#include <limits.h>

#include "os.h"

#define LOCK_SPINS 100

/* The calling thread forks and holds every lock that is LOCK_HELD_BY_FORK. */
static _Thread_local bool lock_is_forker __attribute__((tls_model("initial-exec")));

void lock_init(struct lock *lock, enum lock_rank rank) {
    atomic_store_explicit(&lock->state, LOCK_FREE, memory_order_relaxed);
    lock->rank = rank;
    lock->n_contended = 0;
}

#if defined(ARENA_DEBUG)
static _Thread_local uint32_t lock_held_ranks __attribute__((tls_model("initial-exec")));

void lock_note_acquired(const struct lock *lock) {
    if ((lock_held_ranks >> lock->rank) != 0)
        os_die("lock order violated at", lock);
    lock_held_ranks |= 1u << lock->rank;
}

void lock_note_released(const struct lock *lock) {
    lock_held_ranks &= ~(1u << lock->rank);
}
#endif

static bool lock_spin(struct lock *lock) {
    for (int i = 0; i < LOCK_SPINS; i++) {
        if (atomic_load_explicit(&lock->state, memory_order_relaxed) == LOCK_FREE && lock_try(lock))
            return true;
        __builtin_ia32_pause();
    }
    return false;
}

/* From *seen to `to`; false, and *seen anew, if that is not the state any more. */
// NOLINTNEXTLINE(readability-non-const-parameter): the exchange writes it
static bool lock_change(struct lock *lock, uint32_t *seen, enum lock_state to) {
    return atomic_compare_exchange_weak_explicit(&lock->state, seen, to, memory_order_acquire,
                                                 memory_order_relaxed);
}

/* Takes the lock and leaves it in the state `held`. False, if may_refuse: another thread's fork has it, or the caller is
 * the one that forks. Sleeps on the very state that was looked at. */
static bool lock_sleep(struct lock *lock, enum lock_state held, bool may_refuse) {
    uint32_t state = atomic_load_explicit(&lock->state, memory_order_relaxed);
    for (;;) {
        if (state == LOCK_FREE) {
            if (lock_change(lock, &state, held))
                return true;
            continue;
        }
        if (state == LOCK_HELD_BY_FORK && lock_is_forker)
            return true;
        if (may_refuse && (state == LOCK_HELD_BY_FORK || lock_is_forker))
            return false;
        if (state == LOCK_HELD) {
            if (!lock_change(lock, &state, LOCK_HELD_SLEEPERS))
                continue;
            state = LOCK_HELD_SLEEPERS;
        }
        os_futex_wait(&lock->state, state, 0);
        state = atomic_load_explicit(&lock->state, memory_order_relaxed);
    }
}

static bool lock_acquire_late(struct lock *lock, bool may_refuse) {
    if (!lock_spin(lock)) {
        if (!lock_sleep(lock, LOCK_HELD_SLEEPERS, may_refuse))
            return false;
        lock_note_acquired(lock);
    }
    lock->n_contended++;
    return true;
}

void lock_acquire_slow(struct lock *lock) {
    lock_acquire_late(lock, false);
}

bool lock_acquire_unless_forking_slow(struct lock *lock) {
    return lock_acquire_late(lock, true);
}

/* With sleepers, or the forking thread's, which keeps it. */
void lock_release_slow(struct lock *lock) {
    if (atomic_load_explicit(&lock->state, memory_order_relaxed) == LOCK_HELD_BY_FORK)
        return;
    atomic_store_explicit(&lock->state, LOCK_FREE, memory_order_release);
    os_futex_wake(&lock->state, 1);
}

void lock_acquire_for_fork(struct lock *lock) {
    lock_sleep(lock, LOCK_HELD_BY_FORK, false);
    os_futex_wake(&lock->state, INT_MAX);
}

void lock_release_after_fork(struct lock *lock) {
    atomic_store_explicit(&lock->state, LOCK_FREE, memory_order_release);
    os_futex_wake(&lock->state, INT_MAX);
}

void lock_reset_in_child(struct lock *lock) {
    atomic_store_explicit(&lock->state, LOCK_FREE, memory_order_release);
}

void lock_fork_begin(void) {
    lock_is_forker = true;
}

void lock_fork_end(void) {
    lock_is_forker = false;
}

bool lock_fork_is_own(void) {
    return lock_is_forker;
}
