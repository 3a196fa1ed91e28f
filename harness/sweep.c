#include "harness/sweep.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness/collect.h"
#include "harness/csv.h"
#include "harness/latency_csv.h"
#include "harness/manifest.h"
#include "harness/probe.h"
#include "harness/program.h"
#include "harness/progress.h"
#include "harness/rows.h"
#include "harness/units.h"

struct sweep {
    struct bench *bench;
    const struct plan *plan;
    struct folder folder;
    struct run_identity run;
    struct probes probes;
    struct past past;
    struct rows rows;
    struct progress progress;
    json_t *manifest;
    json_t *past_allocators; /* that a resumed run met; NULL: not resumed, or checked */
};

/* A workload that says how much it holds live, and says more than the limit, is not run. */
static bool exceeds_memory(const struct options *o, const struct plan_cell *cell, struct record *r) {
    const struct workload_choice *w = cell->workload;
    uint64_t live_bytes =
        w->row->peak_live_bytes != NULL ? w->row->peak_live_bytes(w->params, cell->slots->n_threads) : 0;
    if (live_bytes <= o->mem_limit_bytes)
        return false;
    record_settle(r, STATUS_SKIP, "up to %" PRIu64 " bytes would be live, --mem-limit is %" PRIu64,
                  live_bytes, o->mem_limit_bytes);
    return true;
}

/* True if the record is settled without a process: nothing to measure, or nothing that may be believed. */
static bool settle_unrun(const struct sweep *s, struct record *r, const char *library) {
    const struct plan_cell *cell = r->cell;
    const struct workload *row = cell->workload->row;
    const struct verdict *audit = &s->past.verdicts[cell->identity_idx];
    const struct record *probe =
        &s->probes.items[cell->allocator - s->bench->options->allocators.items].record;
    if (cell->slots->n_threads < row->min_threads) {
        record_settle(r, STATUS_SKIP, "%s needs at least %u threads", row->name, row->min_threads);
    } else if (exceeds_memory(s->bench->options, cell, r)) {
        return true;
    } else if (cell->pass == PASS_INSTRUCTIONS && cell->slots->n_threads != 1) {
        record_settle(r, STATUS_SKIP, "instructions are counted with one thread");
    } else if (cell->pass == PASS_SHARING && cell->slots->n_threads == 1) {
        record_settle(r, STATUS_SKIP, "one thread shares no lines");
    } else if (cell->load == LOAD_PRELOAD && library == NULL) {
        record_settle(r, probe->status == STATUS_OK ? STATUS_SKIP : probe->status,
                      "no library to preload: %s", probe->why);
    } else if (cell->load == LOAD_PRELOAD && strpbrk(library, " :") != NULL) {
        record_settle(r, STATUS_SKIP, "LD_PRELOAD cannot name a path with a blank or a colon: %s", library);
    } else if (audit->is_known && audit->status != STATUS_OK) {
        record_settle(r, audit->status == STATUS_SKIP ? STATUS_SKIP : STATUS_UNPROVEN, "audit: %s: %s",
                      status_name(audit->status), audit->why);
    } else {
        return false;
    }
    return true;
}

/* A library that is replaced in mid-run would put two of them under one name. */
static void judge_library(struct record *r, const struct record *probe) {
    const struct allocator_proof *now = &r->proof.proof, *then = &probe->proof.proof;
    if (r->status != STATUS_OK ||
        (strcmp(now->build_id, then->build_id) == 0 && strcmp(r->library_sha256, probe->library_sha256) == 0))
        return;
    record_settle(r, STATUS_UNPROVEN, "%s is another library than when the run started", now->path);
    record_drop_numbers(r);
}

/* 0, COLLECT_STOPPED, -errno with the reason. */
static int run_one(struct sweep *s, const struct plan_cell *cell, struct problem *p) {
    const struct probe *probe = &s->probes.items[cell->allocator - s->bench->options->allocators.items];
    const char *library = probe_library(probe);
    struct record r;
    record_init(&r, &s->run, s->bench->options, cell);
    progress_cell_starts(&s->progress, cell);
    int err = 0;
    if (!settle_unrun(s, &r, library))
        err = collect_cell(s->bench, cell->load, library != NULL ? library : "", &r, p);
    if (err == 0)
        judge_library(&r, &probe->record);
    if (err == 0)
        err = rows_write(&s->rows, &r, p);
    watch_free(&r.watch);
    if (err != 0)
        return err;
    past_count(&s->past, cell, r.status, r.why);
    progress_cell_ends(&s->progress, &r);
    return 0;
}

