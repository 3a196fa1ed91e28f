#include "tests/unit/fake_cell.h"

#undef NDEBUG /* the checks of a test double hold in every variant */
#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum fake_phase { FAKE_SETUP, FAKE_WARMUP, FAKE_MEASURED, FAKE_PROBE, FAKE_TEARDOWN };

struct fake_scratch {
    struct fake_scratch *next;
};

struct fake_slot {
    struct fake_cell *fake;
    struct worker *worker;
    pthread_t thread;      /* that serves it now */
    enum fake_phase phase; /* handed from a thread to its successor */
    bool is_inherited;     /* `thread` was made by its predecessor, which it joins */
    pthread_t predecessor;
};

struct fake_cell {
    struct cell cell; /* first: cell_scratch gets its address */
    const struct workload *workload;
    pthread_barrier_t barrier; /* n_threads + main */
    pthread_mutex_t lock;      /* guards scratch and why */
    struct fake_scratch *scratch;
    int64_t live_bytes, claimed_live_bytes; /* at the end of the measured phase */
    struct fake_slot slots[CELL_MAX_THREADS];
};

/* The entries have no argument for their state. */
static _Atomic uint64_t n_threads_seen; /* over all runs: main keeps its number */
static struct {
    _Atomic uint64_t n_allocs, n_frees, n_measured_frees, n_measured_remote;
    _Atomic int64_t live_bytes, peak_live_bytes; /* of the double's own heap */
    _Atomic bool is_measuring;
    uint64_t fail_after;
    const struct alloc_ops *inner;
} heap_state;

#define LIVE UINT64_C(0x6c69766562656566)

/* Before each block of the double's own heap. */
struct fake_header {
    _Alignas(16) uint64_t owner;
    uint64_t live, size_bytes;
    void *base; /* as libc gave it */
};

static uint64_t this_thread(void) {
    static _Thread_local uint64_t id;
    if (id == 0)
        id = atomic_fetch_add(&n_threads_seen, 1) + 1;
    return id;
}

static void live_add(int64_t n_bytes) {
    int64_t live = atomic_fetch_add(&heap_state.live_bytes, n_bytes) + n_bytes;
    int64_t peak = atomic_load(&heap_state.peak_live_bytes);
    while (live > peak && !atomic_compare_exchange_weak(&heap_state.peak_live_bytes, &peak, live))
        ;
}

static void *own_alloc(size_t align_bytes, size_t size_bytes) {
    size_t slack_bytes = align_bytes > _Alignof(struct fake_header) ? align_bytes : 0;
    unsigned char *base = malloc(sizeof(struct fake_header) + slack_bytes + size_bytes);
    assert(base);
    unsigned char *block = base + sizeof(struct fake_header);
    if (slack_bytes)
        block += -(uintptr_t)block & (align_bytes - 1);
    struct fake_header *h = (struct fake_header *)(void *)block - 1;
    *h = (struct fake_header){.owner = this_thread(), .live = LIVE, .size_bytes = size_bytes, .base = base};
    live_add((int64_t)size_bytes);
    return block;
}

static struct fake_header *own_header(void *block) {
    struct fake_header *h = (struct fake_header *)block - 1;
    assert(h->live == LIVE);
    return h;
}

static void own_free(void *block) {
    struct fake_header *h = own_header(block);
    h->live = 0;
    live_add(-(int64_t)h->size_bytes);
    free(h->base);
}

/* False, and errno says so, when the heap is to be dry. */
static bool count_call(void) {
    uint64_t n_before = atomic_fetch_add(&heap_state.n_allocs, 1);
    if (!heap_state.fail_after || n_before < heap_state.fail_after)
        return true;
    atomic_fetch_sub(&heap_state.n_allocs, 1);
    errno = ENOMEM;
    return false;
}

static void *fake_alloc(size_t size_bytes) {
    if (!count_call())
        return NULL;
    return heap_state.inner ? heap_state.inner->alloc(size_bytes) : own_alloc(1, size_bytes);
}

static void *fake_calloc(size_t n, size_t size_bytes) {
    if (!count_call())
        return NULL;
    if (heap_state.inner)
        return heap_state.inner->calloc(n, size_bytes);
    return memset(own_alloc(1, n * size_bytes), 0, n * size_bytes);
}

