#include "harness/resume.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/units.h"

int past_make(struct past *past, const struct plan *plan) {
    *past = (struct past){
        .is_done = calloc(plan->n_cells, sizeof *past->is_done),
    };
    return past->is_done != NULL ? past_reserve(past, plan->n_identities) : -ENOMEM;
}

int past_reserve(struct past *past, size_t n_identities) {
    if (n_identities <= past->n_verdicts)
        return 0;
    struct verdict *grown = realloc(past->verdicts, n_identities * sizeof *grown);
    if (grown == NULL)
        return -ENOMEM;
    memset(grown + past->n_verdicts, 0, (n_identities - past->n_verdicts) * sizeof *grown);
    past->verdicts = grown;
    past->n_verdicts = n_identities;
    return 0;
}

void past_free(struct past *past) {
    free(past->is_done);
    free(past->verdicts);
    *past = (struct past){0};
}

void past_add(struct past *past, const struct plan *plan, size_t cell_idx, enum cell_status status,
              const char *why) {
    past->is_done[cell_idx] = true;
    past_count(past, &plan->cells[cell_idx], status, why);
}

void past_count(struct past *past, const struct plan_cell *cell, enum cell_status status, const char *why) {
    past->n_done++;
    past->n_ok += status == STATUS_OK;
    past->n_skipped += status == STATUS_SKIP;
    past->n_failed += status_is_failure(status);
    struct verdict *verdict = &past->verdicts[cell->identity_idx];
    if (cell->pass != PASS_AUDIT || (verdict->is_known && verdict->status != STATUS_OK))
        return;
    verdict->is_known = true;
    verdict->status = status;
    snprintf(verdict->why, sizeof verdict->why, "%s", why);
}

/* Position in the plan, or -1. */
static ssize_t find_cell(const struct plan *plan, const char *cell_id, uint64_t repetition) {
    for (size_t i = 0; i < plan->n_cells; i++) {
        if (plan->cells[i].repetition == repetition && strcmp(plan->cells[i].cell_id, cell_id) == 0)
            return (ssize_t)i;
    }
    return -1;
}

int past_rows_open(struct past_rows *rows, const struct folder *folder, struct problem *p) {
    *rows = (struct past_rows){0};
    int err = folder_path(folder, "samples.csv", rows->path, p);
    if (err != 0 || access(rows->path, F_OK) != 0)
        return err;
    struct csv_table *table = &rows->table;
    err = csv_load(table, rows->path, p);
    if (err != 0)
        return err;
    if (table->n_torn_bytes > 0 && truncate(rows->path, (off_t)table->n_whole_bytes) != 0)
        return problem_set(p, errno, "cannot cut the torn row off %s: %s", rows->path, strerror(errno));
    rows->n_torn_bytes = table->n_torn_bytes;
    if (table->n_rows == 0)
        return 0;
    rows->cell_id = csv_column(table, "cell_id");
    rows->repetition = csv_column(table, "repetition");
    rows->status = csv_column(table, "status");
    rows->why = csv_column(table, "why");
    if (rows->cell_id < 0 || rows->repetition < 0 || rows->status < 0 || rows->why < 0)
        return problem_set(p, EINVAL, "%s lacks the columns cell_id, repetition, status, why", rows->path);
    return 0;
}

void past_rows_close(struct past_rows *rows) {
    csv_free(&rows->table);
}

static int read_row(const struct past_rows *rows, size_t row, uint64_t *repetition, enum cell_status *status,
                    struct problem *p) {
    if (units_parse_u64(csv_field(&rows->table, row, rows->repetition), 1, UINT64_MAX, repetition) != 0 ||
        status_parse(csv_field(&rows->table, row, rows->status), status) != 0)
        return problem_set(p, EINVAL, "%s: row %zu cannot be read", rows->path, row + 1);
    return 0;
}

static int find_rows(struct past *past, const struct plan *plan, const struct past_rows *rows,
                     struct problem *p) {
    for (size_t row = 1; row < rows->table.n_rows; row++) {
        const char *cell_id = csv_field(&rows->table, row, rows->cell_id);
        uint64_t n = 0;
        enum cell_status s = STATUS_OK;
        int err = read_row(rows, row, &n, &s, p);
        if (err != 0)
            return err;
        ssize_t idx = find_cell(plan, cell_id, n);
        if (idx < 0 || past->is_done[idx])
            return problem_set(p, EINVAL, "%s: row %zu, cell %s: %s", rows->path, row + 1, cell_id,
                               idx < 0 ? "not in the plan" : "is there twice");
        past_add(past, plan, (size_t)idx, s, csv_field(&rows->table, row, rows->why));
    }
    return 0;
}

