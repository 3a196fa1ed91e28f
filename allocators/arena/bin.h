/* bin: all regions of one small class in one arena.
 *
 * Owns the current run, the heap of runs with free regions, one spare run, and the list of runs of
 * which other threads have sent regions back. Does not know arenas or thread caches: runs come from a supply given by the caller.
 * Guarded by its own lock, but for the remote list, which is lock-free.
 *
 *   remote --CAS--> run -> run -> ...        with regions sent back; drained into the bitmaps at the next fill
 *   current run     the lowest with room
 *   waiting heap    runs with room, by address
 *   (full runs)     nobody points to them; their objects do, through the page map
 *   spare           one empty run
 */
#ifndef ARENA_BIN_H
#define ARENA_BIN_H

#include "lock.h"
#include "run.h"

/* Where a bin gets runs from and returns them to. Called with the bin's lock held. */
struct bin_supply {
    struct run *(*take)(void *ctx, unsigned class_idx); /* NULL: no memory */
    void (*give)(void *ctx, struct run *run);
    void *ctx; /* the owner of the bin's chunks */
};

struct bin {
    struct lock lock;
    uint32_t class_idx;
    struct run *current, *spare;
    struct heap waiting;
    uint32_t round; /* number of calls of bin_next_round */
    size_t n_runs;
    size_t n_taken, n_put; /* regions over the bin's life; their difference is in use or cached */
    size_t n_fills, n_flushes;
    size_t n_seen;                              /* of fills and flushes, by bin_trim_idle */
    uint64_t seen_at_ns;                        /* when they had changed */
    struct run *_Atomic remote UTIL_ALIGN_LINE; /* runs with something in their run_remote */
} UTIL_ALIGN_LINE;

void bin_init(struct bin *bin, unsigned class_idx);

/** Fills out[0..n) with regions such that out[n-1] is the lowest. Fewer only if memory is out: then they
 * stand at the start. Returns how many. The lock must be held. */
size_t bin_fill(struct bin *bin, const struct bin_supply *supply, void **out, size_t n);

/** Frees the regions of this bin among regions[0..n). Those in chunks that supply->ctx does not own are moved to the
 *  front; returns how many they are. Aborts on an interior pointer or a double free. The lock must be held. */
size_t bin_flush(struct bin *bin, const struct bin_supply *supply, void **regions, size_t n);

/** Sends regions[0] and others of its run, if there are any, to the run's bin, without a lock; n is how many there are
 *  to look at. Returns how many were sent; they stand at the front. *is_last: with them the run is empty as soon as the
 *  bin is drained. Aborts on an interior pointer or a double free. Any thread. */
size_t bin_send(struct bin *bin, struct run *run, void **regions, size_t n, bool *is_last);

/** Drains the remote list into the bitmaps. The lock must be held. */
void bin_drain(struct bin *bin, const struct bin_supply *supply);

/** Gives the spare run back, and the current one if it is empty. The lock must be held. */
void bin_trim(struct bin *bin, const struct bin_supply *supply);

/** The same if the bin was not used for so long, to be called now and then. False if there is nothing to wait for. The
 *  lock must be held. */
bool bin_trim_idle(struct bin *bin, const struct bin_supply *supply, uint64_t now_ns, uint64_t idle_ns);

/** Begins a round, by which runs are told from which nothing was taken for a while. The lock must be held. */
void bin_next_round(struct bin *bin);

/** Takes up to n runs out of circulation whose unused pages are to be purged: something was freed since they last were,
 *  and nothing taken for n_rounds (at least 1). Nobody takes regions from such a run; those that are freed go back to
 *  it. A run is held once a round. *is_early: some were not left alone for long enough. The lock must be held; it may be
 *  let go before bin_put_back. How many. */
size_t bin_hold_idle(struct bin *bin, unsigned n_rounds, struct run **held, size_t n, bool *is_early);

/** Ends that. The lock must be held. */
void bin_put_back(struct bin *bin, const struct bin_supply *supply, struct run *run);

/* Remote lists of blocks of whole pages are chained through the freed blocks themselves: head pointer in 48 bits, the
 * list's length (saturating) in the upper 16. */
#define BIN_REMOTE_COUNT_SHIFT 48
#define BIN_REMOTE_COUNT_MAX 0xffffu

/** Chains n blocks and pushes them with one compare-and-swap; the length of the list then. Any thread. */
size_t bin_remote_push(_Atomic uint64_t *remote, void **blocks, size_t n);

/* A list that has been taken. A block on it that is handed out once more, because it was also freed by its owner, is
 * written to, and with it the link: so each one is looked at before it is followed. */
struct bin_remote_walk {
    void *next;
    size_t n_left; /* SIZE_MAX: not known */
};

/** Takes the whole list. */
struct bin_remote_walk bin_remote_take(_Atomic uint64_t *remote);

/** Next block of the list, all of whose chunks are owner's; NULL at the end. Aborts on a link that is not ours. */
void *bin_remote_next(struct bin_remote_walk *walk, const void *owner);

/** Fixes the key by which links are told from what a program writes. Call once, before the first push. */
void bin_init_links(uint64_t key);

/** Aborts unless p begins a region of a run in a chunk of runs. No lock: p's run exists as long as p is live.
 */
void bin_check_region(struct chunk *chunk, const void *p);

#endif
