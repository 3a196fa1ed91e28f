#include "harness/grammar.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/nearest.h"
#include "harness/units.h"

static int parse_count(const char *text, uint64_t *out, struct problem *p) {
    int err = units_parse_u64(text, 1, CELL_MAX_THREADS, out);
    if (err == -ERANGE)
        return problem_set(p, EINVAL, "'%s' threads: allowed are 1 to %d", text, CELL_MAX_THREADS);
    if (err != 0)
        return problem_set(p, EINVAL, "'%s' is not a number of threads; write N, A..B, A..B+STEP or a list",
                           text);
    return 0;
}

/* The list stays sorted, so that insertion finds repetitions. */
static void threads_insert(struct thread_list *list, unsigned count) {
    unsigned at = list->n;
    while (at > 0 && list->counts[at - 1] > count)
        at--;
    if (at > 0 && list->counts[at - 1] == count)
        return;
    memmove(&list->counts[at + 1], &list->counts[at], (list->n - at) * sizeof list->counts[0]);
    list->counts[at] = count;
    list->n++;
}

/* item is writable and is cut up. */
static int parse_thread_item(char *item, struct thread_list *out, struct problem *p) {
    uint64_t first, last, step = 0;
    char *dots = strstr(item, "..");
    if (dots == NULL) {
        int err = parse_count(item, &first, p);
        if (err == 0)
            threads_insert(out, (unsigned)first);
        return err;
    }
    *dots = '\0';
    char *plus = strchr(dots + 2, '+');
    if (plus != NULL)
        *plus = '\0';
    int err = parse_count(item, &first, p);
    if (err == 0)
        err = parse_count(dots + 2, &last, p);
    if (err == 0 && plus != NULL)
        err = parse_count(plus + 1, &step, p);
    if (err != 0)
        return err;
    if (first > last)
        return problem_set(p, EINVAL, "the range %s..%s runs backwards; write the smaller number first", item,
                           dots + 2);
    for (uint64_t n = first; n <= last; n = step != 0 ? n + step : 2 * n)
        threads_insert(out, (unsigned)n);
    if (step == 0)
        threads_insert(out, (unsigned)last);
    return 0;
}

int grammar_parse_threads(const char *text, struct thread_list *out, struct problem *p) {
    out->n = 0;
    char *copy = strdup(text);
    if (copy == NULL)
        return problem_set(p, ENOMEM, "out of memory");
    int err = 0;
    char *rest = copy;
    for (char *item; err == 0 && (item = strsep(&rest, ",")) != NULL;)
        err = parse_thread_item(item, out, p);
    free(copy);
    return err;
}

static bool is_name(const char *text) {
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-");
    return n > 0 && text[n] == '\0';
}

