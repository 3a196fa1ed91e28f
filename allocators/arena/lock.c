#include "lock.h"

#include <limits.h>

#include "os.h"

#define LOCK_SPINS 100

static _Atomic uint32_t lock_is_forking;

void lock_init(struct lock *lock, enum lock_rank rank) {
    atomic_store_explicit(&lock->state, 0, memory_order_relaxed);
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

static bool lock_wait(struct lock *lock, bool may_refuse) {
    for (int i = 0; i < LOCK_SPINS; i++) {
        if (atomic_load_explicit(&lock->state, memory_order_relaxed) == 0 && lock_try(lock))
            return true;
        __builtin_ia32_pause();
    }
    while (atomic_exchange_explicit(&lock->state, 2, memory_order_acquire) != 0) {
        if (may_refuse && atomic_load_explicit(&lock_is_forking, memory_order_acquire) != 0)
            return false;
        os_futex_wait(&lock->state, 2, 0);
    }
    lock_note_acquired(lock);
    return true;
}

void lock_acquire_slow(struct lock *lock) {
    lock_wait(lock, false);
    lock->n_contended++;
}

bool lock_acquire_unless_forking_slow(struct lock *lock) {
    if (!lock_wait(lock, true))
        return false;
    lock->n_contended++;
    return true;
}

void lock_release_slow(struct lock *lock) {
    os_futex_wake(&lock->state, 1);
}

void lock_fork_begin(void) {
    atomic_fetch_add_explicit(&lock_is_forking, 1, memory_order_acq_rel);
}

void lock_fork_end(void) {
    atomic_fetch_sub_explicit(&lock_is_forking, 1, memory_order_acq_rel);
}

void lock_fork_child(void) {
    atomic_store_explicit(&lock_is_forking, 0, memory_order_release);
}

void lock_acquire_for_fork(struct lock *lock) {
    while (atomic_exchange_explicit(&lock->state, 2, memory_order_acquire) != 0)
        os_futex_wait(&lock->state, 2, 0);
    os_futex_wake(&lock->state, INT_MAX);
}

void lock_release_after_fork(struct lock *lock) {
    atomic_store_explicit(&lock->state, 0, memory_order_release);
    os_futex_wake(&lock->state, INT_MAX);
}

void lock_reset_in_child(struct lock *lock) {
    atomic_store_explicit(&lock->state, 0, memory_order_release);
}
