/*
 * null: what an allocator would cost that owes nobody anything. The "speed of light" of the figures.
 *
 * Each thread owns a heap: blocks come from a LIFO list per size class, else from the bump pointer of private
 * mappings. A block goes to the list of the thread that frees it, whoever allocated it; nothing ever goes
 * back to its maker or to the OS. So malloc and free take no lock and no atomic operation, and a thread that
 * only allocates, while others free, grows until its cap and then gets ENOMEM.
 *
 * The one lock guards the list of heaps whose threads ended. It is taken when a thread allocates or frees for
 * the first time, to adopt such a heap, and when it ends: without it the heaps of dead threads would leak.
 *
 *   heap -> | struct heap | header block | header block | ... bump ->      | end of mapping
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define likely(x) __builtin_expect(!!(x), 1)

#define GRAIN_BYTES 16u
#define SMALL_BYTES 1024u /* classes are GRAIN_BYTES apart up to here, then four to a doubling */
#define N_SMALL (SMALL_BYTES / GRAIN_BYTES)
#define SMALL_SHIFT 10 /* log2 SMALL_BYTES */
#define MAX_SHIFT 40   /* larger requests fail */
#define N_CLASSES (N_SMALL + 4 * (MAX_SHIFT - SMALL_SHIFT))
#define MAPPING_BYTES ((size_t)32 << 20) /* what a heap bumps through at a time */
#define DIRECT_BYTES (MAPPING_BYTES / 8) /* blocks from here on are mappings of their own */
#define HEAP_CAP_BYTES ((size_t)1 << 30) /* of all mappings of one heap */

/* In front of every block. A free block's first word links to the next free one. */
struct header {
    unsigned char *start; /* of the class's region, right behind its own header; differs if aligned */
    size_t class_idx;
};

struct block {
    struct block *next;
};

struct heap {
    struct block *free_blocks[N_CLASSES];
    unsigned char *bump, *bump_end;
    size_t mapped_bytes;
    struct heap *next_orphan;
};

_Static_assert(sizeof(struct header) == GRAIN_BYTES, "a header keeps blocks aligned");

static _Thread_local struct heap *thread_heap;
static pthread_mutex_t orphans_lock = PTHREAD_MUTEX_INITIALIZER;
static struct heap *orphans; /* guarded by orphans_lock */
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool has_key;

/* Runs as the destructor of the thread's key. Calls that other destructors make later adopt a heap again. */
static void heap_orphan(void *arg) {
    struct heap *heap = arg;
    thread_heap = NULL;
    pthread_mutex_lock(&orphans_lock);
    heap->next_orphan = orphans;
    orphans = heap;
    pthread_mutex_unlock(&orphans_lock);
}

static void key_create(void) {
    has_key = pthread_key_create(&key, heap_orphan) == 0;
}