static void *fake_aligned_alloc(size_t align_bytes, size_t size_bytes) {
    if (!count_call())
        return NULL;
    return heap_state.inner ? heap_state.inner->aligned_alloc(align_bytes, size_bytes)
                            : own_alloc(align_bytes, size_bytes);
}

/* Counts as an allocation only where there was no block; always moves, and the block is the caller's then. */
static void *fake_realloc(void *old, size_t size_bytes) {
    if (!old)
        return fake_alloc(size_bytes);
    if (heap_state.fail_after && atomic_load(&heap_state.n_allocs) >= heap_state.fail_after) {
        errno = ENOMEM;
        return NULL;
    }
    if (heap_state.inner)
        return heap_state.inner->realloc(old, size_bytes);
    uint64_t old_bytes = own_header(old)->size_bytes;
    live_add(-(int64_t)old_bytes); /* never live at once */
    void *block = own_alloc(1, size_bytes);
    memcpy(block, old, old_bytes < size_bytes ? old_bytes : size_bytes);
    own_header(old)->size_bytes = 0;
    own_free(old);
    return block;
}

static void fake_free(void *block) {
    assert(block);
    atomic_fetch_add(&heap_state.n_frees, 1);
    if (heap_state.inner) {
        heap_state.inner->free(block);
        return;
    }
    struct fake_header *h = own_header(block);
    if (atomic_load(&heap_state.is_measuring)) {
        atomic_fetch_add(&heap_state.n_measured_frees, 1);
        atomic_fetch_add(&heap_state.n_measured_remote, h->owner != this_thread());
    }
    own_free(block);
}

static const struct alloc_ops fake_heap = {
    .alloc = fake_alloc,
    .free = fake_free,
    .calloc = fake_calloc,
    .realloc = fake_realloc,
    .aligned_alloc = fake_aligned_alloc,
};

void *cell_scratch(struct cell *c, size_t n_bytes, size_t align_bytes) {
    struct fake_cell *fake = (struct fake_cell *)c;
    size_t head = align_bytes > sizeof(struct fake_scratch) ? align_bytes : sizeof(struct fake_scratch);
    size_t total = (head + n_bytes + head - 1) / head * head;
    struct fake_scratch *s = aligned_alloc(head, total);
    assert(s);
    memset(s, 0, total);
    pthread_mutex_lock(&fake->lock);
    s->next = fake->scratch;
    fake->scratch = s;
    pthread_mutex_unlock(&fake->lock);
    return (unsigned char *)s + head;
}

int cell_fail(struct cell *c, int err, const char *why) {
    struct fake_cell *fake = (struct fake_cell *)c;
    assert(err > 0);
    pthread_mutex_lock(&fake->lock);
    if (atomic_load(&c->failed_errno) == 0) {
        snprintf(c->why, sizeof c->why, "%s", why);
        atomic_store(&c->failed_errno, err);
    }
    pthread_mutex_unlock(&fake->lock);
    atomic_store(&c->is_stopping, true);
    return -err;
}

/* All arrive, main changes what is between the phases, all go on. */
static void gate(struct fake_cell *fake) {
    pthread_barrier_wait(&fake->barrier);
    pthread_barrier_wait(&fake->barrier);
}

static void *slot_main(void *arg);

static void thread_start(struct fake_slot *slot) {
    int err = pthread_create(&slot->thread, NULL, slot_main, slot);
    assert(err == 0);
}

static void succeed(struct fake_slot *slot) {
    slot->worker->n_generations++;
    slot->is_inherited = true;
    slot->predecessor = pthread_self();
    thread_start(slot);
}

