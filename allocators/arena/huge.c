#include "huge.h"

#include "os.h"

static _Atomic bool huge_may_not_move;

static size_t huge_offset_for(size_t align) {
    if (align >= chunk_bytes)
        return chunk_bytes;
    return util_max(align, PAGE_BYTES);
}

/* Maps header and payload: [base, base + offset + bytes), the hole between them unmapped again. */
static uintptr_t huge_map(size_t bytes, size_t align, size_t offset) {
    size_t total = offset + bytes;
    if (align <= chunk_bytes) {
        uintptr_t base = (uintptr_t)os_map_aligned(chunk_hint(), total, chunk_bytes);
        if (base != 0)
            chunk_set_hint(base, total);
        return base;
    }
    if (total + align < total)
        return 0;
    char *p = os_map(NULL, total + align);
    if (p == NULL)
        return 0;
    uintptr_t payload = util_align_up((uintptr_t)p + offset, align);
    uintptr_t base = payload - offset, end = (uintptr_t)p + total + align;
    if (base != (uintptr_t)p)
        os_unmap(p, base - (uintptr_t)p);
    if (end != payload + bytes)
        os_unmap((void *)(payload + bytes), end - (payload + bytes));
    return base;
}

struct chunk *huge_create(void *owner, size_t bytes, size_t align) {
    size_t offset = huge_offset_for(align);
    if (bytes + offset < bytes || bytes > (size_t)PTRDIFF_MAX)
        return NULL;
    uintptr_t base = huge_map(bytes, align, offset);
    if (base == 0)
        return NULL;
    if (!chunk_register(base)) {
        os_unmap((void *)base, offset + bytes);
        return NULL;
    }
    if (offset > PAGE_BYTES)
        os_unmap((void *)(base + PAGE_BYTES), offset - PAGE_BYTES);
    struct chunk *huge = chunk_at_base(base);
    huge->magic = CHUNK_HUGE_MAGIC;
    huge->owner = owner;
    huge->huge_bytes = bytes;
    huge->huge_offset = offset;
    huge->huge_is_zeroed = true;
    list_init(&huge->dirty_link);
    list_init(&huge->all_link);
    return huge;
}

void huge_destroy(struct chunk *huge) {
    uintptr_t base = chunk_base(huge);
    size_t offset = huge->huge_offset, bytes = huge->huge_bytes;
    chunk_unregister(base);
    if (offset == PAGE_BYTES) {
        if (os_unmap((void *)base, offset + bytes) != 0)
            os_purge((void *)base, offset + bytes);
        return;
    }
    if (os_unmap((void *)(base + offset), bytes) != 0)
        os_purge((void *)(base + offset), bytes);
    os_unmap((void *)base, PAGE_BYTES);
}

void huge_unmap_tail(void *tail, size_t bytes) {
    if (os_unmap(tail, bytes) != 0)
        os_purge(tail, bytes);
}

bool huge_grow_in_place(struct chunk *huge, size_t bytes) {
    if (!os_map_exactly((char *)huge_payload(huge) + huge->huge_bytes, bytes))
        return false;
    huge->huge_bytes += bytes;
    return true;
}

/* A mremap that fails may have unmapped its target first, and another thread may have mapped something there since:
 * what of it is still ours is not known. If all of it is free, it is taken again and given back in order; else only the
 * header is given back, and, lest addresses be lost time and again, pages are never moved again in this process. */
static void huge_abandon_target(struct chunk *to) {
    uintptr_t base = chunk_base(to);
    if (os_map_exactly(huge_payload(to), to->huge_bytes)) {
        huge_destroy(to);
        return;
    }
    atomic_store_explicit(&huge_may_not_move, true, memory_order_relaxed);
    chunk_unregister(base);
    os_unmap((void *)base, PAGE_BYTES);
}

struct chunk *huge_move(struct chunk *huge, size_t bytes) {
    if (atomic_load_explicit(&huge_may_not_move, memory_order_relaxed))
        return NULL;
    struct chunk *to = huge_create(huge->owner, bytes, PAGE_BYTES);
    if (to == NULL)
        return NULL;
    if (os_move_pages(huge_payload(huge), huge->huge_bytes, huge_payload(to), bytes) != 0) {
        huge_abandon_target(to);
        return NULL;
    }
    /* The old payload is unmapped already; what is left is the header page. */
    uintptr_t base = chunk_base(huge);
    chunk_unregister(base);
    os_unmap((void *)base, PAGE_BYTES);
    return to;
}
