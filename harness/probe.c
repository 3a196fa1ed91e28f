#include "harness/probe.h"

#include <errno.h>
#include <stdlib.h>

#include "harness/collect.h"

static const struct run_identity nobody; /* these records become no rows */

static int probe_once(struct probe *probe, struct bench *b, enum allocator_load load, struct problem *p) {
    record_init(&probe->record, &nobody, b->options, &probe->cell);
    return collect_cell(b, load, "", &probe->record, p);
}

/* Some libraries that dlopen refuses, for want of static TLS, can be preloaded. */
static int retry_preloaded(struct probe *probe, struct bench *b, struct problem *p) {
    struct probe second = {.cell = probe->cell};
    int err = probe_once(&second, b, LOAD_PRELOAD, p);
    if (err == 0 && second.record.status == STATUS_OK) {
        *probe = second;
        probe->record.cell = &probe->cell;
    }
    return err;
}

int probes_extend(struct probes *probes, struct bench *b, enum allocator_load load, struct problem *p) {
    const struct allocator_list *list = &b->options->allocators;
    if (probes->items == NULL)
        probes->items = calloc(GRAMMAR_MAX_ALLOCATORS, sizeof *probes->items);
    if (probes->items == NULL)
        return problem_set(p, ENOMEM, "out of memory");
    while (probes->n < list->n) {
        struct probe *probe = &probes->items[probes->n];
        probe->cell = (struct plan_cell){.allocator = &list->items[probes->n], .pass = PASS_PROBE};
        int err = probe_once(probe, b, LOAD_DLOPEN, p);
        if (err == 0 && load == LOAD_PRELOAD && probe->record.status == STATUS_SKIP &&
            probe->cell.allocator->path[0] != '\0')
            err = retry_preloaded(probe, b, p);
        if (err != 0)
            return err;
        probes->n++;
    }
    return 0;
}

int probes_make(struct probes *probes, struct bench *b, struct problem *p) {
    *probes = (struct probes){0};
    return probes_extend(probes, b, b->options->load, p);
}

void probes_free(struct probes *probes) {
    free(probes->items);
    *probes = (struct probes){0};
}

int probes_check_named(const struct probes *probes, struct problem *p) {
    for (size_t i = 0; i < probes->n; i++) {
        const struct allocator_choice *choice = probes->items[i].cell.allocator;
        const struct record *r = &probes->items[i].record;
        if (!choice->is_named || r->status != STATUS_SKIP)
            continue;
        if (choice->path[0] != '\0')
            return problem_set(p, EINVAL, "--allocators %s=%s: cannot be used: %s", choice->name,
                               choice->path, r->why);
        const char *package = choice->row != NULL ? choice->row->package : NULL;
        return problem_set(p, ENOENT, "--allocators %s: not available: %s%s%s", choice->name, r->why,
                           package != NULL ? "; the Debian package that brings it is " : "",
                           package != NULL ? package : "");
    }
    return 0;
}

const struct probe *probes_find_unusable(const struct probes *probes) {
    for (size_t i = 0; i < probes->n; i++) {
        if (probes->items[i].cell.allocator->path[0] != '\0' && probes->items[i].record.status == STATUS_SKIP)
            return &probes->items[i];
    }
    return NULL;
}

static bool has_defaults(const struct workload_choice *w) {
    for (size_t i = 0; w->row->params[i].name != NULL; i++) {
        if (w->params[i] != w->row->params[i].def)
            return false;
    }
    return true;
}

int probe_check_params(struct bench *b, struct problem *p) {
    struct allocator_choice libc = {.name = "glibc", .row = allocator_find("glibc")};
    for (size_t i = 0; i < b->options->n_workloads; i++) {
        const struct workload_choice *w = &b->options->workloads[i];
        if (has_defaults(w))
            continue;
        struct slots slots = {.n_threads = w->row->min_threads};
        struct plan_cell cell = {.allocator = &libc,
                                 .workload = w,
                                 .slots = &slots,
                                 .pass = PASS_TIMED,
                                 .ops_total = slots.n_threads};
        struct record r;
        record_init(&r, &nobody, b->options, &cell);
        int err = collect_cell(b, LOAD_DLOPEN, "", &r, p);
        if (err != 0)
            return err;
        /* A process that lives to report a crash was told by the workload that it cannot run. */
        if (r.has_result && r.status == STATUS_CRASH && r.exit_code == 0)
            return problem_set(p, EINVAL, "--param: the parameters do not go together: %s", r.why);
    }
    return 0;
}

const char *probe_library(const struct probe *probe) {
    const struct allocator_choice *choice = probe->cell.allocator;
    if (choice->path[0] != '\0')
        return choice->path;
    if (choice->row != NULL && choice->row->candidates == NULL)
        return "";
    return probe->record.proof.proof.path[0] != '\0' ? probe->record.proof.proof.path : NULL;
}
