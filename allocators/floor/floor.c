/*
 * floor: the malloc family as empty functions.
 *
 * Every allocation is the same address, a free does nothing: what a workload costs over this library is its
 * own loop. Valid only where no block is read back and no more of it is written than the buffer holds, which is
 * malloc-test and pair; any other workload would overwrite itself. Its rate is no allocator's bound (that is null). Open
 * it with dlopen: preloaded, it would serve the whole process.
 */
#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))
#define FLOOR_BYTES (1u << 20)
#define FLOOR_ALIGN_BYTES 4096

static _Alignas(FLOOR_ALIGN_BYTES) unsigned char buffer[FLOOR_BYTES];

EXPORT void *malloc(size_t size_bytes) {
    (void)size_bytes;
    return buffer;
}

EXPORT void free(void *block) {
    (void)block;
}

/* The buffer is not cleared: that would be work, and floor has none. */
EXPORT void *calloc(size_t n, size_t size_bytes) {
    (void)n;
    (void)size_bytes;
    return buffer;
}

EXPORT void *realloc(void *block, size_t size_bytes) {
    (void)block;
    (void)size_bytes;
    return buffer;
}

EXPORT void *aligned_alloc(size_t align_bytes, size_t size_bytes) {
    (void)size_bytes;
    if (align_bytes <= FLOOR_ALIGN_BYTES)
        return buffer;
    errno = ENOMEM;
    return NULL;
}

EXPORT int posix_memalign(void **block, size_t align_bytes, size_t size_bytes) {
    (void)size_bytes;
    if (align_bytes > FLOOR_ALIGN_BYTES)
        return ENOMEM;
    *block = buffer;
    return 0;
}

EXPORT size_t malloc_usable_size(void *block) {
    return block ? FLOOR_BYTES : 0;
}
