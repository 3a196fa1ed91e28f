/*
 * A heap in the style of phkmalloc (Poul-Henning Kamp, "Malloc(3) revisited", 1998): what is known of a page stands in
 * a directory, apart from the page, so that no header lies between blocks and a free page is never touched for its own
 * sake.
 *
 *   directory: one word a page
 *     0                         not ours
 *     FREE | n << 2             first and last page of a run of n free pages (between them: FREE)
 *     FIRST | n << 2, FOLLOW    a block of n whole pages
 *     struct page_info *        a page of fragments
 *
 * Up to half a page, a size is rounded up to a power of two, and pages are divided into fragments of one size, with a
 * bit for each: 1 is free. The info lies in the page where fragments are small, else in a fragment of its own. Larger
 * sizes are runs of whole pages: first fit in the list of free runs, which is sorted by address; neighbours found by
 * the directory are joined.
 *
 * Two departures. Pages come by mmap instead of brk, which two allocators in one process cannot share, so that the
 * directory has two levels and its leaves are mapped as they are needed. And the last empty page of a fragment size is
 * kept, for otherwise a program with one block would make and dissolve a page with each pair of calls.
 */
#include <stdint.h>

#include "allocators/biglock/heap.h"

#define PAGE_SHIFT 12
#define PAGE_BYTES ((size_t)1 << PAGE_SHIFT)
#define MIN_SHIFT 4
#define MAX_SHIFT (PAGE_SHIFT - 1) /* the largest fragment is half a page */
#define LEAF_SHIFT 18              /* pages of a leaf: 1 GiB of addresses */
#define N_LEAVES ((size_t)1 << (48 - PAGE_SHIFT - LEAF_SHIFT))
#define GROW_PAGES ((size_t)256)
#define KEEP_PAGES ((size_t)512) /* free pages beyond these go back, */
#define GIVE_PAGES ((size_t)16)  /* in runs of at least these, or what lies alone */

enum tag { TAG_NONE = 0, TAG_FREE = 1, TAG_FIRST = 2, TAG_FOLLOW = 3, TAG_MASK = 3 };

/* A page of fragments. In the list of its size while it has a free one. */
struct page_info {
    struct page_info *next, *prev;
    unsigned char *page;
    uint16_t shift, n_free, n_total, first; /* first: fragments before it hold this very info */
    uint64_t free_bits[PAGE_BYTES >> MIN_SHIFT >> 6];
};

/* Lies in the first page of a run of free pages. */
struct run {
    struct run *next, *prev;
};

#define INFO_SHIFT 6
_Static_assert(sizeof(struct page_info) <= 1 << INFO_SHIFT, "an info fits a fragment");

extern const char biglock_phk[]; /* by this symbol the library is told from dl's */
__attribute__((visibility("default"))) const char biglock_phk[] =
    "page directory, fragments in powers of two, one lock";

size_t heap_live_bytes;

static uintptr_t *directory[N_LEAVES]; /* leaf of 2^LEAF_SHIFT words; NULL: none of its pages was ever ours */
static struct run *free_runs;          /* sorted by address */
static size_t n_free_pages;
static struct page_info *partial[MAX_SHIFT + 1];

static size_t page_of(const void *p) {
    return (uintptr_t)p >> PAGE_SHIFT;
}

static uintptr_t entry_of(size_t page) {
    const uintptr_t *leaf = page >> LEAF_SHIFT < N_LEAVES ? directory[page >> LEAF_SHIFT] : NULL;
    return leaf ? leaf[page & (((size_t)1 << LEAF_SHIFT) - 1)] : TAG_NONE;
}

/* The page's leaf is there. */
static void entry_set(size_t page, uintptr_t entry) {
    directory[page >> LEAF_SHIFT][page & (((size_t)1 << LEAF_SHIFT) - 1)] = entry;
}

static enum tag tag_of(uintptr_t entry) {
    return (enum tag)(entry & TAG_MASK);
}

static struct page_info *info_of(uintptr_t entry) {
    return tag_of(entry) == TAG_NONE ? (struct page_info *)entry : NULL;
}

