/*
 * The middle rooms against naive models, driven at random: a chunk's pages, the store of purged chunks, a bin's order of
 * runs and regions, lists of remote frees; and the order of locks, which debug builds assert.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allocators/arena/arena.h"
#include "allocators/arena/bitmap.h"
#define ARENA_PREFIXED 1
#include "allocators/arena/shim.h"

/* Chunks of 64 pages, so that everything is full and empty again often. */
extern const char *malloc_conf;
const char *malloc_conf = "lg_chunk:18,narenas:2,tcache:false,dirty_decay_ms:-1";

#define N_PAGES 64
#define MAX_RUNS 64
#define MAX_REGIONS 4096

static uint64_t seed = 5;

static size_t draw(size_t below) {
    seed = util_mix(seed);
    return (size_t)(seed % below);
}

static int prepare(void **state) {
    (void)state;
    arena_free(arena_malloc(1)); /* fixes the geometry */
    return 0;
}

/* Pages of a chunk: the model is a letter for each, which says whether it is used, or free and then in which state. */

enum { USED = 'u', CLEAN = 'c', DIRTY = 'd', MUZZY = 'm', GONE = '-' };

static char pages[N_PAGES + 1];

/* The lowest place for n pages, of the given alignment; 0: none. */
static size_t model_place(size_t n, size_t align) {
    for (size_t first = chunk_geo.n_header_pages; first + n <= N_PAGES; first++) {
        size_t i = first;
        while (i < first + n && strchr("cdm", pages[i]) != NULL)
            i++;
        if (i == first + n && first % align == 0)
            return first;
    }
    return 0;
}

static void assert_pages(struct chunk *chunk) {
    size_t n_free = 0, n_dirty = 0, n_muzzy = 0, n_row = 0, longest = 0;
    for (size_t i = chunk_geo.n_header_pages; i < N_PAGES; i++) {
        bool is_free = strchr("cdm", pages[i]) != NULL;
        assert_int_equal(bitmap_has(chunk_free_bits(chunk), i), is_free);
        assert_int_equal(bitmap_has(chunk_muzzy_bits(chunk), i), pages[i] == MUZZY);
        if (is_free)
            assert_int_equal(bitmap_has(chunk_dirty_bits(chunk), i), pages[i] == DIRTY);
        n_free += is_free;
        n_dirty += pages[i] == DIRTY;
        n_muzzy += pages[i] == MUZZY;
        n_row = is_free ? n_row + 1 : 0;
        longest = n_row > longest ? n_row : longest;
        assert_true(!is_free || i >= chunk->lowest_page);
        assert_true(!is_free || pages[i] == DIRTY || i >= chunk->lowest_clean);
    }
    assert_int_equal(chunk->n_free_pages, n_free);
    assert_int_equal(chunk->n_dirty_pages, n_dirty);
    assert_int_equal(chunk->n_muzzy_pages, n_muzzy);
    assert_true(chunk->longest_pages >= longest);
}

static void step_take(struct chunk *chunk) {
    size_t n = 1 + draw(6), align = (size_t)1 << draw(3), n_objects = 1 + draw(4), n_wanted = n_objects;
    bool is_zeroed = false, is_clean = true;
    size_t expected = model_place(n, align);
    size_t first = chunk_pages_take(chunk, n, align, &n_objects, &is_zeroed);
    assert_int_equal(first, expected);
    if (first == 0) {
        assert_true(chunk->longest_pages < n + align - 1); /* made exact: nobody asks again in vain */
        return;
    }
    assert_in_range(n_objects, 1, n_wanted);
    for (size_t i = first; i < first + n * n_objects; i++) {
        assert_non_null(strchr("cdm", pages[i]));
        is_clean = is_clean && pages[i] == CLEAN;
        pages[i] = USED;
    }
    if (n_objects < n_wanted)
        assert_false(first + n * (n_objects + 1) <= N_PAGES && model_place(n, 1) == first + n * n_objects);
    assert_int_equal(is_zeroed, is_clean);
}

