#include "tcache_age.h"

#include "os.h"

/* Who returned so many objects in a row, of one class or of all, without asking for any between, only frees. What stays in
 * the cache when the thread sleeps may keep a page each, so until the next fill there is room only for so many objects of
 * all classes. */
#define TCACHE_ROW 8192u
#define TCACHE_ROW_CAPACITY 512u
/* A thread with so much time between two events allocates slowly: the next one comes after fewer bytes. */
#define TCACHE_SLOW_NS ((uint64_t)8 * 1000 * 1000)
#define TCACHE_GRANT_FACTOR 64
#define TCACHE_GRANT_MIN 256
/* What a slow thread did not use for an eighth of the decay time, and at least so long, it gives back. */
#define TCACHE_IDLE_NS ((uint64_t)50 * 1000 * 1000)

/* Sets the bytes until the next event. */
static void tcache_grant(int64_t bytes) {
    struct tcache *cold = tcache_tls.cold;
    cold->n_allocated_bytes += (uint64_t)(cold->granted - tcache_tls.budget);
    cold->granted = tcache_tls.budget = bytes;
}

/* The oldest half; of costly classes three quarters. */
static size_t tcache_flush_count(unsigned class_idx, size_t capacity) {
    return tcache_bin_is_costly(class_idx) ? (capacity * 3 + 3) / 4 : (capacity + 1) / 2;
}

/* Puts the mark at one of the n objects of a bin that has been spilled: the next malloc that gets there tells. Settles. */
static void tcache_bin_mark(unsigned class_idx, size_t n, size_t at) {
    struct tcache_cold_bin *cb = &tcache_tls.cold->bins[class_idx];
    cb->mark = (uint16_t)at;
    cb->marked = cb->base[at];
    cb->base[at] = NULL;
    tcache_bin_settle(class_idx, n); /* the mark may be the head */
}

/* Gives back what was not used since the bin was marked, and marks it again. */
static UTIL_NOINLINE void tcache_bin_return_idle(unsigned class_idx, bool is_slow) {
    struct tcache_cold_bin *cb = &tcache_tls.cold->bins[class_idx];
    size_t n_unused = cb->mark, n = tcache_bin_spill(class_idx);
    if (n_unused != 0) {
        tcache_bin_settle(class_idx, n);
        tcache_bin_flush(class_idx, is_slow ? n_unused : n_unused - n_unused / 4);
        /* Only if much was idle: a capacity just below what the program wants would make every round flush. */
        unsigned capacity = (unsigned)util_max(tcache_start_capacity(class_idx), cb->capacity - n_unused);
        n = tcache_bin_count(class_idx); /* all in the array since the flush */
        if (n_unused >= cb->capacity / 4 && capacity < cb->capacity && n <= capacity)
            tcache_bin_set_capacity(class_idx, n, capacity);
        cb->n_fill = (uint16_t)util_max(cb->n_fill / 2, 1);
    }
    if (n >= 2)
        tcache_bin_mark(class_idx, n, is_slow ? n - 1 : n / 2);
    else
        tcache_bin_settle(class_idx, n);
}

/* One step of ageing of one bin. Of a fast thread's bin that ran dry since the last step nothing has been idle for long: it
 * needs no mark, which the program would only run into. A bin of a slow thread keeps one object of those that were not
 * used. */
static inline void tcache_bin_age(unsigned class_idx, bool is_slow) {
    struct tcache_cold_bin *cb = &tcache_tls.cold->bins[class_idx];
    const bool is_busy = cb->was_dry && !is_slow;
    cb->was_dry = false;
    if (!is_busy && (cb->mark != 0 || tcache_bin_count(class_idx) >= 2))
        tcache_bin_return_idle(class_idx, is_slow);
}

/* Once each time so many objects were flushed in a row: what was there the time before goes back, and is not asked for. */
static void tcache_age_all(void) {
    for (uint64_t bits = tcache_tls.cold->open_bits; bits != 0; bits &= bits - 1)
        tcache_bin_age((unsigned)__builtin_ctzl(bits), true);
}

/* How many objects a class may have while the thread only frees. */
static size_t tcache_bin_row_limit(unsigned class_idx) {
    const struct tcache *cold = tcache_tls.cold;
    size_t share = TCACHE_ROW_CAPACITY / (unsigned)__builtin_popcountl(cold->open_bits);
    return util_min(util_max(share, 1), cold->bins[class_idx].capacity);
}

