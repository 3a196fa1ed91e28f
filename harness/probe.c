#include "harness/probe.h"

#include <errno.h>
#include <stdlib.h>

#include "harness/collect.h"

int probes_make(struct probes *probes, struct bench *b, struct problem *p) {
    static const struct run_identity nobody;
    const struct allocator_list *list = &b->options->allocators;
    *probes = (struct probes){.items = calloc(list->n, sizeof *probes->items), .n = list->n};
    if (probes->items == NULL)
        return problem_set(p, ENOMEM, "out of memory");
    for (size_t i = 0; i < list->n; i++) {
        struct probe *probe = &probes->items[i];
        probe->cell = (struct plan_cell){.allocator = &list->items[i], .pass = PASS_PROBE};
        record_init(&probe->record, &nobody, b->options, &probe->cell);
        int err = collect_cell(b, LOAD_DLOPEN, "", &probe->record, p);
        if (err != 0)
            return err;
    }
    return 0;
}

void probes_free(struct probes *probes) {
    free(probes->items);
    *probes = (struct probes){0};
}

int probes_check_named(const struct probes *probes, struct problem *p) {
    for (size_t i = 0; i < probes->n; i++) {
        const struct allocator_choice *choice = probes->items[i].cell.allocator;
        const struct record *r = &probes->items[i].record;
        if (!choice->is_named || choice->path[0] != '\0' || r->status != STATUS_SKIP)
            continue;
        const char *package = choice->row != NULL ? choice->row->package : NULL;
        return problem_set(p, ENOENT, "--allocators %s: not available: %s%s%s", choice->name, r->why,
                           package != NULL ? "; the Debian package that brings it is " : "",
                           package != NULL ? package : "");
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
