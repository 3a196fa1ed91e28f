#include "api.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "background.h"
#include "conf.h"
#include "ctl.h"
#include "os.h"

size_t api_bin_max_bytes;
static size_t api_exact_max_bytes; /* above: huge */

extern const char *malloc_conf __attribute__((weak));

enum { API_FRESH, API_STARTING, API_READY };
static _Atomic int api_state;

/* An arena that the forking thread joined only in a later handler might be a new one, which this fork does not hold: the
 * child would leave it behind with its thread in it. */
static void api_fork_prepare(void) {
    if (tcache_tls.state == TCACHE_UNUSED)
        tcache_attach();
    arena_fork_prepare();
}

static void api_fork_parent(void) {
    arena_fork_parent();
}

static void api_fork_child(void) {
    background_fork_child();
    chunk_fork_child();
    arena_fork_child();
    tcache_fork_child();
    ctl_fork_child();
}

void api_init(void) {
    int fresh = API_FRESH;
    if (atomic_load_explicit(&api_state, memory_order_acquire) == API_READY)
        return;
    if (!atomic_compare_exchange_strong(&api_state, &fresh, API_STARTING)) {
        while (atomic_load_explicit(&api_state, memory_order_acquire) != API_READY)
            __builtin_ia32_pause();
        return;
    }
    conf_init(&malloc_conf != NULL ? malloc_conf : NULL);
    unsigned n = conf.n_arenas != 0 ? (unsigned)conf.n_arenas : 4 * os_n_cpus();
    tcache_init();
    arena_init_table((unsigned)util_min(n, ARENA_MAX), (unsigned)conf.lg_chunk);
    api_exact_max_bytes = chunk_bytes / 32 * 3;
    api_bin_max_bytes =
        util_min(util_max(conf.tcache_max_bytes, SIZE_CLASS_SMALL_MAX_BYTES), api_exact_max_bytes);
    api_bin_max_bytes = util_min(api_bin_max_bytes, SIZE_CLASS_BIN_MAX_BYTES);
    atomic_store_explicit(&api_state, API_READY, memory_order_release);
}

/* After initialisation of the C library: registering handlers may allocate. */
__attribute__((constructor)) static void api_constructor(void) {
    api_init();
    pthread_atfork(api_fork_prepare, api_fork_parent, api_fork_child);
    if (conf.is_stats_print)
        atexit(ctl_print_at_exit);
    if (conf.is_background_thread)
        background_set(true);
}

void api_die_double_free(const void *p) {
    os_die("double free of", p);
}

static void *api_fail(void) {
    errno = ENOMEM;
    return NULL;
}

/* New blocks under the settings junk and zero. The cache is off then, so every block passes here. */
static void *api_dress(void *p, size_t bytes) {
    if (UTIL_UNLIKELY(conf.is_zero))
        memset(p, 0, bytes);
    else if (UTIL_UNLIKELY(conf.is_junk))
        memset(p, 0xa5, bytes);
    return p;
}

/* An object of a class; the budget has been charged. */
void *api_alloc_slow(size_t wide_idx) {
    unsigned class_idx = (unsigned)wide_idx;
    if (UTIL_UNLIKELY(api_bin_max_bytes == 0))
        api_init();
    if (UTIL_UNLIKELY(tcache_tls.budget < 0)) {
        tcache_settle();
        background_resume();
    }
    void *p = tcache_alloc_slow(class_idx);
    if (UTIL_UNLIKELY(p == NULL)) {
        tcache_flush();
        arena_purge_all();
        p = tcache_alloc_slow(class_idx);
        if (p == NULL)
            return api_fail();
    }
    return api_dress(p, size_class_bytes(class_idx));
}

/* A block outside the caches, of at least `bytes`, of at most SIZE_CLASS_MAX_REQUEST_BYTES. */
static inline void *api_alloc_uncached_once(size_t align, size_t bytes, bool *is_zeroed) {
    struct arena *arena = tcache_arena();
    if (UTIL_UNLIKELY(arena == NULL))
        return NULL;
    if (UTIL_LIKELY(bytes > api_exact_max_bytes || align > chunk_bytes / 32))
        return arena_huge_alloc(arena, bytes, align, is_zeroed);
    return arena_exact_alloc(arena, util_max(bytes, 1), align, is_zeroed);
}

/* The same, retried after giving back everything that is unused. */
static void *api_alloc_uncached(size_t align, size_t bytes, bool *is_zeroed) {
    if (UTIL_UNLIKELY(bytes > SIZE_CLASS_MAX_REQUEST_BYTES))
        return api_fail();
    if (UTIL_UNLIKELY(api_bin_max_bytes == 0))
        api_init();
    tcache_charge_uncached(bytes);
    void *p = api_alloc_uncached_once(align, bytes, is_zeroed);
    if (UTIL_LIKELY(p != NULL))
        return p;
    tcache_flush();
    arena_purge_all();
    p = api_alloc_uncached_once(align, bytes, is_zeroed);
    return p != NULL ? p : api_fail();
}