static int run_all(struct sweep *s, struct problem *p) {
    int err = 0;
    progress_start(&s->progress, stderr, s->plan, s->past.is_done);
    for (size_t i = 0; err == 0 && i < s->plan->n_cells; i++) {
        if (s->past.is_done[i])
            continue;
        err = bench_is_stopped(s->bench) ? COLLECT_STOPPED : run_one(s, &s->plan->cells[i], p);
        s->past.is_done[i] = err == 0;
    }
    progress_end(&s->progress);
    return err;
}

/* The script's code when standard output was closed, as a shell gives it: the files are written by then. */
#define CODE_PIPE_CLOSED (128 + SIGPIPE)

/* The table and summary.csv are the scripts' work. 0, or the code the script ended with. */
static int summarize(const struct sweep *s) {
    char python[PATH_MAX + 32], script[PATH_MAX + 32], folder[PATH_MAX];
    if (s->bench->root[0] == '\0') {
        fputs("run-bench: no summary: the scripts folder is not found above this program\n", stderr);
        return 1;
    }
    snprintf(python, sizeof python, "%s/scripts/python", s->bench->root);
    snprintf(script, sizeof script, "%s/scripts/summarize.py", s->bench->root);
    snprintf(folder, sizeof folder, "%s", s->folder.path);
    const char *const argv[] = {python, script, folder, NULL};
    fflush(stdout);
    int code = program_run(argv);
    if (code == CODE_PIPE_CLOSED)
        return 0;
    if (code != 0)
        fprintf(stderr, "run-bench: no summary: %s %s %s ended with %d\n", python, script, folder, code);
    return code;
}

static void name_files(const struct sweep *s) {
    static const char *const names[] = {"samples.csv", LATENCY_CSV,     RSS_CSV,       "summary.csv",
                                        "plan.csv",    "manifest.json", "topology.xml"};
    printf("\nwritten:\n");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[PATH_MAX];
        struct problem ignored = {{0}};
        if (folder_path(&s->folder, names[i], path, &ignored) == 0 && access(path, F_OK) == 0)
            printf("  %s\n", path);
    }
}

/* Closes the books of a run, whatever ended it, and says what there is. The exit code. */
static int conclude(struct sweep *s, int err, struct problem *p) {
    const struct manifest_counts counts = {s->plan->n_cells, s->past.n_ok, s->past.n_skipped,
                                           s->past.n_failed};
    struct problem second = {{0}};
    int close_err = rows_close(&s->rows, &second);
    manifest_note_end(s->manifest, &counts, err == COLLECT_STOPPED);
    int save_err = manifest_save(s->manifest, &s->folder, close_err == 0 ? &second : &(struct problem){{0}});
    if (err >= 0 && (close_err != 0 || save_err != 0)) {
        err = close_err != 0 ? close_err : save_err;
        *p = second;
    }
    printf("%zu of %zu cells: %zu ok, %zu skipped, %zu failed\n", s->past.n_done, s->plan->n_cells,
           s->past.n_ok, s->past.n_skipped, s->past.n_failed);
    if (err == COLLECT_STOPPED || err < 0) {
        printf("%s. What was measured is kept", err < 0 ? "Ended by an error" : "Stopped");
        if (s->bench->options->plan == NULL || strcmp(s->bench->options->plan, "-") != 0)
            printf("; go on with:\n  %s%srun-bench --resume %s\n", s->bench->root,
                   s->bench->root[0] != '\0' ? "/" : "", s->folder.path);
        else
            printf(" in %s\n", s->folder.path);
        return err < 0 ? EXIT_FAILED_CELL : EXIT_INTERRUPTED;
    }
    int summary_code = summarize(s);
    name_files(s);
    const struct probe *unusable = probes_find_unusable(&s->probes);
    if (unusable != NULL)
        fprintf(stderr, "run-bench: %s was asked for and is in no number: %s\n",
                unusable->cell.allocator->name, unusable->record.why);
    else if (s->past.n_ok == 0)
        fputs("run-bench: nothing was measured: every cell was skipped or failed\n", stderr);
    bool is_done = s->past.n_failed == 0 && s->past.n_ok > 0 && unusable == NULL;
    return is_done && summary_code == 0 ? EXIT_OK : EXIT_FAILED_CELL;
}

