/*
 * A heap in the style of dlmalloc (Doug Lea, "A Memory Allocator", 1996): boundary tags, best fit, metadata in line.
 *
 * A chunk lies in front of the bytes that the caller gets; its size tells where the next one begins, and the flag
 * PREV_IN_USE whether the bytes before it belong to a free chunk, whose size then stands in prev_bytes:
 *
 *   in use    | (the one before's) | bytes, flags | payload ............................. |  next: prev_bytes is payload
 *   free      | (the one before's) | bytes, flags | fd | bk | unused .................... |  next: prev_bytes is valid
 *
 * So a live chunk costs 8 bytes, and a freed one finds both neighbours at once: no two free chunks touch.
 *
 * Free chunks are in bins: one for each size below 1 KiB, eight for each doubling above. A bin is sorted by size, equals
 * in the order in which they were freed; it is served from the front. That is best fit, first in first out among equals.
 * The large rest of a segment is an ordinary free chunk: best fit takes it last.
 *
 * Segments come by mmap. (By brk, as in 1996, two allocators in one process would race: sbrk knows no lock.) One that
 * abuts another is joined to it. Each ends in a fence, a chunk of size 0 that is always in use, and its record:
 *
 *   | chunk | chunk | ... | fence | struct segment |
 *
 * A free chunk of TRIM_BYTES at either end of a segment goes back to the system, all but GROW_BYTES of it. Blocks from
 * MAP_BYTES on are mappings of their own; their prev_bytes is the distance from the mapping's start.
 */
#include <stdint.h>

#include "allocators/biglock/heap.h"

#define PREV_IN_USE ((size_t)1)
#define IS_MAPPED ((size_t)2)
#define FLAGS ((size_t)15)

#define HEAD_BYTES ((size_t)16)    /* from a chunk to its payload */
#define OVERHEAD_BYTES ((size_t)8) /* what a live chunk costs: the next one's prev_bytes is payload */
#define MIN_CHUNK_BYTES ((size_t)32)
#define MAP_BYTES ((size_t)256 << 10)
#define GROW_BYTES ((size_t)1 << 20)
#define TRIM_BYTES ((size_t)2 << 20)

#define SMALL_BYTES ((size_t)1024)
#define SMALL_SHIFT 10
#define N_SMALL (SMALL_BYTES / GRAIN_BYTES)
#define N_BINS (N_SMALL + 8 * 16) /* the last one takes all larger ones */

struct chunk {
    size_t prev_bytes;     /* of the chunk before, while that is free */
    size_t head;           /* size and flags */
    struct chunk *fd, *bk; /* in the bin, while free */
};

struct segment {
    unsigned char *base;
    struct segment *next;
};

#define TAIL_BYTES (HEAD_BYTES + sizeof(struct segment))

_Static_assert(sizeof(struct chunk) == MIN_CHUNK_BYTES, "a free chunk holds its links");
_Static_assert(sizeof(struct segment) % GRAIN_BYTES == 0, "a segment's tail keeps chunks aligned");

extern const char biglock_dl[]; /* by this symbol the library is told from phk's */
__attribute__((visibility("default"))) const char biglock_dl[] = "boundary tags, best fit, one lock";

size_t heap_live_bytes;

static struct segment *segments;
static struct chunk bins[N_BINS]; /* heads of circular lists, of size 0; fd NULL before the first use */
static uint64_t bin_map[N_BINS / 64];

static struct chunk *chunk_at(void *p, size_t offset_bytes) {
    return (struct chunk *)(void *)((unsigned char *)p + offset_bytes); /* sizes are multiples of the grain */
}

static struct chunk *chunk_before(struct chunk *c) {
    return (struct chunk *)(void *)((unsigned char *)c - c->prev_bytes);
}

static size_t chunk_bytes(const struct chunk *c) {
    return c->head & ~FLAGS;
}

static struct chunk *chunk_of(const void *block) {
    return (struct chunk *)((uintptr_t)block - HEAD_BYTES);
}

static void *payload_of(struct chunk *c) {
    return chunk_at(c, HEAD_BYTES);
}

static size_t usable_bytes(const struct chunk *c) {
    return chunk_bytes(c) - (c->head & IS_MAPPED ? HEAD_BYTES : OVERHEAD_BYTES);
}

