/* The proof that an opened allocator is what it is called and that it does the work: identity, then
 * canary. */
#include <errno.h>
#include <link.h>
#include <string.h>

#include "allocators/allocator.h"
#include "allocators/image.h"
#include "allocators/native.h"
#include "allocators/subject.h"
#include "allocators/text.h"

static bool is_libc(const struct subject *s) {
    return image_of_handle(s->handle) == image_of_handle(image_libc_handle());
}

static int prove_identity(struct subject *s) {
    if (!s->row)
        return 0;
    for (const char *const *symbol = s->row->identity; *symbol; symbol++)
        if (!allocator_symbol(s, *symbol))
            return subject_fail(s, EPROTO, "%s is not %s: it has no symbol %s", s->proof.path, s->row->name,
                                *symbol);
    return 0;
}

/* Blocks differ in every byte, so that one that runs into another is seen in either. */
static unsigned char canary_byte(unsigned block_idx, unsigned byte_idx) {
    return (unsigned char)(block_idx * 37 + byte_idx * 11 + 1);
}

static int canary_write(struct subject *s, void **blocks) {
    for (unsigned i = 0; i < CANARY_BLOCKS; i++) {
        unsigned char *block = blocks[i] = s->ops.alloc(CANARY_BYTES);
        if (!block)
            return subject_fail(s, EPROTO, "canary: malloc returned NULL for block %u of %u bytes", i,
                                CANARY_BYTES);
        for (unsigned j = 0; j < CANARY_BYTES; j++)
            block[j] = canary_byte(i, j);
    }
    return 0;
}

static int canary_check(struct subject *s, void *const *blocks) {
    for (unsigned i = 0; i < CANARY_BLOCKS; i++)
        for (unsigned j = 0; j < i; j++) {
            uintptr_t a = (uintptr_t)blocks[i], b = (uintptr_t)blocks[j];
            if ((a < b ? b - a : a - b) < CANARY_BYTES)
                return subject_fail(s, EPROTO, "canary: blocks %u and %u overlap (%p, %p)", j, i, blocks[j],
                                    blocks[i]);
        }
    for (unsigned i = 0; i < CANARY_BLOCKS; i++)
        for (unsigned j = 0; j < CANARY_BYTES; j++)
            if (((const unsigned char *)blocks[i])[j] != canary_byte(i, j))
                return subject_fail(s, EPROTO, "canary: byte %u of block %u changed", j, i);
    return 0;
}

/* A floor has one address for every block: that, and that it can be written, is all there is to show. */
static int canary_check_floor(struct subject *s, void *const *blocks) {
    for (unsigned i = 1; i < CANARY_BLOCKS; i++)
        if (blocks[i] != blocks[0])
            return subject_fail(s, EPROTO, "canary: a floor must return one address, block %u is another", i);
    return 0;
}

static int64_t subject_witness(const struct subject *s, void *const *blocks, unsigned n_blocks) {
    return s->row && s->row->witness ? s->row->witness(s, blocks, n_blocks) : -1;
}

static void append_sighting(struct subject *s, const char *witness, int64_t seen) {
    text_append(s->proof.canary, sizeof s->proof.canary, witness);
    text_append(s->proof.canary, sizeof s->proof.canary, "=");
    text_append_number(s->proof.canary, sizeof s->proof.canary, seen);
}

/* Judges what the witnesses saw while CANARY_BLOCKS blocks were live; `before` and `during` hold libc
 * first. */
static int judge_witnesses(struct subject *s, const int64_t before[2], const int64_t during[2]) {
    const int64_t canary_bytes = (int64_t)CANARY_BLOCKS * CANARY_BYTES;
    int64_t libc = during[0] - before[0], own = during[1] - before[1];
    bool has_own = before[1] >= 0 && during[1] >= 0;
    if (before[0] < 0 || during[0] < 0)
        return subject_fail(s, EPROTO, "canary: libc has no mallinfo2 to bear witness (glibc 2.33 or later)");
    append_sighting(s, "blocks", CANARY_BLOCKS);
    append_sighting(s, " libc", libc);
    if (has_own)
        append_sighting(s, " own", own);
    else
        text_append(s->proof.canary, sizeof s->proof.canary, " own=none");
    /* glibc counts what rests in its thread cache (7 blocks a class) as in use: those do not show. */
    if (is_libc(s) && libc < canary_bytes - (int64_t)8 * CANARY_BYTES)
        return subject_fail(s, EPROTO, "canary: glibc counted %lld of %lld bytes", (long long)libc,
                            (long long)canary_bytes);
    if (!is_libc(s) && libc >= CANARY_BYTES)
        return subject_fail(s, EPROTO, "canary: %lld bytes of %lld came from libc's malloc", (long long)libc,
                            (long long)canary_bytes);
    if (has_own && (own < canary_bytes || own > 4 * canary_bytes))
        return subject_fail(s, EPROTO, "canary: %s counted %lld bytes of %lld", s->row->name, (long long)own,
                            (long long)canary_bytes);
    return 0;
}

/* Judges what was seen to go when the blocks were freed: by libc for glibc, else by the allocator's own witness if it
 * counts. `during` and `after` hold libc first. */
static int judge_frees(struct subject *s, const int64_t during[2], const int64_t after[2]) {
    const int64_t canary_bytes = (int64_t)CANARY_BLOCKS * CANARY_BYTES;
    bool is_glibc = is_libc(s), has_own = s->row && (s->row->flags & ALLOCATOR_COUNTS_FREES);
    if (!is_glibc && !(has_own && during[1] >= 0 && after[1] >= 0)) {
        text_append(s->proof.canary, sizeof s->proof.canary, " freed=none");
        return 0;
    }
    int64_t freed = is_glibc ? during[0] - after[0] : during[1] - after[1];
    /* What rests in glibc's thread cache stays in use for its counter. */
    int64_t expected = canary_bytes - (is_glibc ? (int64_t)8 * CANARY_BYTES : 0);
    append_sighting(s, " freed", freed);
    if (freed < expected)
        return subject_fail(s, EPROTO, "canary: %lld of %lld bytes were seen to be freed", (long long)freed,
                            (long long)canary_bytes);
    return 0;
}

static int prove_canary(struct subject *s) {
    void *blocks[CANARY_BLOCKS] = {NULL};
    bool is_floor = s->row && (s->row->flags & ALLOCATOR_FLOOR);
    s->ops.free(s->ops.alloc(1)); /* what a first call sets up is not the canary's */
    int64_t before[2] = {libc_allocated_bytes(), subject_witness(s, NULL, 0)};
    int err = canary_write(s, blocks);
    if (err)
        return err;
    int64_t during[2] = {libc_allocated_bytes(), subject_witness(s, blocks, CANARY_BLOCKS)};
    err = is_floor ? canary_check_floor(s, blocks) : canary_check(s, blocks);
    if (err)
        return err; /* faulty blocks are not handed back */
    for (unsigned i = 0; i < CANARY_BLOCKS; i++)
        s->ops.free(blocks[i]);
    int64_t after[2] = {libc_allocated_bytes(), subject_witness(s, NULL, 0)};
    err = judge_witnesses(s, before, during);
    return err ? err : judge_frees(s, during, after);
}

int allocator_prove(struct subject *s) {
    int err = prove_identity(s);
    return err ? err : prove_canary(s);
}
