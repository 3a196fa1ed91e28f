/*
 * Workloads that do less than they are told, in the place of the registry: linked into a cell that must notice.
 *
 *   half   does half of its operations, an allocation and a free each, and counts what it did
 *   none   does all of its operations without an allocation
 */
#include <string.h>

#include "workloads/kernel.h"

static const struct param params[] = {{0}};

static enum run_result half_run(struct worker *w) {
    uint64_t n = w->cell->is_measuring ? w->ops_budget / 2 : w->ops_budget;
    for (uint64_t i = 0; i < n; i++) {
        void *block = w->heap->alloc(16);
        w->heap->free(block);
    }
    worker_continue(w, n);
    return RUN_DONE;
}

static enum run_result none_run(struct worker *w) {
    worker_continue(w, w->ops_budget);
    return RUN_DONE;
}

static uint64_t none_expected_allocs(const struct cell *c) {
    (void)c;
    return 0;
}

static const struct workload half = {
    .name = "half", .params = params, .min_threads = 1, .run = half_run, .expected_allocs = cell_ops_total};
static const struct workload none = {.name = "none",
                                     .params = params,
                                     .min_threads = 1,
                                     .run = none_run,
                                     .expected_allocs = none_expected_allocs};

const struct workload *workload_find(const char *name) {
    return strcmp(name, "half") == 0 ? &half : strcmp(name, "none") == 0 ? &none : NULL;
}
