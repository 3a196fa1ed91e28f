/*
 * The plan: every process of a run, in order. A pure function of options and topology, so that the same
 * command on the same machine plans the same, and --resume can check that it does.
 *
 * Owns: cells, their order, their identity. Does not know: processes, results, time.
 *
 *   for each repetition a block of audits, then one of timed cells, then one of latencies with --latency, then one of
 *                       watched cells where memory is watched over time
 *   after them          a block of each pass made once, where asked for: instructions, syscalls, sharing
 *
 * A block has each identity once that has this pass and repetition, in an order of its own.
 *
 * Repetitions are outermost and the order inside a block is shuffled, so that slow drift of the machine hits
 * all allocators alike.
 */
#ifndef HEAPDYNO_PLAN_H
#define HEAPDYNO_PLAN_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "harness/options.h"
#include "harness/protocol.h"
#include "harness/topology.h"

#define PLAN_ID_BYTES 13 /* 12 hex digits */

/* Where the threads of every cell with this many threads go, and their memory. */
struct slots {
    unsigned n_threads;
    enum placement placement;
    struct membind membind;
    unsigned *pus; /* n_threads OS indices; NULL: not pinned */
    bool is_oversubscribed;
};

struct plan_cell {
    const struct allocator_choice *allocator;
    const struct workload_choice *workload;
    const struct slots *slots;
    enum allocator_load load;
    enum cell_pass pass;
    unsigned block, slot, repetition; /* repetition counts from 1 */
    size_t identity_idx;              /* the same for the audit and the repetitions it vouches for */
    uint64_t seed;
    uint64_t duration_ns, ops_total; /* one of them ends the cell; neither: a course that ends by itself */
    uint64_t idle_ns;                /* kept after all was freed; 0 but in PASS_RSS */
    char cell_id[PLAN_ID_BYTES];
};

struct plan {
    const struct options *options;
    struct plan_cell *cells;
    size_t n_cells, n_identities;
    struct slots *slots; /* one per entry of options->threads */
    size_t n_slots;
};

/* `o` must outlive the plan. 0 or -errno with the reason. */
int plan_make(struct plan *plan, const struct options *o, const struct topology *t, struct problem *p);
void plan_free(struct plan *plan);

/* Fills s->pus and is_oversubscribed from n_threads and placement. 0 or -ENOMEM; free(s->pus). */
int slots_place(struct slots *s, const struct topology *t);

/* Fills cell_id: a digest of all that makes two rows the same measurement. 0 or -ENOMEM. */
int plan_cell_identify(struct plan_cell *cell, const struct options *o);

/* Of the workload's random numbers: the same for every allocator, so that all of them see the same
 * requests. */
uint64_t plan_mix_seed(uint64_t seed, const char *workload, unsigned repetition);

const char *pass_name(enum cell_pass pass);
const char *load_name(enum allocator_load load);
/* Of the passes that can be planned, PLAN_PASSES. 0 or -EINVAL. */
#define PLAN_PASSES "timed, audit, rss, latency, instructions, syscalls, sharing"
int pass_parse(const char *text, enum cell_pass *out);
/* 0 or -EINVAL. */
int load_parse(const char *text, enum allocator_load *out);

/* "min_bytes=8;max_bytes=512", all parameters. */
void plan_write_params(FILE *out, const struct workload_choice *w);

/* OS indices by slot, "0;1;0;1"; nothing when not pinned. */
void plan_write_pus(FILE *out, const struct slots *s);

/* plan.csv, whole or in pieces. plan_read.h reads it. */
void plan_write_header(FILE *out);
void plan_write_row(FILE *out, size_t position, const struct plan_cell *cell);
void plan_write_csv(FILE *out, const struct plan *plan);

/* For a person: conditions, placement, every cell in order, an estimate of the time. */
void plan_write_text(FILE *out, const struct plan *plan, const struct topology *t);

/* How long the cell is by what was asked for: its window, or the holds of its course and the time it is kept after. */
uint64_t plan_cell_length_ns(const struct plan_cell *cell);

/* What a cell will take, including start and end of its process: an estimate. */
uint64_t plan_cell_estimate_ns(const struct plan_cell *cell);

#endif
