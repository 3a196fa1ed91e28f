#include "harness/rows.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness/latency_csv.h"

/* Appends what `write` says of the record with one write; nothing when that is nothing. */
static int append(struct csv_file *file, void (*write)(FILE *out, const struct record *r),
                  const struct record *r, struct problem *p) {
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    if (out == NULL)
        return problem_set(p, ENOMEM, "out of memory");
    write(out, r);
    int err = fclose(out) != 0 ? problem_set(p, ENOMEM, "out of memory") : 0;
    if (err == 0 && n > 0)
        err = csv_append(file, text, n, p);
    free(text);
    return err;
}

static void write_samples_header(FILE *out, const struct record *r) {
    (void)r;
    columns_write_header(out);
}

static void write_latency_header(FILE *out, const struct record *r) {
    (void)r;
    latency_write_header(out);
}

static void write_rss_header(FILE *out, const struct record *r) {
    (void)r;
    columns_write_rss_header(out);
}

/* Opens a file of rows in the folder, with its header if it is new or was torn within it. */
static int open_file(struct rows *rows, struct csv_file *file, const char *name,
                     void (*header)(FILE *out, const struct record *r), struct problem *p) {
    char path[PATH_MAX];
    int err = folder_path(rows->folder, name, path, p);
    if (err == 0)
        err = csv_open(file, path, p);
    if (err != 0 || lseek(file->fd, 0, SEEK_END) > 0)
        return err;
    return append(file, header, NULL, p);
}

void rows_init(struct rows *rows, const struct folder *folder) {
    *rows = (struct rows){.folder = folder, .samples = {.fd = -1}, .latency = {.fd = -1}, .rss = {.fd = -1}};
}

int rows_open(struct rows *rows, struct problem *p) {
    return open_file(rows, &rows->samples, "samples.csv", write_samples_header, p);
}

int rows_write(struct rows *rows, const struct record *r, struct problem *p) {
    int err = 0;
    if (r->cell->pass == PASS_LATENCY && rows->latency.fd < 0)
        err = open_file(rows, &rows->latency, LATENCY_CSV, write_latency_header, p);
    if (err == 0 && r->cell->pass == PASS_LATENCY)
        err = append(&rows->latency, latency_write_rows, r, p);
    if (err == 0 && r->cell->pass == PASS_RSS && rows->rss.fd < 0)
        err = open_file(rows, &rows->rss, RSS_CSV, write_rss_header, p);
    if (err == 0 && r->cell->pass == PASS_RSS && r->status == STATUS_OK)
        err = append(&rows->rss, columns_write_rss_rows, r, p);
    return err == 0 ? append(&rows->samples, columns_write_row, r, p) : err;
}

int rows_close(struct rows *rows, struct problem *p) {
    struct csv_file *const files[] = {&rows->samples, &rows->latency, &rows->rss};
    int err = 0;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct problem second = {{0}};
        int close_err = csv_close(files[i], err == 0 ? p : &second);
        err = err == 0 ? close_err : err;
    }
    return err;
}