static unsigned char *pages_map(size_t n_bytes) {
    void *p = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static struct heap *heap_adopt(void) {
    pthread_mutex_lock(&orphans_lock);
    struct heap *heap = orphans;
    if (heap)
        orphans = heap->next_orphan;
    pthread_mutex_unlock(&orphans_lock);
    return heap;
}

static struct heap *heap_make(void) {
    unsigned char *p = pages_map(MAPPING_BYTES);
    if (!p)
        return NULL;
    struct heap *heap = (struct heap *)(void *)p; /* the start of a mapping */
    heap->bump = p + (sizeof *heap + GRAIN_BYTES - 1) / GRAIN_BYTES * GRAIN_BYTES;
    heap->bump_end = p + MAPPING_BYTES;
    heap->mapped_bytes = MAPPING_BYTES;
    return heap;
}

static __attribute__((noinline)) struct heap *heap_get_slow(void) {
    struct heap *heap = heap_adopt();
    if (!heap)
        heap = heap_make();
    if (!heap)
        return NULL;
    thread_heap = heap; /* before the key: setting it may call calloc */
    pthread_once(&key_once, key_create);
    if (has_key)
        pthread_setspecific(key, heap);
    return heap;
}

static inline struct heap *heap_get(void) {
    struct heap *heap = thread_heap;
    return likely(heap) ? heap : heap_get_slow();
}

static inline size_t small_class_of(size_t size_bytes) {
    return (size_bytes + GRAIN_BYTES - 1) / GRAIN_BYTES - (size_bytes != 0);
}

/* Smallest class of at least size_bytes; N_CLASSES when there is none. */
static size_t class_of(size_t size_bytes) {
    if (size_bytes <= SMALL_BYTES)
        return small_class_of(size_bytes);
    if (size_bytes > (size_t)1 << MAX_SHIFT)
        return N_CLASSES;
    unsigned shift = 63 - (unsigned)__builtin_clzll(size_bytes - 1); /* 2^shift < size <= 2^(shift + 1) */
    size_t quarter = (size_bytes - 1) >> (shift - 2) & 3;
    return N_SMALL + 4 * (shift - SMALL_SHIFT) + quarter;
}

static inline size_t class_bytes(size_t class_idx) {
    if (class_idx < N_SMALL)
        return (class_idx + 1) * GRAIN_BYTES;
    size_t i = class_idx - N_SMALL;
    return (5 + i % 4) << (SMALL_SHIFT - 2 + i / 4);
}

/* Maps n_bytes more for the heap, unless that passes its cap. */
static unsigned char *heap_map(struct heap *heap, size_t n_bytes) {
    if (n_bytes > HEAP_CAP_BYTES - heap->mapped_bytes)
        return NULL;
    unsigned char *p = pages_map(n_bytes);
    if (p)
        heap->mapped_bytes += n_bytes;
    return p;
}

static void *block_make(struct heap *heap, size_t class_idx) {
    size_t total_bytes = sizeof(struct header) + class_bytes(class_idx);
    unsigned char *p;
    if (total_bytes >= DIRECT_BYTES) {
        p = heap_map(heap, total_bytes);
    } else {
        if (total_bytes > (size_t)(heap->bump_end - heap->bump)) {
            unsigned char *mapping = heap_map(heap, MAPPING_BYTES);
            if (mapping) {
                heap->bump = mapping;
                heap->bump_end = mapping + MAPPING_BYTES;
            }
        }
        p = total_bytes <= (size_t)(heap->bump_end - heap->bump) ? heap->bump : NULL;
        heap->bump += p ? total_bytes : 0;
    }
    if (!p) {
        errno = ENOMEM;
        return NULL;
    }
    struct header *h = (struct header *)(void *)p; /* grains are aligned for it */
    *h = (struct header){.start = p + sizeof *h, .class_idx = class_idx};
    return h + 1;
}

static inline struct header *header_of(void *block) {
    return (struct header *)block - 1;
}

static size_t usable_bytes(void *block) {
    const struct header *h = header_of(block);
    return class_bytes(h->class_idx) - (size_t)((unsigned char *)block - h->start);
}

static inline struct block *block_pop(struct heap *heap, size_t class_idx) {
    struct block *b = heap->free_blocks[class_idx];
    if (likely(b))
        heap->free_blocks[class_idx] = b->next;
    return b;
}

/* Large sizes, empty lists, a thread's first call. */
static __attribute__((noinline)) void *block_alloc_slow(size_t size_bytes) {
    struct heap *heap = heap_get();
    size_t class_idx = class_of(size_bytes);
    if (!heap || class_idx >= N_CLASSES) {
        errno = ENOMEM;
        return NULL;
    }
    struct block *b = block_pop(heap, class_idx);
    return b ? b : block_make(heap, class_idx);
}

static inline void *block_alloc(size_t size_bytes) {
    struct heap *heap = thread_heap;
    if (likely(heap && size_bytes <= SMALL_BYTES)) {
        struct block *b = block_pop(heap, small_class_of(size_bytes));
        if (likely(b))
            return b;
    }
    return block_alloc_slow(size_bytes);
}

static inline void block_free(void *block) {
    if (!block)
        return;
    struct heap *heap = heap_get();
    if (!heap)
        return; /* no memory even for a heap: the block is lost, which a bound may do */
    const struct header *h = header_of(block);
    struct block *b = (struct block *)(void *)h->start;
    b->next = heap->free_blocks[h->class_idx];
    heap->free_blocks[h->class_idx] = b;
}

/* Exported functions call static ones only: a call to an exported name would go to libc's when this library
 * was opened with dlopen. */
EXPORT void *malloc(size_t size_bytes) {
    return block_alloc(size_bytes);
}

EXPORT void free(void *block) {
    block_free(block);
}

EXPORT void *calloc(size_t n, size_t size_bytes) {
    size_t total_bytes;
    if (__builtin_mul_overflow(n, size_bytes, &total_bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    void *block = block_alloc(total_bytes);
    return block ? memset(block, 0, total_bytes) : NULL;
}

EXPORT void *realloc(void *block, size_t size_bytes) {
    if (!block)
        return block_alloc(size_bytes);
    size_t old_bytes = usable_bytes(block);
    if (size_bytes != 0 && size_bytes <= old_bytes)
        return block;
    void *moved = NULL;
    if (size_bytes != 0) {
        moved = block_alloc(size_bytes);
        if (!moved)
            return NULL;
        memcpy(moved, block, old_bytes);
    }
    block_free(block);
    return moved;
}

static void *aligned_block(size_t align_bytes, size_t size_bytes) {
    if (align_bytes <= GRAIN_BYTES)
        return block_alloc(size_bytes);
    if (size_bytes > SIZE_MAX - align_bytes) {
        errno = ENOMEM;
        return NULL;
    }
    unsigned char *start = block_alloc(size_bytes + align_bytes);
    if (!start)
        return NULL;
    unsigned char *block = start + (-(uintptr_t)start & (align_bytes - 1));
    if (block != start)
        *header_of(block) = *header_of(start);
    return block;
}

static bool is_power_of_two(size_t n) {
    return n != 0 && (n & (n - 1)) == 0;
}

static void *aligned_block_checked(size_t align_bytes, size_t size_bytes) {
    if (!is_power_of_two(align_bytes)) {
        errno = EINVAL;
        return NULL;
    }
    return aligned_block(align_bytes, size_bytes);
}

EXPORT void *aligned_alloc(size_t align_bytes, size_t size_bytes) {
    return aligned_block_checked(align_bytes, size_bytes);
}

EXPORT void *memalign(size_t align_bytes, size_t size_bytes) {
    return aligned_block_checked(align_bytes, size_bytes);
}

EXPORT int posix_memalign(void **out, size_t align_bytes, size_t size_bytes) {
    if (!is_power_of_two(align_bytes) || align_bytes % sizeof(void *) != 0)
        return EINVAL;
    int kept = errno; /* which posix_memalign leaves alone */
    void *block = aligned_block(align_bytes, size_bytes);
    errno = kept;
    if (!block)
        return ENOMEM;
    *out = block;
    return 0;
}

EXPORT void *valloc(size_t size_bytes) {
    return aligned_block((size_t)sysconf(_SC_PAGESIZE), size_bytes);
}

EXPORT void *pvalloc(size_t size_bytes) {
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    if (size_bytes > SIZE_MAX - page_bytes) {
        errno = ENOMEM;
        return NULL;
    }
    return aligned_block(page_bytes, (size_bytes + page_bytes - 1) & ~(page_bytes - 1));
}

EXPORT size_t malloc_usable_size(void *block) {
    return block ? usable_bytes(block) : 0;
}

/* fork copies the lock as it is; a child must not wait for a thread it does not have. */
static void orphans_lock_take(void) {
    pthread_mutex_lock(&orphans_lock);
}

static void orphans_lock_release(void) {
    pthread_mutex_unlock(&orphans_lock);
}

__attribute__((constructor)) static void fork_handlers_register(void) {
    pthread_atfork(orphans_lock_take, orphans_lock_release, orphans_lock_release);
}
