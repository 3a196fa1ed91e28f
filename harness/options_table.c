#include "harness/options_table.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "harness/nearest.h"
#include "harness/units.h"

#define MAX_REPS 10000u
#define MAX_SAMPLE_EVERY (1u << 24)
#define MAX_RATE_PER_S 100000000u
#define MAX_TRANSACTION_OPS 1000000000u
#define MIN_RSS_INTERVAL_NS (UNITS_NS_PER_S / 1000)

static int list_append(const char ***list, size_t *n, const char *value, struct problem *p) {
    const char **grown = realloc(*list, (*n + 1) * sizeof **list);
    if (grown == NULL)
        return problem_set(p, ENOMEM, "out of memory");
    *list = grown;
    grown[(*n)++] = value;
    return 0;
}

static int take_threads(struct options *o, const char *value, struct problem *p) {
    return grammar_parse_threads(value, &o->threads, p);
}

static int take_allocators(struct options *o, const char *value, struct problem *p) {
    return grammar_parse_allocators(value, &o->allocators, p);
}

static int take_workloads(struct options *o, const char *value, struct problem *p) {
    return list_append(&o->workload_args, &o->n_workload_args, value, p);
}

static int take_param(struct options *o, const char *value, struct problem *p) {
    return list_append(&o->param_args, &o->n_param_args, value, p);
}

static int take_reps(struct options *o, const char *value, struct problem *p) {
    uint64_t n;
    if (units_parse_u64(value, 1, MAX_REPS, &n) != 0)
        return problem_set(p, EINVAL, "allowed is a whole number from 1 to %u", MAX_REPS);
    o->reps = (unsigned)n;
    return 0;
}

static int take_duration(struct options *o, const char *value, struct problem *p) {
    if (units_parse_seconds(value, &o->duration_ns) != 0)
        return problem_set(p, EINVAL, "allowed is a time above 0 and up to a day, such as 0.5s, 2s or 300ms");
    return 0;
}

static int take_timeout(struct options *o, const char *value, struct problem *p) {
    if (units_parse_seconds(value, &o->timeout_ns) != 0)
        return problem_set(p, EINVAL, "allowed is a time above 0 and up to a day, such as 60s or 5m");
    return 0;
}

static int take_ops(struct options *o, const char *value, struct problem *p) {
    if (units_parse_u64(value, 1, INT64_MAX, &o->ops_total) != 0)
        return problem_set(p, EINVAL, "allowed is a whole number of operations above 0");
    return 0;
}

static int take_seed(struct options *o, const char *value, struct problem *p) {
    if (units_parse_u64(value, 0, INT64_MAX, &o->seed) != 0)
        return problem_set(p, EINVAL, "allowed is a whole number from 0 to 2^63-1");
    return 0;
}

static int take_placement(struct options *o, const char *value, struct problem *p) {
    if (placement_parse(value, &o->placement) != 0)
        return nearest_refuse(value, placement_names, p);
    return 0;
}

static int take_load(struct options *o, const char *value, struct problem *p) {
    if (strcmp(value, "dlopen") == 0)
        o->load = LOAD_DLOPEN;
    else if (strcmp(value, "preload") == 0)
        o->load = LOAD_PRELOAD;
    else
        return nearest_refuse(value, (const char *const[]){"dlopen", "preload", NULL}, p);
    return 0;
}

static int take_instructions(struct options *o, const char *value, struct problem *p) {
    if (strcmp(value, "callgrind") == 0)
        o->instrument = INSTRUMENT_CALLGRIND;
    else if (strcmp(value, "perf") == 0)
        o->instrument = INSTRUMENT_PERF;
    else
        return nearest_refuse(value, (const char *const[]){"callgrind", "perf", NULL}, p);
    return 0;
}

static int take_syscalls(struct options *o, const char *value, struct problem *p) {
    (void)value;
    (void)p;
    o->has_syscalls = true;
    return 0;
}

static int take_sharing(struct options *o, const char *value, struct problem *p) {
    (void)value;
    (void)p;
    o->has_sharing = true;
    return 0;
}

static int take_audit_only(struct options *o, const char *value, struct problem *p) {
    (void)value;
    (void)p;
    o->is_audit_only = true;
    return 0;
}

static int take_latency(struct options *o, const char *value, struct problem *p) {
    (void)value;
    (void)p;
    o->latency.is_on = true;
    return 0;
}

/* A number that a uint32_t holds. */
static int take_u32(uint32_t *out, uint32_t max, const char *what, const char *value, struct problem *p) {
    uint64_t n;
    if (units_parse_u64(value, 1, max, &n) != 0)
        return problem_set(p, EINVAL, "allowed is a whole number of %s from 1 to %" PRIu32, what, max);
    *out = (uint32_t)n;
    return 0;
}

static int take_sample_every(struct options *o, const char *value, struct problem *p) {
    return take_u32(&o->latency.sample_every, MAX_SAMPLE_EVERY, "calls", value, p);
}