static void sweep_init(struct sweep *s, struct bench *b, const struct plan *plan) {
    *s = (struct sweep){.bench = b, .plan = plan};
    rows_init(&s->rows, &s->folder);
}

static void sweep_close(struct sweep *s) {
    struct problem ignored = {{0}};
    rows_close(&s->rows, &ignored);
    probes_free(&s->probes);
    past_free(&s->past);
    json_decref(s->manifest);
    json_decref(s->past_allocators);
}

/* 0, or the exit code. */
static int probe(struct sweep *s, bool is_new, struct problem *p) {
    int err = probes_make(&s->probes, s->bench, p);
    if (err == 0 && is_new)
        err = probes_check_named(&s->probes, p);
    if (err == 0 && is_new)
        err = probe_check_params(s->bench, p);
    if (err == COLLECT_STOPPED)
        return EXIT_INTERRUPTED;
    if (err != 0)
        return EXIT_USAGE;
    for (size_t i = 0; i < s->probes.n; i++) {
        const struct record *r = &s->probes.items[i].record;
        if (r->status == STATUS_SKIP)
            fprintf(stderr, "run-bench: %s is skipped: %s\n", r->cell->allocator->name, r->why);
    }
    return 0;
}

static int write_topology(const struct sweep *s, struct problem *p) {
    char path[PATH_MAX];
    int err = folder_path(&s->folder, "topology.xml", path, p);
    return err == 0 ? topology_export(s->bench->topology, path, p) : err;
}

static int write_plan(const struct sweep *s, struct problem *p) {
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    if (out == NULL)
        return problem_set(p, ENOMEM, "out of memory");
    plan_write_csv(out, s->plan);
    int err = fclose(out) != 0 ? problem_set(p, ENOMEM, "out of memory") : 0;
    if (err == 0)
        err = folder_write(&s->folder, "plan.csv", text, n, p);
    free(text);
    return err;
}

static void name_run(struct run_identity *run, uint64_t unix_ns) {
    time_t seconds = (time_t)(unix_ns / UNITS_NS_PER_S);
    struct tm utc;
    char stamp[32];
    gmtime_r(&seconds, &utc);
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &utc);
    if (gethostname(run->host, sizeof run->host - 1) != 0)
        snprintf(run->host, sizeof run->host, "unknown");
    snprintf(run->run_id, sizeof run->run_id, "%s-%.20s-%d", stamp, run->host, (int)getpid());
}

/* The folder with all that is known before the first cell. 0, or the exit code. */
static int start_books(struct sweep *s, int argc, char *const *argv, struct problem *p) {
    uint64_t now_ns = bench_unix_now_ns();
    if (folder_create(&s->folder, s->bench->options->out, s->bench->root, now_ns, p) != 0)
        return EXIT_USAGE;
    name_run(&s->run, now_ns);
    if (write_topology(s, p) != 0 || folder_lock(&s->folder, p) != 0 || write_plan(s, p) != 0)
        return EXIT_FAILED_CELL;
    s->manifest = manifest_new(s->bench, &s->run, &s->probes, &s->folder, argc, argv);
    if (s->manifest == NULL) {
        problem_set(p, ENOMEM, "manifest.json cannot be made: out of memory");
        return EXIT_FAILED_CELL;
    }
    if (manifest_save(s->manifest, &s->folder, p) != 0 || rows_open(&s->rows, p) != 0)
        return EXIT_FAILED_CELL;
    return 0;
}

static void announce(const struct sweep *s) {
    char time[64];
    uint64_t total_ns = 0;
    for (size_t i = 0; i < s->plan->n_cells; i++)
        total_ns += s->past.is_done[i] ? 0 : plan_cell_estimate_ns(&s->plan->cells[i]);
    units_format_duration(total_ns, time, sizeof time);
    fprintf(stderr, "run-bench: %zu cells, about %s, seed %" PRIu64 ", into %s\n",
            s->plan->n_cells - s->past.n_done, time, s->bench->options->seed, s->folder.path);
}