static bool directory_cover(size_t page, size_t n_pages) {
    for (size_t leaf = page >> LEAF_SHIFT; leaf <= (page + n_pages - 1) >> LEAF_SHIFT; leaf++) {
        if (leaf >= N_LEAVES)
            return false;
        if (!directory[leaf])
            directory[leaf] = os_map(sizeof(uintptr_t) << LEAF_SHIFT);
        if (!directory[leaf])
            return false;
    }
    return true;
}

static size_t run_pages(const struct run *run) {
    return entry_of(page_of(run)) >> 2;
}

/* Both ends of a free run say how long it is. */
static void run_mark(size_t page, size_t n_pages) {
    entry_set(page, TAG_FREE | n_pages << 2);
    entry_set(page + n_pages - 1, TAG_FREE | n_pages << 2);
}

static void run_link(struct run *run, struct run *prev) {
    run->prev = prev;
    run->next = prev ? prev->next : free_runs;
    if (run->next)
        run->next->prev = run;
    *(prev ? &prev->next : &free_runs) = run;
}

static void run_unlink(struct run *run) {
    *(run->prev ? &run->prev->next : &free_runs) = run->next;
    if (run->next)
        run->next->prev = run->prev;
}

/* Adds pages, which are no longer anybody's, to the free ones; returns the run they are now part of. */
static struct run *run_free(size_t page, size_t n_pages) {
    struct run *run = (struct run *)(page << PAGE_SHIFT), *prev = NULL;
    n_free_pages += n_pages;
    for (size_t i = 0; i < n_pages; i++)
        entry_set(page + i, TAG_FREE);
    uintptr_t behind = entry_of(page + n_pages), before = entry_of(page - 1);
    bool joins_before = tag_of(before) == TAG_FREE, joins_behind = tag_of(behind) == TAG_FREE;
    if (joins_behind) {
        struct run *next = (struct run *)((page + n_pages) << PAGE_SHIFT);
        prev = next->prev;
        run_unlink(next);
        entry_set(page + n_pages, TAG_FREE);
        n_pages += behind >> 2;
    }
    if (joins_before) {
        entry_set(page - 1, TAG_FREE);
        page -= before >> 2;
        n_pages += before >> 2;
        run = (struct run *)(page << PAGE_SHIFT);
    } else {
        if (!joins_behind)
            for (struct run *r = free_runs; r && r < run; r = r->next)
                prev = r;
        run_link(run, prev);
    }
    run_mark(page, n_pages);
    return run;
}

/* Takes n pages off the front of a free run. */
static size_t run_take(struct run *run, size_t n_pages) {
    size_t page = page_of(run), rest_pages = run_pages(run) - n_pages;
    struct run *prev = run->prev;
    run_unlink(run);
    if (rest_pages) {
        run_link((struct run *)((page + n_pages) << PAGE_SHIFT), prev);
        run_mark(page + n_pages, rest_pages);
    }
    n_free_pages -= n_pages;
    return page;
}

static bool grow(size_t n_pages) {
    size_t page_bytes = os_page_bytes();
    size_t need_bytes = round_up(n_pages << PAGE_SHIFT, page_bytes), map_bytes = need_bytes;
    if (map_bytes < GROW_PAGES << PAGE_SHIFT)
        map_bytes = GROW_PAGES << PAGE_SHIFT;
    unsigned char *p = os_map(map_bytes);
    if (!p && need_bytes < map_bytes)
        p = os_map(map_bytes = need_bytes);
    if (!p)
        return false;
    if (!directory_cover(page_of(p), map_bytes >> PAGE_SHIFT)) {
        os_unmap(p, map_bytes);
        return false;
    }
    run_free(page_of(p), map_bytes >> PAGE_SHIFT);
    return true;
}