static int take_rate(struct options *o, const char *value, struct problem *p) {
    uint32_t rate_per_s = 0;
    int err = take_u32(&rate_per_s, MAX_RATE_PER_S, "transactions a second", value, p);
    o->latency.rate_per_s = rate_per_s;
    return err;
}

static int take_transaction_ops(struct options *o, const char *value, struct problem *p) {
    return take_u32(&o->latency.transaction_ops, MAX_TRANSACTION_OPS, "operations", value, p);
}

static int take_arrivals(struct options *o, const char *value, struct problem *p) {
    o->latency.is_fixed_rate = strcmp(value, "fixed") == 0;
    if (!o->latency.is_fixed_rate && strcmp(value, "poisson") != 0)
        return nearest_refuse(value, (const char *const[]){"poisson", "fixed", NULL}, p);
    return 0;
}

/* value NULL: with the default interval. */
static int take_rss(struct options *o, const char *value, struct problem *p) {
    o->watching = WATCH_ALL;
    if (value == NULL)
        return 0;
    if (strcmp(value, "off") == 0)
        o->watching = WATCH_NONE;
    else if (units_parse_seconds(value, &o->rss_interval_ns) != 0 || o->rss_interval_ns < MIN_RSS_INTERVAL_NS)
        return problem_set(p, EINVAL, "allowed are off, or a time from 1ms to a day, such as 10ms or 0.5s");
    else if (!isalpha((unsigned char)value[strlen(value) - 1])) /* elsewhere seconds, here seldom meant */
        return problem_set(p, EINVAL, "which unit? %sms or %ss", value, value);
    return 0;
}

static int take_mem_limit(struct options *o, const char *value, struct problem *p) {
    if (units_parse_bytes(value, &o->mem_limit_bytes) != 0)
        return problem_set(p, EINVAL, "allowed is a number of bytes above 0, such as 4G, 512M or 1000000");
    return 0;
}

static int refuse_membind(const char *value, struct problem *p) {
    struct nearest near;
    nearest_start(&near, value);
    nearest_offer(&near, "first-touch");
    nearest_offer(&near, "interleave");
    return problem_set(p, EINVAL, "allowed are " MEMBIND_ALLOWED "%s", nearest_hint(&near));
}

static int take_membind(struct options *o, const char *value, struct problem *p) {
    if (membind_parse(value, &o->membind) != 0)
        return refuse_membind(value, p);
    return 0;
}

static int take_text(const char **where, const char *value, struct problem *p) {
    if (value[0] == '\0')
        return problem_set(p, EINVAL, "the value is empty");
    *where = value;
    return 0;
}

static int take_out(struct options *o, const char *value, struct problem *p) {
    return take_text(&o->out, value, p);
}

static int take_resume(struct options *o, const char *value, struct problem *p) {
    return take_text(&o->resume, value, p);
}

static int take_wrap(struct options *o, const char *value, struct problem *p) {
    return take_text(&o->wrap, value, p);
}

static int take_plan(struct options *o, const char *value, struct problem *p) {
    return take_text(&o->plan, value, p);
}

static int take_quick(struct options *o, const char *value, struct problem *p) {
    (void)value;
    (void)p;
    o->is_quick = true;
    return 0;
}

static int take_action(struct options *o, enum action action, struct problem *p) {
    if (o->action != ACTION_RUN && o->action != action)
        return problem_set(p, EINVAL,
                           "only one of --list, --dry-run, --print-plan, --columns, --version at a time");
    o->action = action;
    return 0;
}

static int take_list(struct options *o, const char *value, struct problem *p) {
    (void)value;
    return take_action(o, ACTION_LIST, p);
}

static int take_dry_run(struct options *o, const char *value, struct problem *p) {
    (void)value;
    return take_action(o, ACTION_DRY_RUN, p);
}

static int take_print_plan(struct options *o, const char *value, struct problem *p) {
    (void)value;
    return take_action(o, ACTION_PRINT_PLAN, p);
}

static int take_columns(struct options *o, const char *value, struct problem *p) {
    (void)value;
    return take_action(o, ACTION_COLUMNS, p);
}

static int take_version(struct options *o, const char *value, struct problem *p) {
    (void)value;
    return take_action(o, ACTION_VERSION, p);
}

