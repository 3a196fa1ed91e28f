#include "tcache_bin.h"

#include <string.h>

#include "base.h"

#define TCACHE_MIN_LG 4u
#define TCACHE_START_BYTES ((size_t)8 << 10) /* a bin may hold at first */

void *tcache_no_array[1];

unsigned tcache_start_capacity(unsigned class_idx) {
    return (unsigned)util_max(
        1, util_min((1u << TCACHE_MIN_LG) - 1, TCACHE_START_BYTES / size_class_bytes(class_idx)));
}

/* The bin without its mark, and with all objects in its array. How many. */
static size_t tcache_bin_unmark(unsigned class_idx) {
    size_t n = tcache_bin_spill(class_idx);
    tcache_bin_settle(class_idx, n);
    return n;
}

bool tcache_bin_set_capacity(unsigned class_idx, size_t n, unsigned capacity) {
    struct tcache *cold = tcache_tls.cold;
    struct tcache_cold_bin *cb = &cold->bins[class_idx];
    if (cb->base == NULL || capacity >= 1u << cb->lg_slots) {
        unsigned lg = TCACHE_MIN_LG;
        while (capacity >= 1u << lg)
            lg++;
        void **array = base_alloc(sizeof(void *) << lg);
        if (array == NULL)
            return false;
        if (cb->base != NULL)
            memcpy(array + 1, cb->base, n * sizeof array[0]);
        cb->base = array + 1;
        cb->lg_slots = (uint8_t)lg;
    }
    cold->capacity_bytes += ((size_t)capacity - cb->capacity) * size_class_bytes(class_idx);
    cold->capacity_objects += (size_t)capacity - cb->capacity;
    cb->capacity = (uint16_t)capacity;
    cb->has_filled = cb->has_flushed = false;
    cold->open_bits |= (uint64_t)1 << class_idx;
    tcache_bin_settle(class_idx, n);
    tcache_set_limit(class_idx, cb->base + (ptrdiff_t)capacity - 1);
    return true;
}

void tcache_bin_flush(unsigned class_idx, size_t n) {
    struct tcache_cold_bin *cb = &tcache_tls.cold->bins[class_idx];
    size_t left = tcache_bin_spill(class_idx) - n;
    arena_flush(tcache_tls.arena, class_idx, cb->base, n);
    memmove(cb->base, cb->base + n, left * sizeof cb->base[0]);
    tcache_bin_settle(class_idx, left);
    cb->n_returned += n;
}

static size_t tcache_bin_room_bytes(unsigned class_idx) {
    return tcache_tls.cold->bins[class_idx].capacity *
           util_max(size_class_bytes(class_idx), TCACHE_BYTES_AN_OBJECT);
}

/* Halves the bin with the most room. False if none has room for two. */
static bool tcache_bin_halve_largest(void) {
    struct tcache *cold = tcache_tls.cold;
    unsigned largest = SIZE_CLASS_N_BINS;
    for (uint64_t bits = cold->open_bits; bits != 0; bits &= bits - 1) {
        unsigned i = (unsigned)__builtin_ctzl(bits);
        if (cold->bins[i].capacity > 1 &&
            (largest == SIZE_CLASS_N_BINS || tcache_bin_room_bytes(i) > tcache_bin_room_bytes(largest)))
            largest = i;
    }
    if (largest == SIZE_CLASS_N_BINS)
        return false;
    size_t n = tcache_bin_unmark(largest), capacity = cold->bins[largest].capacity / 2;
    if (n > capacity) {
        tcache_bin_flush(largest, n - capacity);
        n = capacity;
    }
    return tcache_bin_set_capacity(largest, n, (unsigned)capacity);
}

/* Objects of the class that the caps, in bytes and in objects, leave room for. */
static size_t tcache_room(unsigned class_idx) {
    const struct tcache *cold = tcache_tls.cold;
    return util_min((conf.tcache_bytes - cold->capacity_bytes) / size_class_bytes(class_idx),
                    conf.tcache_bytes / TCACHE_BYTES_AN_OBJECT - cold->capacity_objects);
}

/* How many of at most n objects of the class there is room for, after others have given up of theirs. */
static unsigned tcache_claim(unsigned class_idx, unsigned n) {
    while (n > 1 && n * size_class_bytes(class_idx) > conf.tcache_bytes)
        n /= 2;
    while (n > tcache_room(class_idx) && tcache_bin_halve_largest()) {
    }
    while (n > tcache_room(class_idx))
        n /= 2;
    return n;
}

bool tcache_bin_open_first(unsigned class_idx) {
    if (tcache_tls.state != TCACHE_ACTIVE || size_class_bytes(class_idx) > conf.tcache_max_bytes)
        return false;
    struct tcache_cold_bin *cb = &tcache_tls.cold->bins[class_idx];
    unsigned capacity = tcache_claim(class_idx, tcache_start_capacity(class_idx));
    if (capacity == 0)
        return false;
    cb->n_fill = 1;
    cb->capacity = 0;
    return tcache_bin_set_capacity(class_idx, 0, capacity);
}

/* The bin, which may grow, ran both dry and full since its last change: it wants twice the room, as far as the caps
 * allow. */
void tcache_bin_grow(unsigned class_idx) {
    const size_t capacity = tcache_tls.cold->bins[class_idx].capacity;
    size_t more =
        util_min(util_min(capacity + 1, tcache_room(class_idx)), ((size_t)1 << TCACHE_MAX_LG) - 1 - capacity);
    size_t n = tcache_bin_spill(class_idx);
    if (!tcache_bin_set_capacity(class_idx, n, (unsigned)(capacity + more)))
        tcache_bin_settle(class_idx, n);
}