/* Size of the chunk for a request. */
static size_t fitting_bytes(size_t size_bytes) {
    size_t n_bytes = round_up(size_bytes + OVERHEAD_BYTES, GRAIN_BYTES);
    return n_bytes < MIN_CHUNK_BYTES ? MIN_CHUNK_BYTES : n_bytes;
}

static bool is_free(struct chunk *c) {
    size_t n_bytes = chunk_bytes(c);
    return n_bytes != 0 && !(chunk_at(c, n_bytes)->head & PREV_IN_USE);
}

static size_t bin_of(size_t n_bytes) {
    if (n_bytes < SMALL_BYTES)
        return n_bytes / GRAIN_BYTES;
    unsigned shift = 63 - (unsigned)__builtin_clzll(n_bytes);
    size_t idx = N_SMALL + 8 * (size_t)(shift - SMALL_SHIFT) + (n_bytes >> (shift - 3) & 7);
    return idx < N_BINS ? idx : N_BINS - 1;
}

static void bins_init(void) {
    for (size_t i = 0; i < N_BINS; i++)
        bins[i].fd = bins[i].bk = &bins[i];
}

/* From the back to the last chunk that is no larger; the bin's head, of size 0, ends the way. */
static void bin_insert(struct chunk *c) {
    size_t idx = bin_of(chunk_bytes(c));
    struct chunk *before = bins[idx].bk;
    while (chunk_bytes(before) > chunk_bytes(c))
        before = before->bk;
    c->bk = before;
    c->fd = before->fd;
    c->bk->fd = c->fd->bk = c;
    bin_map[idx / 64] |= (uint64_t)1 << idx % 64;
}

static void bin_remove(struct chunk *c) {
    if (c->fd->bk != c || c->bk->fd != c)
        os_die("the links of a free chunk");
    c->fd->bk = c->bk;
    c->bk->fd = c->fd;
    if (c->fd == c->bk && chunk_bytes(c->fd) == 0) {
        size_t idx = (size_t)(c->fd - bins);
        bin_map[idx / 64] &= ~((uint64_t)1 << idx % 64);
    }
}

/* The first bin with chunks from idx on; N_BINS when there is none. */
static size_t bin_next(size_t idx) {
    for (size_t word = idx / 64; word < N_BINS / 64; word++) {
        uint64_t map = bin_map[word] & (word == idx / 64 ? ~(uint64_t)0 << idx % 64 : ~(uint64_t)0);
        if (map)
            return word * 64 + (size_t)__builtin_ctzll(map);
    }
    return N_BINS;
}

/* The smallest free chunk of n_bytes or more, of equals the one that was freed first; NULL when there is none. */
static struct chunk *find_best(size_t n_bytes) {
    size_t idx = bin_of(n_bytes);
    for (struct chunk *c = bins[idx].fd; c != &bins[idx]; c = c->fd)
        if (chunk_bytes(c) >= n_bytes)
            return c;
    idx = bin_next(idx + 1);
    return idx < N_BINS ? bins[idx].fd : NULL;
}

/* Makes a chunk that counts as in use a free one, joined with its free neighbours, which it returns. */
static struct chunk *chunk_release(struct chunk *c) {
    size_t n_bytes = chunk_bytes(c);
    struct chunk *next = chunk_at(c, n_bytes);
    if (!(c->head & PREV_IN_USE)) {
        c = chunk_before(c);
        bin_remove(c);
        n_bytes += chunk_bytes(c);
    }
    if (is_free(next)) {
        bin_remove(next);
        n_bytes += chunk_bytes(next);
    }
    c->head = n_bytes | PREV_IN_USE;
    next = chunk_at(c, n_bytes);
    next->prev_bytes = n_bytes;
    next->head &= ~PREV_IN_USE;
    bin_insert(c);
    return c;
}

/* Cuts a chunk in use down to n_bytes, if what is left makes a chunk. */
static void chunk_cut(struct chunk *c, size_t n_bytes) {
    size_t rest_bytes = chunk_bytes(c) - n_bytes;
    if (rest_bytes < MIN_CHUNK_BYTES)
        return;
    struct chunk *rest = chunk_at(c, n_bytes);
    rest->head = rest_bytes | PREV_IN_USE;
    c->head = n_bytes | (c->head & FLAGS);
    chunk_release(rest);
}

