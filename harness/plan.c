#include "harness/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "harness/csv.h"
#include "harness/digest.h"
#include "workloads/prng.h"

const char *pass_name(enum cell_pass pass) {
    static const char *const names[] = {"timed",        "audit",    "rss",     "latency",
                                        "instructions", "syscalls", "sharing", "probe"};
    return names[pass];
}

const char *load_name(enum allocator_load load) {
    return load == LOAD_PRELOAD ? "preload" : "dlopen";
}

int pass_parse(const char *text, enum cell_pass *out) {
    static const enum cell_pass planned[] = {PASS_TIMED,        PASS_AUDIT,    PASS_RSS,    PASS_LATENCY,
                                             PASS_INSTRUCTIONS, PASS_SYSCALLS, PASS_SHARING};
    for (size_t i = 0; i < sizeof planned / sizeof planned[0]; i++) {
        *out = planned[i];
        if (strcmp(text, pass_name(*out)) == 0)
            return 0;
    }
    return -EINVAL;
}

int load_parse(const char *text, enum allocator_load *out) {
    *out = strcmp(text, load_name(LOAD_PRELOAD)) == 0 ? LOAD_PRELOAD : LOAD_DLOPEN;
    return strcmp(text, load_name(*out)) == 0 ? 0 : -EINVAL;
}

void plan_write_params(FILE *out, const struct workload_choice *w) {
    for (size_t i = 0; w->row->params[i].name != NULL; i++)
        fprintf(out, "%s%s=%" PRId64, i > 0 ? ";" : "", w->row->params[i].name, w->params[i]);
}

void plan_write_pus(FILE *out, const struct slots *s) {
    for (unsigned i = 0; s->pus != NULL && i < s->n_threads; i++)
        fprintf(out, "%s%u", i > 0 ? ";" : "", s->pus[i]);
}

uint64_t plan_mix_seed(uint64_t seed, const char *workload, unsigned repetition) {
    uint64_t x = seed;
    for (const char *c = workload; *c != '\0'; c++) {
        x ^= (unsigned char)*c;
        prng_mix(&x);
        x = prng_mix(&x);
    }
    x ^= repetition;
    return prng_mix(&x);
}

static void write_latency(FILE *out, const struct latency_options *l) {
    fprintf(out, "sample_every=%" PRIu32 "\n", l->sample_every);
    if (l->rate_per_s > 0)
        fprintf(out, "rate_per_s=%" PRIu64 "\ntransaction_ops=%" PRIu32 "\narrivals=%s\n", l->rate_per_s,
                l->transaction_ops, l->is_fixed_rate ? "fixed" : "poisson");
}

/* Every field is named, so that a new one cannot collide. */
int plan_cell_identify(struct plan_cell *cell, const struct options *o) {
    char membind[MEMBIND_NAME_MAX];
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    if (out == NULL)
        return -ENOMEM;
    fprintf(out, "allocator=%s\nconfig=%s\nload=%s\nworkload=%s\nversion=%u\nparams=", cell->allocator->name,
            cell->allocator->config, load_name(cell->load), cell->workload->row->name,
            cell->workload->row->version);
    plan_write_params(out, cell->workload);
    fprintf(out, "\nthreads=%u\nplacement=%s\nmembind=%s\npass=%s\n", cell->slots->n_threads,
            placement_name(cell->slots->placement), membind_name(&cell->slots->membind, membind),
            pass_name(cell->pass));
    if (cell->pass == PASS_LATENCY)
        write_latency(out, &o->latency);
    if (o->wrap != NULL)
        fprintf(out, "wrap=%s\n", o->wrap);
    if (o->ambient != NULL && o->ambient[0] != '\0')
        fprintf(out, "ambient=%s\n", o->ambient);
    if (fclose(out) != 0) {
        free(text);
        return -ENOMEM;
    }
    char hex[DIGEST_HEX_BYTES];
    int err = digest_text(text, hex);
    free(text);
    if (err == 0)
        snprintf(cell->cell_id, sizeof cell->cell_id, "%.12s", hex);
    return err;
}

