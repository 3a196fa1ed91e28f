/* Which workloads with which parameters: names, groups and --param against the registry. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/options.h"
#include "harness/units.h"

#define DEFAULT_GROUP "core"

static bool is_in_group(const struct workload *row, const char *group) {
    size_t n = strlen(group);
    for (const char *at = row->groups; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, group, n) == 0 && (at[n] == ',' || at[n] == '\0'))
            return true;
    }
    return false;
}

static int selection_add(struct options *o, const struct workload *row, struct problem *p) {
    for (size_t i = 0; i < o->n_workloads; i++) {
        if (o->workloads[i].row == row)
            return 0; /* a name and its group, or two groups, may overlap */
    }
    struct workload_choice *grown = realloc(o->workloads, (o->n_workloads + 1) * sizeof *grown);
    if (grown == NULL)
        return problem_set(p, ENOMEM, "out of memory");
    o->workloads = grown;
    struct workload_choice *choice = &grown[o->n_workloads++];
    *choice = (struct workload_choice){.row = row};
    for (size_t i = 0; row->params != NULL && row->params[i].name != NULL; i++)
        choice->params[i] = row->params[i].def;
    return 0;
}

/* Names and groups, each once, in the order of the registry. */
static void known_workloads(char *out, size_t out_bytes) {
    size_t n = 0;
    out[0] = '\0';
    for (const struct workload *const *row = workload_table; *row != NULL && n < out_bytes; row++)
        n += (size_t)snprintf(out + n, out_bytes - n, "%s%s", n > 0 ? ", " : "", (*row)->name);
    const char *intro = "; groups are ";
    for (const struct workload *const *row = workload_table; *row != NULL; row++) {
        const char *groups = (*row)->groups;
        while (groups != NULL && *groups != '\0' && n < out_bytes) {
            int width = (int)strcspn(groups, ",");
            char group[64];
            snprintf(group, sizeof group, "%.*s", width, groups);
            bool is_first = true;
            for (const struct workload *const *before = workload_table; before != row; before++)
                is_first = is_first && !is_in_group(*before, group);
            if (is_first) {
                n += (size_t)snprintf(out + n, out_bytes - n, "%s%s", intro, group);
                intro = ", ";
            }
            groups += width + (groups[width] == ',');
        }
    }
}

static int select_name(struct options *o, const char *name, struct problem *p) {
    const struct workload *one = workload_find(name);
    if (one != NULL)
        return selection_add(o, one, p);
    size_t n_before = o->n_workloads;
    bool is_group = false;
    for (const struct workload *const *row = workload_table; *row != NULL; row++) {
        if (!is_in_group(*row, name))
            continue;
        is_group = true;
        int err = selection_add(o, *row, p);
        if (err != 0)
            return err;
    }
    if (is_group || o->n_workloads > n_before)
        return 0;
    char known[768];
    known_workloads(known, sizeof known);
    return problem_set(p, EINVAL, "unknown workload or group '%s'; workloads are %s", name, known);
}

static int select_argument(struct options *o, const char *arg, struct problem *p) {
    char *copy = strdup(arg);
    if (copy == NULL)
        return problem_set(p, ENOMEM, "out of memory");
    int err = 0;
    char *rest = copy;
    for (char *name; err == 0 && (name = strsep(&rest, ",")) != NULL;)
        err = select_name(o, name, p);
    free(copy);
    if (err != 0)
        problem_prefix(p, "--workloads %s", arg);
    return err;
}

static int select_default(struct options *o, struct problem *p) {
    for (const struct workload *const *row = workload_table; *row != NULL; row++) {
        bool is_default = is_in_group(*row, DEFAULT_GROUP) && ((*row)->flags & WORKLOAD_REFERENCE) == 0;
        int err = is_default ? selection_add(o, *row, p) : 0;
        if (err != 0)
            return err;
    }
    return 0;
}

static struct workload_choice *choice_of(struct options *o, const struct workload *row) {
    for (size_t i = 0; i < o->n_workloads; i++) {
        if (o->workloads[i].row == row)
            return &o->workloads[i];
    }
    return NULL;
}

static int unknown_param(const struct workload *row, const char *name, struct problem *p) {
    char known[512] = "none";
    size_t n = 0;
    for (const struct param *param = row->params; param != NULL && param->name != NULL; param++) {
        if (n < sizeof known)
            n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", n > 0 ? ", " : "", param->name);
    }
    return problem_set(p, EINVAL, "%s has no parameter '%s'; it has: %s", row->name, name, known);
}

/* spec is writable and is cut up: WORKLOAD.NAME=VALUE */
static int param_apply(struct options *o, char *spec, struct problem *p) {
    char *dot = strchr(spec, '.'), *equals = strchr(spec, '=');
    if (dot == NULL || equals == NULL || dot > equals)
        return problem_set(p, EINVAL, "write WORKLOAD.NAME=VALUE");
    *dot = '\0';
    *equals = '\0';
    const char *name = dot + 1, *value = equals + 1;
    const struct workload *row = workload_find(spec);
    if (row == NULL) {
        char known[768];
        known_workloads(known, sizeof known);
        return problem_set(p, EINVAL, "unknown workload '%s'; workloads are %s", spec, known);
    }
    struct workload_choice *choice = choice_of(o, row);
    if (choice == NULL)
        return problem_set(p, EINVAL, "%s is not among the workloads of this run", row->name);
    for (size_t i = 0; row->params != NULL && row->params[i].name != NULL; i++) {
        const struct param *param = &row->params[i];
        if (strcmp(param->name, name) != 0)
            continue;
        if (units_parse_i64(value, param->min, param->max, &choice->params[i]) == 0)
            return 0;
        return problem_set(
            p, EINVAL, "'%s': allowed is a whole number from %" PRId64 " to %" PRId64 "%s%s (%s)", value,
            param->min, param->max, param->unit[0] != '\0' ? " " : "", param->unit, param->help);
    }
    return unknown_param(row, name, p);
}

int selection_settle(struct options *o, struct problem *p) {
    int err = o->n_workload_args == 0 ? select_default(o, p) : 0;
    for (size_t i = 0; err == 0 && i < o->n_workload_args; i++)
        err = select_argument(o, o->workload_args[i], p);
    for (size_t i = 0; err == 0 && i < o->n_param_args; i++) {
        char *copy = strdup(o->param_args[i]);
        if (copy == NULL)
            return problem_set(p, ENOMEM, "out of memory");
        err = param_apply(o, copy, p);
        free(copy);
        if (err != 0)
            problem_prefix(p, "--param %s", o->param_args[i]);
    }
    return err;
}
