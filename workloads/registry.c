/*
 * The one list of workloads, in the order of --list. A new workload is one file and one row here.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "workloads/workload.h"

extern const struct workload workload_malloc_test, workload_larson, workload_false_sharing_active,
    workload_false_sharing_passive, workload_false_sharing_separate, workload_false_sharing_serial,
    workload_prodcons;

/* Speed: loops of the field's micro-benchmarks and suites. */
extern const struct workload workload_alloc_test, workload_contention, workload_dep_pair,
    workload_glibc_simple, workload_glibc_thread, workload_linux_scalability, workload_migrate,
    workload_msgpass, workload_pair, workload_phong, workload_ring, workload_ring_xthread,
    workload_scatter_churn, workload_superserver, workload_t_test1, workload_t_test2, workload_threadtest;

/* Memory over time, large blocks, and threads that come and go. */
extern const struct workload workload_aligned, workload_blowup, workload_calloc_fresh,
    workload_calloc_recycled, workload_fleet, workload_hand_off, workload_large_saw, workload_lru_churn,
    workload_malloc_large, workload_mleak, workload_ramp_plateau, workload_realloc_grow, workload_robson,
    workload_sparse_survivor, workload_thread_churn;

const struct workload *const workload_table[] = {
    &workload_malloc_test,
    &workload_larson,
    &workload_false_sharing_active,
    &workload_false_sharing_passive,
    &workload_false_sharing_separate,
    &workload_false_sharing_serial,
    &workload_prodcons,
    /* speed */
    &workload_alloc_test,
    &workload_contention,
    &workload_dep_pair,
    &workload_glibc_simple,
    &workload_glibc_thread,
    &workload_linux_scalability,
    &workload_migrate,
    &workload_msgpass,
    &workload_pair,
    &workload_phong,
    &workload_ring,
    &workload_ring_xthread,
    &workload_scatter_churn,
    &workload_superserver,
    &workload_t_test1,
    &workload_t_test2,
    &workload_threadtest,
    /* memory */
    &workload_aligned,
    &workload_blowup,
    &workload_calloc_fresh,
    &workload_calloc_recycled,
    &workload_fleet,
    &workload_hand_off,
    &workload_large_saw,
    &workload_lru_churn,
    &workload_malloc_large,
    &workload_mleak,
    &workload_ramp_plateau,
    &workload_realloc_grow,
    &workload_robson,
    &workload_sparse_survivor,
    &workload_thread_churn,
    NULL,
};

const struct workload *workload_find(const char *name) {
    for (const struct workload *const *w = workload_table; *w; w++)
        if (strcmp((*w)->name, name) == 0)
            return *w;
    return NULL;
}

/* Names end up in file names, CSV cells and on command lines: lower-case letters, digits and one
 * separator. */
static bool is_name(const char *s, char separator) {
    if (!s || !islower((unsigned char)*s))
        return false;
    for (; *s; s++)
        if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s) && *s != separator)
            return false;
    return true;
}

static const char *params_fault(const struct param *params) {
    unsigned n = 0;
    for (const struct param *p = params; p->name; p++, n++) {
        if (n == WORKLOAD_MAX_PARAMS)
            return "too many parameters";
        if (!is_name(p->name, '_'))
            return "parameter name is not lower case with '_'";
        if (!p->unit || !p->help || !*p->help)
            return "parameter without unit or help";
        if (p->min > p->def || p->def > p->max)
            return "default of a parameter is out of its range";
        for (const struct param *q = params; q != p; q++)
            if (strcmp(p->name, q->name) == 0)
                return "two parameters of one name";
    }
    return NULL;
}

static bool is_value_of(const struct param *params, const char *name, int64_t value) {
    for (const struct param *p = params; p->name; p++)
        if (strcmp(p->name, name) == 0)
            return p->min <= value && value <= p->max;
    return false;
}

static const char *presets_fault(const struct workload *w) {
    for (const struct preset *p = w->presets; p && p->name; p++) {
        if (!is_name(p->name, '-'))
            return "preset name is not lower case with '-'";
        if (!p->summary || !*p->summary || !p->set[0].param)
            return "preset without summary or values";
        for (unsigned i = 0; i < WORKLOAD_MAX_PARAMS && p->set[i].param; i++)
            if (!is_value_of(w->params, p->set[i].param, p->set[i].value))
                return "preset sets no parameter, or one out of its range";
        for (const struct preset *q = w->presets; q != p; q++)
            if (strcmp(p->name, q->name) == 0)
                return "two presets of one name";
    }
    return NULL;
}

static const char *row_fault(const struct workload *w) {
    if (!is_name(w->name, '-'))
        return "name is not lower case with '-'";
    if (workload_find(w->name) != w || strcmp(w->name, "all") == 0)
        return "name is taken";
    if (!w->summary || !w->origin || !w->op || !w->groups || !w->params)
        return "summary, origin, op, groups or params missing";
    if (w->version == 0 || w->min_threads == 0 || w->warmup_ops == 0 || w->audit_ops == 0)
        return "version, min_threads, warmup_ops or audit_ops is 0";
    if (!w->run || !w->expected_allocs)
        return "run or expected_allocs missing";
    const char *fault = params_fault(w->params);
    return fault ? fault : presets_fault(w);
}

int workload_table_check(char *why, size_t why_bytes) {
    for (const struct workload *const *w = workload_table; *w; w++) {
        const char *fault = row_fault(*w);
        if (fault) {
            snprintf(why, why_bytes, "workload %s: %s", (*w)->name ? (*w)->name : "(no name)", fault);
            return -EINVAL;
        }
    }
    return 0;
}
