#include "stats.h"

#include <string.h>

#include "base.h"
#include "tcache.h"

void stats_read_class(unsigned arena_idx, unsigned class_idx, struct stats_class *out) {
    struct arena *arena = arena_peek(arena_idx);
    memset(out, 0, sizeof *out);
    if (arena == NULL)
        return;
    if (class_idx < SIZE_CLASS_N_SMALL) {
        struct bin *bin = &arena->bins[class_idx];
        lock_acquire(&bin->lock);
        *out = (struct stats_class){bin->n_taken,   bin->n_put,  bin->n_fills,
                                    bin->n_flushes, bin->n_runs, (size_t)bin->lock.n_contended};
        lock_release(&bin->lock);
    } else {
        struct arena_large *large = &arena->larges[class_idx - SIZE_CLASS_N_SMALL];
        lock_acquire(&arena->pages_lock);
        *out = (struct stats_class){large->n_taken,
                                    large->n_put,
                                    large->n_fills,
                                    large->n_flushes,
                                    large->n_taken - large->n_put,
                                    (size_t)arena->pages_lock.n_contended};
        lock_release(&arena->pages_lock);
    }
}

void stats_sum_class(unsigned class_idx, struct stats_class *out) {
    memset(out, 0, sizeof *out);
    for (unsigned i = 0; i < arena_n(); i++) {
        struct stats_class one;
        stats_read_class(i, class_idx, &one);
        for (size_t w = 0; w < sizeof one / sizeof(size_t); w++)
            ((size_t *)out)[w] += ((const size_t *)&one)[w];
    }
}

void stats_read_arena(unsigned idx, struct stats *out) {
    struct arena *arena = arena_peek(idx);
    memset(out, 0, sizeof *out);
    if (arena == NULL)
        return;
    for (unsigned i = 0; i < SIZE_CLASS_N_BINS; i++) {
        struct stats_class sc;
        stats_read_class(idx, i, &sc);
        size_t bytes = (sc.n_taken - sc.n_put) * size_class_bytes(i);
        *(i < SIZE_CLASS_N_SMALL ? &out->small_bytes : &out->large_bytes) += bytes;
    }
    out->tcache_bytes = tcache_cached_bytes(arena, &out->n_threads);
    lock_acquire(&arena->huge_lock);
    size_t n_huge = arena->n_huge;
    size_t n_cached_bytes = atomic_load_explicit(&arena->n_huge_cached_bytes, memory_order_relaxed);
    out->huge_bytes = arena->n_huge_bytes - n_cached_bytes;
    lock_release(&arena->huge_lock);
    lock_acquire(&arena->pages_lock);
    out->active_bytes = (arena->n_active_pages << PAGE_LG) + out->huge_bytes;
    out->large_bytes += arena->n_exact_pages << PAGE_LG;
    out->dirty_pages = arena->n_dirty_pages + (n_cached_bytes >> PAGE_LG);
    out->muzzy_pages = arena->n_muzzy_pages;
    out->n_chunks = arena->n_chunks;
    out->n_purge_passes = arena->n_purge_passes;
    out->n_purge_calls = arena->n_purge_calls;
    out->n_purged_pages = arena->n_purged_pages;
    lock_release(&arena->pages_lock);
    out->metadata_bytes = (out->n_chunks * chunk_geo.n_header_pages + n_huge) << PAGE_LG;
    out->mapped_bytes = out->n_chunks * chunk_bytes + out->huge_bytes + n_cached_bytes + (n_huge << PAGE_LG);
    size_t gross = out->small_bytes + out->large_bytes;
    out->allocated_bytes = gross - util_min(gross, out->tcache_bytes) + out->huge_bytes;
    out->allocated_bytes = util_min(out->allocated_bytes, out->active_bytes);
    out->resident_bytes =
        out->active_bytes + ((out->dirty_pages + out->muzzy_pages) << PAGE_LG) + out->metadata_bytes;
}

void stats_read(struct stats *out) {
    memset(out, 0, sizeof *out);
    for (unsigned i = 0; i < arena_n(); i++) {
        struct stats one;
        stats_read_arena(i, &one);
        for (size_t w = 0; w < sizeof one / sizeof(size_t); w++)
            ((size_t *)out)[w] += ((const size_t *)&one)[w];
    }
    size_t base_bytes = util_align_up(base_used_bytes(), PAGE_BYTES);
    out->metadata_bytes += base_bytes;
    out->resident_bytes += base_bytes;
    out->mapped_bytes += base_mapped_bytes();
    out->retained_bytes = chunk_store_bytes();
}
