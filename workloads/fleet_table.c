#include "workloads/fleet_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER "size_bytes,allocs_per_s,live_objects"
#define MAX_FILE_BYTES (1 << 20)
#define ALL_BITS (UINT64_C(1) << 32)

/* The compiled-in table is the file itself, so that there is one truth; a zero byte ends it. */
__asm__(".section .rodata\n"
        "fleet_csv:\n"
        ".incbin \"workloads/data/fleet.csv\"\n"
        ".byte 0\n"
        ".previous\n");
extern const char fleet_csv[] __attribute__((visibility("hidden")));

/* ---- reading ---------------------------------------------------------------------------------------- */

static int fail_at(struct cell *c, unsigned line, const char *fault) {
    char why[ALLOCATOR_WHY_MAX];
    snprintf(why, sizeof why, "fleet: line %u of the table: %s", line, fault);
    return cell_fail(c, EINVAL, why);
}

/* A number of [0, 1e12] at *at, which moves behind it. False: there is none. */
static bool take_number(char **at, double *out) {
    char *end;
    if (**at < '0' || **at > '9')
        return false;
    *out = strtod(*at, &end);
    *at = end;
    return *out <= 1e12;
}

static const char *parse_line(char *line, struct fleet_class *class) {
    double size_bytes;
    if (!take_number(&line, &size_bytes) || *line++ != ',' || !take_number(&line, &class->allocs_per_s) ||
        *line++ != ',' || !take_number(&line, &class->live_objects) || *line != '\0')
        return "not three numbers with commas between";
    if (size_bytes < 1 || size_bytes > (double)FLEET_MAX_OBJECT_BYTES)
        return "size_bytes is not from 1 to 1 GiB";
    class->size_bytes = (uint64_t)size_bytes;
    return NULL;
}

int fleet_table_parse(struct cell *c, struct fleet_table *t, char *text, size_t n_bytes) {
    bool has_header = false;
    unsigned n_lines = 0;
    t->classes = cell_scratch(c, FLEET_MAX_CLASSES * sizeof *t->classes, WORKER_ALIGN_BYTES);
    if (!t->classes)
        return -ENOMEM;
    text[n_bytes] = '\0';
    if (strlen(text) != n_bytes)
        return fail_at(c, 0, "a zero byte");
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;) {
        n_lines++;
        line[strcspn(line, "\r")] = '\0';
        if (*line == '#' || *line == '\0')
            continue;
        if (!has_header && strcmp(line, HEADER) != 0)
            return fail_at(c, n_lines, "the header is not " HEADER);
        if (!has_header) {
            has_header = true;
            continue;
        }
        if (t->n_classes == FLEET_MAX_CLASSES)
            return fail_at(c, n_lines, "too many classes");
        const char *fault = parse_line(line, &t->classes[t->n_classes++]);
        if (fault)
            return fail_at(c, n_lines, fault);
    }
    return t->n_classes ? 0 : fail_at(c, n_lines, "no classes");
}

static int read_file(struct cell *c, const char *path, char *text, size_t *n_bytes) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;
    *n_bytes = 0;
    if (fd < 0)
        return cell_fail(c, errno, "fleet: the file that " FLEET_FILE_VARIABLE " names cannot be opened");
    while (*n_bytes < MAX_FILE_BYTES && (n = read(fd, text + *n_bytes, MAX_FILE_BYTES - *n_bytes)) > 0)
        *n_bytes += (size_t)n;
    int err = n < 0 ? errno : *n_bytes == MAX_FILE_BYTES ? EFBIG : 0;
    close(fd);
    return err ? cell_fail(c, err, "fleet: the file that " FLEET_FILE_VARIABLE " names cannot be read") : 0;
}

int fleet_table_load(struct cell *c, struct fleet_table *t) {
    const char *path = getenv(FLEET_FILE_VARIABLE);
    size_t n_bytes = strlen(fleet_csv);
    char *text = cell_scratch(c, MAX_FILE_BYTES + 1, WORKER_ALIGN_BYTES);
    if (!text)
        return -ENOMEM;
    int err = 0;
    if (path)
        err = read_file(c, path, text, &n_bytes);
    else
        memcpy(text, fleet_csv, n_bytes + 1);
    return err ? err : fleet_table_parse(c, t, text, n_bytes);
}

/* ---- drawing ---------------------------------------------------------------------------------------- */

/*
 * Vose, "A linear algorithm for generating random numbers with a given distribution", IEEE Trans. Software
 * Engineering 17(9), 1991. Each class gets a weight whose mean is 1; one below 1 is filled up by one above, which
 * goes back to its list with the rest.
 */
static int make_aliases(struct cell *c, struct fleet_table *t, double rate_sum) {
    uint32_t n = t->n_classes, n_low = 0, n_high = 0;
    double *weights = cell_scratch(c, n * sizeof *weights, WORKER_ALIGN_BYTES);
    uint32_t *low = cell_scratch(c, n * sizeof *low, WORKER_ALIGN_BYTES);
    uint32_t *high = cell_scratch(c, n * sizeof *high, WORKER_ALIGN_BYTES);
    if (!weights || !low || !high)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        weights[i] = t->classes[i].allocs_per_s * n / rate_sum;
        t->classes[i].threshold = ALL_BITS;
        t->classes[i].alias = i;
        if (weights[i] < 1)
            low[n_low++] = i;
        else
            high[n_high++] = i;
    }
    while (n_low > 0 && n_high > 0) {
        uint32_t l = low[--n_low], h = high[n_high - 1];
        t->classes[l].threshold = (uint64_t)(weights[l] * (double)ALL_BITS);
        t->classes[l].alias = h;
        weights[h] -= 1 - weights[l];
        if (weights[h] < 1) {
            n_high--;
            low[n_low++] = h;
        }
    }
    return 0;
}

int fleet_table_prepare(struct cell *c, struct fleet_table *t, uint64_t max_object_bytes) {
    uint32_t n_kept = 0;
    double rate_sum = 0;
    t->live_bytes = 0;
    for (uint32_t i = 0; i < t->n_classes; i++) {
        const struct fleet_class class = t->classes[i];
        if (class.size_bytes > max_object_bytes)
            continue;
        rate_sum += class.allocs_per_s;
        t->live_bytes += (double)class.size_bytes * class.live_objects;
        t->classes[n_kept++] = class;
    }
    t->n_classes = n_kept;
    if (rate_sum == 0 || t->live_bytes == 0)
        return cell_fail(c, EINVAL,
                         "fleet: no class with a rate and live objects fits into a thread's share");
    return make_aliases(c, t, rate_sum);
}
