/* The arena allocator as heap_ops.h drives it: the prefixed names. */
#include "tests/fuzz/heap_ops.h"

#define ARENA_PREFIXED 1
#include "allocators/arena/shim.h"

#define MALLOCX_ZERO 0x40

static void *zeroed(size_t size) {
    return arena_mallocx(size != 0 ? size : 1, MALLOCX_ZERO);
}

static void give_back(unsigned how) {
    if (how == 0)
        arena_malloc_trim(0);
    else
        arena_mallctl(how == 1 ? "thread.tcache.flush" : "arena.0.purge", NULL, NULL, NULL, 0);
}

const struct heap_calls heap_calls_arena = {
    .malloc = arena_malloc,
    .free = arena_free,
    .calloc = arena_calloc,
    .realloc = arena_realloc,
    .reallocarray = arena_reallocarray,
    .usable_size = arena_malloc_usable_size,
    .aligned_alloc = arena_aligned_alloc,
    .memalign = arena_memalign,
    .valloc = arena_valloc,
    .pvalloc = arena_pvalloc,
    .posix_memalign = arena_posix_memalign,
    .free_sized = arena_free_sized,
    .zeroed = zeroed,
    .give_back = give_back,
};