static int check_assignment(const char *assignment, void *arg) {
    (void)arg;
    size_t n = strspn(assignment, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
    return n > 0 && !isdigit((unsigned char)assignment[0]) && assignment[n] == '=' ? 0 : -EINVAL;
}

static int check_not_loader(const char *assignment, void *arg) {
    (void)arg;
    return strncmp(assignment, "LD_", 3) == 0 ? -EPERM : 0;
}

int grammar_each_assignment(const char *config, int (*fn)(const char *assignment, void *arg), void *arg) {
    char copy[GRAMMAR_CONFIG_MAX];
    if (config[0] == '\0')
        return 0;
    if ((size_t)snprintf(copy, sizeof copy, "%s", config) >= sizeof copy)
        return -EINVAL;
    char *rest = copy;
    for (char *item; (item = strsep(&rest, ";")) != NULL;) {
        int err = check_assignment(item, NULL);
        if (err == 0)
            err = fn(item, arg);
        if (err != 0)
            return err;
    }
    return 0;
}

/* For people, and offered to a search. */
static void known_names(char *out, size_t out_bytes, struct nearest *near) {
    out[0] = '\0';
    for (const struct allocator *row = allocator_table; row->name != NULL; row++) {
        size_t n = strlen(out);
        snprintf(out + n, out_bytes - n, "%s%s", n > 0 ? ", " : "", row->name);
        nearest_offer(near, row->name);
    }
}

static int resolve_library(struct allocator_choice *choice, const char *path, struct problem *p) {
    char *resolved = realpath(path, NULL);
    if (resolved == NULL)
        return problem_set(p, errno, "%s: cannot find the library '%s': %s", choice->name, path,
                           strerror(errno));
    int err = 0;
    if (strlen(resolved) >= sizeof choice->path)
        err = problem_set(p, EINVAL, "the path '%s' is longer than %zu bytes", resolved,
                          sizeof choice->path - 1);
    else if (access(resolved, R_OK) != 0)
        err = problem_set(p, errno, "%s: cannot read '%s': %s", choice->name, resolved, strerror(errno));
    else
        memcpy(choice->path, resolved, strlen(resolved) + 1);
    free(resolved);
    return err;
}

/* Cuts [CONFIG] off the item. */
static int cut_config(char *item, const char **config, struct problem *p) {
    char *open = strchr(item, '[');
    *config = "";
    if (open == NULL)
        return 0;
    size_t n = strlen(open);
    if (n < 3 || open[n - 1] != ']')
        return problem_set(p, EINVAL, "'%s': write the configuration as NAME[VAR=VALUE;VAR2=VALUE]", item);
    open[n - 1] = '\0';
    *open = '\0';
    *config = open + 1;
    return 0;
}

static int take_config(struct allocator_choice *choice, const char *config, struct problem *p) {
    size_t n = strlen(config);
    if (n >= sizeof choice->config)
        return problem_set(p, EINVAL, "the configuration '%s' is longer than %zu bytes", config,
                           sizeof choice->config - 1);
    memcpy(choice->config, config, n + 1);
    if (grammar_each_assignment(config, check_assignment, NULL) != 0)
        return problem_set(p, EINVAL, "the configuration [%s] is not VAR=VALUE;VAR2=VALUE", config);
    if (grammar_each_assignment(config, check_not_loader, NULL) != 0)
        return problem_set(p, EINVAL, "[%s]: variables of the loader are set by --load and NAME=PATH.so",
                           config);
    return 0;
}

/* path NULL: the candidates of the row. */
static int choice_make(struct allocator_choice *choice, const char *name, const char *path,
                       const char *config, struct problem *p) {
    *choice = (struct allocator_choice){.is_named = true};
    int err = take_config(choice, config, p);
    if (err != 0)
        return err;
    if (!is_name(name) || strlen(name) >= sizeof choice->name)
        return problem_set(p, EINVAL, "'%s' is not a name: 1 to %d letters, digits or any of _ . + -", name,
                           ALLOCATOR_NAME_MAX - 1);
    memcpy(choice->name, name, strlen(name) + 1);
    choice->row = allocator_find(name);
    if (path != NULL)
        return resolve_library(choice, path, p);
    if (choice->row == NULL) {
        char known[512];
        struct nearest near;
        nearest_start(&near, name);
        known_names(known, sizeof known, &near);
        return problem_set(p, EINVAL,
                           "unknown allocator '%s'%s; known are %s; or NAME=PATH.so for any library", name,
                           nearest_hint(&near), known);
    }
    return 0;
}

static int parse_allocator_item(char *item, struct allocator_choice *choice, struct problem *p) {
    const char *config;
    int err = cut_config(item, &config, p);
    if (err != 0)
        return err;
    char *path = strchr(item, '=');
    if (path != NULL)
        *path++ = '\0';
    return choice_make(choice, item, path, config, p);
}

static int choice_append(struct allocator_list *list, const struct allocator_choice *choice,
                         struct problem *p) {
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->items[i].name, choice->name) == 0 &&
            strcmp(list->items[i].config, choice->config) == 0)
            return problem_set(p, EINVAL, "'%s' is named twice; give one of them a label of its own",
                               choice->name);
    }
    if (list->n == GRAMMAR_MAX_ALLOCATORS)
        return problem_set(p, EINVAL, "more than %d allocators", GRAMMAR_MAX_ALLOCATORS);
    if (list->items == NULL)
        list->items = calloc(GRAMMAR_MAX_ALLOCATORS, sizeof *list->items);
    if (list->items == NULL)
        return problem_set(p, ENOMEM, "out of memory");
    list->items[list->n++] = *choice;
    return 0;
}

/* Cuts the item that starts at *rest; commas inside [] are its own. */
static char *next_item(char **rest) {
    char *item = *rest;
    if (item == NULL)
        return NULL;
    int depth = 0;
    char *c = item;
    for (; *c != '\0' && (*c != ',' || depth > 0); c++)
        depth += *c == '[' ? 1 : *c == ']' ? -1 : 0;
    *rest = *c == '\0' ? NULL : c + 1;
    *c = '\0';
    return item;
}

int grammar_parse_allocators(const char *text, struct allocator_list *out, struct problem *p) {
    char *copy = strdup(text);
    if (copy == NULL)
        return problem_set(p, ENOMEM, "out of memory");
    int err = 0;
    char *rest = copy;
    for (char *item; err == 0 && (item = next_item(&rest)) != NULL;) {
        struct allocator_choice choice;
        err = parse_allocator_item(item, &choice, p);
        if (err == 0)
            err = choice_append(out, &choice, p);
    }
    free(copy);
    return err;
}

int grammar_take_allocator(const char *name, const char *library, const char *config,
                           struct allocator_list *list, const struct allocator_choice **out,
                           struct problem *p) {
    struct allocator_choice choice;
    int err = choice_make(&choice, name, library[0] != '\0' ? library : NULL, config, p);
    if (err != 0)
        return err;
    for (size_t i = 0; i < list->n; i++) {
        *out = &list->items[i];
        if (strcmp((*out)->name, choice.name) == 0 && strcmp((*out)->config, choice.config) == 0 &&
            strcmp((*out)->path, choice.path) == 0)
            return 0;
    }
    err = choice_append(list, &choice, p);
    *out = &list->items[list->n - (err == 0)];
    return err;
}

int grammar_add_allocator(const struct allocator *row, struct allocator_list *out, struct problem *p) {
    struct allocator_choice choice = {.row = row};
    snprintf(choice.name, sizeof choice.name, "%s", row->name);
    return choice_append(out, &choice, p);
}

void grammar_allocator_label(const struct allocator_choice *choice, char *out, size_t out_bytes) {
    if (choice->config[0] == '\0')
        snprintf(out, out_bytes, "%s", choice->name);
    else
        snprintf(out, out_bytes, "%s[%s]", choice->name, choice->config);
}