/* Takes a free chunk out of its bin. */
static void chunk_claim(struct chunk *c) {
    bin_remove(c);
    chunk_at(c, chunk_bytes(c))->head |= PREV_IN_USE;
}

static struct chunk *fence_of(struct segment *s) {
    return (struct chunk *)(void *)((unsigned char *)s - HEAD_BYTES);
}

static unsigned char *segment_end(struct segment *s) {
    return (unsigned char *)(s + 1);
}

/* The pointer that leads to segment s. */
static struct segment **segment_link(struct segment *s) {
    struct segment **link = &segments;
    while (*link != s)
        link = &(*link)->next;
    return link;
}

/* Writes the tail of a segment that ends at `end`, and hangs it into the list at `link`. */
static void segment_close(struct segment **link, unsigned char *end, struct segment record, size_t flags) {
    struct segment *s = (struct segment *)(void *)(end - sizeof *s);
    *s = record;
    fence_of(s)->head = flags;
    *link = s;
}

/* Makes fresh pages part of the heap: a free chunk of at least n_bytes, or NULL. */
static struct chunk *grow(size_t n_bytes) {
    size_t need_bytes = round_up(n_bytes + TAIL_BYTES, os_page_bytes());
    size_t map_bytes = need_bytes > GROW_BYTES ? need_bytes : GROW_BYTES;
    unsigned char *p = os_map(map_bytes);
    if (!p && need_bytes < map_bytes)
        p = os_map(map_bytes = need_bytes);
    if (!p)
        return NULL;
    struct chunk *c = (struct chunk *)(void *)p; /* pages */
    for (struct segment *s = segments; s; s = s->next) {
        if (s->base == p + map_bytes) { /* the first chunk there has PREV_IN_USE, for want of another */
            s->base = p;
            c->head = map_bytes | PREV_IN_USE;
            return chunk_release(c);
        }
        if (segment_end(s) == p) { /* its fence becomes the chunk */
            struct segment record = *s, **link = segment_link(s);
            c = fence_of(s);
            c->head = map_bytes | (c->head & PREV_IN_USE);
            segment_close(link, p + map_bytes, record, PREV_IN_USE);
            return chunk_release(c);
        }
    }
    c->head = (map_bytes - TAIL_BYTES) | PREV_IN_USE;
    segment_close(&segments, p + map_bytes, (struct segment){p, segments}, PREV_IN_USE);
    return chunk_release(c);
}

/* Gives back a free chunk that is a whole segment. False if the system refuses. */
static bool trim_whole(struct segment *s) {
    struct segment **link = segment_link(s), *next = s->next;
    if (!os_unmap(s->base, (size_t)(segment_end(s) - s->base)))
        return false;
    *link = next;
    return true;
}

/* Gives back the end of a segment whose last chunk c is free, all but about GROW_BYTES of it. */
static bool trim_end(struct segment *s, struct chunk *c) {
    size_t cut_bytes = (chunk_bytes(c) - GROW_BYTES) & ~(os_page_bytes() - 1);
    struct segment record = *s, **link = segment_link(s);
    unsigned char *end = segment_end(s) - cut_bytes;
    if (!os_unmap(end, cut_bytes))
        return false;
    c->head -= cut_bytes;
    segment_close(link, end, record, PREV_IN_USE);
    return true;
}

static bool trim_start(struct segment *s, struct chunk **c) {
    size_t cut_bytes = (chunk_bytes(*c) - GROW_BYTES) & ~(os_page_bytes() - 1);
    size_t rest_bytes = chunk_bytes(*c) - cut_bytes;
    if (!os_unmap(s->base, cut_bytes))
        return false;
    s->base += cut_bytes;
    *c = (struct chunk *)(void *)s->base;
    (*c)->head = rest_bytes | PREV_IN_USE;
    return true;
}

/* Gives back what it can of a large free chunk. */
static void trim(struct chunk *c) {
    struct chunk *next = chunk_at(c, chunk_bytes(c));
    for (struct segment *s = segments; s; s = s->next) {
        bool is_first = s->base == (unsigned char *)c, is_last = fence_of(s) == next;
        if (!is_first && !is_last)
            continue;
        chunk_claim(c);
        if (is_first && is_last) {
            if (trim_whole(s))
                return;
        } else if (is_last) {
            trim_end(s, c);
        } else {
            trim_start(s, &c);
        }
        chunk_release(c);
        return;
    }
}

