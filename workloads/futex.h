/*
 * Sleeping on a word, without memory of its own: pthread objects would do, but these need no set-up and a
 * zeroed word is a valid one.
 */
#ifndef HEAPDYNO_FUTEX_H
#define HEAPDYNO_FUTEX_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Sleeps while *word == seen; may return early, so the caller looks again. */
static inline void futex_wait(_Atomic uint32_t *word, uint32_t seen) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

/* The same for at most timeout_ns, which is below a second. */
static inline void futex_wait_for(_Atomic uint32_t *word, uint32_t seen, uint64_t timeout_ns) {
    struct timespec timeout = {.tv_nsec = (long)timeout_ns};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, &timeout, NULL, 0);
}

static inline void futex_wake(_Atomic uint32_t *word, int n_threads) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n_threads, NULL, NULL, 0);
}

#endif
