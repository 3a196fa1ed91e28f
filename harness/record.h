/*
 * What is known about one cell when it has ended: what becomes a row of samples.csv.
 * Owns: the shape, and its rendering by the table of columns. Does not know: how it was collected.
 */
#ifndef HEAPDYNO_RECORD_H
#define HEAPDYNO_RECORD_H

#include <stdbool.h>
#include <stdio.h>

#include "harness/digest.h"
#include "harness/plan.h"
#include "harness/strace.h"
#include "harness/watch.h"

#define RECORD_SCHEMA 1
#define RUN_ID_BYTES 64
#define RSS_CSV "rss.csv"

/* The same for all rows of a run. */
struct run_identity {
    char run_id[RUN_ID_BYTES];
    char host[RUN_ID_BYTES];
};

struct record {
    const struct run_identity *run;
    const struct options *options;
    const struct plan_cell *cell;
    struct cell_proof proof; /* zeros until the cell sent it */
    struct cell_result result;
    struct syscall_counts syscalls; /* of the measured phase, by name (pass syscalls) */
    uint64_t alloc_instructions; /* of result.instructions, those of the allocator; UINT64_MAX: not known */
    struct cell_latency latency; /* of the latency pass */
    uint64_t startup_ns;         /* of the latency pass; UINT64_MAX: not known */
    struct watch watch;          /* of PASS_RSS; watch_free when the record has been written */
    char library_sha256[DIGEST_HEX_BYTES]; /* empty: no file */
    enum cell_status status;
    bool has_proof, has_result, has_latency; /* the message arrived */
    bool is_pinned;
    int exit_code;          /* -1: ended by a signal, or never started */
    int signal;             /* 0: none */
    uint64_t start_unix_ns; /* 0: never started */
    char why[ALLOCATOR_WHY_MAX];
};

/* A record that has measured nothing yet. */
void record_init(struct record *r, const struct run_identity *run, const struct options *o,
                 const struct plan_cell *cell);

/* Takes back the rates of a run that was watched: looking at it takes time. */
void record_forget_rates(struct record *r);

/* Takes back what is no measurement under an instrument that simulates: times, faults, resident memory. */
void record_forget_costs(struct record *r);

/* Takes back the resident sets of a process in which the harness kept more of its own than in others. */
void record_forget_memory(struct record *r);

/* Gives the record a status and the reason, as one line. */
void record_settle(struct record *r, enum cell_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Forgets every figure of a cell that must not be compared; the counts stay, as evidence of what went wrong. */
void record_drop_numbers(struct record *r);

const char *status_name(enum cell_status status);
/* 0 or -EINVAL. */
int status_parse(const char *text, enum cell_status *out);
/* True for what makes a run end with exit code 4: everything but ok and skip. */
bool status_is_failure(enum cell_status status);

/* The header and a row, with line ends. */
void columns_write_header(FILE *out);
void columns_write_row(FILE *out, const struct record *r);
/* rss.csv: its header, and a row for each sample of a watched cell. */
void columns_write_rss_header(FILE *out);
void columns_write_rss_rows(FILE *out, const struct record *r);
/* The dictionary: results/columns.md. */
void columns_write_markdown(FILE *out);

#endif
