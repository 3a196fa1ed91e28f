/* stats: sums over arenas, for reading only.
 *
 * Owns nothing; mutates nothing. Takes each arena's locks one after the other, so that sums are those of
 * slightly different moments when other threads run.
 *
 * allocated <= active <= resident. active and resident are page multiples. retained is outside all of them.
 */
#ifndef ARENA_STATS_H
#define ARENA_STATS_H

#include "arena.h"

struct stats {
    size_t allocated_bytes; /* rounded to classes; without what caches hold */
    size_t active_bytes;    /* pages of runs, large and huge blocks */
    size_t metadata_bytes;
    size_t resident_bytes; /* an upper estimate: active, dirty, metadata */
    size_t mapped_bytes, retained_bytes;
    size_t dirty_pages, muzzy_pages, tcache_bytes;
    size_t small_bytes, large_bytes, huge_bytes;
    size_t n_threads, n_chunks;
    size_t n_purge_passes, n_purge_calls, n_purged_pages;
};

struct stats_class {
    size_t n_taken, n_put, n_fills, n_flushes, n_runs, n_contended;
};

/** One arena; all zero if it has not been made. */
void stats_read_arena(unsigned idx, struct stats *out);

/** All arenas together. */
void stats_read(struct stats *out);

/** One class (below SIZE_CLASS_N_BINS) of one arena. */
void stats_read_class(unsigned arena_idx, unsigned class_idx, struct stats_class *out);

/** The class in all arenas. */
void stats_sum_class(unsigned class_idx, struct stats_class *out);

#endif
