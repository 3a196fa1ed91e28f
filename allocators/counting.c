/*
 * Counting entries for the audit pass. Each thread counts in a block of its own, found through a thread-local
 * pointer; blocks outlive their threads, so that the sum is over all that ever called. Blocks are linked with
 * a compare-and-swap and never unlinked; a thread may leave its block to a successor. Nothing here allocates from any
 * malloc.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "allocators/allocator.h"

#define BLOCK_ALIGN_BYTES 128
#define N_STATIC_BLOCKS 32
#define CHUNK_BLOCKS 512

enum count { N_ALLOCS, N_FREES, N_REALLOCS, N_FAILED, N_COUNTS };

/* Written by its thread alone; atomic because counting_read may run beside it. */
struct block {
    _Alignas(BLOCK_ALIGN_BYTES) _Atomic uint64_t counts[N_COUNTS];
    struct block *next;
};

struct chunk {
    _Atomic unsigned n_used;
    unsigned n_blocks;
    struct block *blocks;
};

static struct alloc_ops inner_ops;
static _Atomic(struct block *) block_list;
static struct block first_blocks[N_STATIC_BLOCKS];
static struct chunk first_chunk = {.n_blocks = N_STATIC_BLOCKS, .blocks = first_blocks};
static _Atomic(struct chunk *) current_chunk = &first_chunk;
/* Initial-exec: the default model may call malloc on a thread's first access. */
static _Thread_local struct block *own_block __attribute__((tls_model("initial-exec")));

static _Noreturn void fail_no_memory(void) {
    static const char text[] = "counting: cannot map memory for the counters of a thread\n";
    ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
    (void)ignored;
    abort();
}

/* Maps the next chunk and installs it unless another thread was faster. Its header takes the first block's
 * place. */
static void grow(struct chunk *full) {
    size_t n_bytes = CHUNK_BLOCKS * sizeof(struct block);
    struct block *memory = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        fail_no_memory();
    struct chunk *chunk = (struct chunk *)memory;
    chunk->n_blocks = CHUNK_BLOCKS - 1;
    chunk->blocks = memory + 1;
    if (!atomic_compare_exchange_strong(&current_chunk, &full, chunk))
        munmap(memory, n_bytes);
}

static struct block *enlist_thread(void) {
    for (;;) {
        struct chunk *chunk = atomic_load(&current_chunk);
        unsigned idx = atomic_fetch_add(&chunk->n_used, 1);
        if (idx < chunk->n_blocks) {
            struct block *block = own_block = &chunk->blocks[idx];
            block->next = atomic_load(&block_list);
            while (!atomic_compare_exchange_weak(&block_list, &block->next, block))
                ;
            return block;
        }
        grow(chunk);
    }
}

static void add_one(enum count which) {
    struct block *block = own_block ? own_block : enlist_thread();
    uint64_t n = atomic_load_explicit(&block->counts[which], memory_order_relaxed);
    atomic_store_explicit(&block->counts[which], n + 1, memory_order_relaxed);
}

static void *add_allocated(void *block) {
    add_one(block ? N_ALLOCS : N_FAILED);
    return block;
}

static void *count_alloc(size_t size_bytes) {
    return add_allocated(inner_ops.alloc(size_bytes));
}

static void *count_calloc(size_t n, size_t size_bytes) {
    return add_allocated(inner_ops.calloc(n, size_bytes));
}

static void *count_aligned_alloc(size_t align_bytes, size_t size_bytes) {
    return add_allocated(inner_ops.aligned_alloc(align_bytes, size_bytes));
}

static void *count_realloc(void *old, size_t size_bytes) {
    void *block = inner_ops.realloc(old, size_bytes);
    if (!old)
        return add_allocated(block);
    add_one(block ? N_REALLOCS : N_FAILED);
    return block;
}

static void count_free(void *block) {
    if (block)
        add_one(N_FREES);
    inner_ops.free(block);
}

static void count_free_sized(void *block, size_t size_bytes) {
    if (block)
        add_one(N_FREES);
    inner_ops.free_sized(block, size_bytes);
}

void counting_wrap(const struct alloc_ops *inner, struct alloc_ops *outer) {
    inner_ops = *inner;
    *outer = (struct alloc_ops){
        .alloc = count_alloc,
        .free = count_free,
        .calloc = inner->calloc ? count_calloc : NULL,
        .realloc = inner->realloc ? count_realloc : NULL,
        .aligned_alloc = inner->aligned_alloc ? count_aligned_alloc : NULL,
        .usable_size = inner->usable_size,
        .free_sized = inner->free_sized ? count_free_sized : NULL,
    };
}

void counting_read(struct alloc_counts *out) {
    uint64_t sum[N_COUNTS] = {0};
    for (struct block *block = atomic_load(&block_list); block; block = block->next)
        for (int i = 0; i < N_COUNTS; i++)
            sum[i] += atomic_load_explicit(&block->counts[i], memory_order_relaxed);
    *out = (struct alloc_counts){
        .n_allocs = sum[N_ALLOCS],
        .n_frees = sum[N_FREES],
        .n_reallocs = sum[N_REALLOCS],
        .n_failed = sum[N_FAILED],
    };
}

void *counting_hand_over(void) {
    struct block *block = own_block;
    own_block = NULL;
    return block;
}

void counting_take_over(void *counters) {
    if (counters)
        own_block = counters;
}
