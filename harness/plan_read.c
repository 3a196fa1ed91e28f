#include "harness/plan_read.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "harness/csv.h"
#include "harness/units.h"

static const char *const column_names[N_PLAN_COLUMNS] = {
    [COLUMN_PASS] = "pass",
    [COLUMN_ALLOCATOR] = "allocator",
    [COLUMN_LIBRARY] = "library",
    [COLUMN_CONFIG] = "config",
    [COLUMN_LOAD] = "load",
    [COLUMN_WORKLOAD] = "workload",
    [COLUMN_WORKLOAD_VERSION] = "workload_version",
    [COLUMN_PARAMS] = "params",
    [COLUMN_THREADS] = "threads",
    [COLUMN_PLACEMENT] = "placement",
    [COLUMN_BLOCK] = "block",
    [COLUMN_SLOT] = "slot",
    [COLUMN_REPETITION] = "repetition",
    [COLUMN_SEED] = "seed",
    [COLUMN_DURATION] = "duration_ns",
    [COLUMN_OPS_TARGET] = "ops_target",
    [COLUMN_CELL_ID] = "cell_id",
    [COLUMN_MEMBIND] = "membind",
    [COLUMN_PUS] = "pus",
};

/* The fields of the row at hand. */
struct row {
    char *fields[PLAN_MAX_COLUMNS];
    const struct plan_reader *reader;
};

static const char *row_field(const struct row *row, enum plan_column column) {
    int position = row->reader->positions[column];
    return position >= 0 ? row->fields[position] : "";
}

/* The number of fields in the next line, 0 at the end of the file, or -errno with the reason. */
static ssize_t read_line(struct plan_reader *r, char **fields, struct problem *p) {
    if (getline(&r->line, &r->line_bytes, r->in) < 0) {
        if (feof(r->in))
            return 0;
        problem_set(p, errno, "cannot be read: %s", strerror(errno));
        return -EIO;
    }
    r->n_lines++;
    ssize_t n = csv_split_line(r->line, fields, PLAN_MAX_COLUMNS);
    if (n > 0 && n <= PLAN_MAX_COLUMNS)
        return n;
    if (n < 0)
        problem_set(p, EBADMSG, "the line, or a quoted field in it, does not end");
    else
        problem_set(p, EBADMSG, "more than %d fields", PLAN_MAX_COLUMNS);
    return -EBADMSG;
}

static int read_header(struct plan_reader *r, struct problem *p) {
    char *fields[PLAN_MAX_COLUMNS];
    ssize_t n = read_line(r, fields, p);
    if (n <= 0)
        return n < 0 ? (int)n : problem_set(p, ENODATA, "there is no header");
    r->n_columns = (int)n;
    for (int i = 0; i < N_PLAN_COLUMNS; i++) {
        r->positions[i] = -1;
        for (int j = 0; j < n; j++) {
            if (strcmp(fields[j], column_names[i]) != 0)
                continue;
            if (r->positions[i] >= 0)
                return problem_set(p, EINVAL, "the column %s is there twice", column_names[i]);
            r->positions[i] = j;
        }
        if (i < N_NEEDED_COLUMNS && r->positions[i] < 0)
            return problem_set(p, EINVAL, "the column %s is missing", column_names[i]);
    }
    return 0;
}

int plan_reader_open(struct plan_reader *r, struct options *o, const struct topology *t, struct problem *p) {
    bool is_stdin = strcmp(o->plan, "-") == 0;
    *r = (struct plan_reader){.options = o, .topology = t, .name = is_stdin ? "standard input" : o->plan};
    r->in = is_stdin ? stdin : fopen(o->plan, "re");
    if (r->in == NULL)
        return problem_set(p, errno, "--plan %s: %s", o->plan, strerror(errno));
    setvbuf(r->in, NULL, _IONBF, 0); /* what was not asked for stays in the pipe, where poll sees it */
    int err = read_header(r, p);
    if (err != 0)
        problem_prefix(p, "--plan %s", r->name);
    return err;
}

