#include "background.h"

#include <pthread.h>
#include <signal.h>

#include "arena.h"
#include "os.h"

#define BACKGROUND_BUSY_NS ((uint64_t)25 * 1000 * 1000)
#define BACKGROUND_IDLE_NS ((uint64_t)500 * 1000 * 1000)

static struct lock background_lock = {.rank = LOCK_CONTROL};
static pthread_t background_thread;
static _Atomic bool background_has_thread;  /* changed under the lock */
static _Atomic bool background_was_forked;  /* a child is to start it again */
static _Atomic uint32_t background_is_told; /* 1: stop; a futex */

/* One round over all arenas; true if unused pages are left. */
static bool background_round(void) {
    bool is_busy = false;
    for (unsigned i = 0; i <= arena_n(); i++) {
        struct arena *arena = i == arena_n() ? arena_peek_reserve() : arena_peek(i);
        if (arena == NULL)
            continue;
        arena_drain(arena);
        is_busy = arena_tick(arena, os_now_ns()) || is_busy;
    }
    return is_busy;
}

static void *background_main(void *arg) {
    (void)arg;
    while (atomic_load_explicit(&background_is_told, memory_order_acquire) == 0)
        os_futex_wait(&background_is_told, 0, background_round() ? BACKGROUND_BUSY_NS : BACKGROUND_IDLE_NS);
    return NULL;
}

/* Signals are for the program's threads. */
static int background_start(void) {
    sigset_t all, old;
    sigfillset(&all);
    atomic_store_explicit(&background_is_told, 0, memory_order_release);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int err = pthread_create(&background_thread, NULL, background_main, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    background_has_thread = err == 0;
    return err;
}

/* The lock only says who starts or stops; it is not held while threads are made or joined, which allocates. */
int background_set(bool is_wanted) {
    int err = 0;
    lock_acquire(&background_lock);
    bool is_to_start = is_wanted && !background_has_thread, is_to_stop = !is_wanted && background_has_thread;
    if (is_to_start || is_to_stop)
        background_has_thread = is_wanted;
    lock_release(&background_lock);
    if (is_to_start)
        err = background_start();
    if (is_to_stop) {
        atomic_store_explicit(&background_is_told, 1, memory_order_release);
        os_futex_wake(&background_is_told, 1);
        pthread_join(background_thread, NULL);
    }
    return err;
}

bool background_is_running(void) {
    return background_has_thread;
}

void background_fork_child(void) {
    lock_reset_in_child(&background_lock);
    atomic_store_explicit(&background_was_forked, background_has_thread, memory_order_relaxed);
    background_has_thread = false;
}

void background_resume(void) {
    if (atomic_load_explicit(&background_was_forked, memory_order_relaxed) &&
        atomic_exchange_explicit(&background_was_forked, false, memory_order_relaxed))
        background_set(true);
}
