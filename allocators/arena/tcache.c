#include "tcache.h"

#include <pthread.h>
#include <string.h>

#include "base.h"
#include "conf.h"
#include "os.h"

/* Slots of a bin's array, the first of which is the NULL under the oldest object. */
#define TCACHE_MIN_LG 4u
#define TCACHE_MAX_LG 11u
#define TCACHE_START_BYTES ((size_t)8 << 10) /* a bin may hold at first */

/* Capacity up to which a bin grows that runs dry but never full. */
#define TCACHE_ALLOC_ONLY_MAX 64u
/* Who returned so many objects in a row, of one class or of all, without asking for any between, only frees. What stays in
 * the cache when the thread sleeps may keep a page each, so until the next fill there is room only for so many objects of
 * all classes. */
#define TCACHE_ROW 8192u
#define TCACHE_ROW_CAPACITY 512u
/* An object may keep a page, so a cache holds at most tcache_bytes divided by this of them. */
#define TCACHE_BYTES_AN_OBJECT ((size_t)256)
/* Threads without a cache look at the clock every so many calls. */
#define TCACHE_DIRECT_TICK 64u
#define TCACHE_ALLOC_ONLY_BYTES ((size_t)64 << 10)
/* A thread with so much time between two events allocates slowly: the next one comes after fewer bytes. */
#define TCACHE_SLOW_NS ((uint64_t)8 * 1000 * 1000)
#define TCACHE_GRANT_FACTOR 64
#define TCACHE_GRANT_MIN 256
/* What a slow thread did not use for an eighth of the decay time, and at least so long, it gives back. */
#define TCACHE_IDLE_NS ((uint64_t)50 * 1000 * 1000)