void plan_reader_close(struct plan_reader *r) {
    if (r->in != NULL && r->in != stdin)
        fclose(r->in);
    free(r->line);
    free(r->identities);
    free(r->slots.pus);
    *r = (struct plan_reader){0};
}

static int take_number(const struct row *row, enum plan_column column, uint64_t min, uint64_t max,
                       uint64_t *out, struct problem *p) {
    const char *text = row_field(row, column);
    if (units_parse_u64(text, min, max, out) == 0)
        return 0;
    return problem_set(p, EINVAL, "%s '%s': allowed is a whole number from %" PRIu64 " to %" PRIu64,
                       column_names[column], text, min, max);
}

static int take_unsigned(const struct row *row, enum plan_column column, unsigned min, unsigned max,
                         unsigned *out, struct problem *p) {
    uint64_t value = 0;
    int err = take_number(row, column, min, max, &value, p);
    *out = (unsigned)value;
    return err;
}

static int take_workload(const struct row *row, struct workload_choice *out, struct problem *p) {
    int err = selection_parse_choice(row_field(row, COLUMN_WORKLOAD), row_field(row, COLUMN_PARAMS), out, p);
    unsigned version;
    if (err == 0)
        err = take_unsigned(row, COLUMN_WORKLOAD_VERSION, 0, UINT32_MAX, &version, p);
    if (err == 0 && version != out->row->version)
        err = problem_set(p, EINVAL, "%s is of version %u here, the plan asks for %u", out->row->name,
                          out->row->version, version);
    return err;
}

static int take_words(const struct row *row, struct plan_cell *cell, struct slots *slots, struct problem *p) {
    const char *pass = row_field(row, COLUMN_PASS), *load = row_field(row, COLUMN_LOAD),
               *placement = row_field(row, COLUMN_PLACEMENT), *membind = row_field(row, COLUMN_MEMBIND);
    if (pass_parse(pass, &cell->pass) != 0)
        return problem_set(p, EINVAL, "pass '%s': allowed are " PLAN_PASSES, pass);
    if (load_parse(load, &cell->load) != 0)
        return problem_set(p, EINVAL, "load '%s': allowed are dlopen, preload", load);
    if (placement_parse(placement, &slots->placement) != 0)
        return problem_set(p, EINVAL, "placement '%s': allowed are cores, compact, scatter, none", placement);
    slots->membind = (struct membind){.kind = MEMBIND_FIRST_TOUCH};
    if (membind[0] != '\0' && membind_parse(membind, &slots->membind) != 0)
        return problem_set(p, EINVAL, "membind '%s': allowed are " MEMBIND_ALLOWED, membind);
    return membind_check(&slots->membind, p);
}

/* Either a time or a number of operations ends a cell. */
static int take_length(const struct row *row, struct plan_cell *cell, struct problem *p) {
    bool has_time = row_field(row, COLUMN_DURATION)[0] != '\0',
         has_ops = row_field(row, COLUMN_OPS_TARGET)[0] != '\0';
    cell->duration_ns = cell->ops_total = 0;
    if (cell->pass == PASS_RSS)
        cell->idle_ns = options_idle_ns(row->reader->options);
    if (cell->pass == PASS_RSS && (cell->workload->row->flags & WORKLOAD_COURSE) != 0) {
        if (has_time || has_ops)
            return problem_set(p, EINVAL, "a course that is watched ends by itself");
        return 0;
    }
    if (has_time == has_ops)
        return problem_set(p, EINVAL, "one of duration_ns and ops_target must be given");
    if (has_time && cell->pass != PASS_TIMED && cell->pass != PASS_LATENCY)
        return problem_set(p, EINVAL, "a cell of pass %s is ended by ops_target", pass_name(cell->pass));
    if (has_time)
        return take_number(row, COLUMN_DURATION, 1, 86400ull * UNITS_NS_PER_S, &cell->duration_ns, p);
    return take_number(row, COLUMN_OPS_TARGET, 1, INT64_MAX, &cell->ops_total, p);
}

