/*
 * RFC 4180. Owns: quoting, the results file, reading it back.
 * Does not know: what the columns mean.
 *
 * A row is written with one write(2): a process that is killed leaves whole rows, or a torn last one that
 * csv_load finds. A row that cannot be written completely is taken back.
 */
#ifndef HEAPDYNO_CSV_H
#define HEAPDYNO_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "harness/problem.h"

/* One field, quoted if it has to be. */
void csv_write_field(FILE *out, const char *text);

struct csv_file {
    int fd;
    char path[4096];
};

/* Opens for appending, creating it if it is not there. 0 or -errno with the reason. */
int csv_open(struct csv_file *file, const char *path, struct problem *p);
/* Appends n bytes, all or nothing. 0 or -errno with the reason, the file named. */
int csv_append(struct csv_file *file, const char *row, size_t n, struct problem *p);
/* 0 or -errno with the reason. */
int csv_close(struct csv_file *file, struct problem *p);

/* Cuts one line, in place. The number of fields, of which fields[] gets the first n_max. -EBADMSG when the line,
 * or a quoted field in it, does not end. */
ssize_t csv_split_line(char *line, char **fields, size_t n_max);

/* A file read back: row 0 is the header. Fields are NUL-terminated and live as long as the table. */
struct csv_table {
    char *text;
    char **fields; /* n_rows * n_columns */
    size_t n_rows, n_columns;
    size_t n_whole_bytes; /* of whole rows; the file's bytes beyond are a torn row */
    size_t n_torn_bytes;
};

/* 0, -ENOENT, or -errno with the reason; -EBADMSG when a row but the last has another number of fields. */
int csv_load(struct csv_table *table, const char *path, struct problem *p);
void csv_free(struct csv_table *table);
/* Position of a column by its name, or -1. */
int csv_column(const struct csv_table *table, const char *name);
const char *csv_field(const struct csv_table *table, size_t row, int column);

#endif
