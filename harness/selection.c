/* Which workloads with which parameters: names, groups and --param against the registry. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/nearest.h"
#include "harness/options.h"
#include "harness/units.h"

#define DEFAULT_GROUP "core"
#define GROUP_OF_ALL "all"

/* Every workload is in the group "all", without saying so. */
static bool is_in_group(const struct workload *row, const char *group) {
    size_t n = strlen(group);
    if (strcmp(group, GROUP_OF_ALL) == 0)
        return true;
    for (const char *at = row->groups; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, group, n) == 0 && (at[n] == ',' || at[n] == '\0'))
            return true;
    }
    return false;
}

bool selection_is_core(const struct workload *row) {
    return is_in_group(row, DEFAULT_GROUP);
}

/* What --quick takes in place of the defaults; NULL: they are quick enough. */
static const struct preset *quick_preset(const struct workload *row) {
    for (const struct preset *preset = row->presets; preset != NULL && preset->name != NULL; preset++) {
        if (strcmp(preset->name, "quick") == 0)
            return preset;
    }
    return NULL;
}

/* preset NULL: the defaults, or those of --quick. */
static int selection_add(struct options *o, const struct workload *row, const struct preset *preset,
                         struct problem *p) {
    struct workload_choice *grown = realloc(o->workloads, (o->n_workloads + 1) * sizeof *grown);
    if (grown == NULL)
        return problem_set(p, ENOMEM, "out of memory");
    o->workloads = grown;
    struct workload_choice *choice = &grown[o->n_workloads];
    *choice = (struct workload_choice){.row = row};
    if (preset == NULL && o->is_quick)
        preset = quick_preset(row);
    for (size_t i = 0; row->params[i].name != NULL; i++) {
        choice->params[i] = row->params[i].def;
        for (size_t j = 0; preset != NULL && j < WORKLOAD_MAX_PARAMS && preset->set[j].param != NULL; j++) {
            if (strcmp(preset->set[j].param, row->params[i].name) == 0)
                choice->params[i] = preset->set[j].value;
        }
    }
    for (size_t i = 0; i < o->n_workloads; i++) {
        if (o->workloads[i].row == row &&
            memcmp(o->workloads[i].params, choice->params, sizeof choice->params) == 0)
            return 0; /* a name and its group, or two groups, may overlap */
    }
    o->n_workloads++;
    return 0;
}

/* Names and groups, each once, in the order of the registry; offered to a search. */
static void known_workloads(char *out, size_t out_bytes, struct nearest *near) {
    size_t n = 0;
    out[0] = '\0';
    for (const struct workload *const *row = workload_table; *row != NULL; row++) {
        if (n < out_bytes)
            n += (size_t)snprintf(out + n, out_bytes - n, "%s%s", n > 0 ? ", " : "", (*row)->name);
        nearest_offer(near, (*row)->name);
    }
    nearest_offer(near, GROUP_OF_ALL);
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
                nearest_offer(near, group);
                n += (size_t)snprintf(out + n, out_bytes - n, "%s%s", intro, group);
                intro = ", ";
            }
            groups += width + (groups[width] == ',');
        }
    }
    if (n < out_bytes)
        snprintf(out + n, out_bytes - n, ", %s", GROUP_OF_ALL);
}

static int unknown_workload(const char *name, const char *what, struct problem *p) {
    char known[1024];
    struct nearest near;
    nearest_start(&near, name);
    known_workloads(known, sizeof known, &near);
    return problem_set(p, EINVAL, "unknown %s '%s'%s; workloads are %s", what, name, nearest_hint(&near),
                       known);
}

/* NAME@PRESET, at the position of the @. */
static int select_preset(struct options *o, const char *name, const char *at, struct problem *p) {
    char base[64], known[512] = "none";
    snprintf(base, sizeof base, "%.*s", (int)(at - name), name);
    const struct workload *row = workload_find(base);
    if (row == NULL)
        return unknown_workload(base, "workload", p);
    size_t n = 0;
    struct nearest near;
    nearest_start(&near, at + 1);
    for (const struct preset *preset = row->presets; preset != NULL && preset->name != NULL; preset++) {
        if (strcmp(preset->name, at + 1) == 0)
            return selection_add(o, row, preset, p);
        nearest_offer(&near, preset->name);
        if (n < sizeof known)
            n += (size_t)snprintf(known + n, sizeof known - n, "%s%s@%s", n > 0 ? ", " : "", base,
                                  preset->name);
    }
    return problem_set(p, EINVAL, "%s has no parameter set '%s'%s; it has: %s", base, at + 1,
                       nearest_hint(&near), known);
}

