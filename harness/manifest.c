#include "harness/manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness/digest.h"
#include "harness/environment.h"
#include "harness/machine.h"
#include "harness/program.h"
#include "harness/units.h"

/* From harness/rules.mk; a tool that reads this file alone does not have them. */
#ifndef BUILD_VARIANT
#define BUILD_VARIANT "unknown"
#define BUILD_FLAGS "unknown"
#define BUILD_WORKLOAD_FLAGS "unknown"
#define BUILD_REVISION ""
#endif

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* Null also for what is not UTF-8. */
static json_t *text_or_null(const char *text) {
    json_t *value = text[0] != '\0' ? json_string(text) : NULL;
    return value != NULL ? value : json_null();
}

static json_t *utc_now(void) {
    char text[32];
    struct tm utc;
    time_t now = time(NULL);
    gmtime_r(&now, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return json_string(text);
}

/* Of the source tree as it is now. */
static json_t *describe_git(const char *root) {
    char where[PATH_MAX], text[128] = "";
    snprintf(where, sizeof where, "%s", root);
    const char *const argv[] = {"git",     "-C",          where,       "describe", "--always",
                                "--dirty", "--abbrev=40", "--exclude", "*",        NULL};
    if (root[0] == '\0' || program_capture(argv, text, sizeof text) != 0)
        return json_pack("{s:n,s:n}", "revision", "is_dirty");
    char *dirty = strstr(text, "-dirty");
    if (dirty != NULL)
        *dirty = '\0';
    return json_pack("{s:s,s:b}", "revision", text, "is_dirty", dirty != NULL);
}

static json_t *describe_file(const char *path) {
    char hex[DIGEST_HEX_BYTES];
    return digest_file(path, hex) == 0 ? json_string(hex) : json_null();
}

/* What measures, by content: the revision names the sources, the digests the programs made from them. */
static json_t *describe_build(const struct bench *b) {
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:o}", "version", HEAPDYNO_VERSION, "variant",
                     BUILD_VARIANT, "compiler", COMPILER, "flags", BUILD_FLAGS, "workload_flags",
                     BUILD_WORKLOAD_FLAGS, "revision", text_or_null(BUILD_REVISION), "driver_sha256",
                     describe_file("/proc/self/exe"), "cell_sha256", describe_file(b->cell_path));
}

static json_t *describe_environment(void) {
    json_t *all = json_object();
    for (char *const *v = environ; *v != NULL; v++) {
        char name[256];
        size_t n = strcspn(*v, "=");
        if (!environment_is_recorded(*v) || n >= sizeof name)
            continue;
        memcpy(name, *v, n);
        name[n] = '\0';
        json_t *value = json_string(*v + n + 1);
        json_object_set_new(all, name, value != NULL ? value : json_null());
    }
    return all;
}

static json_t *describe_allocators(const struct probes *probes) {
    json_t *all = json_array();
    for (size_t i = 0; i < probes->n; i++) {
        const struct record *r = &probes->items[i].record;
        const struct allocator_choice *choice = probes->items[i].cell.allocator;
        const struct allocator_proof *proof = &r->proof.proof;
        json_array_append_new(
            all,
            json_pack("{s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:s,s:o}", "name", choice->name, "config",
                      text_or_null(choice->config), "path_given", text_or_null(choice->path), "library_path",
                      text_or_null(proof->path), "version", text_or_null(proof->version), "build_id",
                      text_or_null(proof->build_id), "sha256", text_or_null(r->library_sha256), "status",
                      status_name(r->status), "why", text_or_null(r->why)));
    }
    return all;
}

static json_t *describe_argv(int argc, char *const *argv) {
    json_t *all = json_array();
    for (int i = 0; i < argc; i++) {
        json_t *word = json_string(argv[i]);
        json_array_append_new(all, word != NULL ? word : json_string("(not UTF-8)"));
    }
    return all;
}

static json_t *describe_topology(const struct folder *folder) {
    char path[PATH_MAX];
    struct problem p;
    return folder_path(folder, "topology.xml", path, &p) == 0 ? describe_file(path) : json_null();
}

