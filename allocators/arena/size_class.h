/* size_class: which sizes exist, and how requests are rounded to them.
 *
 * Four classes per doubling above 64 bytes, so rounding wastes at most 20 % there; 16 is the smallest class
 * and every class is a multiple of 16:
 *
 *   16 32 48 64 | 80 96 112 128 | 160 192 224 256 | ... | 10K 12K 14K   small: regions of a run
 *   16K 20K 24K 28K | 32K ... 192K                                      large: a run of pages each
 *   224K 256K ...                                                       huge: chunks of their own
 *
 * Owns the constant look-up tables. Does not know chunks, threads or the system. No lock.
 */
#ifndef ARENA_SIZE_CLASS_H
#define ARENA_SIZE_CLASS_H

#include "util.h"

#define SIZE_CLASS_N_SMALL 35u /* 16 .. 14336 */
#define SIZE_CLASS_N_BINS 50u  /* 16 .. 196608: what may have a bin and a thread cache */
#define SIZE_CLASS_SMALL_MAX_BYTES ((size_t)14336)
#define SIZE_CLASS_BIN_MAX_BYTES ((size_t)196608)
#define SIZE_CLASS_QUANTUM_LG 4

/** Largest request that is ever granted: PTRDIFF_MAX, as C and POSIX programs expect. */
#define SIZE_CLASS_MAX_REQUEST_BYTES ((size_t)PTRDIFF_MAX)

/** Class of a request of any size up to SIZE_CLASS_MAX_REQUEST_BYTES; zero counts as one byte. */
static inline unsigned size_class_of(size_t bytes) {
    if (bytes <= 64)
        return bytes == 0 ? 0 : (unsigned)((bytes - 1) >> SIZE_CLASS_QUANTUM_LG);
    unsigned lg = util_lg_floor(bytes - 1);
    return 4 * (lg - 5) + (unsigned)(((bytes - 1) >> (lg - 2)) & 3);
}

/* Bytes of the classes below SIZE_CLASS_N_BINS. */
extern const uint32_t size_class_bin_bytes[SIZE_CLASS_N_BINS];

/** Bytes of a class. */
static inline size_t size_class_bytes(unsigned idx) {
    if (UTIL_LIKELY(idx < SIZE_CLASS_N_BINS))
        return size_class_bin_bytes[idx];
    unsigned g = idx / 4 - 1;
    return ((size_t)64 << g) + ((size_t)(idx % 4 + 1) << (SIZE_CLASS_QUANTUM_LG + g));
}

/* Fast look-up of the small classes: entry i is the class of requests of i bytes. An entry for each 16 bytes would be
 * smaller and cost two instructions more in malloc; of this one programs use the lines of the sizes that they ask for. */
#define SIZE_CLASS_LOOKUP_MAX_BYTES SIZE_CLASS_SMALL_MAX_BYTES
extern const uint8_t size_class_lookup[SIZE_CLASS_LOOKUP_MAX_BYTES + 1];

/* Beyond that and up to SIZE_CLASS_BIN_MAX_BYTES: one byte per 1024; entry i is the class of (1024 i, 1024 (i+1)]. */
extern const uint8_t size_class_lookup_large[SIZE_CLASS_BIN_MAX_BYTES >> 10];

/** size_class_of for SIZE_CLASS_LOOKUP_MAX_BYTES < bytes <= SIZE_CLASS_BIN_MAX_BYTES. */
static inline unsigned size_class_of_large(size_t bytes) {
    return size_class_lookup_large[(bytes - 1) >> 10];
}

/** Smallest class of at least `bytes` whose bytes are a multiple of align (a power of two), so that regions
 * of a page-aligned run, or pages, are aligned; SIZE_CLASS_N_BINS or more if no small class does it. */
unsigned size_class_of_aligned(size_t bytes, size_t align);

/** Quarter-doubling bucket of a page count: the largest q with size q <= n_pages, in the same steps as the
 *  classes (1 2 3 4 5 6 7 8 10 12 14 16 20 ...). n_pages must not be zero. */
static inline unsigned size_class_page_bucket(size_t n_pages) {
    if (n_pages < 4)
        return (unsigned)n_pages - 1;
    unsigned lg = util_lg_floor(n_pages);
    return 4 * (lg - 1) + (unsigned)((n_pages >> (lg - 2)) & 3) - 1;
}

/** The smallest bucket q with size q >= n_pages: whatever is in it has room for them. */
static inline unsigned size_class_page_bucket_above(size_t n_pages) {
    return n_pages == 1 ? 0 : size_class_page_bucket(n_pages - 1) + 1;
}

#endif
