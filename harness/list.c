#include "harness/list.h"

#include <inttypes.h>
#include <string.h>

void list_write_allocators(FILE *out, const struct probes *probes) {
    fputs("Allocators (* = in a sweep that names none):\n", out);
    for (size_t i = 0; i < probes->n; i++) {
        const struct record *r = &probes->items[i].record;
        const struct allocator_choice *choice = probes->items[i].cell.allocator;
        const struct allocator *row = choice->row;
        const struct allocator_proof *proof = &r->proof.proof;
        bool is_default = row != NULL && (row->flags & ALLOCATOR_DEFAULT) != 0;
        fprintf(out, "\n%c %-14s %s\n", is_default ? '*' : ' ', choice->name,
                row != NULL ? row->summary : "library given on the command line");
        if (r->status != STATUS_OK) {
            fprintf(out, "    %s: %s\n", status_name(r->status), r->why);
            if (row != NULL && row->package != NULL && r->status == STATUS_SKIP)
                fprintf(out, "    brought by: apt-get install %s\n", row->package);
            continue;
        }
        fprintf(out, "    found:   %s\n", proof->path);
        if (proof->version[0] != '\0')
            fprintf(out, "    version: %s\n", proof->version);
        if (proof->build_id[0] != '\0')
            fprintf(out, "    build:   %s\n", proof->build_id);
        fprintf(out, "    proved:  %s\n", proof->canary);
        if (proof->foreign[0] != '\0')
            fprintf(out, "    missing: %s (answered by another library)\n", proof->foreign);
    }
    fputs("\nAny other: NAME=PATH.so, with [VAR=VALUE;VAR2=VALUE] for its environment\n", out);
}

static void write_param(FILE *out, const struct workload *row, const struct param *param) {
    char name[128];
    snprintf(name, sizeof name, "%s.%s", row->name, param->name);
    fprintf(out, "    --param %s=%" PRId64 "\n        %s; %" PRId64 " to %" PRId64 "%s%s\n", name, param->def,
            param->help, param->min, param->max, param->unit[0] != '\0' ? " " : "", param->unit);
}

void list_write_workloads(FILE *out) {
    fputs("\nWorkloads:\n", out);
    for (const struct workload *const *w = workload_table; *w != NULL; w++) {
        const struct workload *row = *w;
        fprintf(out, "\n  %s, version %u: %s\n", row->name, row->version, row->summary);
        fprintf(out, "    origin:    %s\n    operation: %s\n    groups:    %s\n", row->origin, row->op,
                row->groups);
        if (row->min_threads > 1)
            fprintf(out, "    threads:   at least %u\n", row->min_threads);
        if ((row->flags & WORKLOAD_REFERENCE) != 0)
            fputs("    a control: not in a sweep that names none\n", out);
        for (const struct preset *preset = row->presets; preset != NULL && preset->name != NULL; preset++)
            fprintf(out, "    %s@%s: %s\n", row->name, preset->name, preset->summary);
        for (const struct param *param = row->params; param->name != NULL; param++)
            write_param(out, row, param);
    }
}