static void *slot_main(void *arg) {
    struct fake_slot *slot = arg;
    struct fake_cell *fake = slot->fake;
    struct cell *c = &fake->cell;
    const struct workload *wl = fake->workload;
    struct worker *w = slot->worker;

    if (slot->is_inherited)
        pthread_join(slot->predecessor, NULL);
    if (slot->phase == FAKE_SETUP) {
        if (wl->thread_setup)
            wl->thread_setup(w);
        gate(fake);
        slot->phase = FAKE_WARMUP;
    }
    while (slot->phase == FAKE_WARMUP || slot->phase == FAKE_MEASURED) {
        if (wl->run(w) == RUN_SUCCEED && !atomic_load(&c->is_stopping)) {
            succeed(slot);
            return NULL;
        }
        gate(fake);
        slot->phase++;
    }
    if (wl->thread_probe)
        wl->thread_probe(w);
    gate(fake);
    if (wl->thread_teardown)
        wl->thread_teardown(w);
    return NULL;
}

static void phase_begin(struct fake_cell *fake, uint64_t ops_total) {
    struct cell *c = &fake->cell;
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct worker *w = &c->workers[i];
        w->ops_before += atomic_load(&w->ops);
        atomic_store(&w->ops, 0);
        w->n_generations = 0;
        w->ops_budget =
            ops_total == UINT64_MAX ? UINT64_MAX : ops_total / c->n_threads + (i < ops_total % c->n_threads);
    }
}

static uint64_t ops_done(const struct cell *c) {
    uint64_t n = 0;
    for (unsigned i = 0; i < c->n_threads; i++)
        n += atomic_load(&c->workers[i].ops);
    return n;
}

/* Stops a run when its time is over, and not before something was done, for which it has a minute. */
static void stop_by_clock(struct cell *c, unsigned duration_ms) {
    assert(duration_ms > 0);
    const struct timespec ts = {duration_ms / 1000, (long)(duration_ms % 1000) * 1000000};
    for (unsigned ms = 0; ms < 60000; ms += duration_ms) {
        nanosleep(&ts, NULL);
        if (ops_done(c) > 0 || atomic_load(&c->is_stopping))
            break;
    }
    atomic_store(&c->is_stopping, true);
}

static void run_phases(struct fake_cell *fake, const struct fake_spec *spec) {
    struct cell *c = &fake->cell;
    for (unsigned i = 0; i < c->n_threads; i++) {
        fake->slots[i] = (struct fake_slot){.fake = fake, .worker = &c->workers[i]};
        thread_start(&fake->slots[i]);
    }
    pthread_barrier_wait(&fake->barrier);
    phase_begin(fake, spec->warmup_ops * c->n_threads);
    pthread_barrier_wait(&fake->barrier);

    pthread_barrier_wait(&fake->barrier);
    phase_begin(fake, spec->ops_total ? spec->ops_total : UINT64_MAX);
    c->is_measuring = true;
    atomic_store(&heap_state.is_measuring, true);
    pthread_barrier_wait(&fake->barrier);

    if (spec->ops_total == 0 && !spec->is_course)
        stop_by_clock(c, spec->duration_ms);
    pthread_barrier_wait(&fake->barrier);
    fake->live_bytes = atomic_load(&heap_state.live_bytes);
    for (unsigned i = 0; i < c->n_threads; i++)
        fake->claimed_live_bytes += atomic_load(&c->workers[i].live_bytes);
    c->is_measuring = false;
    atomic_store(&heap_state.is_measuring, false);
    pthread_barrier_wait(&fake->barrier);

    gate(fake); /* all have probed */
    for (unsigned i = 0; i < c->n_threads; i++)
        pthread_join(fake->slots[i].thread, NULL);
}

static void collect(struct fake_cell *fake, struct fake_result *r) {
    struct cell *c = &fake->cell;
    r->n_generations_min = UINT32_MAX;
    for (unsigned i = 0; i < c->n_threads; i++) {
        const struct worker *w = &c->workers[i];
        r->measured_ops += atomic_load(&w->ops);
        r->n_slots_with_ops += atomic_load(&w->ops) > 0;
        r->claimed_frees += w->n_frees;
        r->claimed_remote += w->n_remote_frees;
        if (w->n_generations < r->n_generations_min)
            r->n_generations_min = w->n_generations;
    }
    r->expected_allocs = fake->workload->expected_allocs(c);
    r->n_allocs = atomic_load(&heap_state.n_allocs);
    r->n_frees = atomic_load(&heap_state.n_frees);
    r->n_measured_frees = atomic_load(&heap_state.n_measured_frees);
    r->n_measured_remote = atomic_load(&heap_state.n_measured_remote);
    r->live_bytes = fake->live_bytes;
    r->claimed_live_bytes = fake->claimed_live_bytes;
    r->peak_live_bytes = atomic_load(&heap_state.peak_live_bytes);
    r->shared_line_fraction = c->shared_line_fraction;
    r->err = -atomic_load(&c->failed_errno);
    memcpy(r->why, c->why, sizeof r->why);
}

