/*
 * A heap driven by a byte string: every byte string is a valid program of malloc, free, realloc and their kin,
 * and what the allocator returns is held against a naive model: each block aligned, as large as asked, apart from
 * all others, zeroed where promised, and with the content that was written into it.
 *
 * Used by the fuzzers and by the random tests, which make their byte strings from a seed. Not thread-safe: one
 * struct heap_ops per thread; what threads pass to each other goes through a struct heap_exchange.
 */
#ifndef TESTS_FUZZ_HEAP_OPS_H
#define TESTS_FUZZ_HEAP_OPS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_OPS_N_SLOTS 512
#define HEAP_OPS_N_EXCHANGE 64

/* The allocator that is driven. The members up to posix_memalign are there; any other may be NULL. */
struct heap_calls {
    void *(*malloc)(size_t size);
    void (*free)(void *p);
    void *(*calloc)(size_t n, size_t size);
    void *(*realloc)(void *p, size_t size);
    void *(*reallocarray)(void *p, size_t n, size_t size);
    size_t (*usable_size)(void *p);
    void *(*aligned_alloc)(size_t align, size_t size);
    void *(*memalign)(size_t align, size_t size);
    void *(*valloc)(size_t size);
    void *(*pvalloc)(size_t size);
    int (*posix_memalign)(void **out, size_t align, size_t size);
    void (*free_sized)(void *p, size_t size);
    void *(*zeroed)(size_t size);    /* another way to zeroed blocks */
    void (*give_back)(unsigned how); /* any of its ways to give memory back */
};

/* Those of the arena allocator, tests/fuzz/heap_arena.c. */
extern const struct heap_calls heap_calls_arena;

struct heap_block {
    unsigned char *p;
    size_t size_bytes;
    uint64_t seed; /* of its content */
};

/* Blocks on their way from one thread to another. */
struct heap_exchange {
    pthread_mutex_t lock;
    struct heap_block blocks[HEAP_OPS_N_EXCHANGE];
    size_t n;
};

struct heap_ops {
    const struct heap_calls *calls;
    struct heap_block slots[HEAP_OPS_N_SLOTS];
    struct heap_exchange *exchange; /* NULL: none */
    size_t live_bytes, max_live_bytes;
    uint64_t next_seed;
    bool may_fail; /* NULL is a legal answer, with ENOMEM */
    size_t n_failed;
    const char *error; /* what did not hold, or NULL */
    size_t error_at;   /* size of the block concerned */
};

void heap_ops_init(struct heap_ops *ops, const struct heap_calls *calls, uint64_t seed,
                   size_t max_live_bytes);

/** Runs the program until its end or the first error; the error, or NULL. */
const char *heap_ops_run(struct heap_ops *ops, const uint8_t *program, size_t n_bytes);

/** Runs n_ops operations drawn from the seed. */
const char *heap_ops_run_random(struct heap_ops *ops, uint64_t seed, size_t n_ops);

/** Checks and frees everything. */
const char *heap_ops_finish(struct heap_ops *ops);

/** Checks and frees what nobody took from the exchange. */
const char *heap_exchange_finish(struct heap_exchange *exchange, const struct heap_calls *calls);

#endif