struct tcache_cold_bin {
    void **base; /* place of the oldest object; base[-1] is NULL. NULL itself: no array yet */
    void *marked;
    uint16_t mark; /* index of the NULL that stands for `marked`; 0 = no mark */
    uint16_t capacity;
    uint8_t lg_slots;
    uint32_t
        n_only_freed; /* flushed in a row, without a malloc between that the mark or the bottom would have stopped */
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

/* An array without room: free meets the limit. */
static void *tcache_no_array[1];

_Thread_local struct tcache_tls tcache_tls
    __attribute__((tls_model("initial-exec"), visibility("hidden"))) = {.budget = -1};

static pthread_key_t tcache_key;
static bool tcache_has_key;

static void tcache_detach(void *arg);

void tcache_init(void) {
    tcache_has_key = pthread_key_create(&tcache_key, tcache_detach) == 0;
}

struct arena *tcache_arena(void) {
    struct tcache_tls *tls = &tcache_tls;
    if (tls->arena == NULL)
        tls->arena = conf.is_percpu_arena ? arena_join_at(os_current_cpu() % arena_n()) : arena_join();
    return tls->arena;
}

static void tcache_set_limit(unsigned class_idx, void **limit) {
    tcache_tls.limits[class_idx] = (uint16_t)(uintptr_t)limit;
}

static void tcache_reset_stacks(struct tcache_tls *tls) {
    for (unsigned i = 0; i <= SIZE_CLASS_N_BINS; i++) {
        tls->heads[i] = NULL;
        tls->tops[i] = tcache_no_array;
        tcache_set_limit(i, tcache_no_array);
    }
}

static bool tcache_bin_is_open(unsigned class_idx) {
    return tcache_tls.tops[class_idx] != tcache_no_array;
}

static bool tcache_bin_is_full(unsigned class_idx) {
    return (uint16_t)(uintptr_t)tcache_tls.tops[class_idx] == tcache_tls.limits[class_idx];
}

static unsigned tcache_start_capacity(unsigned class_idx) {
    return (unsigned)util_max(
        1, util_min((1u << TCACHE_MIN_LG) - 1, TCACHE_START_BYTES / size_class_bytes(class_idx)));
}

/* A cache from the arena's pool, arrays and all, or a new one. */
static struct tcache *tcache_obtain(struct arena *arena) {
    if (!lock_acquire_unless_forking(&arena->tcache_lock))
        return NULL;
    struct tcache *cold = arena->tcache_pool;
    if (cold != NULL)
        arena->tcache_pool = cold->next_in_pool;
    else
        cold = base_alloc(sizeof *cold);
    if (cold != NULL)
        list_push_tail(&arena->tcaches, &cold->link);
    lock_release(&arena->tcache_lock);
    return cold;
}

void tcache_attach(void) {
    struct tcache_tls *tls = &tcache_tls;
    tcache_reset_stacks(tls);
    tls->state = TCACHE_DIRECT;
    struct arena *arena = tcache_arena();
    if (!tcache_has_key)
        return;
    bool may_cache = conf.is_tcache && !conf.is_junk && !conf.is_zero;
    struct tcache *cold = may_cache && arena != NULL ? tcache_obtain(arena) : NULL;
    if (arena == NULL || (may_cache && cold == NULL)) {
        tls->state = TCACHE_UNUSED; /* memory is out, or another thread forks: to be tried again */
        return;
    }
    /* May allocate, as a TCACHE_DIRECT thread: the second level of the keys. A thread without a cache leaves its arena at
     * its end, too. */
    bool has_end = pthread_setspecific(tcache_key, cold != NULL ? (void *)cold : arena) == 0;
    if (cold == NULL)
        return;
    if (!has_end) {
        cold->tls = NULL;
        return;
    }
    cold->tls = tls;
    cold->n_allocated_bytes = cold->n_aged_bytes = 0;
    cold->last_event_ns = cold->last_idle_ns = os_now_ns();
    cold->capacity_bytes = cold->capacity_objects = cold->n_row = 0;
    cold->open_bits = cold->gc_bits = 0;
    tls->cold = cold;
    cold->granted = tls->budget = (int64_t)conf.tcache_gc_bytes;
    tls->state = TCACHE_ACTIVE;
}

/* Sets the bytes until the next event. */
static void tcache_grant(int64_t bytes) {
    struct tcache *cold = tcache_tls.cold;
    cold->n_allocated_bytes += (uint64_t)(cold->granted - tcache_tls.budget);
    cold->granted = tcache_tls.budget = bytes;
}

/* Objects of the bin, the head among them. */
static size_t tcache_bin_count(unsigned class_idx) {
    if (!tcache_bin_is_open(class_idx))
        return 0;
    return (size_t)(tcache_tls.tops[class_idx] + 1 - tcache_tls.cold->bins[class_idx].base);
}

/* Puts all objects of an open bin into its array, the head and what the mark stands for: base[0..n). How many. To be
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

/* The reverse: the bin holds base[0..n). */
static inline void tcache_bin_settle(unsigned class_idx, size_t n) {
    void **top = tcache_tls.cold->bins[class_idx].base + (ptrdiff_t)n - 1;
    tcache_tls.tops[class_idx] = top;
    tcache_tls.heads[class_idx] = *top;
}

/* The bin without its mark, and with all objects in its array. How many. */
static size_t tcache_bin_unmark(unsigned class_idx) {
    size_t n = tcache_bin_spill(class_idx);
    tcache_bin_settle(class_idx, n);
    return n;
}

/* Gives the bin, which holds base[0..n), an array with room for capacity of them. False: no memory. */
static bool tcache_bin_set_capacity(unsigned class_idx, size_t n, unsigned capacity) {
    struct tcache *cold = tcache_tls.cold;
    struct tcache_cold_bin *cb = &cold->bins[class_idx];
    if (cb->base == NULL || capacity >= 1u << cb->lg_slots) {
        unsigned lg = TCACHE_MIN_LG;
        while (capacity >= 1u << lg)
            lg++;
        void **array = base_alloc(sizeof(void *) << lg);
        if (array == NULL)
            return false;
        if (cb->base != NULL)
            memcpy(array + 1, cb->base, n * sizeof array[0]);
        cb->base = array + 1;
        cb->lg_slots = (uint8_t)lg;
    }
    cold->capacity_bytes += ((size_t)capacity - cb->capacity) * size_class_bytes(class_idx);
    cold->capacity_objects += (size_t)capacity - cb->capacity;
    cb->capacity = (uint16_t)capacity;
    cb->has_filled = cb->has_flushed = false;
    cold->open_bits |= (uint64_t)1 << class_idx;
    tcache_bin_settle(class_idx, n);
    tcache_set_limit(class_idx, cb->base + (ptrdiff_t)capacity - 1);
    return true;
}

/* Returns the oldest n objects. */
static void tcache_bin_flush(unsigned class_idx, size_t n) {
    struct tcache_cold_bin *cb = &tcache_tls.cold->bins[class_idx];
    size_t left = tcache_bin_spill(class_idx) - n;
    arena_flush(tcache_tls.arena, class_idx, cb->base, n);
    memmove(cb->base, cb->base + n, left * sizeof cb->base[0]);
    tcache_bin_settle(class_idx, left);
    cb->n_returned += n;
}

static size_t tcache_bin_room_bytes(unsigned class_idx) {
    return tcache_tls.cold->bins[class_idx].capacity *
           util_max(size_class_bytes(class_idx), TCACHE_BYTES_AN_OBJECT);
}

/* Halves the bin with the most room. False if none has room for two. */
static bool tcache_bin_halve_largest(void) {
    struct tcache *cold = tcache_tls.cold;
    unsigned largest = SIZE_CLASS_N_BINS;
    for (uint64_t bits = cold->open_bits; bits != 0; bits &= bits - 1) {
        unsigned i = (unsigned)__builtin_ctzl(bits);
        if (cold->bins[i].capacity > 1 &&
            (largest == SIZE_CLASS_N_BINS || tcache_bin_room_bytes(i) > tcache_bin_room_bytes(largest)))
            largest = i;
    }
    if (largest == SIZE_CLASS_N_BINS)
        return false;
    size_t n = tcache_bin_unmark(largest), capacity = cold->bins[largest].capacity / 2;
    if (n > capacity) {
        tcache_bin_flush(largest, n - capacity);
        n = capacity;
    }
    return tcache_bin_set_capacity(largest, n, (unsigned)capacity);
}

/* Objects of the class that the caps, in bytes and in objects, leave room for. */
static size_t tcache_room(unsigned class_idx) {
    const struct tcache *cold = tcache_tls.cold;
    return util_min((conf.tcache_bytes - cold->capacity_bytes) / size_class_bytes(class_idx),
                    conf.tcache_bytes / TCACHE_BYTES_AN_OBJECT - cold->capacity_objects);
}

/* How many of at most n objects of the class there is room for, after others have given up of theirs. */
static unsigned tcache_claim(unsigned class_idx, unsigned n) {
    while (n > 1 && n * size_class_bytes(class_idx) > conf.tcache_bytes)
        n /= 2;
    while (n > tcache_room(class_idx) && tcache_bin_halve_largest()) {
    }
    while (n > tcache_room(class_idx))
        n /= 2;
    return n;
}

/* Ready to cache the class; on first use it gets its first capacity, in the array of the cache's last owner if any. */
static bool tcache_bin_open(unsigned class_idx) {
    if (UTIL_LIKELY(tcache_bin_is_open(class_idx)))
        return true;
    if (tcache_tls.state != TCACHE_ACTIVE || size_class_bytes(class_idx) > conf.tcache_max_bytes)
        return false;
    struct tcache_cold_bin *cb = &tcache_tls.cold->bins[class_idx];
    unsigned capacity = tcache_claim(class_idx, tcache_start_capacity(class_idx));
    if (capacity == 0)
        return false;
    cb->n_fill = 1;
    cb->capacity = 0;
    return tcache_bin_set_capacity(class_idx, 0, capacity);
}

static inline bool tcache_bin_may_grow(unsigned class_idx) {
    const struct tcache *cold = tcache_tls.cold;
    return cold->capacity_bytes + size_class_bytes(class_idx) <= conf.tcache_bytes &&
           cold->capacity_objects < conf.tcache_bytes / TCACHE_BYTES_AN_OBJECT &&
           cold->bins[class_idx].capacity + 1u < 1u << TCACHE_MAX_LG;
}

/* The bin, which may grow, ran both dry and full since its last change: it wants twice the room, as far as the caps
 * allow. */
static UTIL_NOINLINE void tcache_bin_grow(unsigned class_idx) {
    const size_t capacity = tcache_tls.cold->bins[class_idx].capacity;
    size_t more =
        util_min(util_min(capacity + 1, tcache_room(class_idx)), ((size_t)1 << TCACHE_MAX_LG) - 1 - capacity);
    size_t n = tcache_bin_spill(class_idx);
    if (!tcache_bin_set_capacity(class_idx, n, (unsigned)(capacity + more)))
        tcache_bin_settle(class_idx, n);
}

/* Of objects of a page and more a cache holds few, and going to the arena costs most: fewer, larger batches. */
static bool tcache_bin_is_costly(unsigned class_idx) {
    return size_class_bytes(class_idx) >= PAGE_BYTES;
}

/* Without a cache there are no events. */
static void tcache_tick_direct(struct arena *arena) {
    if (++tcache_tls.n_direct_calls % TCACHE_DIRECT_TICK != 0)
        return;
    uint64_t now_ns = os_now_ns();
    unsigned turn = tcache_tls.n_direct_calls / TCACHE_DIRECT_TICK;
    arena_tick(arena, now_ns);
    arena_tick_idle(&turn, now_ns);
}

static void *tcache_alloc_direct(unsigned class_idx) {
    struct arena *arena = tcache_arena();
    void *p = NULL;
    if (arena == NULL || arena_fill(arena, class_idx, &p, 1) == 0)
        return NULL;
    tcache_tick_direct(arena);
    return p;
}

/* Programs that only allocate get larger fills, too, but not the room of those that also free. */
static bool tcache_bin_is_short(unsigned class_idx) {
    const struct tcache_cold_bin *cb = &tcache_tls.cold->bins[class_idx];
    return cb->has_filled && cb->capacity < TCACHE_ALLOC_ONLY_MAX &&
           cb->capacity * size_class_bytes(class_idx) < TCACHE_ALLOC_ONLY_BYTES;
}

/* Fills a bin that is empty; how many it then has, 0 for lack of memory. To be settled. */
static size_t tcache_bin_fill(unsigned class_idx) {
    struct tcache_cold_bin *cb = &tcache_tls.cold->bins[class_idx];
    if ((cb->has_flushed || tcache_bin_is_short(class_idx)) && tcache_bin_may_grow(class_idx))
        tcache_bin_grow(class_idx);
    cb->has_filled = cb->was_dry = true;
    size_t most = cb->capacity;
    if (!tcache_bin_is_costly(class_idx))
        most = util_max(most / conf.tcache_fill_div, 1);
    size_t n = arena_fill(tcache_tls.arena, class_idx, cb->base, util_min(cb->n_fill, most));
    if (n != 0)
        cb->n_fill = (uint16_t)util_min(cb->n_fill * 2u, most);
    cb->n_filled += n;
    return n;
}

/* The head is NULL: the mark, or the end of the stack, or there is no stack. */
static UTIL_NOINLINE void *tcache_alloc_stopped(unsigned class_idx) {
    if (!tcache_bin_open(class_idx))
        return tcache_alloc_direct(class_idx);
    struct tcache_cold_bin *cb = &tcache_tls.cold->bins[class_idx];
    size_t n = tcache_bin_spill(class_idx);
    tcache_tls.cold->n_row = 0;
    tcache_set_limit(class_idx, cb->base + (ptrdiff_t)cb->capacity - 1);
    if (n == 0)
        n = tcache_bin_fill(class_idx);
    if (n == 0)
        return NULL;
    tcache_bin_settle(class_idx, n - 1);
    return cb->base[n - 1];
}

void *tcache_alloc_slow(unsigned class_idx) {
    void *p = tcache_tls.heads[class_idx];
    if (p == NULL)
        return tcache_alloc_stopped(class_idx);
    tcache_tls.heads[class_idx] = *--tcache_tls.tops[class_idx]; /* the budget was used up, nothing else */
    return p;
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
static void tcache_bin_make_room(unsigned class_idx) {
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

void tcache_free_slow(unsigned class_idx, void *p) {
    struct tcache_tls *tls = &tcache_tls;
    if (tls->state == TCACHE_UNUSED)
        tcache_attach();
    if (!tcache_bin_open(class_idx)) {
        struct arena *arena = tcache_arena();
        arena_flush(arena, class_idx, &p, 1);
        if (arena != NULL)
            tcache_tick_direct(arena);
        return;
    }
    if (tcache_bin_is_full(class_idx)) {
        struct tcache_cold_bin *cb = &tls->cold->bins[class_idx];
        if (cb->has_filled && tcache_bin_may_grow(class_idx))
            tcache_bin_grow(class_idx);
        if (tcache_bin_is_full(class_idx))
            tcache_bin_make_room(class_idx);
        cb->has_flushed = true;
    }
    *tls->tops[class_idx]++ = tls->heads[class_idx];
    tls->heads[class_idx] = p;
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
static void tcache_event(void) {
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

void tcache_settle(void) {
    struct tcache_tls *tls = &tcache_tls;
    if (tls->state == TCACHE_ACTIVE) {
        if (tls->budget < 0)
            tcache_event();
        return;
    }
    tls->n_direct_bytes += (uint64_t)(-1 - tls->budget);
    tls->budget = -1;
    if (tls->state == TCACHE_UNUSED)
        tcache_attach();
}

void tcache_fork_child(void) {
    struct tcache *own = tcache_tls.cold;
    for (unsigned i = 0; i < arena_n(); i++) {
        struct arena *arena = arena_peek(i);
        if (arena == NULL)
            continue;
        list_init(&arena->tcaches); /* the others' threads are gone, their stacks may be too */
        bool is_ours = arena == tcache_tls.arena;
        if (is_ours && own != NULL)
            list_push_tail(&arena->tcaches, &own->link);
        atomic_store_explicit(&arena->n_threads, is_ours, memory_order_relaxed);
    }
}

void tcache_flush(void) {
    for (unsigned i = 0; tcache_tls.state == TCACHE_ACTIVE && i < SIZE_CLASS_N_BINS; i++) {
        size_t n = tcache_bin_count(i);
        if (n != 0)
            tcache_bin_flush(i, n);
    }
}

/* Ends the thread's cache, if it has one, and leaves its arena: as the destructor of the key, at thread exit. */
static void tcache_detach(void *arg) {
    struct tcache_tls *tls = &tcache_tls;
    struct tcache *cold = arg;
    struct arena *arena = tls->arena;
    if (tls->state == TCACHE_DIRECT) {
        tls->state = TCACHE_DEAD;
        arena_leave(arena);
    }
    if (tls->state != TCACHE_ACTIVE)
        return;
    tcache_flush();
    tls->n_direct_bytes = tcache_allocated_bytes();
    uint64_t n_freed = tcache_freed_bytes();
    tls->state = TCACHE_DEAD;
    tls->budget = -1;
    tcache_reset_stacks(tls);
    for (unsigned i = 0; i < SIZE_CLASS_N_BINS; i++)
        cold->bins[i].n_filled = cold->bins[i].n_returned = 0;
    tls->cold = NULL;
    lock_acquire(&arena->tcache_lock);
    arena->n_thread_allocated_bytes += tls->n_direct_bytes;
    arena->n_thread_freed_bytes += n_freed;
    list_remove(&cold->link);
    cold->next_in_pool = arena->tcache_pool;
    arena->tcache_pool = cold;
    lock_release(&arena->tcache_lock);
    arena_leave(arena);
}

bool tcache_set_arena(unsigned idx) {
    struct tcache_tls *tls = &tcache_tls;
    /* The child would leave an arena behind that the fork does not hold, with this thread in it. */
    if (lock_fork_is_own() && (arena_peek(idx) == NULL || !arena_peek(idx)->is_held_by_fork))
        return false;
    struct arena *to = arena_get(idx), *from = tcache_arena();
    if (to == NULL)
        return false;
    if (to == from)
        return true;
    if (tls->state == TCACHE_DEAD) { /* it has left, and will not leave again */
        tls->arena = to;
        return true;
    }
    tcache_flush();
    if (tls->cold != NULL) {
        lock_acquire(&from->tcache_lock);
        list_remove(&tls->cold->link);
        lock_release(&from->tcache_lock);
        lock_acquire(&to->tcache_lock);
        list_push_tail(&to->tcaches, &tls->cold->link);
        lock_release(&to->tcache_lock);
    }
    if (from != NULL)
        arena_leave(from);
    tls->arena = arena_join_at(idx);
    return true;
}

/* Taken from arenas, rounded to classes, and neither returned nor cached. Objects that others allocated count against. */
static int64_t tcache_held_bytes(void) {
    int64_t held = 0;
    for (unsigned i = 0; i < SIZE_CLASS_N_BINS; i++) {
        const struct tcache_cold_bin *cb = &tcache_tls.cold->bins[i];
        held += (int64_t)(cb->n_filled - cb->n_returned - tcache_bin_count(i)) * (int64_t)size_class_bytes(i);
    }
    return held;
}

/* At least what is held: of a thread that has hardly freed anything the rounding may be more than all it freed. */
uint64_t tcache_allocated_bytes(void) {
    const struct tcache_tls *tls = &tcache_tls;
    if (tls->state != TCACHE_ACTIVE)
        return tls->n_direct_bytes;
    int64_t requested =
        (int64_t)(tls->n_direct_bytes + tls->cold->n_allocated_bytes) + tls->cold->granted - tls->budget;
    int64_t held = tcache_held_bytes();
    return (uint64_t)(requested < held ? held : requested);
}

uint64_t tcache_freed_bytes(void) {
    if (tcache_tls.state != TCACHE_ACTIVE)
        return 0;
    return (uint64_t)((int64_t)tcache_allocated_bytes() - tcache_held_bytes());
}

size_t tcache_cached_bytes(struct arena *arena, size_t *n_threads) {
    size_t bytes = 0;
    *n_threads = 0;
    lock_acquire(&arena->tcache_lock);
    for (struct list *at = arena->tcaches.next; at != &arena->tcaches; at = at->next) {
        struct tcache *cold = LIST_ENTRY(at, struct tcache, link);
        ++*n_threads;
        for (unsigned i = 0; cold->tls != NULL && i < SIZE_CLASS_N_BINS; i++) {
            void **top = __atomic_load_n(&cold->tls->tops[i], __ATOMIC_RELAXED), **base = cold->bins[i].base;
            if (base != NULL && top >= base && top < base + (1u << cold->bins[i].lg_slots))
                bytes += (size_t)(top + 1 - base) * size_class_bytes(i);
        }
    }
    lock_release(&arena->tcache_lock);
    return bytes;
}