int slots_place(struct slots *s, const struct topology *t) {
    s->is_oversubscribed = s->n_threads > t->n_pus;
    s->pus = NULL;
    if (s->placement == PLACEMENT_NONE)
        return 0;
    s->pus = calloc(s->n_threads, sizeof *s->pus);
    return s->pus != NULL && topology_place(t, s->placement, s->n_threads, s->pus) >= 0 ? 0 : -ENOMEM;
}

static int slots_fill(struct plan *plan, const struct topology *t) {
    const struct options *o = plan->options;
    plan->slots = calloc(o->threads.n, sizeof *plan->slots);
    if (plan->slots == NULL)
        return -ENOMEM;
    plan->n_slots = o->threads.n;
    for (size_t i = 0; i < plan->n_slots; i++) {
        struct slots *s = &plan->slots[i];
        s->n_threads = o->threads.counts[i];
        s->placement = o->placement;
        s->membind = o->membind;
        if (slots_place(s, t) != 0)
            return -ENOMEM;
    }
    return 0;
}

static void shuffle(struct plan_cell *cells, size_t n, struct prng *g) {
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)prng_below(g, i);
        struct plan_cell swap = cells[i - 1];
        cells[i - 1] = cells[j];
        cells[j] = swap;
    }
}

/* Instructions do not scatter as times do, and callgrind is some fifty times slower. */
#define COUNTED_OPS_DIVISOR 10

/* What is measured: passes that every repetition has, a block each, in turn, so that memory is repeated like time;
 * then those that are made once. */
struct passes {
    enum cell_pass repeated[PASS_PROBE], once[PASS_PROBE];
    unsigned n_repeated, n_once;
};

/* Some workload's memory is watched over time. */
static bool is_watching(const struct options *o) {
    for (size_t i = 0; i < o->n_workloads; i++) {
        if (options_rss_reps(o, o->workloads[i].row) > 0)
            return true;
    }
    return false;
}

static struct passes passes_of(const struct options *o) {
    struct passes x = {.repeated = {PASS_AUDIT, PASS_TIMED}, .n_repeated = o->is_audit_only ? 1 : 2};
    if (o->latency.is_on)
        x.repeated[x.n_repeated++] = PASS_LATENCY;
    if (is_watching(o))
        x.repeated[x.n_repeated++] = PASS_RSS;
    if (o->instrument == INSTRUMENT_CALLGRIND)
        x.once[x.n_once++] = PASS_INSTRUCTIONS;
    if (o->has_syscalls)
        x.once[x.n_once++] = PASS_SYSCALLS;
    if (o->has_sharing)
        x.once[x.n_once++] = PASS_SHARING;
    return x;
}

/* The pass of a block, and its repetition from 1. */
static enum cell_pass pass_of(const struct options *o, unsigned block, unsigned *repetition) {
    const struct passes x = passes_of(o);
    unsigned n = o->reps * x.n_repeated;
    *repetition = block < n ? block / x.n_repeated + 1 : 1;
    return block < n ? x.repeated[block % x.n_repeated] : x.once[block - n];
}

/* One thread shares no lines, and instructions are counted with one. */
static bool pass_counts(enum cell_pass pass, unsigned n_threads) {
    if (pass == PASS_SHARING)
        return n_threads > 1;
    return pass != PASS_INSTRUCTIONS || n_threads == 1;
}

/* Some workloads have fewer repetitions than others, or none, of a pass. */
static bool has_cells(const struct options *o, const struct workload *row, unsigned n_threads,
                      enum cell_pass pass, unsigned repetition) {
    if (!pass_counts(pass, n_threads))
        return false;
    if (pass == PASS_RSS)
        return repetition <= options_rss_reps(o, row);
    return repetition <= options_reps(o, row);
}

/* An audit is over in some tens of milliseconds, too soon to be looked at every ten. */
#define WATCHED_OPS_FACTOR 10

/* 0: a clock ends the cell, or it is a course that ends by itself. */
static uint64_t ops_of(const struct options *o, const struct workload_choice *w, unsigned n_threads,
                       enum cell_pass pass) {
    const struct workload *row = w->row;
    if (pass == PASS_RSS && (row->flags & WORKLOAD_COURSE) != 0)
        return 0;
    if (o->ops_total != 0)
        return o->ops_total;
    if (pass == PASS_INSTRUCTIONS)
        return row->audit_ops > COUNTED_OPS_DIVISOR ? row->audit_ops / COUNTED_OPS_DIVISOR : row->audit_ops;
    if (pass == PASS_TIMED || pass == PASS_LATENCY)
        return 0;
    return workload_audit_ops(row, w->params, n_threads) * (pass == PASS_RSS ? WATCHED_OPS_FACTOR : 1);
}

