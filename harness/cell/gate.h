/*
 * Where the threads of a cell wait for main, and main for them.
 *
 * Owns: two futex words. A bell is rung for main alone; a gate holds all workers until main has seen them all and
 * opens it. No lock: each word says all there is to know, and waiters look again after every wake-up.
 * Does not know: what is measured.
 */
#ifndef HEAPDYNO_GATE_H
#define HEAPDYNO_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct bell {
    _Atomic uint32_t n_rings;
};

struct gate {
    _Alignas(64) _Atomic uint32_t n_arrived;
    _Atomic uint32_t n_openings;
    unsigned n_threads;
    struct bell *bell; /* rung by the last to arrive */
};

/* Rings: main looks at what it is waiting for. */
void bell_ring(struct bell *b);

/* Waits for a ring after `seen` was read from n_rings, or for the time, CLOCK_MONOTONIC; UINT64_MAX = for ever.
 * False when the time is over. May return true without a ring. */
bool bell_wait(struct bell *b, uint32_t seen, uint64_t deadline_ns);

/* A worker arrives and sleeps until the gate is opened. */
void gate_pass(struct gate *g);

/* Have all arrived since the last opening? For main. */
bool gate_is_full(const struct gate *g);

/* Lets everybody through. For main, once the gate is full. */
void gate_open(struct gate *g);

#endif