static void step_give(struct chunk *chunk) {
    size_t first = chunk_geo.n_header_pages + draw(N_PAGES - chunk_geo.n_header_pages), n = 0,
           most = 1 + draw(8);
    while (n < most && first + n < N_PAGES && pages[first + n] == USED)
        n++;
    if (n == 0)
        return;
    chunk_pages_give(chunk, first, n);
    memset(pages + first, DIRTY, n);
}

static void step_extend(struct chunk *chunk) {
    size_t first = chunk_geo.n_header_pages + draw(N_PAGES - chunk_geo.n_header_pages), n = 1 + draw(4),
           i = first;
    while (i < first + n && i < N_PAGES && strchr("cdm", pages[i]) != NULL)
        i++;
    bool fits = i == first + n;
    assert_int_equal(chunk_pages_extend(chunk, first, n), fits);
    if (fits)
        memset(pages + first, USED, n);
}

static void step_purge(struct chunk *chunk) {
    bool is_dirty = draw(2) != 0;
    char state = is_dirty ? DIRTY : MUZZY;
    size_t n = 0, first = chunk_pages_detach(chunk, is_dirty, &n);
    const char *lowest = strchr(pages, state);
    if (lowest == NULL) {
        assert_int_equal(first, 0);
        return;
    }
    assert_int_equal(first, lowest - pages);
    assert_int_equal(n, strspn(lowest, is_dirty ? "d" : "m"));
    memset(pages + first, GONE, n);
    assert_pages(chunk);
    if (draw(4) == 0) /* meanwhile another thread comes along */
        step_take(chunk);
    enum chunk_page_state to = (enum chunk_page_state)draw(3);
    chunk_pages_attach(chunk, first, n, to);
    memset(pages + first, to == CHUNK_CLEAN ? CLEAN : to == CHUNK_DIRTY ? DIRTY : MUZZY, n);
}

static void pages_of_a_chunk_follow_the_model(void **state) {
    (void)state;
    int owner;
    struct chunk *chunk = chunk_create(&owner);
    assert_non_null(chunk);
    assert_int_equal(chunk_geo.n_pages, N_PAGES);
    memset(pages, USED, N_PAGES);
    memset(pages + chunk_geo.n_header_pages, CLEAN, N_PAGES - chunk_geo.n_header_pages);
    void (*const steps[])(struct chunk *) = {step_take, step_take,   step_give,
                                             step_give, step_extend, step_purge};
    for (int i = 0; i < 20000; i++) {
        steps[draw(6)](chunk);
        assert_pages(chunk);
    }
    for (size_t i = 0; i < N_PAGES; i++)
        if (pages[i] == USED && i >= chunk_geo.n_header_pages)
            chunk_pages_give(chunk, i, 1);
    assert_true(chunk_destroy(chunk));
}

/* The store: up to 16 purged chunks, of which the lowest is used first. */

#define STORE_MAX 16
#define N_CHUNKS 40

static uintptr_t stored[STORE_MAX];
static size_t n_stored;

static void model_put(uintptr_t base) {
    if (n_stored < STORE_MAX)
        stored[n_stored++] = base;
}

static uintptr_t model_take(void) {
    size_t lowest = 0;
    for (size_t i = 1; i < n_stored; i++)
        if (stored[i] < stored[lowest])
            lowest = i;
    uintptr_t base = stored[lowest];
    stored[lowest] = stored[--n_stored];
    return base;
}

