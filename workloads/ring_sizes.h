/*
 * The sequences of sizes of ring and ring-xthread, apart from the workloads so that they can be tested.
 *
 * Owns: struct ring_sizes, filled in setup and only read afterwards. Does not know blocks.
 */
#ifndef HEAPDYNO_RING_SIZES_H
#define HEAPDYNO_RING_SIZES_H

#include <stdint.h>

#define RING_MAX_ROWS 128
#define RING_BASE_BELOW 1000

/* `count` blocks of `bytes` each, row after row, and again from the first. */
struct ring_sizes {
    unsigned n_rows;
    struct {
        uint32_t bytes, count;
    } rows[RING_MAX_ROWS];
};

static inline void ring_sizes_add(struct ring_sizes *s, uint32_t bytes, uint32_t count) {
    s->rows[s->n_rows].bytes = bytes;
    s->rows[s->n_rows++].count = count;
}

/* Each base, from 1 in steps of a half and one, is halved down to 1; 250 blocks of a size below 100, else 50. */
static inline void ring_sizes_fill_small(struct ring_sizes *s) {
    s->n_rows = 0;
    for (uint32_t base = 1; base < RING_BASE_BELOW; base = base * 3 / 2 + 1)
        for (uint32_t bytes = base; bytes > 0; bytes /= 2)
            ring_sizes_add(s, bytes, bytes < 100 ? 250 : 50);
}

/* Twelve sizes from many of 8 bytes to one of 168524, with a mean of 56. */
static inline void ring_sizes_fill_wide(struct ring_sizes *s) {
    static const uint32_t rows[][2] = {{8, 1000}, {16, 5000}, {32, 2200}, {48, 700},
                                       {64, 500}, {96, 300},  {160, 150}, {320, 80},
                                       {700, 40}, {2000, 15}, {8000, 4},  {168524, 1}};
    s->n_rows = 0;
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        ring_sizes_add(s, rows[i][0], rows[i][1]);
}

#endif
