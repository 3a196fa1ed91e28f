/*
 * A word in a block that says how large the block is, who made it, and that it belongs to this block.
 *
 * Owns nothing. Does not know where in a block its users keep the word.
 *
 * For blocks that pass from thread to thread by a bare pointer. A block given to two callers, or freed by two, holds a
 * word of another owner, of another size, or none: whoever takes it looks before believing it.
 */
#ifndef HEAPDYNO_STAMP_H
#define HEAPDYNO_STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STAMP_MAX_BYTES ((UINT64_C(1) << 24) - 1)

/* Over address, size and owner. */
static inline uint64_t stamp_check(const void *at, uint64_t body) {
    uint64_t x = (body ^ (uintptr_t)at) * UINT64_C(0x9e3779b97f4a7c15);
    return x >> 48;
}

/* size_bytes up to STAMP_MAX_BYTES; of the owner's number the low 24 bits count. */
static inline uint64_t stamp_make(const void *at, uint64_t size_bytes, uint32_t owner) {
    uint64_t body = size_bytes << 24 | (owner & 0xffffff);
    return body << 16 | stamp_check(at, body);
}

static inline bool stamp_is_of(uint64_t stamp, const void *at) {
    return (stamp & 0xffff) == stamp_check(at, stamp >> 16);
}

static inline size_t stamp_bytes(uint64_t stamp) {
    return (size_t)(stamp >> 40);
}

static inline bool stamp_is_by(uint64_t stamp, uint32_t owner) {
    return ((stamp >> 16) & 0xffffff) == (owner & 0xffffff);
}

#endif