static void chunks_are_used_again_lowest_first(void **state) {
    (void)state;
    static struct chunk *live[N_CHUNKS];
    int owner;
    chunk_store_trim();
    n_stored = 0;
    for (int i = 0; i < 5000; i++) {
        size_t at = draw(N_CHUNKS);
        if (live[at] == NULL) {
            uintptr_t expected = n_stored != 0 ? model_take() : 0;
            live[at] = chunk_create(&owner);
            assert_non_null(live[at]);
            assert_true(expected == 0 || chunk_base(live[at]) == expected);
            assert_true(chunk_is_registered(chunk_base(live[at])));
            assert_int_equal(live[at]->n_free_pages, chunk_usable_pages());
            assert_int_equal(live[at]->n_dirty_pages + live[at]->n_muzzy_pages, 0);
            char *page = chunk_page_address(live[at], N_PAGES - 1 - draw(20));
            for (size_t b = 0; b < PAGE_BYTES; b++)
                assert_int_equal(page[b], 0);
            memset(page, 1, PAGE_BYTES);
        } else {
            uintptr_t base = chunk_base(live[at]);
            assert_true(chunk_destroy(live[at]));
            assert_false(chunk_is_registered(base));
            model_put(base);
            live[at] = NULL;
        }
        assert_int_equal(chunk_store_bytes(), n_stored * chunk_bytes);
    }
    for (size_t i = 0; i < N_CHUNKS; i++)
        if (live[i] != NULL)
            chunk_destroy(live[i]);
    chunk_store_trim();
    assert_int_equal(chunk_store_bytes(), 0);
}

/* A bin: of the runs that are partly free, and the current one, the lowest free region comes first; a run that is empty
 * is kept once and no more. The model is what the runs' own bitmaps say, looked at from outside. */

static struct run *runs[MAX_RUNS];
static size_t n_runs;
static struct bin bin;

static struct run *supply_take(void *ctx, unsigned class_idx) {
    struct run *run = arena_run_take(ctx, class_idx);
    assert_non_null(run);
    assert_true(n_runs < MAX_RUNS);
    runs[n_runs++] = run;
    return run;
}

static void supply_give(void *ctx, struct run *run) {
    size_t i = 0;
    assert_true(run_is_empty(run));
    while (runs[i] != run)
        i++;
    runs[i] = runs[--n_runs];
    arena_run_give(ctx, run);
}

/* Lowest free region of the runs that are to be used before a spare or a new one; 0: none. */
static uintptr_t model_lowest(void) {
    uintptr_t lowest = 0;
    for (size_t i = 0; i < n_runs; i++) {
        const struct run_class *rc = &run_classes[runs[i]->class_idx];
        if (runs[i]->n_free == 0 || (run_is_empty(runs[i]) && runs[i] != bin.current))
            continue;
        size_t idx = bitmap_next_one(runs[i]->free_bits, rc->n_regions, 0);
        uintptr_t at = run_base(runs[i]) + idx * rc->region_bytes;
        if (lowest == 0 || at < lowest)
            lowest = at;
    }
    return lowest;
}

static void check_bin(size_t n_live) {
    size_t n_free = 0, n_empty = 0, n_regions = run_classes[bin.class_idx].n_regions;
    for (size_t i = 0; i < n_runs; i++) {
        n_free += runs[i]->n_free;
        n_empty += run_is_empty(runs[i]);
        assert_int_equal(runs[i]->state == RUN_CURRENT, runs[i] == bin.current);
        assert_int_equal(runs[i]->state == RUN_SPARE, runs[i] == bin.spare);
        if (runs[i] != bin.current && runs[i] != bin.spare)
            assert_int_equal(runs[i]->state, runs[i]->n_free == 0 ? RUN_FULL : RUN_WAITING);
    }
    assert_true(n_empty <= 2); /* the spare, and the current one */
    assert_int_equal(bin.n_runs, n_runs);
    assert_int_equal(n_regions * n_runs - n_free, n_live);
    assert_int_equal(bin.n_taken - bin.n_put, n_live);
}