/* A resumed run's lock is its caller's. */
static void sweep_close_new(struct sweep *s) {
    sweep_close(s);
    folder_unlock(&s->folder);
}

int sweep_run_new(struct bench *b, const struct plan *plan, int argc, char *const *argv, struct problem *p) {
    struct sweep s;
    sweep_init(&s, b, plan);
    int code = probe(&s, true, p);
    if (code != 0)
        goto out;
    if (past_make(&s.past, plan) != 0) {
        problem_set(p, ENOMEM, "out of memory");
        code = EXIT_USAGE;
        goto out;
    }
    code = start_books(&s, argc, argv, p);
    if (code != 0)
        goto out;
    announce(&s);
    code = conclude(&s, run_all(&s, p), p);
out:
    sweep_close_new(&s);
    return code;
}

int sweep_resume(struct bench *b, const struct plan *plan, const struct folder *resumed, json_t *manifest,
                 struct problem *p) {
    struct sweep s;
    sweep_init(&s, b, plan);
    s.folder = *resumed;
    s.manifest = json_incref(manifest);
    int code = EXIT_USAGE;
    const char *run_id = json_string_value(json_object_get(manifest, "run_id"));
    name_run(&s.run, bench_unix_now_ns());
    snprintf(s.run.run_id, sizeof s.run.run_id, "%s", run_id);
    if (past_make(&s.past, plan) != 0) {
        problem_set(p, ENOMEM, "out of memory");
        goto out;
    }
    if (manifest_note_resume(manifest, b, p) != 0 || past_check_plan(plan, resumed, p) != 0 ||
        past_read(&s.past, plan, resumed, p) != 0 || past_trim_rows(resumed, LATENCY_CSV, p) != 0 ||
        past_trim_rows(resumed, RSS_CSV, p) != 0)
        goto out;
    if (s.past.n_torn_bytes > 0)
        fprintf(stderr, "run-bench: samples.csv ended in a torn row; its %zu bytes were cut off\n",
                s.past.n_torn_bytes);
    code = probe(&s, false, p);
    if (code == 0 && manifest_check_libraries(json_object_get(manifest, "allocators"), &s.probes, p) != 0)
        code = EXIT_USAGE;
    if (code != 0)
        goto out;
    code = EXIT_FAILED_CELL;
    if (manifest_save(manifest, resumed, p) != 0 || rows_open(&s.rows, p) != 0)
        goto out;
    fprintf(stderr, "run-bench: %zu cells are there already\n", s.past.n_done);
    announce(&s);
    code = conclude(&s, run_all(&s, p), p);
out:
    sweep_close(&s);
    return code;
}

/* Adds a cell that has just been read to the books, and its allocator if it is new. 0, COLLECT_STOPPED or -errno
 * with the reason. */
static int take_cell(struct sweep *s, struct csv_file *plan_csv, const struct plan_cell *cell,
                     size_t n_identities, struct problem *p) {
    size_t n_probed = s->probes.n, n = 0;
    int err = probes_extend(&s->probes, s->bench, cell->load, p);
    if (err == 0)
        err = probes_check_named(&s->probes, p);
    if (err == 0 && s->probes.n > n_probed && s->past_allocators != NULL)
        err = manifest_check_libraries(s->past_allocators, &s->probes, p);
    if (err == 0 && s->probes.n > n_probed) {
        manifest_note_allocators(s->manifest, &s->probes);
        err = manifest_save(s->manifest, &s->folder, p);
    }
    if (err == 0 && past_reserve(&s->past, n_identities) != 0)
        err = problem_set(p, ENOMEM, "out of memory");
    if (err != 0)
        return err;
    char *text = NULL;
    FILE *out = open_memstream(&text, &n);
    if (out == NULL)
        return problem_set(p, ENOMEM, "out of memory");
    plan_write_row(out, s->past.n_done, cell);
    err = fclose(out) != 0 ? problem_set(p, ENOMEM, "out of memory") : csv_append(plan_csv, text, n, p);
    free(text);
    return err;
}

