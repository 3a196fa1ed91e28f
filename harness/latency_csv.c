#include "harness/latency_csv.h"

#include <inttypes.h>
#include <math.h>

#include "harness/csv.h"

static const uint64_t class_bytes[LATENCY_N_CLASSES] = LATENCY_CLASS_BYTES;
static const uint32_t shares_ppm[LATENCY_N_PPM] = LATENCY_PPM;

static const char *const op_names[LATENCY_N_OPS] = {
    [LATENCY_MALLOC] = "malloc",
    [LATENCY_FREE] = "free",
    [LATENCY_CALLOC] = "calloc",
    [LATENCY_REALLOC] = "realloc",
    [LATENCY_ALIGNED_ALLOC] = "aligned_alloc",
    [LATENCY_ANY_CALL] = "any",
    [LATENCY_FIRST_MALLOC] = "first-malloc",
    [LATENCY_STARTUP] = "startup",
    [LATENCY_TRANSACTION] = "transaction",
    [LATENCY_SERVICE] = "transaction-service",
    [LATENCY_DELAY] = "transaction-delay",
};

const char *latency_timer_name(enum latency_timer timer) {
    return timer == TIMER_RDTSCP ? "rdtscp" : "clock_gettime";
}

void latency_write_header(FILE *out) {
    fputs("cell_id,allocator,config,workload,threads,repetition,operation,size_bytes,n,percentile,ns\n", out);
}

static void write_class(FILE *out, uint32_t size_class) {
    if (size_class >= LATENCY_ANY_CLASS) {
        fputs("all", out);
        return;
    }
    fprintf(out, "%" PRIu64 "..", size_class > 0 ? class_bytes[size_class - 1] + 1 : 0);
    if (class_bytes[size_class] != UINT64_MAX)
        fprintf(out, "%" PRIu64, class_bytes[size_class]);
}

static void write_row(FILE *out, const struct record *r, const struct latency_row *row, unsigned i) {
    const struct plan_cell *cell = r->cell;
    fprintf(out, "%s,", cell->cell_id);
    csv_write_field(out, cell->allocator->name);
    fputc(',', out);
    csv_write_field(out, cell->allocator->config);
    fprintf(out, ",%s,%u,%u,%s,", cell->workload->row->name, cell->slots->n_threads, cell->repetition,
            op_names[row->op]);
    write_class(out, row->size_class);
    fprintf(out, ",%" PRIu64 ",%.7g,%.1f\n", row->n, shares_ppm[i] / 1e4, row->ns[i]);
}

void latency_write_rows(FILE *out, const struct record *r) {
    if (!r->has_latency)
        return;
    for (uint32_t k = 0; k < r->latency.n_rows; k++)
        for (unsigned i = 0; i < LATENCY_N_PPM; i++)
            if (isfinite(r->latency.rows[k].ns[i]))
                write_row(out, r, &r->latency.rows[k], i);
}

const struct latency_row *latency_main_row(const struct record *r) {
    uint32_t op = r->options->latency.rate_per_s > 0 ? LATENCY_TRANSACTION : LATENCY_ANY_CALL;
    for (uint32_t k = 0; r->has_latency && k < r->latency.n_rows; k++) {
        const struct latency_row *row = &r->latency.rows[k];
        if (row->op == op && row->size_class == LATENCY_ANY_CLASS)
            return row;
    }
    return NULL;
}

double latency_at(const struct latency_row *row, uint32_t ppm) {
    for (unsigned i = 0; row != NULL && i < LATENCY_N_PPM; i++) {
        if (shares_ppm[i] == ppm)
            return row->ns[i];
    }
    return NAN;
}
