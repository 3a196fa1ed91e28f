#include "harness/environment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/grammar.h"

/* Room in static TLS, without which jemalloc and scudo cannot be loaded into a running process. Set for every
 * allocator alike, so that none is favoured. */
#define TLS_TUNABLE "glibc.rtld.optional_static_tls"
#define TLS_BYTES "16384"

static bool has_prefix(const char *text, const char *const *prefixes) {
    for (; *prefixes != NULL; prefixes++) {
        if (strncmp(text, *prefixes, strlen(*prefixes)) == 0)
            return true;
    }
    return false;
}

static bool is_ambient(const char *variable) {
    static const char *const prefixes[] = {
        "MALLOC_", "MIMALLOC_",       "TCMALLOC_",           "TBB_", "SCUDO_", "JEMALLOC",
        "ARENA_",  "GLIBC_TUNABLES=", "HEAPDYNO_FLEET_CSV=", NULL};
    return has_prefix(variable, prefixes);
}

bool environment_is_recorded(const char *variable) {
    static const char *const prefixes[] = {
        "HEAPDYNO_", "LD_LIBRARY_PATH=", "ASAN_OPTIONS=", "LSAN_OPTIONS=", "TSAN_OPTIONS=", "UBSAN_OPTIONS=",
        NULL};
    return is_ambient(variable) || has_prefix(variable, prefixes);
}

static int compare_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char *environment_describe_ambient(char *const *outside) {
    const char *found[ENVIRONMENT_MAX] = {NULL};
    size_t n_found = 0, n = 0;
    for (; *outside != NULL && n_found < ENVIRONMENT_MAX; outside++) {
        if (is_ambient(*outside))
            found[n_found++] = *outside;
    }
    qsort(found, n_found, sizeof *found, compare_text);
    char *text = NULL;
    FILE *out = open_memstream(&text, &n);
    if (out == NULL)
        return NULL;
    for (size_t i = 0; i < n_found; i++)
        fprintf(out, "%s%s", i > 0 ? ";" : "", found[i]);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static bool is_passed(const char *variable) {
    static const char *const prefixes[] = {"PATH=", "HOME=", "LANG=", NULL};
    return has_prefix(variable, prefixes) || environment_is_recorded(variable);
}

/* Takes over `variable`, in place of one of the same name. */
static int environment_put(struct environment *e, char *variable) {
    if (variable == NULL)
        return -ENOMEM;
    size_t n_name = strcspn(variable, "=") + 1;
    for (size_t i = 0; i < e->n; i++) {
        if (strncmp(e->variables[i], variable, n_name) == 0) {
            free(e->variables[i]);
            e->variables[i] = variable;
            return 0;
        }
    }
    if (e->n == ENVIRONMENT_MAX) {
        free(variable);
        return -E2BIG;
    }
    e->variables[e->n++] = variable;
    return 0;
}

static int put_copy(const char *assignment, void *arg) {
    return environment_put(arg, strdup(assignment));
}

static const char *environment_get(const struct environment *e, const char *name) {
    size_t n = strlen(name);
    for (size_t i = 0; i < e->n; i++) {
        if (strncmp(e->variables[i], name, n) == 0 && e->variables[i][n] == '=')
            return e->variables[i] + n + 1;
    }
    return NULL;
}

/* The user's other tunables stay, and so does a TLS size of his own. */
static int merge_tunables(struct environment *e) {
    const char *old = environment_get(e, "GLIBC_TUNABLES");
    if (old != NULL && strstr(old, TLS_TUNABLE "=") != NULL)
        return 0;
    char *variable = NULL;
    if (asprintf(&variable, "GLIBC_TUNABLES=%s%s" TLS_TUNABLE "=" TLS_BYTES, old != NULL ? old : "",
                 old != NULL && old[0] != '\0' ? ":" : "") < 0)
        return -ENOMEM;
    return environment_put(e, variable);
}

int environment_make(struct environment *e, char *const *outside, const char *config, const char *preload,
                     struct problem *p) {
    *e = (struct environment){0};
    int err = 0;
    for (; err == 0 && *outside != NULL; outside++) {
        if (is_passed(*outside))
            err = put_copy(*outside, e);
    }
    if (err == 0)
        err = grammar_each_assignment(config, put_copy, e);
    if (err == 0)
        err = merge_tunables(e);
    if (err == 0 && preload[0] != '\0') {
        char *variable = NULL;
        err = asprintf(&variable, "LD_PRELOAD=%s", preload) < 0 ? -ENOMEM : environment_put(e, variable);
    }
    return err == 0 ? 0
                    : problem_set(p, -err, "the environment of a cell cannot be made: %s", strerror(-err));
}

void environment_free(struct environment *e) {
    for (size_t i = 0; i < e->n; i++)
        free(e->variables[i]);
    *e = (struct environment){0};
}