static int select_name(struct options *o, const char *name, struct problem *p) {
    const char *at = strchr(name, '@');
    if (at != NULL)
        return select_preset(o, name, at, p);
    const struct workload *one = workload_find(name);
    if (one != NULL)
        return selection_add(o, one, NULL, p);
    bool is_group = false;
    for (const struct workload *const *row = workload_table; *row != NULL; row++) {
        if (!is_in_group(*row, name))
            continue;
        is_group = true;
        int err = selection_add(o, *row, NULL, p);
        if (err != 0)
            return err;
    }
    if (is_group)
        return 0;
    return unknown_workload(name, "workload or group", p);
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
        int err = is_default ? selection_add(o, *row, NULL, p) : 0;
        if (err != 0)
            return err;
    }
    return 0;
}

static int unknown_param(const struct workload *row, const char *name, struct problem *p) {
    char known[512] = "none";
    size_t n = 0;
    struct nearest near;
    nearest_start(&near, name);
    for (const struct param *param = row->params; param->name != NULL; param++) {
        nearest_offer(&near, param->name);
        if (n < sizeof known)
            n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", n > 0 ? ", " : "", param->name);
    }
    return problem_set(p, EINVAL, "%s has no parameter '%s'%s; it has: %s", row->name, name,
                       nearest_hint(&near), known);
}

static const struct param *find_param(const struct workload *row, const char *name) {
    for (const struct param *param = row->params; param->name != NULL; param++) {
        if (strcmp(param->name, name) == 0)
            return param;
    }
    return NULL;
}

/* Position of the parameter, or -errno with the reason. */
static int param_parse(const struct workload *row, const char *name, const char *value, int64_t *number,
                       struct problem *p) {
    const struct param *param = find_param(row, name);
    if (param == NULL)
        return unknown_param(row, name, p);
    if (units_parse_i64(value, param->min, param->max, number) != 0)
        return problem_set(
            p, EINVAL, "'%s': allowed is a whole number from %" PRId64 " to %" PRId64 "%s%s (%s)", value,
            param->min, param->max, param->unit[0] != '\0' ? " " : "", param->unit, param->help);
    return (int)(param - row->params);
}

/* spec is writable and is cut up: WORKLOAD.NAME=VALUE. Holds for each parameter set of the workload. */
static int param_apply(struct options *o, char *spec, struct problem *p) {
    char *dot = strchr(spec, '.'), *equals = strchr(spec, '=');
    if (dot == NULL || equals == NULL || dot > equals)
        return problem_set(p, EINVAL, "write WORKLOAD.NAME=VALUE");
    *dot = '\0';
    *equals = '\0';
    const struct workload *row = workload_find(spec);
    if (row == NULL)
        return unknown_workload(spec, "workload", p);
    int64_t number = 0;
    int idx = param_parse(row, dot + 1, equals + 1, &number, p);
    if (idx < 0)
        return idx;
    bool is_selected = false;
    for (size_t i = 0; i < o->n_workloads; i++) {
        if (o->workloads[i].row != row)
            continue;
        o->workloads[i].params[idx] = number;
        is_selected = true;
    }
    return is_selected ? 0 : problem_set(p, EINVAL, "%s is not among the workloads of this run", row->name);
}

int selection_parse_choice(const char *name, const char *params, struct workload_choice *out,
                           struct problem *p) {
    const struct workload *row = workload_find(name);
    if (row == NULL)
        return unknown_workload(name, "workload", p);
    *out = (struct workload_choice){.row = row};
    bool is_given[WORKLOAD_MAX_PARAMS] = {false};
    char *copy = strdup(params);
    if (copy == NULL)
        return problem_set(p, ENOMEM, "out of memory");
    int err = 0;
    char *rest = copy[0] != '\0' ? copy : NULL;
    for (char *item; err == 0 && (item = strsep(&rest, ";")) != NULL;) {
        char *equals = strchr(item, '=');
        if (equals == NULL) {
            err = problem_set(p, EINVAL, "params: '%s': write NAME=VALUE;NAME2=VALUE", item);
            break;
        }
        *equals = '\0';
        int64_t number = 0;
        int idx = param_parse(row, item, equals + 1, &number, p);
        err = idx < 0 ? idx : 0;
        if (err == 0) {
            out->params[idx] = number;
            is_given[idx] = true;
        }
    }
    for (size_t i = 0; err == 0 && row->params[i].name != NULL; i++) {
        if (!is_given[i])
            err = problem_set(p, EINVAL, "params: %s of %s is not given", row->params[i].name, row->name);
    }
    free(copy);
    return err;
}

/* Two parameter sets of a workload may have become one by --param. */
static int check_distinct(const struct options *o, struct problem *p) {
    for (size_t i = 0; i < o->n_workloads; i++) {
        for (size_t j = 0; j < i; j++) {
            if (o->workloads[i].row == o->workloads[j].row &&
                memcmp(o->workloads[i].params, o->workloads[j].params, sizeof o->workloads[i].params) == 0)
                return problem_set(p, EINVAL, "%s is there twice with the same parameters after --param",
                                   o->workloads[i].row->name);
        }
    }
    return 0;
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
    return err == 0 ? check_distinct(o, p) : err;
}