/* The ranges of unused pages of a run are those pages on which, region by region, nothing lies. */
static void check_unused_pages(struct run *run) {
    const struct run_class *rc = &run_classes[run->class_idx];
    bool is_unused[512] = {false};
    for (size_t at = 0, first, n; run_unused_pages(run, &at, &first, &n);)
        for (size_t i = 0; i < n; i++) {
            assert_true(first + i < rc->n_pages);
            assert_false(is_unused[first + i]);
            is_unused[first + i] = true;
        }
    for (size_t page = 0; page < rc->n_pages; page++) {
        bool expected = true;
        for (size_t r = page * PAGE_BYTES / rc->region_bytes;
             r < rc->n_regions && r * rc->region_bytes < (page + 1) * PAGE_BYTES; r++)
            expected &= bitmap_has(run->free_bits, r);
        assert_int_equal(is_unused[page], expected);
    }
}

/* Runs that are held for purging: once a round; regions are freed to them, and not taken; then they are as any other. */
static size_t hold_runs(const struct bin_supply *supply, void **live, size_t n_live, size_t n_batch) {
    struct run *held[3], *again[MAX_RUNS];
    bool is_early = false;
    size_t n_held, n_again;
    lock_acquire(&bin.lock);
    bin_next_round(&bin);
    n_held = bin_hold_idle(&bin, 1, held, 3, &is_early);
    assert_false(is_early);
    for (size_t i = 0; i < n_held; i++) {
        assert_true(held[i]->n_free != 0 && !run_is_empty(held[i]) && held[i]->state == RUN_HELD);
        check_unused_pages(held[i]);
    }
    for (size_t i = 0; i < util_min(n_batch, n_live); i++) {
        size_t at = draw(n_live);
        void *p = live[at];
        live[at] = live[--n_live];
        assert_int_equal(bin_flush(&bin, supply, &p, 1), 0);
    }
    for (size_t i = 0; i < n_batch; i++) {
        assert_int_equal(bin_fill(&bin, supply, live + n_live, 1), 1);
        struct run *run = run_of(chunk_of(live[n_live]), live[n_live]);
        assert_true(run->state != RUN_HELD && run->n_free_purged == 0);
        n_live++;
    }
    n_again = bin_hold_idle(&bin, 1, again, MAX_RUNS, &is_early);
    for (size_t i = 0; i < n_again; i++) {
        for (size_t j = 0; j < n_held; j++)
            assert_ptr_not_equal(again[i], held[j]);
        bin_put_back(&bin, supply, again[i]);
    }
    for (size_t i = 0; i < n_held; i++)
        bin_put_back(&bin, supply, held[i]);
    lock_release(&bin.lock);
    return n_live;
}

static void bins_take_the_lowest_region(void **state) {
    static void *live[MAX_REGIONS], *batch[32];
    const unsigned classes[] = {size_class_of(14336), size_class_of(4096), size_class_of(1024), 5};
    struct arena *arena = arena_get(0);
    const struct bin_supply supply = {supply_take, supply_give, arena};
    (void)state;
    for (size_t c = 0; c < sizeof classes / sizeof classes[0]; c++) {
        size_t n_live = 0, n_most = util_min(MAX_REGIONS - 32, run_classes[classes[c]].n_regions * 12u);
        memset(&bin, 0, sizeof bin);
        bin_init(&bin, classes[c]);
        n_runs = 0;
        for (int step = 0; step < 6000; step++) {
            bool is_growing = step / 500 % 2 == 0;
            if (n_live < n_most && draw(8) < (is_growing ? 6 : 2)) {
                uintptr_t lowest = model_lowest();
                size_t n = 1 + draw(16);
                lock_acquire(&bin.lock);
                assert_int_equal(bin_fill(&bin, &supply, batch, n), n);
                lock_release(&bin.lock);
                assert_true(lowest == 0 || (uintptr_t)batch[n - 1] == lowest);
                memcpy(live + n_live, batch, n * sizeof batch[0]);
                n_live += n;
            } else if (n_live != 0) {
                size_t n = 1 + draw(util_min(n_live, 16));
                for (size_t i = 0; i < n; i++) {
                    size_t at = draw(n_live);
                    batch[i] = live[at];
                    live[at] = live[--n_live];
                }
                lock_acquire(&bin.lock);
                if (draw(3) != 0) {
                    assert_int_equal(bin_flush(&bin, &supply, batch, n), 0);
                } else {
                    for (size_t n_sent = 0; n_sent < n;) {
                        bool is_last;
                        struct run *run = run_of(chunk_of(batch[n_sent]), batch[n_sent]);
                        n_sent += bin_send(&bin, run, batch + n_sent, n - n_sent, &is_last);
                    }
                    bin_drain(&bin, &supply);
                }
                lock_release(&bin.lock);
            }
            check_bin(n_live);
            if (draw(16) == 0 && n_live < n_most) {
                n_live = hold_runs(&supply, live, n_live, draw(16));
                check_bin(n_live);
            }
        }
        lock_acquire(&bin.lock);
        bin_flush(&bin, &supply, live, n_live);
        bin_trim(&bin, &supply);
        lock_release(&bin.lock);
        assert_int_equal(n_runs, 0);
        assert_null(arena_check(arena));
    }
}