json_t *manifest_new(struct bench *b, const struct run_identity *run, const struct probes *probes,
                     const struct folder *folder, int argc, char *const *argv) {
    char cwd[PATH_MAX];
    json_t *where = getcwd(cwd, sizeof cwd) != NULL ? json_string(cwd) : json_null();
    return json_pack("{s:i,s:s,s:s,s:o,s:o,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:n,s:o,s:n,s:n,s:b,s:[]}",
                     "schema", MANIFEST_SCHEMA, "run_id", run->run_id, "host", run->host, "argv",
                     describe_argv(argc, argv), "working_directory", where, "seed",
                     (json_int_t)b->options->seed, "git", describe_git(b->root), "build", describe_build(b),
                     "allocators", describe_allocators(probes), "environment", describe_environment(),
                     "machine", machine_describe(), "topology_sha256", describe_topology(folder), "started",
                     utc_now(), "ended", "activity_before", machine_activity(), "activity_after", "cells",
                     "was_stopped", false, "resumed");
}

int manifest_load(const struct folder *folder, json_t **out, struct problem *p) {
    char path[PATH_MAX];
    int err = folder_path(folder, "manifest.json", path, p);
    if (err != 0)
        return err;
    json_error_t error;
    *out = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (*out == NULL)
        return problem_set(p, EINVAL, "this is not a run folder: %s: %s", path, error.text);
    json_t *argv = json_object_get(*out, "argv");
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(argv); i++)
        n += json_is_string(json_array_get(argv, i));
    if (json_integer_value(json_object_get(*out, "schema")) == MANIFEST_SCHEMA && n > 0 &&
        n == json_array_size(argv) && json_is_string(json_object_get(*out, "run_id")))
        return 0;
    json_decref(*out);
    *out = NULL;
    return problem_set(p, EINVAL, "%s is not a manifest of schema %d", path, MANIFEST_SCHEMA);
}

int manifest_note_resume(json_t *manifest, const struct bench *b, struct problem *p) {
    json_t *build = describe_build(b);
    bool is_same_build = json_equal(build, json_object_get(manifest, "build"));
    json_decref(build);
    if (!is_same_build)
        return problem_set(
            p, EINVAL,
            "run-bench or the measured process was built anew since the run was started; start "
            "a new run");
    json_t *now = describe_environment();
    bool is_same = json_equal(now, json_object_get(manifest, "environment"));
    json_decref(now);
    if (!is_same)
        return problem_set(
            p, EINVAL,
            "the environment variables that allocators read differ from those in manifest.json; "
            "set them as they were, or start a new run");
    json_array_append_new(
        json_object_get(manifest, "resumed"),
        json_pack("{s:o,s:o}", "started", utc_now(), "activity_before", machine_activity()));
    return 0;
}

int manifest_check_libraries(const json_t *then, const struct probes *probes, struct problem *p) {
    json_t *now = describe_allocators(probes);
    int err = 0;
    for (size_t i = 0; err == 0 && i < probes->n && i < json_array_size(then); i++) {
        const json_t *old = json_array_get(then, i), *new = json_array_get(now, i);
        if (!json_equal(json_object_get(old, "sha256"), json_object_get(new, "sha256")))
            err = problem_set(p, EINVAL,
                              "the library of %s is another one than in manifest.json; start a new run",
                              probes->items[i].cell.allocator->name);
    }
    json_decref(now);
    return err;
}

void manifest_note_allocators(json_t *manifest, const struct probes *probes) {
    json_object_set_new(manifest, "allocators", describe_allocators(probes));
}

void manifest_note_end(json_t *manifest, const struct manifest_counts *counts, bool was_stopped) {
    json_object_set_new(manifest, "ended", utc_now());
    json_object_set_new(manifest, "activity_after", machine_activity());
    json_object_set_new(manifest, "was_stopped", json_boolean(was_stopped));
    json_object_set_new(manifest, "cells",
                        json_pack("{s:I,s:I,s:I,s:I}", "planned", (json_int_t)counts->n_planned, "ok",
                                  (json_int_t)counts->n_ok, "skipped", (json_int_t)counts->n_skipped,
                                  "failed", (json_int_t)counts->n_failed));
}

int manifest_save(const json_t *manifest, const struct folder *folder, struct problem *p) {
    char *text = json_dumps(manifest, JSON_INDENT(2));
    if (text == NULL)
        return problem_set(p, ENOMEM, "manifest.json cannot be made: out of memory");
    int err = folder_write(folder, "manifest.json", text, strlen(text), p);
    free(text);
    return err;
}
