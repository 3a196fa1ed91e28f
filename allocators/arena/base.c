#include "base.h"

#include <stdatomic.h>

#include "os.h"

#define BASE_BLOCK_BYTES ((size_t)256 << 10)

/* One block: [base, end); next is where the next piece begins. It lives at its own start. */
struct base_block {
    _Atomic uintptr_t next;
    uintptr_t end;
};

static _Atomic(struct base_block *) base_block;
static _Atomic size_t base_n_used_bytes, base_n_mapped_bytes;

size_t base_used_bytes(void) {
    return atomic_load_explicit(&base_n_used_bytes, memory_order_relaxed);
}

size_t base_mapped_bytes(void) {
    return atomic_load_explicit(&base_n_mapped_bytes, memory_order_relaxed);
}

static void *base_block_take(struct base_block *block, size_t bytes) {
    uintptr_t at = atomic_load_explicit(&block->next, memory_order_relaxed);
    do {
        if (block->end - at < bytes)
            return NULL;
    } while (!atomic_compare_exchange_weak_explicit(&block->next, &at, at + bytes, memory_order_relaxed,
                                                    memory_order_relaxed));
    return (void *)at;
}

/* What is left of the old block is lost: less than a quarter of it, since large pieces get a block of their
 * own. */
static struct base_block *base_block_new(size_t bytes) {
    struct base_block *block = os_map(NULL, bytes);
    if (block == NULL)
        return NULL;
    atomic_store_explicit(&block->next, (uintptr_t)block + UTIL_LINE_BYTES, memory_order_relaxed);
    block->end = (uintptr_t)block + bytes;
    atomic_fetch_add_explicit(&base_n_mapped_bytes, bytes, memory_order_relaxed);
    return block;
}

void *base_alloc(size_t bytes) {
    bytes = util_align_up(bytes, UTIL_LINE_BYTES);
    void *p = NULL;
    if (bytes > BASE_BLOCK_BYTES / 4) {
        struct base_block *own = base_block_new(util_align_up(bytes + UTIL_LINE_BYTES, PAGE_BYTES));
        if (own != NULL)
            p = base_block_take(own, bytes);
    }
    while (p == NULL && bytes <= BASE_BLOCK_BYTES / 4) {
        struct base_block *block = atomic_load_explicit(&base_block, memory_order_acquire);
        if (block != NULL && (p = base_block_take(block, bytes)) != NULL)
            break;
        struct base_block *fresh = base_block_new(BASE_BLOCK_BYTES);
        if (fresh == NULL)
            return NULL;
        if (!atomic_compare_exchange_strong_explicit(&base_block, &block, fresh, memory_order_acq_rel,
                                                     memory_order_acquire)) {
            atomic_fetch_sub_explicit(&base_n_mapped_bytes, BASE_BLOCK_BYTES, memory_order_relaxed);
            os_unmap(fresh, BASE_BLOCK_BYTES); /* somebody else was faster */
        }
    }
    if (p != NULL)
        atomic_fetch_add_explicit(&base_n_used_bytes, bytes, memory_order_relaxed);
    return p;
}