static UTIL_NOINLINE void *api_alloc_uncommon(size_t bytes) {
    bool is_zeroed;
    api_init();
    if (bytes <= api_bin_max_bytes)
        return api_alloc(bytes);
    void *p = api_alloc_uncached(1, bytes, &is_zeroed);
    return p == NULL ? NULL : api_dress(p, bytes);
}

/* Too large for a cache. Not inline, so that the caller needs no frame; the usual case needs none either. */
static UTIL_NOINLINE void *api_alloc_huge(size_t bytes) {
    struct tcache_tls *tls = &tcache_tls;
    if (UTIL_UNLIKELY(tls->state != TCACHE_ACTIVE || bytes <= api_exact_max_bytes ||
                      bytes > SIZE_CLASS_MAX_REQUEST_BYTES))
        return api_alloc_uncommon(bytes);
    void *p = arena_huge_take(tls->arena, util_align_up(bytes, PAGE_BYTES));
    if (UTIL_UNLIKELY(p == NULL))
        return api_alloc_uncommon(bytes);
    tcache_charge_uncached(bytes);
    return p;
}

/* More than SIZE_CLASS_LOOKUP_MAX_BYTES. */
void *api_alloc_large(size_t bytes) {
    if (UTIL_LIKELY(bytes <= api_bin_max_bytes))
        return api_pop(size_class_of_large(bytes), bytes);
    return api_alloc_huge(bytes);
}

/* What a pointer is. class_idx is CHUNK_MAP_NONE for exact and huge blocks. */
struct api_block {
    struct chunk *chunk;
    size_t bytes;
    unsigned class_idx;
    bool is_huge;
};

/* Finds out what p is; aborts if it is none of our objects. */
static struct api_block api_look_up(const void *p) {
    uintptr_t base = chunk_base_of(p);
    if (UTIL_UNLIKELY(chunk_bytes == 0 || !chunk_is_registered(base)))
        os_die("free of memory that is not ours:", p);
    struct api_block block = {.chunk = chunk_at_base(base), .class_idx = CHUNK_MAP_NONE};
    if (block.chunk->magic == CHUNK_HUGE_MAGIC) {
        if (UTIL_UNLIKELY(huge_payload(block.chunk) != p))
            os_die("free of an interior pointer", p);
        if (UTIL_UNLIKELY(huge_is_cached(block.chunk)))
            os_die("double free of", p);
        block.is_huge = true;
        block.bytes = block.chunk->huge_bytes;
        return block;
    }
    if (UTIL_UNLIKELY(block.chunk->magic != CHUNK_MAGIC))
        os_die("corrupt chunk header of", p);
    chunk_dir_enter(block.chunk, p);
    size_t page = chunk_page_of(block.chunk, p);
    if (UTIL_UNLIKELY(page < chunk_geo.n_header_pages || page >= chunk_geo.n_pages))
        os_die("double or wild free of", p); /* the base of a chunk is looked up in the one before it */
    block.class_idx = chunk_map(block.chunk)[page];
    if (block.class_idx < CHUNK_MAP_NONE) {
        block.bytes = size_class_bytes(block.class_idx);
        return block;
    }
    block.bytes = (size_t)chunk_info(block.chunk)[page] << PAGE_LG;
    if (UTIL_UNLIKELY(block.bytes == 0 || ((uintptr_t)p & (PAGE_BYTES - 1)) != 0))
        os_die("double or wild free of", p);
    return block;
}

/* A free that the fast path could not finish, because the stack was full or the page has no cacheable objects. */
void api_free_full(void *p, size_t class_idx) {
    if (UTIL_UNLIKELY(class_idx >= CHUNK_MAP_NONE)) {
        api_free_slow(p);
        return;
    }
    if (UTIL_UNLIKELY(conf.is_junk))
        memset(p, 0x5a, size_class_bytes((unsigned)class_idx));
    tcache_free_slow((unsigned)class_idx, p);
}

static UTIL_NOINLINE void api_free_uncommon(void *p) {
    if (p == NULL)
        return;
    struct api_block block = api_look_up(p);
    if (block.class_idx == CHUNK_MAP_NONE) {
        if (UTIL_UNLIKELY(conf.is_junk))
            memset(p, 0x5a, block.bytes);
        arena_exact_free(tcache_arena(), block.chunk, p);
    } else {
        api_free_full(p, block.class_idx);
    }
}

/* A free of something that the directory does not show: huge, or else nothing, exact, in a chunk that another one has
 * displaced from the directory, or not ours. */
void api_free_slow(void *p) {
    uintptr_t base = chunk_base_of(p);
    struct chunk *chunk = chunk_at_base(base);
    if (UTIL_LIKELY(chunk_is_registered(base) && chunk->magic == CHUNK_HUGE_MAGIC &&
                    huge_payload(chunk) == p))
        arena_huge_free(chunk);
    else
        api_free_uncommon(p);
}

