#include "tests/fuzz/heap_ops.h"

#include <errno.h>
#include <string.h>

/* Blocks up to this size are written and checked whole, larger ones at both ends and once a page. */
#define WHOLE_BYTES 512
#define EDGE_BYTES 128
#define STEP_BYTES 4096
#define N_OP_BYTES 5
#define ERRNO_BEFORE 4242

static unsigned char content_byte(uint64_t seed, size_t at) {
    uint64_t x = (seed + at / 8) * 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    return (unsigned char)(x >> (at % 8 * 8));
}

/* Position after `at` of the bytes that are written and checked. */
static size_t content_next(size_t at, size_t size) {
    if (size <= WHOLE_BYTES || at + 1 < EDGE_BYTES || at + 1 >= size - EDGE_BYTES)
        return at + 1;
    size_t next = (at / STEP_BYTES + 1) * STEP_BYTES;
    return next < size - EDGE_BYTES ? next : size - EDGE_BYTES;
}

static void content_write(const struct heap_block *b) {
    for (size_t at = 0; at < b->size_bytes; at = content_next(at, b->size_bytes))
        b->p[at] = content_byte(b->seed, at);
}

/* Of a block of `size` bytes the first n must have the content. */
static bool content_holds(const struct heap_block *b, size_t n) {
    for (size_t at = 0; at < n; at = content_next(at, b->size_bytes))
        if (b->p[at] != content_byte(b->seed, at))
            return false;
    return true;
}

static bool content_is_zero(const unsigned char *p, size_t n) {
    for (size_t at = 0; at < n; at++)
        if (p[at] != 0)
            return false;
    return true;
}

static void ops_error(struct heap_ops *ops, const char *what, size_t size) {
    if (ops->error != NULL)
        return;
    ops->error = what;
    ops->error_at = size;
}

void heap_ops_init(struct heap_ops *ops, const struct heap_calls *calls, uint64_t seed,
                   size_t max_live_bytes) {
    memset(ops, 0, sizeof *ops);
    ops->calls = calls;
    ops->next_seed = seed;
    ops->max_live_bytes = max_live_bytes;
}

static size_t natural_align(size_t size) {
    size_t align = 1;
    while (align < 16 && align * 2 <= size)
        align *= 2;
    return align;
}

static void check_apart(struct heap_ops *ops, const struct heap_block *b) {
    uintptr_t from = (uintptr_t)b->p, to = from + (b->size_bytes != 0 ? b->size_bytes : 1);
    for (size_t i = 0; i < HEAP_OPS_N_SLOTS; i++) {
        const struct heap_block *other = &ops->slots[i];
        if (other == b || other->p == NULL)
            continue;
        uintptr_t start = (uintptr_t)other->p, end = start + (other->size_bytes != 0 ? other->size_bytes : 1);
        if (from < end && start < to)
            ops_error(ops, "two live blocks overlap", b->size_bytes);
    }
}

/* Takes a fresh block into its slot: all that holds for any block is checked here. */
static void accept_block(struct heap_ops *ops, struct heap_block *slot, void *p, size_t size, size_t align) {
    if (p == NULL) {
        ops->n_failed++;
        if (!ops->may_fail)
            ops_error(ops, "NULL without need", size);
        else if (errno != ENOMEM)
            ops_error(ops, "NULL without ENOMEM", size);
        return;
    }
    if (errno != ERRNO_BEFORE)
        ops_error(ops, "errno changed on success", size);
    if (align < natural_align(size))
        align = natural_align(size);
    if (((uintptr_t)p & (align - 1)) != 0)
        ops_error(ops, "not aligned", size);
    if (ops->calls->usable_size(p) < size)
        ops_error(ops, "usable size below the size", size);
    *slot = (struct heap_block){p, size, ops->next_seed++};
    ops->live_bytes += size;
    check_apart(ops, slot);
    content_write(slot);
}

static void check_block(struct heap_ops *ops, const struct heap_block *b) {
    if (!content_holds(b, b->size_bytes))
        ops_error(ops, "content changed", b->size_bytes);
}

