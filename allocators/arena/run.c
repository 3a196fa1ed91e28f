#include "run.h"

#include <string.h>

#include "bitmap.h"
#include "row.h"

/* Words of bitmap: pool 0 for 640 regions, pool 1 for 2048. Two sizes, because one would cost the small
 * classes more header or the tiny ones more runs. */
#define RUN_POOL0_WORDS 10u
#define RUN_POOL1_WORDS RUN_MAX_WORDS
/* What the header of a 2 MiB chunk takes; chunk_init computes what it really is. */
#define RUN_HEADER_PAGES 13u
#define RUN_TARGET_PAGES 16u
#define RUN_TARGET_REGIONS 64u

struct run_class run_classes[SIZE_CLASS_N_SMALL];

/* Pages of a run: a multiple of what the region divides exactly, about 64 KiB or, from 1 KiB up, 64 regions, so that
 * few runs are made and given up; at most max_pages, a quarter of what a chunk has, of which four then leave little
 * over. */
static unsigned run_pages_for(size_t region_bytes, unsigned max_pages, unsigned max_regions) {
    unsigned unit = 1;
    while (unit * PAGE_BYTES % region_bytes != 0)
        unit++;
    size_t want = util_max(RUN_TARGET_PAGES, region_bytes * RUN_TARGET_REGIONS >> PAGE_LG);
    want = util_min(want, max_regions * region_bytes >> PAGE_LG);
    want = util_min(want, max_pages);
    return (unsigned)util_max(1, want / unit) * unit;
}

void run_init_classes(unsigned lg_chunk, struct chunk_slots slots[CHUNK_N_POOLS]) {
    unsigned max_pages = ((1u << (lg_chunk - PAGE_LG)) - RUN_HEADER_PAGES) / 4;
    const unsigned words[CHUNK_N_POOLS] = {RUN_POOL0_WORDS, RUN_POOL1_WORDS};
    for (unsigned i = 0; i < CHUNK_N_POOLS; i++) {
        slots[i].slot_bytes = sizeof(struct run) + words[i] * sizeof(uint64_t);
        slots[i].side_bytes = sizeof(struct run_remote) + words[i] * sizeof(uint64_t);
        slots[i].min_pages = max_pages;
    }
    for (unsigned idx = 0; idx < SIZE_CLASS_N_SMALL; idx++) {
        struct run_class *rc = &run_classes[idx];
        size_t bytes = size_class_bytes(idx);
        rc->pool = bytes < 64;
        rc->region_bytes = (uint32_t)bytes;
        rc->n_pages = (uint16_t)run_pages_for(bytes, max_pages, words[rc->pool] * 64);
        rc->n_regions = (uint32_t)(rc->n_pages * PAGE_BYTES / bytes);
        rc->n_words = (uint8_t)BITMAP_WORDS(rc->n_regions);
        rc->inverse = (uint32_t)((((uint64_t)1 << 32) + bytes - 1) / bytes);
        slots[rc->pool].min_pages = (unsigned)util_min(slots[rc->pool].min_pages, rc->n_pages);
    }
}

struct run *run_create(struct chunk *chunk, size_t first_page, unsigned class_idx) {
    const struct run_class *rc = &run_classes[class_idx];
    unsigned slot = chunk_slot_take(chunk, rc->pool);
    struct run *run = chunk_slot(chunk, rc->pool, slot);
    run->by_address.key = (uintptr_t)chunk_page_address(chunk, first_page);
    run_set_n_free(run, rc->n_regions);
    run->first_page = (uint16_t)first_page;
    run->slot = (uint16_t)slot;
    run->class_idx = (uint8_t)class_idx;
    run->n_free_purged = 0;
    memset(run->free_bits, 0xff, rc->n_words * sizeof run->free_bits[0]);
    run->free_bits[rc->n_words - 1] >>= rc->n_words * 64 - rc->n_regions;
    uint16_t *info = chunk_info(chunk) + first_page;
#pragma GCC unroll 4
    for (unsigned i = 0, n = rc->n_pages; i < n; i++)
        info[i] = (uint16_t)slot;
    memset(chunk_map(chunk) + first_page, (int)class_idx, rc->n_pages);
    return run;
}

/* The hardened build keeps a tag at the end of freed regions, which is valid as long as their content is. */
static void run_forget_tags(const struct run *run, size_t first, size_t end) {
#if defined(ARENA_HARDENED)
    const size_t region_bytes = run_classes[run->class_idx].region_bytes;
    for (size_t i = first + 1; i <= end; i++)
        *(uint64_t *)(run_base(run) + i * region_bytes - sizeof(uint64_t)) = 0;
#else
    (void)run;
    (void)first;
    (void)end;
#endif
}

void run_destroy(struct chunk *chunk, struct run *run) {
    const struct run_class *rc = &run_classes[run->class_idx];
    run_forget_tags(run, 0, rc->n_regions);
    memset(chunk_map(chunk) + run->first_page, CHUNK_MAP_NONE, rc->n_pages);
    /* An info that is not zero would look like an exact block. */
    memset(chunk_info(chunk) + run->first_page, 0, rc->n_pages * sizeof(uint16_t));
    chunk_slot_give(chunk, rc->pool, run->slot);
}

size_t run_take(struct run *run, void **end, size_t n) {
    const struct run_class *rc = &run_classes[run->class_idx];
    const uintptr_t base = run_base(run), region_bytes = rc->region_bytes;
    const size_t n_free = run_n_free(run), want = util_min(n, n_free);
    size_t left = want;
    for (size_t w = 0; left != 0; w++) {
        uint64_t bits = run->free_bits[w];
        while (bits != 0 && left != 0) {
            /* A row of free regions: addresses by addition. */
            unsigned first = (unsigned)__builtin_ctzl(bits);
            uint64_t beyond = ~(bits >> first);
            size_t n_row = beyond == 0 ? 64 : (size_t)__builtin_ctzl(beyond);
            n_row = util_min(n_row, left);
            end = row_write(end, n_row, base + (w * 64 + first) * region_bytes, region_bytes);
            bits &= ~(~(uint64_t)0 >> (64 - n_row) % 64 << first);
            left -= n_row;
        }
        run->free_bits[w] = bits;
    }
    run_set_n_free(run, n_free - want);
    return want;
}

bool run_unused_pages(struct run *run, size_t *at, size_t *first, size_t *n) {
    const struct run_class *rc = &run_classes[run->class_idx];
    for (;;) {
        size_t begin = bitmap_next_one(run->free_bits, rc->n_regions, *at);
        size_t end = *at = bitmap_next_zero(run->free_bits, rc->n_regions, begin);
        if (begin == end)
            return false;
        size_t first_page = (begin * rc->region_bytes + PAGE_BYTES - 1) >> PAGE_LG;
        size_t end_page = end * rc->region_bytes >> PAGE_LG;
        if (first_page < end_page) {
            run_forget_tags(run, begin, end);
            *first = first_page;
            *n = end_page - first_page;
            return true;
        }
    }
}