/* Gives back a run when there are free pages enough without; whole pages of the system only. */
static void give_back(struct run *run) {
    size_t page = page_of(run), n_pages = run_pages(run);
    bool may_grow = entry_of(page - 1) != TAG_NONE || entry_of(page + n_pages) != TAG_NONE;
    if (n_free_pages <= KEEP_PAGES || (n_pages < GIVE_PAGES && may_grow))
        return;
    size_t from = page_of((void *)round_up((uintptr_t)run, os_page_bytes()));
    size_t to = page_of((void *)(((page + n_pages) << PAGE_SHIFT) & ~(os_page_bytes() - 1)));
    run_unlink(run); /* before its first page is gone */
    n_free_pages -= n_pages;
    if (from >= to || !os_unmap((void *)(from << PAGE_SHIFT), (to - from) << PAGE_SHIFT)) {
        run_free(page, n_pages);
        return;
    }
    for (size_t i = page; i < page + n_pages; i++)
        entry_set(i, TAG_NONE);
    if (from > page)
        run_free(page, from - page);
    if (page + n_pages > to)
        run_free(to, page + n_pages - to);
}

static void *pages_alloc(size_t n_pages) {
    for (;;) {
        struct run *run = free_runs;
        while (run && run_pages(run) < n_pages)
            run = run->next;
        if (run)
            return (void *)(run_take(run, n_pages) << PAGE_SHIFT);
        if (!grow(n_pages))
            return NULL;
    }
}

static void pages_free(void *p, size_t n_pages) {
    give_back(run_free(page_of(p), n_pages));
}

static void *block_mark(size_t page, size_t n_pages) {
    entry_set(page, TAG_FIRST | n_pages << 2);
    for (size_t i = 1; i < n_pages; i++)
        entry_set(page + i, TAG_FOLLOW);
    return (void *)(page << PAGE_SHIFT);
}

static void partial_link(struct page_info *info) {
    info->prev = NULL;
    info->next = partial[info->shift];
    if (info->next)
        info->next->prev = info;
    partial[info->shift] = info;
}

static void partial_unlink(struct page_info *info) {
    *(info->prev ? &info->prev->next : &partial[info->shift]) = info->next;
    if (info->next)
        info->next->prev = info->prev;
}

static void *fragment_alloc(unsigned shift);
static void fragment_free(struct page_info *info, unsigned idx);

/* Whether the info of such pages lies in a fragment of another page. */
static bool is_info_outside(unsigned shift) {
    return shift > INFO_SHIFT;
}

static struct page_info *fragment_page_make(unsigned shift) {
    unsigned char *page = pages_alloc(1);
    if (!page)
        return NULL;
    struct page_info *info = (struct page_info *)(void *)page;
    entry_set(page_of(page), TAG_FIRST | 1 << 2); /* nobody's free page while the info is looked for */
    if (is_info_outside(shift)) {
        info = fragment_alloc(INFO_SHIFT);
        if (!info) {
            pages_free(page, 1);
            return NULL;
        }
    }
    unsigned n = (unsigned)(PAGE_BYTES >> shift);
    unsigned first = is_info_outside(shift) ? 0 : 1u << (INFO_SHIFT - shift);
    *info = (struct page_info){.page = page, .shift = (uint16_t)shift, .first = (uint16_t)first};
    info->n_total = info->n_free = (uint16_t)(n - first);
    for (unsigned i = first; i < n; i++)
        info->free_bits[i / 64] |= (uint64_t)1 << i % 64;
    entry_set(page_of(page), (uintptr_t)info);
    partial_link(info);
    return info;
}

static void fragment_page_drop(struct page_info *info) {
    unsigned char *page = info->page;
    bool is_outside = is_info_outside(info->shift);
    partial_unlink(info);
    pages_free(page, 1); /* the info in it, if so, is not read again */
    if (is_outside) {
        struct page_info *holder = info_of(entry_of(page_of(info)));
        fragment_free(holder, (unsigned)((uintptr_t)info % PAGE_BYTES >> INFO_SHIFT));
    }
}

static void *fragment_alloc(unsigned shift) {
    struct page_info *info = partial[shift];
    if (!info)
        info = fragment_page_make(shift);
    if (!info)
        return NULL;
    unsigned word = 0;
    while (info->free_bits[word] == 0)
        word++;
    unsigned idx = word * 64 + (unsigned)__builtin_ctzll(info->free_bits[word]);
    info->free_bits[word] &= info->free_bits[word] - 1;
    if (--info->n_free == 0)
        partial_unlink(info);
    return info->page + ((size_t)idx << shift);
}

