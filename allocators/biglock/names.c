/*
 * The names that a process calls, and the one lock. Linked with dl.c or phk.c, which know neither.
 *
 * The lock is a pthread mutex, held for the whole of every call but for what calloc clears. fork takes it and both
 * sides let it go, so that a child's heap is whole. A thread that allocates inside a stream's write function while it
 * holds the C library's list of streams (fflush(NULL) on a cookie stream) can so keep a fork waiting for ever; the
 * classics were no better.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "allocators/biglock/heap.h"

#ifdef BIGLOCK_PREFIXED
#define NAME(name) biglock_##name
#else
#define NAME(name) name
#endif
#define EXPORT __attribute__((visibility("default")))

/* Here rather than from the C library's headers: these are the definitions, under either name. */
void *NAME(malloc)(size_t size_bytes);
void *NAME(calloc)(size_t n, size_t size_bytes);
void *NAME(realloc)(void *block, size_t size_bytes);
void *NAME(reallocarray)(void *block, size_t n, size_t size_bytes);
void NAME(free)(void *block);
void *NAME(aligned_alloc)(size_t align_bytes, size_t size_bytes);
void *NAME(memalign)(size_t align_bytes, size_t size_bytes);
int NAME(posix_memalign)(void **out, size_t align_bytes, size_t size_bytes);
void *NAME(valloc)(size_t size_bytes);
void *NAME(pvalloc)(size_t size_bytes);
size_t NAME(malloc_usable_size)(void *block);
int64_t biglock_allocated_bytes(void);
const char *biglock_check(void);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the heap, all of it */

static void lock_take(void) {
    pthread_mutex_lock(&lock);
}

static void lock_release(void) {
    pthread_mutex_unlock(&lock);
}

static void *or_enomem(void *block) {
    if (!block)
        errno = ENOMEM;
    return block;
}

static void *alloc(size_t size_bytes) {
    if (size_bytes > PTRDIFF_MAX)
        return or_enomem(NULL);
    lock_take();
    void *block = heap_alloc(size_bytes);
    lock_release();
    return or_enomem(block);
}

static void release(void *block) {
    if (!block)
        return;
    lock_take();
    heap_free(block);
    lock_release();
}

/* Size 0 frees, as glibc does. */
static void *resize(void *block, size_t size_bytes) {
    if (!block)
        return alloc(size_bytes);
    if (size_bytes == 0) {
        release(block);
        return NULL;
    }
    if (size_bytes > PTRDIFF_MAX)
        return or_enomem(NULL);
    lock_take();
    void *moved = heap_realloc(block, size_bytes);
    lock_release();
    return or_enomem(moved);
}

static void *alloc_aligned(size_t align_bytes, size_t size_bytes) {
    if (align_bytes <= GRAIN_BYTES)
        return alloc(size_bytes);
    if (size_bytes > PTRDIFF_MAX || align_bytes > PTRDIFF_MAX - size_bytes)
        return or_enomem(NULL);
    lock_take();
    void *block = heap_alloc_aligned(align_bytes, size_bytes);
    lock_release();
    return or_enomem(block);
}

static bool is_power_of_two(size_t n) {
    return n != 0 && (n & (n - 1)) == 0;
}

static void *alloc_aligned_checked(size_t align_bytes, size_t size_bytes) {
    if (is_power_of_two(align_bytes))
        return alloc_aligned(align_bytes, size_bytes);
    errno = EINVAL;
    return NULL;
}

/* Exported functions call static ones only: a call to an exported name would go to the C library's when this library
 * was opened with dlopen. */
EXPORT void *NAME(malloc)(size_t size_bytes) {
    return alloc(size_bytes);
}

EXPORT void NAME(free)(void *block) {
    release(block);
}

EXPORT void *NAME(calloc)(size_t n, size_t size_bytes) {
    size_t total_bytes;
    if (__builtin_mul_overflow(n, size_bytes, &total_bytes))
        return or_enomem(NULL);
    void *block = alloc(total_bytes);
    return block ? memset(block, 0, total_bytes) : NULL;
}

EXPORT void *NAME(realloc)(void *block, size_t size_bytes) {
    return resize(block, size_bytes);
}

EXPORT void *NAME(reallocarray)(void *block, size_t n, size_t size_bytes) {
    size_t total_bytes;
    if (__builtin_mul_overflow(n, size_bytes, &total_bytes))
        return or_enomem(NULL);
    return resize(block, total_bytes);
}

EXPORT void *NAME(aligned_alloc)(size_t align_bytes, size_t size_bytes) {
    return alloc_aligned_checked(align_bytes, size_bytes);
}

EXPORT void *NAME(memalign)(size_t align_bytes, size_t size_bytes) {
    return alloc_aligned_checked(align_bytes, size_bytes);
}

EXPORT int NAME(posix_memalign)(void **out, size_t align_bytes, size_t size_bytes) {
    if (!is_power_of_two(align_bytes) || align_bytes % sizeof(void *) != 0)
        return EINVAL;
    int kept = errno; /* which posix_memalign leaves alone */
    void *block = alloc_aligned(align_bytes, size_bytes);
    errno = kept;
    if (!block)
        return ENOMEM;
    *out = block;
    return 0;
}

EXPORT void *NAME(valloc)(size_t size_bytes) {
    return alloc_aligned(os_page_bytes(), size_bytes);
}

EXPORT void *NAME(pvalloc)(size_t size_bytes) {
    size_t page_bytes = os_page_bytes();
    if (size_bytes > PTRDIFF_MAX)
        return or_enomem(NULL);
    return alloc_aligned(page_bytes, round_up(size_bytes ? size_bytes : 1, page_bytes));
}

EXPORT size_t NAME(malloc_usable_size)(void *block) {
    if (!block)
        return 0;
    lock_take();
    size_t n_bytes = heap_usable_bytes(block);
    lock_release();
    return n_bytes;
}

/** Usable bytes of all live blocks: what the harness takes as the allocator's own witness. */
EXPORT int64_t biglock_allocated_bytes(void) {
    lock_take();
    size_t n_bytes = heap_live_bytes;
    lock_release();
    return (int64_t)n_bytes;
}

/** Walks the heap; NULL, or what does not hold. */
EXPORT const char *biglock_check(void) {
    lock_take();
    const char *fault = heap_check();
    lock_release();
    return fault;
}

void *heap_move(void *block, size_t size_bytes) {
    size_t old_bytes = heap_usable_bytes(block);
    void *moved = heap_alloc(size_bytes);
    if (!moved)
        return NULL;
    memcpy(moved, block, old_bytes < size_bytes ? old_bytes : size_bytes);
    heap_free(block);
    return moved;
}

__attribute__((constructor)) static void fork_handlers_register(void) {
    pthread_atfork(lock_take, lock_release, lock_release);
}