static void *alloc_from_bins(size_t n_bytes) {
    if (!bins[0].fd)
        bins_init();
    struct chunk *c = find_best(n_bytes);
    if (!c)
        c = grow(n_bytes);
    if (!c)
        return NULL;
    chunk_claim(c);
    chunk_cut(c, n_bytes);
    return c;
}

/* A mapping of its own, of one byte at least; whole pages before and behind, which an alignment takes, go back at
 * once. */
static void *alloc_mapping(size_t align_bytes, size_t size_bytes) {
    size_t page_bytes = os_page_bytes();
    size_bytes = size_bytes ? size_bytes : 1;
    size_t map_bytes =
        round_up(HEAD_BYTES + size_bytes + (align_bytes > GRAIN_BYTES ? align_bytes : 0), page_bytes);
    unsigned char *p = os_map(map_bytes);
    if (!p)
        return NULL;
    unsigned char *payload = p + (round_up((uintptr_t)p + HEAD_BYTES, align_bytes) - (uintptr_t)p);
    size_t lead_bytes = (size_t)(payload - HEAD_BYTES - p) & ~(page_bytes - 1);
    if (lead_bytes && os_unmap(p, lead_bytes)) {
        p += lead_bytes;
        map_bytes -= lead_bytes;
    }
    size_t used_bytes = round_up((size_t)(payload - p) + size_bytes, page_bytes);
    if (used_bytes < map_bytes && os_unmap(p + used_bytes, map_bytes - used_bytes))
        map_bytes = used_bytes;
    struct chunk *c = chunk_of(payload);
    c->prev_bytes = (size_t)((unsigned char *)c - p);
    c->head = (map_bytes - c->prev_bytes) | IS_MAPPED;
    return c;
}

static void *count_in(struct chunk *c) {
    if (!c)
        return NULL;
    heap_live_bytes += usable_bytes(c);
    return payload_of(c);
}

void *heap_alloc(size_t size_bytes) {
    size_t n_bytes = fitting_bytes(size_bytes);
    return count_in(n_bytes >= MAP_BYTES ? alloc_mapping(GRAIN_BYTES, size_bytes) : alloc_from_bins(n_bytes));
}

/* A chunk with room for the alignment, less what lies before and behind. */
void *heap_alloc_aligned(size_t align_bytes, size_t size_bytes) {
    size_t n_bytes = fitting_bytes(size_bytes);
    if (n_bytes + align_bytes + MIN_CHUNK_BYTES >= MAP_BYTES)
        return count_in(alloc_mapping(align_bytes, size_bytes));
    struct chunk *c = alloc_from_bins(n_bytes + align_bytes + MIN_CHUNK_BYTES);
    if (!c)
        return NULL;
    uintptr_t payload = (uintptr_t)payload_of(c);
    if (payload % align_bytes != 0) {
        size_t lead_bytes = round_up(payload + MIN_CHUNK_BYTES, align_bytes) - payload;
        struct chunk *lead = c;
        c = chunk_at(lead, lead_bytes);
        c->head = (chunk_bytes(lead) - lead_bytes) | PREV_IN_USE;
        lead->head = lead_bytes | (lead->head & FLAGS);
        chunk_release(lead);
    }
    chunk_cut(c, n_bytes);
    return count_in(c);
}

/* A block that is seen not to be live: its place is, or lies in, a free chunk. */
static void check_live(struct chunk *c) {
    if ((uintptr_t)c % GRAIN_BYTES != 0 || chunk_bytes(c) < MIN_CHUNK_BYTES)
        os_die("free of what is no block");
    if (!(c->head & IS_MAPPED) && is_free(c))
        os_die("free of a block that is free");
}

void heap_free(void *block) {
    struct chunk *c = chunk_of(block);
    check_live(c);
    heap_live_bytes -= usable_bytes(c);
    if (c->head & IS_MAPPED) {
        /* Refused, the mapping is lost. */
        os_unmap((unsigned char *)c - c->prev_bytes, c->prev_bytes + chunk_bytes(c));
        return;
    }
    c = chunk_release(c);
    if (chunk_bytes(c) >= TRIM_BYTES)
        trim(c);
}

