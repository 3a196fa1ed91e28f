#include "harness/options.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "harness/environment.h"
#include "harness/machine.h"
#include "harness/nearest.h"
#include "harness/options_table.h"
#include "harness/units.h"

#define DEFAULT_SEED 20060401u /* the spring of the jemalloc paper */
#define DEFAULT_REPS 2u
#define QUICK_REPS 3u
#define DEFAULT_TIMEOUT_NS (60ull * UNITS_NS_PER_S)
#define DEFAULT_SHORT_NS (UNITS_NS_PER_S * 3ull / 10)
#define DEFAULT_LONG_NS (1ull * UNITS_NS_PER_S)
#define QUICK_NS (UNITS_NS_PER_S / 5)
#define LONG_FROM_THREADS 16u /* 64 threads take 0.15 s to get going on two units */
#define DEFAULT_SAMPLE_EVERY 1024u
#define DEFAULT_TRANSACTION_OPS 100u
#define DEFAULT_RSS_INTERVAL_NS (UNITS_NS_PER_S / 100)
#define IDLE_NS (5ull * UNITS_NS_PER_S)
#define QUICK_IDLE_NS (1ull * UNITS_NS_PER_S)
#define MEM_LIMIT_DIVISOR 4

#define FIRST_KEY 0x1000 /* beyond any character: there are no short options */

struct parsing {
    struct options *options;
    struct problem *problem;
    int err;
};

/* The commands are those of the launcher, run-bench. */
static int refuse_argument(const char *arg, struct problem *p) {
    static const char *const commands[] = {"gate",    "paper",  "compare", "report",
                                           "scaling", "export", "check",   NULL};
    struct nearest near;
    nearest_start(&near, arg);
    for (const char *const *command = commands; *command != NULL; command++)
        nearest_offer(&near, *command);
    return problem_set(p, EINVAL,
                       "'%s': neither an option nor a command%s; commands are gate, paper, compare, report, "
                       "scaling, export and check",
                       arg, nearest_hint(&near));
}

static error_t parse_one(int key, char *arg, struct argp_state *state) {
    struct parsing *parsing = state->input;
    if (key == ARGP_KEY_ARG) {
        parsing->err = refuse_argument(arg, parsing->problem);
        return EINVAL;
    }
    if (key < FIRST_KEY || key >= FIRST_KEY + (int)n_options)
        return ARGP_ERR_UNKNOWN;
    const struct option_row *row = &option_table[key - FIRST_KEY];
    parsing->options->n_given++;
    if (!option_goes_with_plan(row))
        parsing->options->selects = row->name;
    parsing->err = row->take(parsing->options, arg, parsing->problem);
    if (parsing->err != 0) {
        problem_prefix(parsing->problem, "--%s%s%s", row->name, arg != NULL ? " " : "",
                       arg != NULL ? arg : "");
        return -parsing->err;
    }
    return 0;
}

static int check_latency(const struct latency_options *l, bool is_planned, struct problem *p) {
    if (!l->is_on && !is_planned && (l->sample_every != 0 || l->rate_per_s != 0))
        return problem_set(p, EINVAL, "--%s needs --latency", l->rate_per_s != 0 ? "rate" : "sample-every");
    if (l->rate_per_s == 0 && (l->transaction_ops != 0 || l->is_fixed_rate))
        return problem_set(p, EINVAL, "--%s needs --rate",
                           l->transaction_ops != 0 ? "transaction-ops" : "arrivals");
    return 0;
}

static int options_check(const struct options *o, struct problem *p) {
    int err = check_latency(&o->latency, o->plan != NULL, p);
    if (err != 0)
        return err;
    if (o->ops_total != 0 && o->duration_ns != 0)
        return problem_set(p, EINVAL, "--ops and --duration exclude each other: one of them ends a cell");
    if (o->instrument == INSTRUMENT_CALLGRIND && o->wrap != NULL)
        return problem_set(p, EINVAL,
                           "--instructions callgrind and --wrap exclude each other: callgrind is a wrap");
    if (o->has_syscalls && o->wrap != NULL)
        return problem_set(p, EINVAL, "--syscalls and --wrap exclude each other: strace is a wrap");
    if (o->is_audit_only && o->duration_ns != 0 && !o->latency.is_on)
        return problem_set(p, EINVAL,
                           "--audit-only and --duration exclude each other: audits end by operations");
    if (o->is_audit_only && o->instrument == INSTRUMENT_PERF)
        return problem_set(
            p, EINVAL,
            "--audit-only and --instructions perf exclude each other: perf reads counters in the "
            "timed pass");
    if (o->resume != NULL && o->n_given > 1)
        return problem_set(p, EINVAL, "--resume stands alone: what to run is in the manifest of its folder");
    if (o->plan != NULL && o->selects != NULL)
        return problem_set(p, EINVAL, "--plan and --%s exclude each other: the plan says what is measured",
                           o->selects);
    return 0;
}

static int settle_allocators(struct options *o, struct problem *p) {
    if (o->allocators.n > 0)
        return 0;
    for (const struct allocator *row = allocator_table; row->name != NULL; row++) {
        int err = (row->flags & ALLOCATOR_DEFAULT) != 0 ? grammar_add_allocator(row, &o->allocators, p) : 0;
        if (err != 0)
            return err;
    }
    return 0;
}

/* A floor hands out one block for ever: a whole process cannot live on that. */
static int check_preload(const struct options *o, struct problem *p) {
    for (size_t i = 0; o->load == LOAD_PRELOAD && i < o->allocators.n; i++) {
        const struct allocator_choice *choice = &o->allocators.items[i];
        if (choice->row != NULL && (choice->row->flags & ALLOCATOR_FLOOR) != 0)
            return problem_set(p, EINVAL, "--load preload: %s is a floor that no whole process can run on",
                               choice->name);
    }
    return 0;
}