void fake_run(const struct fake_spec *spec, struct fake_result *result) {
    struct fake_cell *fake = aligned_alloc(WORKER_ALIGN_BYTES, (sizeof *fake + 127) / 128 * 128);
    struct worker *workers = aligned_alloc(WORKER_ALIGN_BYTES, spec->n_threads * sizeof *workers);
    assert(fake && workers);
    memset(fake, 0, sizeof *fake);
    memset(workers, 0, spec->n_threads * sizeof *workers);
    memset(result, 0, sizeof *result);
    memset(&heap_state, 0, sizeof heap_state);
    heap_state.fail_after = spec->fail_after;
    heap_state.inner = spec->inner;

    struct cell *c = &fake->cell;
    fake->workload = spec->workload;
    c->heap = &fake_heap;
    c->params = spec->params;
    c->n_threads = spec->n_threads;
    c->workers = workers;
    c->seed = spec->seed;
    c->is_course = spec->is_course;
    c->shared_line_fraction = NAN;
    for (unsigned i = 0; i < c->n_threads; i++) {
        workers[i] = (struct worker){.heap = &fake_heap, .cell = c, .idx = i};
        prng_seed(&workers[i].prng, spec->seed, i);
    }
    pthread_mutex_init(&fake->lock, NULL);
    pthread_barrier_init(&fake->barrier, NULL, spec->n_threads + 1);

    const struct workload *wl = spec->workload;
    if (!wl->setup || wl->setup(c) == 0) {
        run_phases(fake, spec);
        if (wl->verify && atomic_load(&c->failed_errno) == 0)
            wl->verify(c);
    }
    if (wl->teardown)
        wl->teardown(c);
    collect(fake, result);

    while (fake->scratch) {
        struct fake_scratch *s = fake->scratch;
        fake->scratch = s->next;
        free(s);
    }
    pthread_barrier_destroy(&fake->barrier);
    free(workers);
    free(fake);
}

void fake_spec_init(struct fake_spec *spec, const char *workload, unsigned n_threads) {
    *spec = (struct fake_spec){.workload = workload_find(workload),
                               .n_threads = n_threads,
                               .seed = 42,
                               .warmup_ops = 1500,
                               .ops_total = 20000};
    assert(spec->workload);
    for (unsigned i = 0; spec->workload->params[i].name; i++)
        spec->params[i] = spec->workload->params[i].def;
}

void fake_param_set(struct fake_spec *spec, const char *name, int64_t value) {
    for (unsigned i = 0; spec->workload->params[i].name; i++) {
        if (strcmp(spec->workload->params[i].name, name) == 0) {
            spec->params[i] = value;
            return;
        }
    }
    assert(!"no such parameter");
}

static void *library_entry(void *library, const char *name) {
    void *symbol = dlsym(library, name);
    Dl_info found, own;
    assert(symbol && dladdr(symbol, &found) && dladdr(dlsym(library, "malloc"), &own));
    assert(found.dli_fbase == own.dli_fbase);
    return symbol;
}

void fake_library_open(struct alloc_ops *ops, const char *file) {
    char path[512];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);
    assert(n > 0);
    path[n] = '\0';
    snprintf(strrchr(path, '/'), 64, "/../%s",
             file); /* programs of tests lie in a folder beside the libraries */
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    assert(library);
    *(void **)&ops->alloc = library_entry(library, "malloc");
    *(void **)&ops->free = library_entry(library, "free");
    *(void **)&ops->calloc = library_entry(library, "calloc");
    *(void **)&ops->realloc = library_entry(library, "realloc");
    *(void **)&ops->aligned_alloc = library_entry(library, "aligned_alloc");
    *(void **)&ops->usable_size = library_entry(library, "malloc_usable_size");
}
