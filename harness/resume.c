#include "harness/resume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/csv.h"
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

static int read_rows(struct past *past, const struct plan *plan, const struct csv_table *table,
                     const char *path, struct problem *p) {
    int cell_id = csv_column(table, "cell_id"), repetition = csv_column(table, "repetition"),
        status = csv_column(table, "status"), why = csv_column(table, "why");
    if (cell_id < 0 || repetition < 0 || status < 0 || why < 0)
        return problem_set(p, EINVAL, "%s lacks the columns cell_id, repetition, status, why", path);
    for (size_t row = 1; row < table->n_rows; row++) {
        uint64_t n;
        enum cell_status s;
        if (units_parse_u64(csv_field(table, row, repetition), 1, UINT64_MAX, &n) != 0 ||
            status_parse(csv_field(table, row, status), &s) != 0)
            return problem_set(p, EINVAL, "%s: row %zu cannot be read", path, row + 1);
        ssize_t idx = find_cell(plan, csv_field(table, row, cell_id), n);
        if (idx < 0 || past->is_done[idx])
            return problem_set(p, EINVAL, "%s: row %zu, cell %s: %s", path, row + 1,
                               csv_field(table, row, cell_id),
                               idx < 0 ? "not in the plan" : "is there twice");
        past_add(past, plan, (size_t)idx, s, csv_field(table, row, why));
    }
    return 0;
}

int past_read(struct past *past, const struct plan *plan, const struct folder *folder, struct problem *p) {
    char path[PATH_MAX];
    int err = folder_path(folder, "samples.csv", path, p);
    if (err != 0)
        return err;
    if (access(path, F_OK) != 0)
        return 0;
    struct csv_table table;
    err = csv_load(&table, path, p);
    if (err != 0)
        return err;
    if (table.n_torn_bytes > 0 && truncate(path, (off_t)table.n_whole_bytes) != 0)
        err = problem_set(p, errno, "cannot cut the torn row off %s: %s", path, strerror(errno));
    past->n_torn_bytes = table.n_torn_bytes;
    if (err == 0 && table.n_rows > 0)
        err = read_rows(past, plan, &table, path, p);
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
