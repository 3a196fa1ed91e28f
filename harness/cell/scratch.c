#include "harness/cell/scratch.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>

#include "workloads/workload.h"

#define CHUNK_BYTES ((size_t)1 << 20) /* address space; only what is used becomes resident */
#define PAGE_BYTES ((size_t)4096)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uintptr_t chunk_at, chunk_end; /* guarded by lock */

static uintptr_t map_pages(size_t n_bytes) {
    void *map =
        mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return 0;
    madvise(map, n_bytes, MADV_NOHUGEPAGE); /* EINVAL where the kernel has none: as wanted */
    return (uintptr_t)map;
}

static uintptr_t align_up(uintptr_t address, size_t align_bytes) {
    return (address + align_bytes - 1) & ~(uintptr_t)(align_bytes - 1);
}

void *scratch_alloc(size_t n_bytes, size_t align_bytes) {
    if (n_bytes > CHUNK_BYTES / 4) /* a mapping of its own: page-aligned, and the chunk is not wasted */
        return n_bytes > PTRDIFF_MAX ? NULL : (void *)map_pages(align_up(n_bytes, PAGE_BYTES));
    pthread_mutex_lock(&lock);
    uintptr_t address = align_up(chunk_at, align_bytes);
    if (!chunk_at || address + n_bytes > chunk_end) {
        address = map_pages(CHUNK_BYTES);
        chunk_end = address ? address + CHUNK_BYTES : 0;
        chunk_at = address;
    }
    if (address)
        chunk_at = address + n_bytes;
    pthread_mutex_unlock(&lock);
    return (void *)address;
}

void *cell_scratch(struct cell *c, size_t n_bytes, size_t align_bytes) {
    void *memory = scratch_alloc(n_bytes, align_bytes);
    if (!memory)
        cell_fail(c, ENOMEM, "no memory for the workload's bookkeeping");
    return memory;
}