static void release_block(struct heap_ops *ops, struct heap_block *slot, unsigned how) {
    check_block(ops, slot);
    ops->live_bytes -= slot->size_bytes;
    switch (how % 4) {
    case 0:
        if (ops->calls->free_sized != NULL)
            ops->calls->free_sized(slot->p, slot->size_bytes);
        else
            ops->calls->free(slot->p);
        break;
    case 1:
        if (ops->calls->realloc(slot->p, 0) != NULL)
            ops_error(ops, "realloc to nothing is not NULL", slot->size_bytes);
        break;
    default:
        ops->calls->free(slot->p);
    }
    slot->p = NULL;
    if (errno != ERRNO_BEFORE)
        ops_error(ops, "errno changed by free", slot->size_bytes);
}

static void resize_block(struct heap_ops *ops, struct heap_block *slot, size_t size, bool as_array) {
    struct heap_block old = *slot;
    check_block(ops, slot);
    if (size == 0)
        size = 1;
    void *p = as_array ? ops->calls->reallocarray(old.p, size, 1) : ops->calls->realloc(old.p, size);
    if (p == NULL) {
        accept_block(ops, slot, NULL, size, 1);
        check_block(ops, slot); /* the old one is as it was */
        return;
    }
    struct heap_block moved = {p, old.size_bytes, old.seed};
    if (!content_holds(&moved, old.size_bytes < size ? old.size_bytes : size))
        ops_error(ops, "realloc lost content", size);
    ops->live_bytes -= old.size_bytes;
    slot->p = NULL;
    accept_block(ops, slot, p, size, 1);
}

static void zeroed_block(struct heap_ops *ops, struct heap_block *slot, size_t size, bool by_flag) {
    void *p = by_flag && ops->calls->zeroed != NULL ? ops->calls->zeroed(size) : ops->calls->calloc(1, size);
    if (p != NULL && !content_is_zero(p, size))
        ops_error(ops, "calloc is not zero", size);
    accept_block(ops, slot, p, size, 1);
}

static void aligned_block(struct heap_ops *ops, struct heap_block *slot, size_t size, unsigned lg,
                          unsigned how) {
    size_t align = (size_t)1 << lg;
    void *p = NULL;
    switch (how % 5) {
    case 0:
        p = ops->calls->aligned_alloc(align, size);
        break;
    case 1:
        p = ops->calls->memalign(align, size);
        break;
    case 2:
        align = align < sizeof(void *) ? sizeof(void *) : align;
        if (ops->calls->posix_memalign(&p, align, size) != 0)
            errno = ENOMEM;
        break;
    case 3:
        align = 4096;
        p = ops->calls->valloc(size);
        break;
    default:
        align = 4096;
        p = ops->calls->pvalloc(size);
        if (p != NULL && ops->calls->usable_size(p) < (size + 4095) / 4096 * 4096)
            ops_error(ops, "pvalloc is not whole pages", size);
    }
    accept_block(ops, slot, p, size, align);
}

/* Passes the slot's block on, or takes one that another thread passed. */
static void exchange_block(struct heap_ops *ops, struct heap_block *slot) {
    struct heap_exchange *ex = ops->exchange;
    if (ex == NULL)
        return;
    pthread_mutex_lock(&ex->lock);
    if (slot->p != NULL && ex->n < HEAP_OPS_N_EXCHANGE) {
        ex->blocks[ex->n++] = *slot;
        ops->live_bytes -= slot->size_bytes;
        slot->p = NULL;
    } else if (slot->p == NULL && ex->n > 0) {
        *slot = ex->blocks[--ex->n];
        ops->live_bytes += slot->size_bytes;
    }
    pthread_mutex_unlock(&ex->lock);
    if (slot->p != NULL)
        check_block(ops, slot);
}

