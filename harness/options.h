/*
 * What the user asked for. Owns: the defaults, which options go together, every check that needs nothing
 * but the command line and the registries. Does not know: topology, plan, processes.
 */
#ifndef HEAPDYNO_OPTIONS_H
#define HEAPDYNO_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "harness/grammar.h"
#include "harness/membind.h"
#include "harness/problem.h"
#include "harness/topology.h"
#include "workloads/workload.h"

#define HEAPDYNO_VERSION "0.1.0"

enum action { ACTION_RUN, ACTION_LIST, ACTION_DRY_RUN, ACTION_PRINT_PLAN, ACTION_COLUMNS, ACTION_VERSION };

/* By what instructions are counted. */
enum instrument {
    INSTRUMENT_NONE,
    INSTRUMENT_CALLGRIND, /* a pass of its own, simulated: exact */
    INSTRUMENT_PERF,      /* the processor's counters, in the timed pass */
};

/* Whose memory is watched over time. */
enum watching {
    WATCH_COURSES, /* of the workloads that are made for it, once */
    WATCH_ALL,     /* of every workload, in each repetition */
    WATCH_NONE,
};

/* A workload of the sweep with its parameters settled. */
struct workload_choice {
    const struct workload *row;
    int64_t params[WORKLOAD_MAX_PARAMS];
};

/* The latency pass. */
struct latency_options {
    bool is_on;
    uint32_t sample_every; /* calls from one that is timed to the next, on average */
    uint64_t
        rate_per_s; /* transactions that arrive, all threads together; 0: each begins when the last is done */
    uint32_t transaction_ops;
    bool is_fixed_rate; /* at equal distances; false: as a Poisson process */
};

struct options {
    enum action action;
    struct thread_list threads;
    struct allocator_list allocators;
    struct workload_choice *workloads;
    size_t n_workloads;
    unsigned reps;
    uint64_t duration_ns; /* 0: by the number of threads, see options_duration_ns */
    uint64_t ops_total;   /* 0: the clock ends the timed pass, the workload says how many the audit makes */
    uint64_t seed;
    uint64_t timeout_ns; /* for what a cell needs beyond its duration */
    enum placement placement;
    enum allocator_load load;
    enum instrument instrument;
    bool has_syscalls, has_sharing; /* passes besides */
    bool is_audit_only;             /* no timed pass */
    struct membind membind;
    struct latency_options latency;
    bool is_quick;
    bool has_one_rep_beyond_core; /* of --quick without --reps: repetitions are for the core workloads */
    enum watching watching;
    uint64_t rss_interval_ns; /* from one sample of the rss pass to the next */
    uint64_t mem_limit_bytes; /* workloads that say that they hold more live are skipped */
    const char *out;          /* NULL: results/<time> */
    const char *resume;       /* NULL: a new run */
    const char *wrap;         /* NULL: none */
    char *ambient;            /* variables allocators read that were set outside, see harness/environment.h */
    const char *plan;         /* NULL: the options say what is measured; "-": standard input does */
    /* As given, until options_settle: */
    const char **workload_args, **param_args;
    size_t n_workload_args, n_param_args;
    unsigned n_given;    /* options on the command line */
    const char *selects; /* one of them that says what to measure; NULL: none */
};

/*
 * Parses argv and settles defaults. `argv` must outlive `o`. Prints help and ends the process with 0 when
 * asked to; an unknown option ends it with 2. Otherwise 0 or -errno with the reason, the option and its value
 * named. Call options_free in either case.
 */
int options_parse(struct options *o, int argc, char **argv, struct problem *p);
void options_free(struct options *o);

/* Without --threads: doubling from 1 to the units there are. */
void options_default_threads(struct options *o, unsigned n_pus);

/* How long the window of a cell is when a clock ends it. */
uint64_t options_duration_ns(const struct options *o, unsigned n_threads);

/* Repetitions of the workload's audit and timed cells, and of its rss cells. */
unsigned options_reps(const struct options *o, const struct workload *row);
unsigned options_rss_reps(const struct options *o, const struct workload *row);

/* How long a watched process is kept after it has freed everything. */
uint64_t options_idle_ns(const struct options *o);

/* A workload with all its parameters, "min_bytes=8;max_bytes=512", as plan.csv gives it. 0 or -errno with the
 * reason. */
int selection_parse_choice(const char *name, const char *params, struct workload_choice *out,
                           struct problem *p);

/* Is it in the group that is swept when no workload is named? */
bool selection_is_core(const struct workload *row);

/* Settles workloads and parameters from the arguments collected; part of options_parse. */
int selection_settle(struct options *o, struct problem *p);

#endif
