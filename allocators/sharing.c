/*
 * The ledger of the sharing pass: which lines hold live blocks, and whose.
 *
 * A block is noted in its first line, by the place where it starts, and in its last; the lines between are its own.
 * Lines are in a hash table and stay there; a lock guards those of a group of buckets. The numbers of lines are atomic,
 * since the two ends of a block may lie in groups of different locks. A block is entered after the allocator gave it
 * out and taken off before it goes back, so the ledger never sees an address live twice that was not.
 * Memory comes from mappings of its own.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "allocators/allocator.h"

#define LINE_BYTES ((uintptr_t)64)
#define GRANULE_BYTES 8 /* no allocator aligns to less */
#define N_STARTS (LINE_BYTES / GRANULE_BYTES)
#define TAIL N_STARTS /* the block that started in an earlier line */
#define N_HOLDERS (N_STARTS + 1)
#define N_BUCKETS ((size_t)1 << 18)
#define N_LOCKS 512
#define CHUNK_BYTES ((size_t)4 << 20)
#define N_OWNERS (SHARING_MAX_OWNER + 1)

struct line {
    uintptr_t idx;
    struct line *next;
    uint64_t n_bytes[N_STARTS];  /* of the block that starts there */
    uint16_t holders[N_HOLDERS]; /* owner + 1 of the block there; 0: none is live */
    bool has_remote_free;        /* ever since */
};

/* Of an owner's threads, which follow one another. */
struct tally {
    _Alignas(128) struct alloc_sharing sums;
};

static struct alloc_ops inner_ops;
static struct line **buckets;
static pthread_mutex_t locks[N_LOCKS];
static struct tally tallies[N_OWNERS];
static _Atomic int64_t n_live_lines, n_shared_lines, n_passive_lines;
static _Atomic uint64_t n_faults;
/* Initial-exec: the default model may call malloc on a thread's first access. */
static _Thread_local unsigned own_idx __attribute__((tls_model("initial-exec")));

static pthread_mutex_t chunk_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned char *chunk_at, *chunk_end; /* guarded by chunk_lock */

static void *map_zeroed(size_t n_bytes) {
    void *memory =
        mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory != MAP_FAILED)
        return memory;
    static const char text[] = "sharing: cannot map memory for the ledger\n";
    ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
    (void)ignored;
    abort();
}

static struct line *line_new(uintptr_t idx) {
    pthread_mutex_lock(&chunk_lock);
    if ((size_t)(chunk_end - chunk_at) < sizeof(struct line)) {
        chunk_at = map_zeroed(CHUNK_BYTES);
        chunk_end = chunk_at + CHUNK_BYTES;
    }
    struct line *line = (struct line *)(void *)chunk_at;
    chunk_at += sizeof *line;
    pthread_mutex_unlock(&chunk_lock);
    line->idx = idx;
    return line;
}

