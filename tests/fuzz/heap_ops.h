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
    struct heap_block slots[HEAP_OPS_N_SLOTS];
    struct heap_exchange *exchange; /* NULL: none */
    size_t live_bytes, max_live_bytes;
    uint64_t next_seed;
    bool may_fail; /* NULL is a legal answer, with ENOMEM */
    size_t n_failed;
    const char *error; /* what did not hold, or NULL */
    size_t error_at;   /* size of the block concerned */
};

void heap_ops_init(struct heap_ops *ops, uint64_t seed, size_t max_live_bytes);

/** Runs the program until its end or the first error; the error, or NULL. */
const char *heap_ops_run(struct heap_ops *ops, const uint8_t *program, size_t n_bytes);

/** Runs n_ops operations drawn from the seed. */
const char *heap_ops_run_random(struct heap_ops *ops, uint64_t seed, size_t n_ops);

/** Checks and frees everything. */
const char *heap_ops_finish(struct heap_ops *ops);

/** Checks and frees what nobody took from the exchange. */
const char *heap_exchange_finish(struct heap_exchange *exchange);

#endif
