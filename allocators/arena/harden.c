#include "harden.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>

#include "api.h"
#include "os.h"

#define HARDEN_TAG_BYTES sizeof(uint64_t)
#define HARDEN_GUARD 0xc3
#define HARDEN_FREED 0x5a
/* Of a freed block so much is filled and checked; more would make large frees slow. */
#define HARDEN_FILL_MAX_BYTES ((size_t)16 << 10)

/* An odd number and its inverse modulo 2^64: the size in a tag is spread over all its bits, so that a write that damages
 * any of its bytes makes a size that no block has. Unspread, a damaged low byte could make a size that fits. */
#define HARDEN_SPREAD UINT64_C(0x9e3779b97f4a7c15)
#define HARDEN_UNSPREAD UINT64_C(0xf1de83e19937733d)

/* Drawn by the kernel for each process, at exec. */
static uint64_t harden_secret(void) {
    static _Atomic uint64_t secret;
    uint64_t s = atomic_load_explicit(&secret, memory_order_relaxed);
    if (s == 0) {
        const void *random = (const void *)getauxval(AT_RANDOM);
        uint64_t seed = 1;
        if (random != NULL)
            memcpy(&seed, random, sizeof seed);
        s = util_mix(seed) | 1;
        atomic_store_explicit(&secret, s, memory_order_relaxed);
    }
    return s;
}

static uint64_t harden_mix(const void *p) {
    return util_mix((uintptr_t)p ^ harden_secret());
}

static uint64_t harden_live_tag(const void *p, size_t bytes) {
    return harden_mix(p) ^ bytes * HARDEN_SPREAD;
}

static uint64_t harden_freed_tag(const void *p) {
    return harden_mix((const char *)p + 1);
}

static uint64_t *harden_tag_at(void *p, size_t block_bytes) {
    return (uint64_t *)(void *)((char *)p + block_bytes - HARDEN_TAG_BYTES);
}

static bool harden_is_filled(const unsigned char *at, size_t n, unsigned char with) {
    const uint64_t words = with * (uint64_t)0x0101010101010101u;
    uint64_t differs = 0, word;
    for (; n >= sizeof word; at += sizeof word, n -= sizeof word) {
        memcpy(&word, at, sizeof word);
        differs |= word ^ words;
    }
    for (; n != 0; at++, n--)
        differs |= (uint64_t)(*at ^ with);
    return differs == 0;
}

/* Requested size of a live block of block_bytes; aborts if the block is not live or its guard is damaged. */
static size_t harden_check_live(void *p, size_t block_bytes) {
    uint64_t tag = *harden_tag_at(p, block_bytes);
    if (tag == harden_freed_tag(p))
        os_die("double free of", p);
    uint64_t bytes = (tag ^ harden_mix(p)) * HARDEN_UNSPREAD;
    if (bytes > block_bytes - HARDEN_TAG_BYTES ||
        !harden_is_filled((unsigned char *)p + bytes, block_bytes - HARDEN_TAG_BYTES - bytes, HARDEN_GUARD))
        os_die("write past the end of", p);
    return bytes;
}

/* True of objects of a class: pages of other blocks, also of small ones with a large alignment, may serve others between
 * two uses, with the tag of a freed block left in place. */
static bool harden_has_class(const void *p, size_t block_bytes) {
    if (block_bytes > SIZE_CLASS_BIN_MAX_BYTES)
        return false;
    struct chunk *chunk = chunk_of(p);
    return chunk->magic == CHUNK_MAGIC && chunk_map(chunk)[chunk_page_of(chunk, p)] < CHUNK_MAP_NONE;
}

/* A block that comes from the allocator: untouched since its free, if it was freed; then guarded. */
static void *harden_dress(void *p, size_t bytes) {
    if (p == NULL)
        return NULL;
    size_t block_bytes = api_usable_bytes(p), payload = block_bytes - HARDEN_TAG_BYTES;
    uint64_t *tag = harden_tag_at(p, block_bytes);
    if (*tag == harden_freed_tag(p) && block_bytes <= SIZE_CLASS_SMALL_MAX_BYTES &&
        harden_has_class(p, block_bytes) && !harden_is_filled(p, payload, HARDEN_FREED))
        os_die("write after free of", p);
    memset((char *)p + bytes, HARDEN_GUARD, payload - bytes);
    *tag = harden_live_tag(p, bytes);
    return p;
}

static bool harden_is_too_large(size_t bytes) {
    if (bytes <= SIZE_CLASS_MAX_REQUEST_BYTES - HARDEN_TAG_BYTES)
        return false;
    errno = ENOMEM;
    return true;
}

void *harden_alloc(size_t bytes) {
    return harden_aligned(1, bytes);
}

void *harden_aligned(size_t align, size_t bytes) {
    bytes = util_max(bytes, 1);
    return harden_is_too_large(bytes) ? NULL
                                      : harden_dress(api_aligned(align, bytes + HARDEN_TAG_BYTES), bytes);
}

void *harden_zeroed(size_t align, size_t bytes) {
    void *p = harden_aligned(align, bytes);
    return p == NULL ? NULL : memset(p, 0, bytes);
}

void *harden_calloc(size_t n, size_t bytes) {
    size_t total;
    if (__builtin_mul_overflow(n, bytes, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return harden_zeroed(1, total);
}

size_t harden_usable_bytes(const void *p) {
    if (p == NULL)
        return 0;
    api_check_object(p);
    return harden_check_live((void *)(uintptr_t)p, api_usable_bytes(p));
}

/* Checks the block and makes it a freed one. */
static void harden_undress(void *p, size_t *bytes) {
    api_check_object(p);
    size_t block_bytes = api_usable_bytes(p);
    *bytes = harden_check_live(p, block_bytes);
    memset(p, HARDEN_FREED, util_min(block_bytes - HARDEN_TAG_BYTES, HARDEN_FILL_MAX_BYTES));
    *harden_tag_at(p, block_bytes) = harden_has_class(p, block_bytes) ? harden_freed_tag(p) : 0;
}

void harden_free(void *p) {
    size_t bytes;
    if (p == NULL)
        return;
    harden_undress(p, &bytes);
    api_free(p);
}

void harden_free_sized(void *p, size_t expected_bytes) {
    if (p == NULL)
        return;
    /* Of a block from pvalloc, which rounds up to pages, the size asked for is right, too. */
    size_t bytes = harden_usable_bytes(p);
    bool is_pages = ((uintptr_t)p & (PAGE_BYTES - 1)) == 0 && (bytes & (PAGE_BYTES - 1)) == 0;
    if (bytes !=
        (is_pages ? util_align_up(util_max(expected_bytes, 1), PAGE_BYTES) : util_max(expected_bytes, 1)))
        os_die("sized free with a wrong size of", p);
    harden_free(p);
}

void *harden_realloc(void *p, size_t bytes) {
    if (p == NULL)
        return harden_alloc(bytes);
    if (bytes == 0) {
        harden_free(p);
        return NULL;
    }
    size_t old = harden_usable_bytes(p);
    void *moved = harden_alloc(bytes);
    if (moved == NULL)
        return NULL;
    memcpy(moved, p, util_min(old, bytes));
    harden_free(p);
    return moved;
}

size_t harden_resize_in_place(void *p, size_t bytes, size_t extra) {
    (void)bytes;
    (void)extra;
    return harden_usable_bytes(p);
}

size_t harden_rounded_bytes(size_t align, size_t bytes, bool is_zeroed) {
    return api_rounded_bytes(align, bytes, is_zeroed) == 0 ? 0 : bytes;
}
