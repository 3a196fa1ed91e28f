/* api: what each entry point does, under names of our own; the fast paths, inline.
 *
 * Owns initialisation, errno, and the policy for running out of memory. Takes no lock itself. Only shim.c,
 * which gives these functions their public names, includes the fast paths.
 */
#ifndef ARENA_API_H
#define ARENA_API_H

#include "tcache.h"

/** Largest request served from chunks of runs; larger ones are huge. 0 until initialised. */
extern size_t api_bin_max_bytes __attribute__((visibility("hidden")));

/** Reads settings, fixes the geometry; idempotent, from any thread. */
void api_init(void);

void *api_alloc_slow(size_t class_idx);
void *api_alloc_large(size_t bytes);
void api_free_slow(void *p);
void api_free_full(void *p, size_t class_idx);
_Noreturn void api_die_double_free(const void *p);

/** Like the functions of the same names in C and POSIX. errno is ENOMEM after NULL. */
void *api_calloc(size_t n, size_t bytes);
void *api_realloc(void *p, size_t bytes);
void *api_aligned(size_t align, size_t bytes);
void *api_zeroed(size_t align, size_t bytes);
size_t api_usable_bytes(const void *p);

/** Aborts unless p is the start of a live or cached object of ours. */
void api_check_object(const void *p);

/** Bytes that api_aligned, or api_zeroed, would get for so many; 0 if they are too many. */
size_t api_rounded_bytes(size_t align, size_t bytes, bool is_zeroed);

/** Changes the size without moving; the usable size afterwards. */
size_t api_resize_in_place(void *p, size_t bytes, size_t extra);

/** Pops an object of the class; with the look-up of malloc 16 instructions when nothing is due. */
static inline void *api_pop(size_t class_idx, size_t bytes) {
    struct tcache_tls TCACHE_SEGMENT *tls = tcache_fast();
    if (UTIL_UNLIKELY((tls->budget -= (int64_t)bytes) < 0))
        return api_alloc_slow(class_idx);
    void *p = tls->heads[class_idx];
    UTIL_RESULT(p);
    if (UTIL_UNLIKELY(p == NULL))
        return api_alloc_slow(class_idx);
    void **top = tls->tops[class_idx];
    tls->heads[class_idx] = top[-1];
    UTIL_FORGET(class_idx);
    tls->tops[class_idx] = top - 1;
    return p;
}

static inline void *api_alloc(size_t bytes) {
    if (UTIL_LIKELY(bytes <= SIZE_CLASS_LOOKUP_MAX_BYTES))
        return api_pop(size_class_lookup[bytes], bytes);
    return api_alloc_large(bytes);
}

/** Pushes the object: directory, page map, stack: 22 instructions. Every pointer that is not an object in a chunk of
 *  runs of ours leaves this path: by the directory if it is elsewhere, by the page map's escape otherwise. */
static inline void api_free(void *p) {
    uintptr_t map = atomic_load_explicit(&chunk_dir[chunk_dir_idx((uintptr_t)p)], memory_order_relaxed);
    uintptr_t offset = (uintptr_t)p ^ map;
    if (UTIL_UNLIKELY(offset >= chunk_bytes)) {
        api_free_slow(p);
        return;
    }
    struct tcache_tls TCACHE_SEGMENT *tls = tcache_fast();
    size_t class_idx = *(const uint8_t *)(map + (offset >> PAGE_LG));
    void **top = tls->tops[class_idx];
    if (UTIL_UNLIKELY((uint16_t)(uintptr_t)top == tls->limits[class_idx])) {
        api_free_full(p, class_idx);
        return;
    }
    void *head = tls->heads[class_idx];
    if (UTIL_UNLIKELY(head == p))
        api_die_double_free(p);
    *top = head;
    UTIL_FORGET(class_idx);
    tls->tops[class_idx] = top + 1;
    tls->heads[class_idx] = p;
}

#endif