/* Until the plan has something to read, or its end. */
static int wait_for_plan(const struct sweep *s, const struct plan_reader *reader) {
    struct pollfd fds[2] = {{.fd = fileno(reader->in), .events = POLLIN},
                            {.fd = s->bench->stop_fd, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0 && errno == EINTR)
        ;
    return fds[1].revents != 0 ? COLLECT_STOPPED : 0;
}

/* Runs what is read from the plan, but for its first rows, which must be those of `past`. */
static int run_fed(struct sweep *s, struct plan *plan, struct plan_reader *reader,
                   const struct past_rows *past, struct problem *p) {
    char path[PATH_MAX];
    struct csv_file plan_csv = {.fd = -1};
    struct plan_cell cell;
    int err = folder_path(&s->folder, "plan.csv", path, p);
    if (err == 0)
        err = csv_open(&plan_csv, path, p);
    progress_start(&s->progress, stderr, plan, NULL);
    while (err == 0 && (err = wait_for_plan(s, reader)) == 0) {
        int found = plan_reader_next(reader, &cell, p);
        if (found <= 0) {
            err = found;
            break;
        }
        plan->n_cells++;
        err = take_cell(s, &plan_csv, &cell, reader->n_identities, p);
        int is_past = err == 0 ? past_pass_over(&s->past, past, &cell, p) : err;
        if (is_past == 1)
            s->progress.n_done++;
        else
            err = is_past == 0 ? run_one(s, &cell, p) : is_past;
    }
    progress_end(&s->progress);
    if (err >= 0 && plan_csv.fd >= 0) {
        int close_err = csv_close(&plan_csv, p);
        return close_err != 0 ? close_err : err;
    }
    return err;
}

/* The exit code. */
static int run_and_conclude(struct sweep *s, struct plan *plan, struct plan_reader *reader,
                            const struct past_rows *past, struct problem *p) {
    int err = run_fed(s, plan, reader, past, p);
    int code = conclude(s, err, p);
    return err == -EINVAL || err == -EBADMSG || err == -ENOENT ? EXIT_USAGE : code;
}

int sweep_run_plan(struct bench *b, struct plan_reader *reader, int argc, char *const *argv,
                   struct problem *p) {
    struct plan plan = {.options = b->options};
    struct sweep s;
    sweep_init(&s, b, &plan);
    int code = start_books(&s, argc, argv, p);
    if (code == 0) {
        fprintf(stderr, "run-bench: cells of %s, into %s\n", reader->name, s.folder.path);
        code = run_and_conclude(&s, &plan, reader, &(struct past_rows){0}, p);
    }
    sweep_close_new(&s);
    return code;
}

int sweep_resume_plan(struct bench *b, struct plan_reader *reader, const struct folder *resumed,
                      json_t *manifest, struct problem *p) {
    struct plan plan = {.options = b->options};
    struct sweep s;
    sweep_init(&s, b, &plan);
    s.folder = *resumed;
    struct past_rows past = {0};
    s.manifest = json_incref(manifest);
    s.past_allocators = json_incref(json_object_get(manifest, "allocators"));
    int code = EXIT_USAGE;
    name_run(&s.run, bench_unix_now_ns());
    snprintf(s.run.run_id, sizeof s.run.run_id, "%s", json_string_value(json_object_get(manifest, "run_id")));
    if (manifest_note_resume(manifest, b, p) != 0 || past_rows_open(&past, resumed, p) != 0 ||
        past_trim_rows(resumed, LATENCY_CSV, p) != 0 || past_trim_rows(resumed, RSS_CSV, p) != 0)
        goto out;
    if (past.n_torn_bytes > 0)
        fprintf(stderr, "run-bench: samples.csv ended in a torn row; its %zu bytes were cut off\n",
                past.n_torn_bytes);
    code = EXIT_FAILED_CELL;
    if (manifest_save(manifest, resumed, p) != 0 || write_plan(&s, p) != 0 || rows_open(&s.rows, p) != 0)
        goto out;
    fprintf(stderr, "run-bench: %zu cells are there already; more of %s, into %s\n",
            past.table.n_rows > 0 ? past.table.n_rows - 1 : 0, reader->name, s.folder.path);
    code = run_and_conclude(&s, &plan, reader, &past, p);
out:
    past_rows_close(&past);
    sweep_close(&s);
    return code;
}