/* What nobody does often. */
static void rare_op(struct heap_ops *ops, struct heap_block *slot, unsigned how) {
    switch (how % 8) {
    case 0:
    case 1:
    case 2:
        if (ops->calls->give_back != NULL)
            ops->calls->give_back(how % 8);
        break;
    case 3:
        ops->calls->free(NULL);
        break;
    default:
        if (slot->p == NULL)
            return;
        /* All of the usable size may be written. */
        memset(slot->p, 0xee, ops->calls->usable_size(slot->p));
        content_write(slot);
    }
    for (size_t i = 0; i < HEAP_OPS_N_SLOTS; i += 1 + how % 7)
        if (ops->slots[i].p != NULL)
            check_block(ops, &ops->slots[i]);
}

/* A size from two bytes: mostly small, up to 4 MiB, often at a power of two or beside one. */
static size_t size_of(uint8_t scale, uint8_t detail) {
    unsigned lg = scale % 64 < 40 ? scale % 64 / 4 : scale % 64 < 60 ? scale % 13 : scale % 23;
    size_t base = (size_t)1 << lg;
    if (detail < 96)
        return base - 1 + detail % 3;
    return base + base * (detail - 96u) / 160 + detail % 16;
}

static void step(struct heap_ops *ops, const uint8_t op[N_OP_BYTES]) {
    struct heap_block *slot = &ops->slots[(op[1] | op[2] << 8) % HEAP_OPS_N_SLOTS];
    size_t size = size_of(op[3], op[4]);
    unsigned kind = op[0] % 32;
    bool has_room = ops->live_bytes + size <= ops->max_live_bytes;
    errno = ERRNO_BEFORE;
    if (kind == 31)
        rare_op(ops, slot, op[3]);
    else if (kind == 30 || kind == 29)
        exchange_block(ops, slot);
    else if (slot->p != NULL && (kind < 20 || !has_room))
        release_block(ops, slot, op[3]);
    else if (!has_room)
        return;
    else if (slot->p != NULL)
        resize_block(ops, slot, size, op[0] & 32);
    else if (kind < 18)
        accept_block(ops, slot, ops->calls->malloc(size), size, 1);
    else if (kind < 22)
        zeroed_block(ops, slot, size, op[0] & 32);
    else if (kind < 27)
        aligned_block(ops, slot, size, op[2] / 2 % (op[2] % 2 ? 23 : 13), op[1]);
    else
        accept_block(ops, slot, ops->calls->realloc(NULL, size), size, 1);
}

const char *heap_ops_run(struct heap_ops *ops, const uint8_t *program, size_t n_bytes) {
    for (size_t at = 0; at + N_OP_BYTES <= n_bytes && ops->error == NULL; at += N_OP_BYTES)
        step(ops, program + at);
    return ops->error;
}

const char *heap_ops_run_random(struct heap_ops *ops, uint64_t seed, size_t n_ops) {
    for (size_t i = 0; i < n_ops && ops->error == NULL; i++) {
        uint8_t op[8];
        uint64_t x = (seed + i) * 0xd1342543de82ef95u + 1;
        x = (x ^ (x >> 32)) * 0x9e3779b97f4a7c15u;
        x ^= x >> 31;
        memcpy(op, &x, sizeof op);
        op[0] = op[0] % 32 == 31 && op[7] != 0 ? (uint8_t)(op[7] % 28) : op[0]; /* rare ones rarely */
        step(ops, op);
    }
    return ops->error;
}

const char *heap_ops_finish(struct heap_ops *ops) {
    for (size_t i = 0; i < HEAP_OPS_N_SLOTS; i++) {
        errno = ERRNO_BEFORE;
        if (ops->slots[i].p != NULL)
            release_block(ops, &ops->slots[i], 3);
    }
    return ops->error;
}

const char *heap_exchange_finish(struct heap_exchange *exchange, const struct heap_calls *calls) {
    const char *error = NULL;
    for (; exchange->n > 0; exchange->n--) {
        const struct heap_block *b = &exchange->blocks[exchange->n - 1];
        if (!content_holds(b, b->size_bytes))
            error = "content changed on the way";
        calls->free(b->p);
    }
    return error;
}