static void fragment_free(struct page_info *info, unsigned idx) {
    info->free_bits[idx / 64] |= (uint64_t)1 << idx % 64;
    if (++info->n_free == 1)
        partial_link(info);
    if (info->n_free == info->n_total && (info->next || info->prev))
        fragment_page_drop(info);
}

static unsigned shift_of(size_t size_bytes) {
    if (size_bytes <= GRAIN_BYTES)
        return MIN_SHIFT;
    return 64 - (unsigned)__builtin_clzll(size_bytes - 1);
}

static void *count_in(void *block) {
    if (block)
        heap_live_bytes += heap_usable_bytes(block);
    return block;
}

static size_t pages_for(size_t size_bytes) {
    return size_bytes ? (size_bytes + PAGE_BYTES - 1) >> PAGE_SHIFT : 1;
}

void *heap_alloc(size_t size_bytes) {
    if (size_bytes <= (size_t)1 << MAX_SHIFT)
        return count_in(fragment_alloc(shift_of(size_bytes)));
    size_t n_pages = pages_for(size_bytes);
    void *p = pages_alloc(n_pages);
    return p ? count_in(block_mark(page_of(p), n_pages)) : NULL;
}

/* Fragments and pages are aligned to their size as they are; beyond, what lies before and behind is freed. */
void *heap_alloc_aligned(size_t align_bytes, size_t size_bytes) {
    size_t larger_bytes = align_bytes > size_bytes ? align_bytes : size_bytes;
    if (larger_bytes <= (size_t)1 << MAX_SHIFT)
        return heap_alloc(larger_bytes);
    size_t n_pages = pages_for(size_bytes), spare_pages = pages_for(align_bytes) - 1;
    void *p = pages_alloc(n_pages + spare_pages);
    if (!p)
        return NULL;
    size_t page = page_of(p), start = page_of((void *)round_up((uintptr_t)p, align_bytes));
    void *block = block_mark(start, n_pages);
    if (page + spare_pages > start)
        run_free(start + n_pages, page + spare_pages - start);
    if (start > page)
        run_free(page, start - page);
    return count_in(block);
}

/* What the directory says of a block that must be live. */
static uintptr_t entry_live(const void *block) {
    uintptr_t entry = entry_of(page_of(block)), offset = (uintptr_t)block % PAGE_BYTES;
    struct page_info *info = info_of(entry);
    if (info) {
        size_t idx = offset >> info->shift;
        if (offset != idx << info->shift || idx < info->first)
            os_die("what is no fragment");
        if (info->free_bits[idx / 64] >> idx % 64 & 1)
            os_die("a fragment that is free");
    } else if (tag_of(entry) != TAG_FIRST || offset != 0) {
        os_die("what is no block");
    }
    return entry;
}

void heap_free(void *block) {
    uintptr_t entry = entry_live(block);
    struct page_info *info = info_of(entry);
    heap_live_bytes -= heap_usable_bytes(block);
    if (info)
        fragment_free(info, (unsigned)((uintptr_t)block % PAGE_BYTES >> info->shift));
    else
        pages_free(block, entry >> 2);
}

/* Brings a block of n pages to another number of pages where it lies; false where it has no room. */
static bool pages_fit(size_t page, size_t n_pages, size_t new_pages) {
    if (new_pages > n_pages) {
        uintptr_t behind = entry_of(page + n_pages);
        if (tag_of(behind) != TAG_FREE || (behind >> 2) < new_pages - n_pages)
            return false;
        run_take((struct run *)((page + n_pages) << PAGE_SHIFT), new_pages - n_pages);
    }
    block_mark(page, new_pages);
    if (new_pages < n_pages)
        give_back(run_free(page + new_pages, n_pages - new_pages));
    return true;
}

void *heap_realloc(void *block, size_t size_bytes) {
    uintptr_t entry = entry_live(block);
    struct page_info *info = info_of(entry);
    size_t old_bytes = heap_usable_bytes(block);
    if (info) {
        if (shift_of(size_bytes) != info->shift)
            return heap_move(block, size_bytes);
    } else {
        if (size_bytes <= (size_t)1 << MAX_SHIFT ||
            !pages_fit(page_of(block), entry >> 2, pages_for(size_bytes)))
            return heap_move(block, size_bytes);
        heap_live_bytes += heap_usable_bytes(block) - old_bytes;
    }
    return block;
}