/* Lists longer than their counter, in pieces of any length, come back whole, last pushed first. */
static void remote_lists_come_back_whole(void **state) {
    enum { N = 70000 };
    static void *objects[N], *order[N];
    _Atomic uint64_t remote = 0;
    (void)state;
    for (size_t i = 0; i < N; i++)
        objects[i] = order[i] = arena_malloc(16);
    const void *owner = chunk_of(objects[0])->owner;
    for (size_t n_pushed = 0, n; n_pushed < N; n_pushed += n) {
        n = util_min(1 + draw(300), N - n_pushed);
        size_t count = bin_remote_push(&remote, objects + n_pushed, n);
        assert_int_equal(count, util_min(n_pushed + n, BIN_REMOTE_COUNT_MAX));
    }
    struct bin_remote_walk walk = bin_remote_take(&remote);
    assert_int_equal(remote, 0);
    size_t n = 0;
    for (void *p; (p = bin_remote_next(&walk, owner)) != NULL; n++)
        memset(p, 1, 16); /* read before it is reused */
    assert_int_equal(n, N);
    for (size_t i = 0; i < N; i++)
        arena_free(order[i]);
}

static void *allocate_once(void *arg) {
    arena_free(arena_malloc(100));
    return arg;
}

static unsigned n_threads_of_arenas(void) {
    unsigned n = 0;
    for (unsigned i = 0; i < arena_n(); i++)
        n += arena_peek(i) == NULL ? 0 : arena_peek(i)->n_threads;
    return n;
}

/* There are no caches here, and an ended thread's arena must be one that others tick, and that the next one may join. */
static void threads_without_a_cache_leave_their_arena(void **state) {
    unsigned n_before = n_threads_of_arenas();
    (void)state;
    for (int i = 0; i < 5; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, allocate_once, NULL), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(n_threads_of_arenas(), n_before);
    }
}

/* In a child, two locks in the wrong order: debug builds abort. */
static int status_of_order(enum lock_rank first, enum lock_rank second) {
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct lock a, b;
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        lock_init(&a, first);
        lock_init(&b, second);
        lock_acquire(&a);
        lock_acquire(&b);
        lock_release(&b);
        lock_release(&a);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void locks_rise_in_rank(void **state) {
    (void)state;
#if defined(ARENA_DEBUG)
    for (unsigned a = 0; a < LOCK_N_RANKS; a++)
        for (unsigned b = 0; b < LOCK_N_RANKS; b++) {
            int status = status_of_order((enum lock_rank)a, (enum lock_rank)b);
            if (a < b)
                assert_int_equal(status, 0);
            else
                assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        }
#else
    assert_int_equal(status_of_order(LOCK_BIN, LOCK_PAGES), 0);
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_of_a_chunk_follow_the_model),
        cmocka_unit_test(chunks_are_used_again_lowest_first),
        cmocka_unit_test(bins_take_the_lowest_region),
        cmocka_unit_test(remote_lists_come_back_whole),
        cmocka_unit_test(threads_without_a_cache_leave_their_arena),
        cmocka_unit_test(locks_rise_in_rank),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