static int options_settle(struct options *o, struct problem *p) {
    int err = options_check(o, p);
    if (o->latency.sample_every == 0)
        o->latency.sample_every = DEFAULT_SAMPLE_EVERY;
    if (o->latency.transaction_ops == 0)
        o->latency.transaction_ops = DEFAULT_TRANSACTION_OPS;
    if (err != 0 || o->plan != NULL)
        return err;
    if (o->is_quick) {
        if (o->threads.n == 0)
            o->threads = (struct thread_list){.counts = {1, 2}, .n = 2};
        o->has_one_rep_beyond_core = o->reps == 0;
        if (o->reps == 0)
            o->reps = QUICK_REPS;
        if (o->duration_ns == 0 && o->ops_total == 0)
            o->duration_ns = QUICK_NS;
    }
    if (o->reps == 0)
        o->reps = DEFAULT_REPS;
    err = settle_allocators(o, p);
    if (err == 0)
        err = check_preload(o, p);
    return err != 0 ? err : selection_settle(o, p);
}

/* The table as argp takes it; NULL: out of memory. */
static struct argp_option *make_argp_rows(void) {
    struct argp_option *rows = calloc(n_options + 1, sizeof *rows);
    for (size_t i = 0; rows != NULL && i < n_options; i++) {
        const struct option_row *row = &option_table[i];
        rows[i].doc = row->help;
        if (row->name == NULL)
            continue;
        rows[i].name = row->name;
        rows[i].arg = row->arg;
        rows[i].key = FIRST_KEY + (int)i;
        if (row->arg != NULL && row->arg[0] == '[') {
            rows[i].arg = "INTERVAL";
            rows[i].flags = OPTION_ARG_OPTIONAL;
        }
    }
    return rows;
}

int options_parse(struct options *o, int argc, char **argv, struct problem *p) {
    *o = (struct options){.seed = DEFAULT_SEED,
                          .timeout_ns = DEFAULT_TIMEOUT_NS,
                          .rss_interval_ns = DEFAULT_RSS_INTERVAL_NS,
                          .mem_limit_bytes = machine_memory_bytes() / MEM_LIMIT_DIVISOR};
    o->ambient = environment_describe_ambient(environ);
    if (o->ambient == NULL)
        return problem_set(p, ENOMEM, "out of memory");
    struct argp_option *rows = make_argp_rows();
    if (rows == NULL)
        return problem_set(p, ENOMEM, "out of memory");
    const struct argp argp = {
        .options = rows,
        .parser = parse_one,
        .doc =
            "Measure memory allocators: throughput and memory by number of threads, one fresh process for "
            "each cell, results as CSV.\v"
            "Exit status: 0 all cells measured or skipped with a reason; 2 usage, such as a library that is "
            "missing, cannot be loaded or has no malloc; 3 an unfit machine, with --strict; 4 a cell failed "
            "(unproven: a library is not what its name says), a library that was named is in no number, "
            "nothing was measured, or a file could not be written; 130 interrupted.\n\n"
            "--strict, among the options of a run, of gate or of paper, measures only on a machine in which "
            "run-bench check finds nothing unfit.\n\n"
            "Example: run-bench --threads 1..64 --allocators arena,jemalloc\n\n"
            "Commands with a --help of their own: run-bench gate (is a candidate slower than a baseline?), "
            "paper "
            "(intervals and tested claims), compare (two stored runs), report (one HTML file about a run), "
            "scaling, "
            "export (for other tools), check (is this machine fit?)",
    };
    struct parsing parsing = {.options = o, .problem = p};
    argp_err_exit_status = 2;
    error_t err = argp_parse(&argp, argc, argv, 0, NULL, &parsing);
    free(rows);
    if (parsing.err != 0)
        return parsing.err;
    if (err != 0)
        return problem_set(p, err, "the command line cannot be read: %s", strerror(err));
    return options_settle(o, p);
}

void options_free(struct options *o) {
    free(o->allocators.items);
    free(o->workloads);
    free(o->workload_args);
    free(o->param_args);
    free(o->ambient);
    *o = (struct options){0};
}

void options_default_threads(struct options *o, unsigned n_pus) {
    if (o->threads.n > 0)
        return;
    unsigned last = n_pus < CELL_MAX_THREADS ? n_pus : CELL_MAX_THREADS;
    for (unsigned n = 1; n < last; n *= 2)
        o->threads.counts[o->threads.n++] = n;
    o->threads.counts[o->threads.n++] = last;
}

uint64_t options_duration_ns(const struct options *o, unsigned n_threads) {
    if (o->duration_ns != 0)
        return o->duration_ns;
    return n_threads < LONG_FROM_THREADS ? DEFAULT_SHORT_NS : DEFAULT_LONG_NS;
}

unsigned options_reps(const struct options *o, const struct workload *row) {
    return o->has_one_rep_beyond_core && !selection_is_core(row) ? 1 : o->reps;
}

unsigned options_rss_reps(const struct options *o, const struct workload *row) {
    if (o->watching == WATCH_COURSES)
        return (row->flags & WORKLOAD_COURSE) != 0;
    return o->watching == WATCH_ALL ? options_reps(o, row) : 0;
}

uint64_t options_idle_ns(const struct options *o) {
    return o->is_quick ? QUICK_IDLE_NS : IDLE_NS;
}