size_t heap_usable_bytes(const void *block) {
    uintptr_t entry = entry_of(page_of(block));
    const struct page_info *info = info_of(entry);
    return info ? (size_t)1 << info->shift : entry >> 2 << PAGE_SHIFT;
}

/* What the walk over the directory found. */
struct census {
    size_t n_free_pages, n_free_runs, n_partial, live_bytes;
};

static const char *check_fragments(const struct page_info *info, size_t page, struct census *seen) {
    unsigned n_free = 0;
    for (size_t i = 0; i < sizeof info->free_bits / sizeof *info->free_bits; i++)
        n_free += (unsigned)__builtin_popcountll(info->free_bits[i]);
    if (page_of(info->page) != page || n_free != info->n_free || n_free > info->n_total)
        return "a page of fragments and its bits disagree";
    if (is_info_outside(info->shift))
        seen->live_bytes -= (size_t)1 << INFO_SHIFT; /* its info is a fragment, but no caller's */
    seen->live_bytes += (size_t)(info->n_total - n_free) << info->shift;
    seen->n_partial += n_free != 0;
    return NULL;
}

/* One page, block or run of the directory; *n_pages is how far it reaches. */
static const char *check_entry(size_t page, size_t *n_pages, struct census *seen) {
    uintptr_t entry = entry_of(page);
    *n_pages = 1;
    if (entry == TAG_NONE)
        return NULL;
    if (info_of(entry))
        return check_fragments(info_of(entry), page, seen);
    *n_pages = entry >> 2;
    if (tag_of(entry) == TAG_FOLLOW || *n_pages == 0)
        return "a page follows no first one";
    enum tag inner = tag_of(entry) == TAG_FREE ? TAG_FREE : TAG_FOLLOW;
    for (size_t i = 1; i < *n_pages; i++)
        if (tag_of(entry_of(page + i)) != inner)
            return "a run of pages is broken";
    if (inner == TAG_FOLLOW) {
        seen->live_bytes += *n_pages << PAGE_SHIFT;
        return NULL;
    }
    if (entry_of(page + *n_pages - 1) != entry || tag_of(entry_of(page + *n_pages)) == TAG_FREE)
        return "a free run has two lengths, or touches another";
    seen->n_free_pages += *n_pages;
    seen->n_free_runs++;
    return NULL;
}

static const char *check_directory(struct census *seen) {
    size_t page = 0, n_pages; /* what begins in one leaf may end in the next */
    for (size_t leaf = 0; leaf < N_LEAVES; leaf++) {
        if (!directory[leaf])
            continue;
        for (page = page > leaf << LEAF_SHIFT ? page : leaf << LEAF_SHIFT; page < (leaf + 1) << LEAF_SHIFT;
             page += n_pages) {
            const char *fault = check_entry(page, &n_pages, seen);
            if (fault)
                return fault;
        }
    }
    return NULL;
}

const char *heap_check(void) {
    struct census seen = {0, 0, 0, 0};
    size_t n_runs = 0, n_partial = 0;
    const char *fault = check_directory(&seen);
    if (fault)
        return fault;
    for (const struct run *run = free_runs; run; run = run->next, n_runs++)
        if ((run->next && run->next <= run) || tag_of(entry_of(page_of(run))) != TAG_FREE)
            return "the list of free runs is not sorted, or holds what is not free";
    for (unsigned shift = MIN_SHIFT; shift <= MAX_SHIFT; shift++)
        for (const struct page_info *info = partial[shift]; info; info = info->next, n_partial++)
            if (info->shift != shift || info->n_free == 0)
                return "a list of pages holds what does not belong there";
    if (n_runs != seen.n_free_runs || n_partial != seen.n_partial || n_free_pages != seen.n_free_pages)
        return "the lists and the directory disagree";
    return seen.live_bytes != heap_live_bytes ? "live bytes are miscounted" : NULL;
}
