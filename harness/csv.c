#include "harness/csv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void csv_write_field(FILE *out, const char *text) {
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

int csv_open(struct csv_file *file, const char *path, struct problem *p) {
    if ((size_t)snprintf(file->path, sizeof file->path, "%s", path) >= sizeof file->path)
        return problem_set(p, ENAMETOOLONG, "the path '%s' is too long", path);
    file->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (file->fd < 0)
        return problem_set(p, errno, "cannot open %s: %s", path, strerror(errno));
    return 0;
}

int csv_append(struct csv_file *file, const char *row, size_t n, struct problem *p) {
    off_t before = lseek(file->fd, 0, SEEK_END);
    ssize_t done = write(file->fd, row, n);
    if (done == (ssize_t)n)
        return 0;
    /* A short write is a full disk or a limit in all but name: writing the rest names it. */
    int err = done < 0 ? errno : 0;
    if (done >= 0 && write(file->fd, row + done, n - (size_t)done) == (ssize_t)n - done)
        return 0;
    if (err == 0)
        err = errno != 0 ? errno : ENOSPC;
    const char *then = "what was written before is kept";
    if (before < 0 || ftruncate(file->fd, before) != 0)
        then = "the last row is torn; --resume repairs it";
    return problem_set(p, err, "cannot write %s: %s; %s", file->path, strerror(err), then);
}

int csv_close(struct csv_file *file, struct problem *p) {
    if (file->fd < 0)
        return 0;
    int err = close(file->fd) != 0 ? errno : 0;
    file->fd = -1;
    return err == 0 ? 0 : problem_set(p, err, "cannot write %s: %s", file->path, strerror(err));
}

static int text_read(const char *path, char **out, size_t *out_bytes, struct problem *p) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return problem_set(p, errno, "cannot read %s: %s", path, strerror(errno));
    struct stat st;
    int err = 0;
    char *text = NULL;
    size_t n = 0;
    if (fstat(fd, &st) != 0 || (text = malloc((size_t)st.st_size + 1)) == NULL) {
        err = errno;
        goto out;
    }
    while (n < (size_t)st.st_size) {
        ssize_t done = read(fd, text + n, (size_t)st.st_size - n);
        if (done < 0)
            err = errno;
        if (done <= 0)
            break;
        n += (size_t)done;
    }
    text[n] = '\0';
out:
    close(fd);
    if (err != 0) {
        free(text);
        return problem_set(p, err, "cannot read %s: %s", path, strerror(err));
    }
    *out = text;
    *out_bytes = n;
    return 0;
}

/* Reads one field in place. Leaves *at behind its separator; returns the separator: ',', '\n', or 0 when the
 * text ends first. */
static char field_take(char **at, const char *end, char **field) {
    char *from = *at, *to = *at;
    *field = to;
    bool is_quoted = from < end && *from == '"';
    if (is_quoted)
        from++;
    for (; from < end; from++) {
        if (is_quoted && *from == '"') {
            if (from + 1 < end && from[1] == '"') {
                from++;
            } else {
                is_quoted = false;
                continue;
            }
        } else if (!is_quoted && (*from == ',' || *from == '\n')) {
            char separator = *from;
            if (separator == '\n' && to > *field && to[-1] == '\r')
                to--;
            *to = '\0';
            *at = from + 1;
            return separator;
        }
        *to++ = *from;
    }
    *at = from;
    return 0;
}

ssize_t csv_split_line(char *line, char **fields, size_t n_max) {
    char *at = line, *end = line + strlen(line), *field;
    for (size_t n = 0;; n++) {
        char separator = field_take(&at, end, n < n_max ? &fields[n] : &field);
        if (separator == 0)
            return -EBADMSG;
        if (separator == '\n')
            return (ssize_t)n + 1;
    }
}

static int fields_append(struct csv_table *table, size_t *n, char *field) {
    if ((*n & (*n - 1)) == 0) { /* grows at powers of two */
        char **grown = realloc(table->fields, (*n == 0 ? 1 : 2 * *n) * sizeof *grown);
        if (grown == NULL)
            return -ENOMEM;
        table->fields = grown;
    }
    table->fields[(*n)++] = field;
    return 0;
}

int csv_load(struct csv_table *table, const char *path, struct problem *p) {
    *table = (struct csv_table){0};
    size_t n_bytes = 0, n_fields = 0;
    int err = text_read(path, &table->text, &n_bytes, p);
    if (err != 0)
        return err;
    char *at = table->text, *end = table->text + n_bytes;
    while (at < end) {
        size_t row_start = n_fields;
        char separator, *field;
        do {
            separator = field_take(&at, end, &field);
            if (fields_append(table, &n_fields, field) != 0) {
                csv_free(table);
                return problem_set(p, ENOMEM, "out of memory");
            }
        } while (separator == ',');
        if (separator == 0)
            break;
        if (table->n_columns == 0)
            table->n_columns = n_fields;
        if (n_fields - row_start != table->n_columns) {
            err = problem_set(p, EBADMSG, "%s: row %zu has %zu fields, the header %zu", path,
                              table->n_rows + 1, n_fields - row_start, table->n_columns);
            csv_free(table);
            return err;
        }
        table->n_rows++;
        table->n_whole_bytes = (size_t)(at - table->text);
    }
    table->n_torn_bytes = n_bytes - table->n_whole_bytes;
    return 0;
}

void csv_free(struct csv_table *table) {
    free(table->text);
    free(table->fields);
    *table = (struct csv_table){0};
}

int csv_column(const struct csv_table *table, const char *name) {
    for (size_t i = 0; table->n_rows > 0 && i < table->n_columns; i++) {
        if (strcmp(table->fields[i], name) == 0)
            return (int)i;
    }
    return -1;
}

const char *csv_field(const struct csv_table *table, size_t row, int column) {
    return table->fields[row * table->n_columns + (size_t)column];
}