int past_read(struct past *past, const struct plan *plan, const struct folder *folder, struct problem *p) {
    struct past_rows rows;
    int err = past_rows_open(&rows, folder, p);
    past->n_torn_bytes = rows.n_torn_bytes;
    if (err == 0)
        err = find_rows(past, plan, &rows, p);
    past_rows_close(&rows);
    return err;
}

int past_pass_over(struct past *past, const struct past_rows *rows, const struct plan_cell *cell,
                   struct problem *p) {
    size_t row = past->n_done + 1;
    if (row >= rows->table.n_rows)
        return 0;
    const char *cell_id = csv_field(&rows->table, row, rows->cell_id);
    uint64_t n = 0;
    enum cell_status s = STATUS_OK;
    int err = read_row(rows, row, &n, &s, p);
    if (err != 0)
        return err;
    if (n != cell->repetition || strcmp(cell_id, cell->cell_id) != 0)
        return problem_set(p, EINVAL,
                           "%s: row %zu is repetition %" PRIu64
                           " of cell %s, but the plan has repetition %u of "
                           "cell %s there: it is not the plan this run was started with",
                           rows->path, row + 1, n, cell_id, cell->repetition, cell->cell_id);
    past_count(past, cell, s, csv_field(&rows->table, row, rows->why));
    return 1;
}

static bool has_row(const struct past_rows *rows, const char *cell_id, const char *repetition) {
    for (size_t row = rows->table.n_rows; row-- > 1;) { /* it is the last that is asked for */
        if (strcmp(csv_field(&rows->table, row, rows->cell_id), cell_id) == 0 &&
            strcmp(csv_field(&rows->table, row, rows->repetition), repetition) == 0)
            return true;
    }
    return false;
}

/* The position in the file from which on nothing counts: rows of a cell stand together, those of the last cell last. */
static size_t find_orphans(const struct past_rows *rows, const struct csv_table *table) {
    int repetition = csv_column(table, "repetition");
    if (table->n_rows < 2 || repetition < 0)
        return table->n_whole_bytes;
    const char *last_id = csv_field(table, table->n_rows - 1, 0),
               *last_repetition = csv_field(table, table->n_rows - 1, repetition);
    if (has_row(rows, last_id, last_repetition))
        return table->n_whole_bytes;
    size_t row = table->n_rows - 1;
    while (row > 1 && strcmp(csv_field(table, row - 1, 0), last_id) == 0 &&
           strcmp(csv_field(table, row - 1, repetition), last_repetition) == 0)
        row--;
    return (size_t)(csv_field(table, row, 0) - table->text);
}

int past_trim_rows(const struct folder *folder, const char *name, struct problem *p) {
    char path[PATH_MAX];
    struct csv_table table;
    struct past_rows rows = {0};
    int err = folder_path(folder, name, path, p);
    if (err != 0 || access(path, F_OK) != 0)
        return err;
    err = csv_load(&table, path, p);
    if (err != 0)
        return err;
    err = past_rows_open(&rows, folder, p);
    if (err == 0 && truncate(path, (off_t)find_orphans(&rows, &table)) != 0)
        err = problem_set(p, errno, "cannot cut %s to what counts: %s", path, strerror(errno));
    past_rows_close(&rows);
    csv_free(&table);
    return err;
}

int past_check_plan(const struct plan *plan, const struct folder *folder, struct problem *p) {
    char path[PATH_MAX], *text = NULL, *old = NULL;
    size_t n = 0;
    int err = folder_path(folder, "plan.csv", path, p);
    if (err != 0)
        return err;
    FILE *out = open_memstream(&text, &n), *in = NULL;
    if (out == NULL)
        return problem_set(p, ENOMEM, "out of memory");
    plan_write_csv(out, plan);
    if (fclose(out) != 0 || (old = malloc(n + 1)) == NULL) {
        err = problem_set(p, ENOMEM, "out of memory");
        goto out;
    }
    in = fopen(path, "re");
    if (in == NULL) {
        err = problem_set(p, errno, "cannot read %s: %s", path, strerror(errno));
        goto out;
    }
    if (fread(old, 1, n + 1, in) != n || memcmp(old, text, n) != 0)
        err =
            problem_set(p, EINVAL,
                        "the plan made now differs from %s: another version of run-bench, another machine or "
                        "another affinity mask; start a new run",
                        path);
out:
    if (in != NULL)
        fclose(in);
    free(old);
    free(text);
    return err;
}