static struct chunk *remap(struct chunk *c, size_t size_bytes) {
    size_t offset_bytes = c->prev_bytes, old_bytes = offset_bytes + chunk_bytes(c);
    size_t new_bytes = round_up(offset_bytes + HEAD_BYTES + size_bytes, os_page_bytes());
    unsigned char *p = (unsigned char *)c - offset_bytes;
    if (new_bytes != old_bytes) {
        p = os_remap(p, old_bytes, new_bytes);
        if (!p)
            return NULL;
    }
    c = chunk_at(p, offset_bytes);
    c->head = (new_bytes - offset_bytes) | IS_MAPPED;
    return c;
}

/* Brings a chunk to at least n_bytes where it lies; false where it has no room. */
static bool chunk_fit(struct chunk *c, size_t n_bytes) {
    struct chunk *next = chunk_at(c, chunk_bytes(c));
    if (chunk_bytes(c) < n_bytes) {
        if (!is_free(next) || chunk_bytes(c) + chunk_bytes(next) < n_bytes)
            return false;
        chunk_claim(next);
        c->head += chunk_bytes(next);
    }
    chunk_cut(c, n_bytes);
    return true;
}

void *heap_realloc(void *block, size_t size_bytes) {
    struct chunk *c = chunk_of(block);
    check_live(c);
    size_t n_bytes = fitting_bytes(size_bytes), old_bytes = usable_bytes(c);
    bool stays_mapped = n_bytes >= MAP_BYTES;
    if (c->head & IS_MAPPED) {
        c = stays_mapped ? remap(c, size_bytes) : NULL;
    } else if (stays_mapped || !chunk_fit(c, n_bytes)) {
        c = NULL;
    }
    if (!c)
        return heap_move(block, size_bytes);
    heap_live_bytes += usable_bytes(c) - old_bytes;
    return payload_of(c);
}

size_t heap_usable_bytes(const void *block) {
    return usable_bytes(chunk_of(block));
}

/* Counts the free chunks of a segment into n_free. */
static const char *check_segment(struct segment *s, size_t *n_free) {
    bool was_free = false;
    size_t before_bytes = 0;
    struct chunk *c = (struct chunk *)(void *)s->base;
    for (; c != fence_of(s); c = chunk_at(c, chunk_bytes(c))) {
        if (c > fence_of(s) || chunk_bytes(c) < MIN_CHUNK_BYTES || (c->head & IS_MAPPED))
            return "a chunk's size leads out of its segment";
        if (was_free != !(c->head & PREV_IN_USE) || (was_free && c->prev_bytes != before_bytes))
            return "a chunk and the one before it disagree";
        if (was_free && is_free(c))
            return "two free chunks touch";
        was_free = is_free(c);
        before_bytes = chunk_bytes(c);
        *n_free += was_free;
    }
    if (chunk_bytes(c) != 0 || was_free != !(c->head & PREV_IN_USE))
        return "a fence is broken";
    return NULL;
}

static const char *check_bin(size_t idx, size_t *n_in_bins) {
    size_t last_bytes = 0;
    for (struct chunk *c = bins[idx].fd; c != &bins[idx]; c = c->fd) {
        if (c->fd->bk != c || c->bk->fd != c)
            return "links of a bin are broken";
        if (!is_free(c) || bin_of(chunk_bytes(c)) != idx || chunk_bytes(c) < last_bytes)
            return "a bin holds what does not belong there, or is not sorted";
        last_bytes = chunk_bytes(c);
        ++*n_in_bins;
    }
    bool is_marked = bin_map[idx / 64] >> idx % 64 & 1;
    return is_marked != (bins[idx].fd != &bins[idx]) ? "the map of bins is wrong" : NULL;
}

const char *heap_check(void) {
    size_t n_free = 0, n_in_bins = 0;
    const char *fault = NULL;
    for (struct segment *s = segments; s && !fault; s = s->next)
        fault = check_segment(s, &n_free);
    for (size_t i = 0; bins[0].fd && i < N_BINS && !fault; i++)
        fault = check_bin(i, &n_in_bins);
    if (!fault && n_free != n_in_bins)
        fault = "free chunks are in no bin, or in two";
    return fault;
}
