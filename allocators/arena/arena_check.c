/* The invariants of README.md, checked over a whole arena. For tests; the arena must be at rest. */
#include "arena.h"
#include "bitmap.h"

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            return #condition;                                                                               \
    } while (0)

static const char *check_run(struct chunk *chunk, size_t page) {
    const struct run *run = run_of(chunk, chunk_page_address(chunk, page));
    unsigned class_idx = chunk_map(chunk)[page];
    const struct run_class *rc = &run_classes[class_idx];
    size_t n_free = 0;
    CHECK(run->class_idx == class_idx);
    CHECK(run->first_page <= page && page < (size_t)run->first_page + rc->n_pages);
    CHECK(run_base(run) == (uintptr_t)chunk_page_address(chunk, run->first_page));
    for (size_t w = 0; w < rc->n_words; w++)
        n_free += (size_t)__builtin_popcountl(run->free_bits[w]);
    CHECK(n_free == run_n_free(run));
    const struct run_remote *remote = run_remote_of((struct run *)(uintptr_t)run);
    size_t n_sent = 0;
    for (size_t w = 0; w < rc->n_words; w++) {
        uint64_t bits = atomic_load_explicit(&remote->bits[w], memory_order_relaxed);
        CHECK((bits & run->free_bits[w]) == 0);
        n_sent += (size_t)__builtin_popcountl(bits);
    }
    CHECK(n_sent == atomic_load_explicit(&remote->n_pending, memory_order_relaxed));
    CHECK(bitmap_next_one(run->free_bits, (size_t)rc->n_words * 64, rc->n_regions) ==
          (size_t)rc->n_words * 64);
    CHECK(run->state != RUN_WAITING || (n_free != 0 && !run_is_empty(run)));
    CHECK(run->state != RUN_FULL || n_free == 0);
    CHECK(run->state != RUN_SPARE || run_is_empty(run));
    return NULL;
}

static const char *check_pages(struct chunk *chunk) {
    const uint64_t *free_bits = chunk_free_bits(chunk), *dirty_bits = chunk_dirty_bits(chunk);
    size_t n_free = 0, n_dirty = 0, n_muzzy = 0, n_row = 0, longest = 0;
    for (size_t page = 0; page < chunk_geo.n_pages; page++) {
        bool is_free = bitmap_has(free_bits, page), is_muzzy = bitmap_has(chunk_muzzy_bits(chunk), page);
        uint8_t class_idx = chunk_map(chunk)[page];
        n_row = is_free ? n_row + 1 : 0;
        longest = util_max(longest, n_row);
        n_free += is_free;
        n_dirty += is_free && bitmap_has(dirty_bits, page);
        n_muzzy += is_muzzy;
        CHECK(!is_free || page >= util_max(chunk_geo.n_header_pages, chunk->lowest_page));
        CHECK(!is_free || (class_idx == CHUNK_MAP_NONE && chunk_info(chunk)[page] == 0));
        CHECK(is_free || page < chunk_geo.n_header_pages || bitmap_has(dirty_bits, page));
        CHECK(!is_free || page >= chunk->lowest_clean || bitmap_has(dirty_bits, page));
        CHECK(!is_muzzy || (is_free && !bitmap_has(dirty_bits, page)));
        const char *wrong = class_idx < SIZE_CLASS_N_SMALL ? check_run(chunk, page) : NULL;
        if (wrong != NULL)
            return wrong;
    }
    CHECK(n_free == chunk->n_free_pages);
    CHECK(n_dirty == chunk->n_dirty_pages);
    CHECK(n_muzzy == chunk->n_muzzy_pages);
    CHECK(longest <= chunk->longest_pages);
    return NULL;
}

static const char *check_chunk(const struct arena *arena, struct chunk *chunk) {
    CHECK(chunk->magic == CHUNK_MAGIC);
    CHECK(chunk->owner == arena);
    CHECK(chunk_is_registered(chunk_base(chunk)));
    CHECK(chunk->n_dirty_pages == 0 || !list_is_empty(&chunk->dirty_link));
    if (chunk->longest_pages == 0) {
        CHECK(chunk->bucket == ARENA_BUCKET_NONE);
    } else {
        CHECK(chunk->bucket == size_class_page_bucket(chunk->longest_pages));
        CHECK((arena->bucket_bits >> chunk->bucket & 1) != 0);
    }
    return check_pages(chunk);
}

/* What is unused of huge blocks, and its sum. */
static const char *check_huge(struct arena *arena) {
    size_t n_cached = 0, n_unused_bytes = 0;
    for (struct list *at = arena->huge_oldest.next; at != &arena->huge_oldest; at = at->next) {
        const struct chunk *huge = LIST_ENTRY(at, struct chunk, dirty_link);
        size_t tail = atomic_load_explicit(&huge->huge_tail, memory_order_relaxed);
        CHECK(huge->magic == CHUNK_HUGE_MAGIC);
        CHECK(huge->owner == arena);
        CHECK(chunk_is_registered(chunk_base(huge)));
        CHECK(tail != 0);
        n_cached += huge_is_cached(huge);
        n_unused_bytes += huge_is_cached(huge) ? huge->huge_bytes : tail & ~CHUNK_HUGE_IS_FREED;
    }
    for (unsigned i = 0; i < ARENA_N_HUGE_LISTS; i++)
        for (struct list *at = arena->huge_cached[i].next; at != &arena->huge_cached[i]; at = at->next) {
            const struct chunk *huge = LIST_ENTRY(at, struct chunk, all_link);
            CHECK(huge_is_cached(huge) && util_lg_floor(huge->huge_bytes) == i);
            n_cached--;
        }
    CHECK(n_cached == 0);
    CHECK(n_unused_bytes == atomic_load_explicit(&arena->n_huge_cached_bytes, memory_order_relaxed));
    CHECK(n_unused_bytes <= atomic_load_explicit(&arena->n_huge_bytes, memory_order_relaxed));
    return NULL;
}

static const char *check_chunks(struct arena *arena) {
    size_t n_chunks = 0, n_dirty = 0, n_muzzy = 0, n_active = 0;
    const char *wrong = NULL;
    lock_acquire(&arena->pages_lock);
    for (struct list *at = arena->chunks.next; at != &arena->chunks && wrong == NULL; at = at->next) {
        struct chunk *chunk = LIST_ENTRY(at, struct chunk, all_link);
        wrong = check_chunk(arena, chunk);
        n_chunks++;
        n_dirty += chunk->n_dirty_pages;
        n_muzzy += chunk->n_muzzy_pages;
        n_active += chunk_usable_pages() - chunk->n_free_pages;
    }
    if (wrong == NULL && (n_chunks != arena->n_chunks || n_dirty != arena->n_dirty_pages ||
                          n_muzzy != arena->n_muzzy_pages || n_active != arena->n_active_pages))
        wrong = "the arena's sums over its chunks";
    lock_release(&arena->pages_lock);
    return wrong;
}

const char *arena_check(struct arena *arena) {
    lock_acquire(&arena->huge_lock);
    const char *wrong = check_huge(arena);
    lock_release(&arena->huge_lock);
    return wrong != NULL ? wrong : check_chunks(arena);
}