size_t api_usable_bytes(const void *p) {
    return p == NULL ? 0 : api_look_up(p).bytes;
}

void api_check_object(const void *p) {
    struct api_block block = api_look_up(p);
    if (block.class_idx < SIZE_CLASS_N_SMALL)
        bin_check_region(block.chunk, p);
    else if (block.class_idx < CHUNK_MAP_NONE && ((uintptr_t)p & (PAGE_BYTES - 1)) != 0)
        os_die("free of an interior pointer", p);
}

void *api_zeroed(size_t align, size_t bytes) {
    bool is_zeroed = false;
    void *p;
    if (bytes <= SIZE_CLASS_SMALL_MAX_BYTES && align <= PAGE_BYTES) {
        p = api_aligned(align, bytes);
    } else {
        p = api_alloc_uncached(align, bytes, &is_zeroed);
    }
    if (p != NULL && !is_zeroed)
        memset(p, 0, bytes);
    return p;
}

void *api_calloc(size_t n, size_t bytes) {
    size_t total;
    if (UTIL_UNLIKELY(__builtin_mul_overflow(n, bytes, &total)))
        return api_fail();
    if (UTIL_LIKELY(total <= SIZE_CLASS_SMALL_MAX_BYTES)) {
        void *p = api_alloc(total);
        return p == NULL ? NULL : memset(p, 0, total);
    }
    return api_zeroed(1, total);
}

void *api_aligned(size_t align, size_t bytes) {
    if (align <= ((size_t)1 << SIZE_CLASS_QUANTUM_LG))
        return api_alloc(bytes);
    if (align <= PAGE_BYTES && bytes <= SIZE_CLASS_SMALL_MAX_BYTES) {
        unsigned class_idx = size_class_of_aligned(bytes, align);
        return api_pop(class_idx, bytes);
    }
    if (align <= PAGE_BYTES)
        return api_alloc_large(bytes);
    bool is_zeroed;
    void *p = api_alloc_uncached(align, bytes, &is_zeroed);
    return p == NULL ? NULL : api_dress(p, bytes);
}

size_t api_rounded_bytes(size_t align, size_t bytes, bool is_zeroed) {
    if (bytes > SIZE_CLASS_MAX_REQUEST_BYTES || util_align_up(bytes, align) < bytes)
        return 0;
    if (bytes <= SIZE_CLASS_SMALL_MAX_BYTES && align <= PAGE_BYTES)
        return size_class_bytes(size_class_of_aligned(bytes, align));
    if (bytes <= api_bin_max_bytes && align <= PAGE_BYTES && !is_zeroed)
        return size_class_bytes(size_class_of(bytes));
    return util_align_up(util_max(bytes, 1), PAGE_BYTES);
}

/* Changes an exact or huge block to `bytes` where it is, or by moving its pages. Its address, or NULL. */
static void *api_resize_pages(const struct api_block *block, void *p, size_t bytes, bool may_move) {
    if (block->is_huge)
        return bytes > api_exact_max_bytes ? arena_huge_resize(block->chunk, bytes, may_move) : NULL;
    if (bytes > api_exact_max_bytes || bytes <= SIZE_CLASS_SMALL_MAX_BYTES)
        return NULL;
    return arena_exact_resize(tcache_arena(), block->chunk, p, bytes) ? p : NULL;
}

size_t api_resize_in_place(void *p, size_t bytes, size_t extra) {
    struct api_block block = api_look_up(p);
    if (block.class_idx != CHUNK_MAP_NONE || bytes > SIZE_CLASS_MAX_REQUEST_BYTES)
        return block.bytes;
    size_t most = bytes + extra < bytes ? bytes : util_min(bytes + extra, SIZE_CLASS_MAX_REQUEST_BYTES);
    if (api_resize_pages(&block, p, most, false) == NULL && most != bytes)
        api_resize_pages(&block, p, bytes, false);
    return api_look_up(p).bytes;
}

/* A small or large block stays where it is if its class still fits and at most half would be unused. */
static bool api_fits(const struct api_block *block, size_t bytes) {
    return bytes <= block->bytes && (bytes > block->bytes / 2 || size_class_of(bytes) == block->class_idx);
}

void *api_realloc(void *p, size_t bytes) {
    if (p == NULL)
        return api_alloc(bytes);
    if (bytes == 0) {
        api_free(p);
        return NULL;
    }
    if (bytes > SIZE_CLASS_MAX_REQUEST_BYTES)
        return api_fail();
    struct api_block block = api_look_up(p);
    if (block.class_idx == CHUNK_MAP_NONE) {
        void *same = api_resize_pages(&block, p, bytes, true);
        if (same != NULL)
            return same;
    } else if (api_fits(&block, bytes)) {
        return p;
    }
    void *moved = api_alloc(bytes);
    if (moved == NULL)
        return NULL;
    memcpy(moved, p, util_min(block.bytes, bytes));
    api_free(p);
    return moved;
}