/* A full bin, none of whose objects was asked for since its last flush, keeps nothing: the program only frees. A program
 * that only frees must age its pages, too: every eighth flush looks at the clock. */
void tcache_bin_make_room(unsigned class_idx) {
    struct tcache *cold = tcache_tls.cold;
    struct tcache_cold_bin *cb = &cold->bins[class_idx];
    const size_t n = tcache_bin_count(class_idx), n_before = cb->n_only_freed;
    const bool is_row = cold->n_row >= TCACHE_ROW || n_before >= TCACHE_ROW;
    const size_t n_flushed = is_row || n_before != 0 ? n : tcache_flush_count(class_idx, n);
    tcache_bin_flush(class_idx, n_flushed);
    if (is_row) {
        size_t limit = tcache_bin_row_limit(class_idx);
        if (n_before >= TCACHE_ROW) /* of this class; a share in the other case may do for the next batch */
            tcache_bin_set_capacity(class_idx, 0, (unsigned)limit);
        tcache_set_limit(class_idx, cb->base + limit - 1);
        cb->has_filled = false;
    }
    if (n - n_flushed >= 2)
        tcache_bin_mark(class_idx, n - n_flushed, n - n_flushed - 1);
    cb->n_only_freed = (uint32_t)util_min(n_before + n_flushed, TCACHE_ROW);
    cold->n_row += n_flushed;
    if (cold->n_row / TCACHE_ROW != (cold->n_row - n_flushed) / TCACHE_ROW)
        tcache_age_all();
    if (++cold->n_flushes % 8 == 0) {
        arena_tick(tcache_tls.arena, os_now_ns());
        tcache_grant(0); /* the next malloc tells whether the thread has become slow */
    }
}

/* By bytes: one bin each tcache_gc_bytes allocated. */
static void tcache_age_next(void) {
    struct tcache *cold = tcache_tls.cold;
    cold->n_aged_bytes = cold->n_allocated_bytes;
    if (cold->gc_bits == 0)
        cold->gc_bits = cold->open_bits;
    if (cold->gc_bits == 0)
        return;
    tcache_bin_age((unsigned)__builtin_ctzl(cold->gc_bits), false);
    cold->gc_bits &= cold->gc_bits - 1;
}

/* By time: all of them. */
static void tcache_age_slow(uint64_t now_ns) {
    struct tcache *cold = tcache_tls.cold;
    uint64_t idle_ns = util_max((uint64_t)conf.dirty_decay_ms * 1000000 / 8, TCACHE_IDLE_NS);
    if (conf.dirty_decay_ms < 0 || now_ns - cold->last_idle_ns < idle_ns)
        return;
    cold->last_idle_ns = now_ns;
    tcache_age_all();
}

/* A thread that allocates fast gets here each tcache_gc_bytes, one that allocates slowly about each TCACHE_SLOW_NS, if it
 * calls at all: what it freed before must decay. */
void tcache_event(void) {
    struct tcache_tls *tls = &tcache_tls;
    struct tcache *cold = tls->cold;
    uint64_t now_ns = os_now_ns();
    bool has_passed = now_ns != cold->last_event_ns, is_slow = now_ns - cold->last_event_ns >= TCACHE_SLOW_NS;
    cold->last_event_ns = now_ns;
    if (is_slow)
        tcache_grant(cold->granted / TCACHE_GRANT_FACTOR);
    else
        tcache_grant(
            util_min(util_max(cold->granted, TCACHE_GRANT_MIN / TCACHE_GRANT_FACTOR) * TCACHE_GRANT_FACTOR,
                     (int64_t)conf.tcache_gc_bytes));
    bool is_due = cold->n_allocated_bytes - cold->n_aged_bytes >= conf.tcache_gc_bytes;
    if (!has_passed && !is_due)
        return;
    if (is_due)
        tcache_age_next();
    if (is_slow)
        tcache_age_slow(now_ns);
    arena_tick(tls->arena, now_ns);
    arena_tick_idle(&cold->idle_turn, now_ns);
    if (UTIL_UNLIKELY(conf.is_percpu_arena) && tls->arena->idx != os_current_cpu() % arena_n())
        tcache_set_arena(os_current_cpu() % arena_n());
}
