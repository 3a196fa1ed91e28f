/* run-bench: from the command line to an exit code. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/collect.h"
#include "harness/instruments.h"
#include "harness/list.h"
#include "harness/manifest.h"
#include "harness/sweep.h"

/* The run to go on with: its folder, its manifest, and the command line it was started with. */
struct resumption {
    struct folder folder;
    json_t *manifest;
    char **argv; /* strings are the manifest's */
    int argc;
};

static int check_registries(struct problem *p) {
    char why[256];
    if (allocator_table_check(why, sizeof why) != 0)
        return problem_set(p, EINVAL, "the table of allocators is wrong: %s", why);
    if (workload_table_check(why, sizeof why) != 0)
        return problem_set(p, EINVAL, "the table of workloads is wrong: %s", why);
    return 0;
}

/* Replaces the options by those of the interrupted run, read in the folder it was started in. */
static int resumption_open(struct resumption *run, struct options *o, struct problem *p) {
    int err = folder_open(&run->folder, o->resume, p);
    if (err == 0)
        err = folder_lock(&run->folder, p);
    if (err == 0)
        err = manifest_load(&run->folder, &run->manifest, p);
    if (err != 0) {
        problem_prefix(p, "--resume %s", o->resume);
        return err;
    }
    json_t *words = json_object_get(run->manifest, "argv");
    const char *cwd = json_string_value(json_object_get(run->manifest, "working_directory"));
    run->argv = calloc(json_array_size(words) + 1, sizeof *run->argv);
    if (run->argv == NULL)
        return problem_set(p, ENOMEM, "out of memory");
    for (size_t i = 0; i < json_array_size(words); i++)
        run->argv[run->argc++] = (char *)(uintptr_t)json_string_value(json_array_get(words, i));
    if (cwd != NULL && chdir(cwd) != 0)
        return problem_set(p, errno, "--resume: cannot go to %s, where the run was started: %s", cwd,
                           strerror(errno));
    options_free(o);
    return options_parse(o, run->argc, run->argv, p);
}

static void resumption_close(struct resumption *run) {
    json_decref(run->manifest);
    free(run->argv);
    folder_unlock(&run->folder);
}

/* Whole registry, or the allocators that were named. */
static int list_all(struct options *o, const struct topology *t, struct problem *p) {
    struct bench b;
    struct probes probes = {0};
    int err = 0;
    if (!o->allocators.items[0].is_named) {
        o->allocators.n = 0;
        for (const struct allocator *row = allocator_table; err == 0 && row->name != NULL; row++)
            err = grammar_add_allocator(row, &o->allocators, p);
    }
    if (err == 0)
        err = bench_open(&b, o, t, p);
    if (err == 0) {
        err = probes_make(&probes, &b, p);
        bench_close(&b);
    }
    if (err == 0) {
        list_write_allocators(stdout, &probes);
        list_write_workloads(stdout);
    }
    probes_free(&probes);
    return err == COLLECT_STOPPED ? EXIT_INTERRUPTED : err == 0 ? EXIT_OK : EXIT_USAGE;
}

static int measure(struct options *o, const struct topology *t, const struct plan *plan,
                   struct plan_reader *reader, struct resumption *run, int argc, char **argv,
                   struct problem *p) {
    if (!t->is_thissystem) {
        problem_set(p, EINVAL,
                    "the topology is not this machine's (HWLOC_SYNTHETIC, HWLOC_XMLFILE): it can be planned "
                    "with --dry-run, not measured");
        return EXIT_USAGE;
    }
    struct bench b;
    if (instruments_check(o, stderr, p) != 0 || bench_open(&b, o, t, p) != 0)
        return EXIT_USAGE;
    if (o->ambient[0] != '\0')
        fprintf(stderr, "run-bench: warning: set outside, reaches every cell: %s\n", o->ambient);
    int code;
    if (o->plan != NULL && run->manifest != NULL)
        code = sweep_resume_plan(&b, reader, &run->folder, run->manifest, p);
    else if (o->plan != NULL)
        code = sweep_run_plan(&b, reader, argc, argv, p);
    else if (run->manifest != NULL)
        code = sweep_resume(&b, plan, &run->folder, run->manifest, p);
    else
        code = sweep_run_new(&b, plan, argc, argv, p);
    bench_close(&b);
    return code;
}

/* A plan that was made elsewhere. */
static int act_on_plan(struct options *o, const struct topology *t, struct resumption *run, int argc,
                       char **argv, struct problem *p) {
    struct plan_reader reader = {0};
    int code = EXIT_USAGE;
    if (plan_reader_open(&reader, o, t, p) == 0)
        code = measure(o, t, NULL, &reader, run, argc, argv, p);
    plan_reader_close(&reader);
    return code;
}

/* With the options settled. */
static int act(struct options *o, struct resumption *run, int argc, char **argv, struct problem *p) {
    struct topology t;
    struct plan plan = {0};
    int code = EXIT_USAGE;
    if (topology_open(&t, p) != 0)
        return code;
    options_default_threads(o, t.n_pus);
    if (o->plan != NULL) {
        code = act_on_plan(o, &t, run, argc, argv, p);
    } else if (o->action == ACTION_LIST) {
        code = list_all(o, &t, p);
    } else if (plan_make(&plan, o, &t, p) == 0) {
        code = EXIT_OK;
        if (o->action == ACTION_DRY_RUN)
            plan_write_text(stdout, &plan, &t);
        else if (o->action == ACTION_PRINT_PLAN)
            plan_write_csv(stdout, &plan);
        else
            code = measure(o, &t, &plan, NULL, run, argc, argv, p);
    }
    plan_free(&plan);
    topology_close(&t);
    return code;
}

int main(int argc, char **argv) {
    struct options o = {0};
    struct resumption run = {0};
    struct problem p = {{0}};
    int code = EXIT_USAGE;
    int err = check_registries(&p);
    if (err == 0)
        err = options_parse(&o, argc, argv, &p);
    if (err == 0 && o.resume != NULL)
        err = resumption_open(&run, &o, &p);
    if (err == 0 && o.action == ACTION_COLUMNS) {
        columns_write_markdown(stdout);
        code = EXIT_OK;
    } else if (err == 0 && o.action == ACTION_VERSION) {
        puts("run-bench " HEAPDYNO_VERSION);
        code = EXIT_OK;
    } else if (err == 0) {
        code = act(&o, &run, argc, argv, &p);
    }
    if (p.text[0] != '\0')
        fprintf(stderr, "run-bench: %s\n", p.text);
    /* A reader who has had enough (| head) takes nothing from what was measured. */
    if (code == EXIT_OK && fflush(stdout) != 0 && errno != EPIPE) {
        fprintf(stderr, "run-bench: cannot write to standard output: %s\n", strerror(errno));
        code = EXIT_FAILED_CELL;
    }
    options_free(&o);
    resumption_close(&run);
    return code;
}