static size_t bucket_of(uintptr_t line_idx) {
    return (size_t)((line_idx * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (N_BUCKETS - 1);
}

/* Under the lock of its bucket. */
static struct line *line_find(size_t bucket, uintptr_t line_idx) {
    struct line *line = buckets[bucket];
    while (line && line->idx != line_idx)
        line = line->next;
    if (line)
        return line;
    line = line_new(line_idx);
    line->next = buckets[bucket];
    return buckets[bucket] = line;
}

/* By how many it counts: live, shared, shared after a remote free. */
struct state {
    int n_live, n_shared, n_passive;
};

static struct state state_of(const struct line *line) {
    unsigned first = 0;
    struct state s = {0};
    for (unsigned i = 0; i < N_HOLDERS; i++) {
        unsigned holder = line->holders[i];
        if (holder && !first)
            first = holder;
        s.n_live |= holder != 0;
        s.n_shared |= holder && holder != first;
    }
    s.n_passive = s.n_shared && line->has_remote_free;
    return s;
}

static void add(_Atomic int64_t *n, int64_t change) {
    if (change)
        atomic_fetch_add_explicit(n, change, memory_order_relaxed);
}

/* What is done to a place of a line: a holder comes or goes. */
struct edit {
    unsigned place, holder; /* 0: the one that is there goes */
    uint64_t n_bytes;       /* of a block that starts here; out: of the one that went */
    unsigned old_holder;    /* out */
};

static void line_edit(uintptr_t line_idx, struct edit *e) {
    size_t bucket = bucket_of(line_idx);
    pthread_mutex_t *lock = &locks[bucket % N_LOCKS];
    pthread_mutex_lock(lock);
    struct line *line = line_find(bucket, line_idx);
    struct state before = state_of(line);
    e->old_holder = line->holders[e->place];
    line->holders[e->place] = (uint16_t)e->holder;
    line->has_remote_free |= !e->holder && e->old_holder && e->old_holder != own_idx + 1;
    if (e->place != TAIL) {
        uint64_t old_bytes = line->n_bytes[e->place];
        line->n_bytes[e->place] = e->n_bytes;
        e->n_bytes = old_bytes;
    }
    struct state after = state_of(line);
    add(&n_live_lines, after.n_live - before.n_live); /* in the order of the line's edits: never below 0 */
    add(&n_shared_lines, after.n_shared - before.n_shared);
    add(&n_passive_lines, after.n_passive - before.n_passive);
    pthread_mutex_unlock(lock);
}

/* The end of a block that does not end in its first line, and the lines between. */
static void edit_end(uintptr_t at, uint64_t n_bytes, unsigned holder) {
    uintptr_t first = at / LINE_BYTES, last = (at + n_bytes - 1) / LINE_BYTES;
    if (last == first)
        return;
    struct edit e = {.place = TAIL, .holder = holder};
    line_edit(last, &e);
    int64_t n_between = (int64_t)(last - first - 1);
    add(&n_live_lines, holder ? n_between : -n_between);
}

static void enter(const void *block, uint64_t n_bytes, unsigned holder) {
    uintptr_t at = (uintptr_t)block;
    struct edit e = {.place = at % LINE_BYTES / GRANULE_BYTES, .holder = holder, .n_bytes = n_bytes};
    line_edit(at / LINE_BYTES, &e);
    edit_end(at, n_bytes, holder);
    if (e.old_holder)
        atomic_fetch_add(&n_faults, 1); /* given out while it is live */
}

/* The size that it had, 0 if the block is not live; *holder is whose it was. */
static uint64_t take_off(const void *block, unsigned *holder) {
    uintptr_t at = (uintptr_t)block;
    struct edit e = {.place = at % LINE_BYTES / GRANULE_BYTES};
    line_edit(at / LINE_BYTES, &e);
    *holder = e.old_holder;
    if (!e.old_holder) {
        atomic_fetch_add(&n_faults, 1);
        return 0;
    }
    edit_end(at, e.n_bytes, 0);
    return e.n_bytes;
}

static uint64_t at_least_one(uint64_t n_bytes) {
    return n_bytes ? n_bytes : 1;
}

static uint64_t read_lines(const _Atomic int64_t *n) {
    return (uint64_t)atomic_load_explicit(n, memory_order_relaxed);
}

static void *note_allocated(void *block, uint64_t n_bytes) {
    if (!block)
        return NULL;
    enter(block, at_least_one(n_bytes), own_idx + 1);
    struct alloc_sharing *sums = &tallies[own_idx].sums;
    sums->n_allocs++;
    sums->n_lines += read_lines(&n_live_lines);
    sums->n_shared += read_lines(&n_shared_lines);
    sums->n_passive += read_lines(&n_passive_lines);
    return block;
}

static void *note_alloc(size_t size_bytes) {
    return note_allocated(inner_ops.alloc(size_bytes), size_bytes);
}

static void *note_calloc(size_t n, size_t size_bytes) {
    return note_allocated(inner_ops.calloc(n, size_bytes), (uint64_t)n * size_bytes);
}

static void *note_aligned_alloc(size_t align_bytes, size_t size_bytes) {
    return note_allocated(inner_ops.aligned_alloc(align_bytes, size_bytes), size_bytes);
}

/* A block that stays where it is was given anew, to who asked. */
static void *note_realloc(void *old, size_t size_bytes) {
    unsigned holder = 0;
    uint64_t old_bytes = old ? take_off(old, &holder) : 0;
    void *block = inner_ops.realloc(old, size_bytes);
    if (!block && old_bytes)
        enter(old, old_bytes, holder);
    return note_allocated(block, size_bytes);
}

static void note_free(void *block) {
    unsigned holder;
    if (block)
        take_off(block, &holder);
    inner_ops.free(block);
}

static void note_free_sized(void *block, size_t size_bytes) {
    unsigned holder;
    if (block)
        take_off(block, &holder);
    inner_ops.free_sized(block, size_bytes);
}

void sharing_wrap(const struct alloc_ops *inner, struct alloc_ops *outer) {
    inner_ops = *inner;
    buckets = map_zeroed(N_BUCKETS * sizeof(struct line *));
    for (size_t i = 0; i < N_LOCKS; i++)
        pthread_mutex_init(&locks[i], NULL);
    *outer = (struct alloc_ops){
        .alloc = note_alloc,
        .free = note_free,
        .calloc = inner->calloc ? note_calloc : NULL,
        .realloc = inner->realloc ? note_realloc : NULL,
        .aligned_alloc = inner->aligned_alloc ? note_aligned_alloc : NULL,
        .usable_size = inner->usable_size,
        .free_sized = inner->free_sized ? note_free_sized : NULL,
    };
}

void sharing_set_owner(unsigned owner) {
    own_idx = owner <= SHARING_MAX_OWNER ? owner : SHARING_MAX_OWNER;
}

void sharing_read(struct alloc_sharing *out) {
    *out = (struct alloc_sharing){.n_faults = atomic_load(&n_faults)};
    for (size_t i = 0; i < N_OWNERS; i++) {
        const struct alloc_sharing *sums = &tallies[i].sums;
        out->n_allocs += sums->n_allocs;
        out->n_lines += sums->n_lines;
        out->n_shared += sums->n_shared;
        out->n_passive += sums->n_passive;
    }
}
