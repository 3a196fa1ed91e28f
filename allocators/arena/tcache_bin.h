/* tcache_bin: the stack of one class in a thread's cache, its array and its room.
 *
 * Belongs to the room tcache; nobody else includes it. Owns the part of a cache that its thread seldom touches: arrays,
 * capacities, marks, and the caps over all stacks. Does not decide when objects go back (tcache_age.h) and does not make
 * or end caches (tcache.c). No lock: all of it is the calling thread's.
 *
 *   base[-1]  base[0]   ...        mark        ...    *top        head
 *   | NULL  | oldest |  ...  | NULL, for marked | ... | second | newest, in the thread-local |
 *
 * Spilled, a stack lies in its array entirely, base[0..n), with nothing missing; between that and settling it no malloc or
 * free of the class may come.
 */
#ifndef ARENA_TCACHE_BIN_H
#define ARENA_TCACHE_BIN_H

#include "conf.h"
#include "tcache.h"

/* Slots of an array, the first of which is the NULL under the oldest object. */
#define TCACHE_MAX_LG 11u
/* An object may keep a page, so a cache holds at most tcache_bytes divided by this of them. */
#define TCACHE_BYTES_AN_OBJECT ((size_t)256)

struct tcache_cold_bin {
    void **base; /* place of the oldest object; base[-1] is NULL. NULL itself: no array yet */
    void *marked;
    uint16_t mark; /* index of the NULL that stands for `marked`; 0 = no mark */
    uint16_t capacity;
    uint8_t lg_slots;
    /* Flushed in a row, without a malloc between that the mark or the bottom would have stopped. */
    uint32_t n_only_freed;
    bool has_filled, has_flushed; /* since the capacity last changed */
    bool was_dry;                 /* since it was last aged */
    uint16_t n_fill;
    uint64_t n_filled, n_returned; /* objects, over the cache's life */
};

struct tcache {
    struct list link;
    struct tcache *next_in_pool;
    struct tcache_tls *tls;
    uint64_t open_bits, gc_bits; /* classes with a stack; of these, those still to be aged in this round */
    size_t capacity_bytes, capacity_objects; /* sums over the bins */
    size_t n_flushes;
    size_t n_row;               /* objects flushed since a malloc last met the end or the mark of a stack */
    unsigned idle_turn;         /* of arena_tick_idle */
    int64_t granted;            /* the budget at the last event */
    uint64_t n_allocated_bytes; /* until then */
    uint64_t n_aged_bytes;      /* the same at the last step of ageing by bytes */
    uint64_t last_event_ns, last_idle_ns; /* the latter: of ageing by time */
    struct tcache_cold_bin bins[SIZE_CLASS_N_BINS];
};

/** An array without room: free meets the limit. */
extern void *tcache_no_array[1] __attribute__((visibility("hidden")));

static inline void tcache_set_limit(unsigned class_idx, void **limit) {
    tcache_tls.limits[class_idx] = (uint16_t)(uintptr_t)limit;
}

static inline bool tcache_bin_is_open(unsigned class_idx) {
    return tcache_tls.tops[class_idx] != tcache_no_array;
}

static inline bool tcache_bin_is_full(unsigned class_idx) {
    return (uint16_t)(uintptr_t)tcache_tls.tops[class_idx] == tcache_tls.limits[class_idx];
}

/** Of objects of a page and more a cache holds few, and going to the arena costs most: fewer, larger batches. */
static inline bool tcache_bin_is_costly(unsigned class_idx) {
    return size_class_bytes(class_idx) >= PAGE_BYTES;
}

/** Objects of the bin, the head among them. */
static inline size_t tcache_bin_count(unsigned class_idx) {
    if (!tcache_bin_is_open(class_idx))
        return 0;
    return (size_t)(tcache_tls.tops[class_idx] + 1 - tcache_tls.cold->bins[class_idx].base);
}

/** Puts all objects of an open bin into its array, the head and what the mark stands for: base[0..n). How many. To be
 * followed by tcache_bin_settle. */
static inline __attribute__((always_inline)) size_t tcache_bin_spill(unsigned class_idx) {
    struct tcache_cold_bin *cb = &tcache_tls.cold->bins[class_idx];
    size_t n = tcache_bin_count(class_idx);
    cb->base[(ptrdiff_t)n - 1] = tcache_tls.heads[class_idx]; /* the NULL if n is 0 */
    if (cb->mark != 0)
        cb->base[cb->mark] = cb->marked;
    cb->mark = 0;
    cb->n_only_freed = 0;
    return n;
}

/** The reverse: the bin holds base[0..n). */
static inline void tcache_bin_settle(unsigned class_idx, size_t n) {
    void **top = tcache_tls.cold->bins[class_idx].base + (ptrdiff_t)n - 1;
    tcache_tls.tops[class_idx] = top;
    tcache_tls.heads[class_idx] = *top;
}

static inline bool tcache_bin_may_grow(unsigned class_idx) {
    const struct tcache *cold = tcache_tls.cold;
    return cold->capacity_bytes + size_class_bytes(class_idx) <= conf.tcache_bytes &&
           cold->capacity_objects < conf.tcache_bytes / TCACHE_BYTES_AN_OBJECT &&
           cold->bins[class_idx].capacity + 1u < 1u << TCACHE_MAX_LG;
}

/** What a stack may hold at first, objects; at least one. */
unsigned tcache_start_capacity(unsigned class_idx);

/** Gives the bin, which holds base[0..n), an array with room for capacity of them. Settles. False: no memory. */
bool tcache_bin_set_capacity(unsigned class_idx, size_t n, unsigned capacity);

/** Gives the class its first capacity, in the array of the cache's last owner if any. False: it is not cached. */
bool tcache_bin_open_first(unsigned class_idx);

/** Ready to cache the class. */
static inline bool tcache_bin_open(unsigned class_idx) {
    return UTIL_LIKELY(tcache_bin_is_open(class_idx)) || tcache_bin_open_first(class_idx);
}

/** Doubles the room of a bin that may grow, as far as the caps allow. */
void tcache_bin_grow(unsigned class_idx);

/** Returns the oldest n objects. */
void tcache_bin_flush(unsigned class_idx, size_t n);

#endif