/* Settles what one cell measures and how it ends. 0 or -ENOMEM. */
static int cell_fill(const struct options *o, struct plan_cell *cell) {
    uint64_t n_ops = ops_of(o, cell->workload, cell->slots->n_threads, cell->pass);
    cell->load = o->load;
    cell->ops_total = n_ops;
    cell->seed = plan_mix_seed(o->seed, cell->workload->row->name, cell->repetition);
    if (cell->pass == PASS_RSS)
        cell->idle_ns = options_idle_ns(o);
    else if (n_ops == 0)
        cell->duration_ns = options_duration_ns(o, cell->slots->n_threads);
    return plan_cell_identify(cell, o);
}

/* The cells of a pass in one repetition, each identity at most once, then shuffled. Adds them to the plan. */
static int block_fill(struct plan *plan, unsigned block) {
    const struct options *o = plan->options;
    struct plan_cell *cells = plan->cells + plan->n_cells;
    size_t n = 0, identity_idx = 0;
    unsigned repetition;
    const enum cell_pass pass = pass_of(o, block, &repetition);
    for (size_t a = 0; a < o->allocators.n; a++) {
        for (size_t w = 0; w < o->n_workloads; w++) {
            for (size_t s = 0; s < plan->n_slots; s++, identity_idx++) {
                if (!has_cells(o, o->workloads[w].row, plan->slots[s].n_threads, pass, repetition))
                    continue;
                struct plan_cell *cell = &cells[n++];
                *cell = (struct plan_cell){
                    .allocator = &o->allocators.items[a],
                    .workload = &o->workloads[w],
                    .slots = &plan->slots[s],
                    .pass = pass,
                    .block = block,
                    .repetition = repetition,
                    .identity_idx = identity_idx,
                };
                if (cell_fill(o, cell) != 0)
                    return -ENOMEM;
            }
        }
    }
    struct prng g;
    prng_seed(&g, o->seed, block);
    shuffle(cells, n, &g);
    for (size_t i = 0; i < n; i++)
        cells[i].slot = (unsigned)i;
    plan->n_cells += n;
    return 0;
}

/* A pass that was asked for and counts nothing at any of the thread counts. */
static int check_threads(const struct options *o, struct problem *p) {
    unsigned least = o->threads.counts[0], most = o->threads.counts[o->threads.n - 1];
    if (o->has_sharing && !pass_counts(PASS_SHARING, most))
        return problem_set(p, EINVAL, "--sharing needs a thread count above 1 in --threads");
    if (o->instrument == INSTRUMENT_CALLGRIND && !pass_counts(PASS_INSTRUCTIONS, least))
        return problem_set(p, EINVAL,
                           "--instructions callgrind counts with one thread: 1 must be in --threads");
    return 0;
}

int plan_make(struct plan *plan, const struct options *o, const struct topology *t, struct problem *p) {
    *plan = (struct plan){.options = o};
    plan->n_identities = o->allocators.n * o->n_workloads * o->threads.n;
    if (plan->n_identities == 0)
        return problem_set(p, ENODATA,
                           "there is nothing to measure: no allocator or no workload is selected");
    int err = check_threads(o, p);
    if (err != 0)
        return err;
    const struct passes passes = passes_of(o);
    unsigned n_blocks = o->reps * passes.n_repeated + passes.n_once;
    plan->cells = calloc(plan->n_identities * n_blocks, sizeof *plan->cells);
    err = plan->cells != NULL ? slots_fill(plan, t) : -ENOMEM;
    for (unsigned block = 0; err == 0 && block < n_blocks; block++)
        err = block_fill(plan, block);
    if (err != 0) {
        plan_free(plan);
        return problem_set(p, -err, "out of memory while planning");
    }
    return 0;
}

void plan_free(struct plan *plan) {
    for (size_t i = 0; plan->slots != NULL && i < plan->n_slots; i++)
        free(plan->slots[i].pus);
    free(plan->slots);
    free(plan->cells);
    *plan = (struct plan){0};
}
