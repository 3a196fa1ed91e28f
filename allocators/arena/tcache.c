#include "tcache.h"

#include <pthread.h>

#include "base.h"
#include "os.h"
#include "tcache_age.h"

/* Capacity up to which a bin grows that runs dry but never full. */
#define TCACHE_ALLOC_ONLY_MAX 64u
#define TCACHE_ALLOC_ONLY_BYTES ((size_t)64 << 10)
/* Threads without a cache look at the clock every so many calls. */
#define TCACHE_DIRECT_TICK 64u

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

static void tcache_reset_stacks(struct tcache_tls *tls) {
    for (unsigned i = 0; i <= SIZE_CLASS_N_BINS; i++) {
        tls->heads[i] = NULL;
        tls->tops[i] = tcache_no_array;
        tcache_set_limit(i, tcache_no_array);
    }
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