const struct option_row option_table[] = {
    {NULL, NULL, "What to run:", NULL},
    {"threads", "LIST",
     "Numbers of threads: 1..64 doubles and ends with 64, 1..64+9 goes in steps, 1,3,7 is a "
     "list (default: 1 up to the processing units)",
     take_threads},
    {"allocators", "LIST",
     "NAME, NAME=PATH.so, each with an optional [VAR=VALUE;VAR2=VALUE] for its environment; "
     "may be given again (default: all that --list shows as default)",
     take_allocators},
    {"workloads", "LIST",
     "Names, NAME@SET for a published parameter set, and groups, such as memory or all; see --list (default: "
     "core)",
     take_workloads},
    {"param", "WORKLOAD.NAME=N", "Set a parameter of a workload, see --list; may be given again", take_param},
    {"load", "MODE",
     "dlopen (default): only the workload's objects go to the allocator; preload: the whole "
     "process, as users deploy it",
     take_load},
    {NULL, NULL, "How long and how often:", NULL},
    {"reps", "N",
     "Repetitions of each cell, each an audit and a timed process (default: 2; six give a 95 % interval)",
     take_reps},
    {"duration", "TIME",
     "Window of a timed cell, such as 0.5s, 300ms; without a unit, seconds (default: 0.3s below 16 threads, "
     "1s from there on)",
     take_duration},
    {"ops", "N", "End cells after N operations over all threads, in place of a time", take_ops},
    {"timeout", "TIME",
     "Kill a cell that takes this much longer than its window, such as 90s, 5m; without a unit, seconds "
     "(default: 60s)",
     take_timeout},
    {"audit-only", NULL,
     "No timed cells: counts and memory at fixed operations, and what is asked for besides", take_audit_only},
    {"quick", NULL,
     "Threads 1,2, 0.2 s, three repetitions of the core workloads and one of others, the sets @quick where "
     "there "
     "are some, memory watched for 1 s after the end: a first look, in about a minute for core",
     take_quick},
    {"plan", "FILE",
     "Run exactly the rows of FILE, in the form of plan.csv; - reads standard input, where each row is run "
     "and written before the next one is read",
     take_plan},
    {NULL, NULL, "Under which conditions:", NULL},
    {"placement", "HOW",
     "cores (default): a unit of each core first, then siblings; compact: siblings side by "
     "side; scatter: as far apart as can be; none: not pinned",
     take_placement},
    {"membind", "WHERE",
     "first-touch (default): pages come from the node of the thread that touches them first; interleave: in "
     "turn "
     "from all nodes; NODE: from that NUMA node alone",
     take_membind},
    {"mem-limit", "SIZE",
     "Skip workloads that would hold more live bytes, such as 4G or 512M (default: a quarter of the "
     "machine's memory, "
     "or of the cgroup's where that is less)",
     take_mem_limit},
    {"seed", "N", "Seed of order and workloads; printed and recorded (default: 20060401)", take_seed},
    {"wrap", "COMMAND",
     "Run each cell under a command with arguments, split at blanks: 'valgrind --tool=callgrind'", take_wrap},
    {NULL, NULL, "What to measure besides:", NULL},
    {"instructions", "HOW",
     "callgrind: one more pass of the cells with one thread under valgrind, which counts the workload's loop "
     "instruction by instruction; perf: the processor's counters, in the timed pass, where it has some",
     take_instructions},
    {"sharing", NULL,
     "One more pass of the cells with several threads, which looks after each allocation which 64-byte lines "
     "hold live objects of more than one thread (docs/sharing.md)",
     take_sharing},
    {"syscalls", NULL,
     "One more pass under strace, which counts the system calls of the measured phase by name "
     "(docs/syscalls.md)",
     take_syscalls},
    {"latency", NULL,
     "One more pass in each repetition, in which single calls are timed by sampling: percentiles by "
     "operation and "
     "size, into latency.csv; also the first malloc of a thread, and starting up (docs/latency.md)",
     take_latency},
    {"sample-every", "N", "Calls from one that is timed to the next, on average (default: 1024)",
     take_sample_every},
    {"rate", "N",
     "In the latency pass transactions arrive by a schedule, N a second over all threads, and are timed from "
     "the "
     "moment they were due",
     take_rate},
    {"transaction-ops", "N", "Operations of the workload that make a transaction (default: 100)",
     take_transaction_ops},
    {"arrivals", "HOW", "poisson (default): at random; fixed: at equal distances", take_arrivals},
    {"rss", "[INTERVAL]",
     "Watch the memory of every workload over time, in a pass of its own and in each repetition, with a "
     "sample each "
     "INTERVAL (default: 10ms), into rss.csv. Without this option the workloads that are made for it are "
     "watched, "
     "once; --rss=off: none",
     take_rss},
    {NULL, NULL, "Where the results go:", NULL},
    {"out", "DIR", "Folder for the run; must be new or empty (default: results/ and the time)", take_out},
    {"resume", "DIR", "Go on with an interrupted run: what it was asked for, less what is there",
     take_resume},
    {NULL, NULL, "Look, do not measure:", NULL},
    {"list", NULL, "Allocators, with what was found where; workloads, with their parameters", take_list},
    {"dry-run", NULL, "The plan, with an estimate of the time", take_dry_run},
    {"print-plan", NULL, "The plan as CSV, for --plan", take_print_plan},
    {"columns", NULL, "The dictionary of samples.csv, in Markdown", take_columns},
    {"version", NULL, "The version of this program", take_version},
};

const size_t n_options = sizeof option_table / sizeof option_table[0];

bool option_goes_with_plan(const struct option_row *row) {
    return row->take == take_plan || row->take == take_timeout || row->take == take_wrap ||
           row->take == take_out || row->take == take_sample_every || row->take == take_rate ||
           row->take == take_transaction_ops || row->take == take_arrivals || row->take == take_mem_limit;
}