static int take_place(const struct row *row, struct plan_cell *cell, struct problem *p) {
    int err = take_unsigned(row, COLUMN_BLOCK, 0, UINT32_MAX, &cell->block, p);
    if (err == 0)
        err = take_unsigned(row, COLUMN_SLOT, 0, UINT32_MAX, &cell->slot, p);
    if (err == 0)
        err = take_unsigned(row, COLUMN_REPETITION, 1, UINT32_MAX, &cell->repetition, p);
    return err == 0 ? take_number(row, COLUMN_SEED, 0, UINT64_MAX, &cell->seed, p) : err;
}

/* What the plan says beyond what is needed must be true here. */
static int check_claims(const struct row *row, const struct plan_cell *cell, struct problem *p) {
    const char *pus = row_field(row, COLUMN_PUS), *cell_id = row_field(row, COLUMN_CELL_ID);
    if (cell_id[0] != '\0' && strcmp(cell_id, cell->cell_id) != 0)
        return problem_set(p, EINVAL, "cell_id is %s, but what the row describes is cell %s", cell_id,
                           cell->cell_id);
    char *here = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&here, &n);
    if (out == NULL)
        return problem_set(p, ENOMEM, "out of memory");
    plan_write_pus(out, cell->slots);
    int err = fclose(out) != 0 ? problem_set(p, ENOMEM, "out of memory") : 0;
    if (err == 0 && pus[0] != '\0' && strcmp(pus, here) != 0)
        err =
            problem_set(p, EINVAL, "the threads would go to the processing units %s here, not %s", here, pus);
    free(here);
    return err;
}

/* The index that a cell shares with its audit. */
static int find_identity(struct plan_reader *r, struct plan_cell *cell) {
    struct plan_cell audit = *cell;
    audit.pass = PASS_AUDIT;
    int err = plan_cell_identify(&audit, r->options);
    if (err != 0)
        return err;
    for (cell->identity_idx = 0; cell->identity_idx < r->n_identities; cell->identity_idx++) {
        if (strcmp(r->identities[cell->identity_idx], audit.cell_id) == 0)
            return 0;
    }
    void *grown = realloc(r->identities, (r->n_identities + 1) * sizeof *r->identities);
    if (grown == NULL)
        return -ENOMEM;
    r->identities = grown;
    memcpy(r->identities[r->n_identities++], audit.cell_id, sizeof audit.cell_id);
    return 0;
}

static int row_parse(struct plan_reader *r, const struct row *row, struct plan_cell *cell,
                     struct problem *p) {
    *cell = (struct plan_cell){.workload = &r->workload, .slots = &r->slots};
    int err = take_words(row, cell, &r->slots, p);
    if (err == 0)
        err = take_unsigned(row, COLUMN_THREADS, 1, CELL_MAX_THREADS, &r->slots.n_threads, p);
    if (err == 0)
        err = take_workload(row, &r->workload, p);
    if (err == 0)
        err = take_length(row, cell, p);
    if (err == 0)
        err = take_place(row, cell, p);
    if (err == 0)
        err = grammar_take_allocator(row_field(row, COLUMN_ALLOCATOR), row_field(row, COLUMN_LIBRARY),
                                     row_field(row, COLUMN_CONFIG), &r->options->allocators, &cell->allocator,
                                     p);
    if (err != 0)
        return err;
    free(r->slots.pus);
    if (slots_place(&r->slots, r->topology) != 0 || plan_cell_identify(cell, r->options) != 0 ||
        find_identity(r, cell) != 0)
        return problem_set(p, ENOMEM, "out of memory");
    return check_claims(row, cell, p);
}

int plan_reader_next(struct plan_reader *r, struct plan_cell *cell, struct problem *p) {
    struct row row = {.reader = r};
    ssize_t n = read_line(r, row.fields, p);
    if (n == 0)
        return 0;
    int err = n < 0 ? (int)n : 0;
    if (err == 0 && n != r->n_columns)
        err = problem_set(p, EBADMSG, "%zd fields, the header has %d", n, r->n_columns);
    if (err == 0)
        err = row_parse(r, &row, cell, p);
    if (err == 0)
        return 1;
    problem_prefix(p, "--plan %s: line %zu", r->name, r->n_lines);
    return err;
}
