/* The report of malloc_stats_print, as text or JSON. Belongs to the room ctl. */
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "os.h"
#include "stats.h"

struct report {
    void (*write_text)(void *, const char *);
    void *opaque;
    bool is_json;
};

static void report_to_stderr(void *opaque, const char *text) {
    (void)opaque;
    os_write_error(text);
}

static void report_value(const struct report *r, const char *name, size_t value, bool is_last) {
    char line[128];
    if (r->is_json)
        snprintf(line, sizeof line, "\"%s\":%zu%s", name, value, is_last ? "" : ",");
    else
        snprintf(line, sizeof line, "%-16s %20zu\n", name, value);
    r->write_text(r->opaque, line);
}

static void report_totals(const struct report *r) {
    struct stats st;
    stats_read(&st);
    report_value(r, "allocated", st.allocated_bytes, false);
    report_value(r, "active", st.active_bytes, false);
    report_value(r, "metadata", st.metadata_bytes, false);
    report_value(r, "resident", st.resident_bytes, false);
    report_value(r, "mapped", st.mapped_bytes, false);
    report_value(r, "retained", st.retained_bytes, false);
    report_value(r, "tcache", st.tcache_bytes, false);
    report_value(r, "dirty_pages", st.dirty_pages, false);
    report_value(r, "purged_pages", st.n_purged_pages, false);
    report_value(r, "narenas", arena_n(), true);
}

static void report_classes(const struct report *r) {
    char line[160];
    bool is_first = true;
    if (!r->is_json)
        r->write_text(r->opaque,
                      "\n   size       live      taken      fills    flushes       runs  contended\n");
    for (unsigned c = 0; c < SIZE_CLASS_N_BINS; c++) {
        struct stats_class sum;
        stats_sum_class(c, &sum);
        if (sum.n_taken == 0)
            continue;
        const char *format = r->is_json ? "%s{\"size\":%zu,\"curregs\":%zu,\"nmalloc\":%zu,\"nfills\":%zu,"
                                          "\"nflushes\":%zu,\"curslabs\":%zu,\"ncontended\":%zu}"
                                        : "%s%7zu %10zu %10zu %10zu %10zu %10zu %10zu\n";
        snprintf(line, sizeof line, format, r->is_json && !is_first ? "," : "", size_class_bytes(c),
                 sum.n_taken - sum.n_put, sum.n_taken, sum.n_fills, sum.n_flushes, sum.n_runs,
                 sum.n_contended);
        r->write_text(r->opaque, line);
        is_first = false;
    }
}

void ctl_print(void (*write_text)(void *, const char *), void *opaque, const char *options) {
    const struct report r = {write_text != NULL ? write_text : report_to_stderr, opaque,
                             options != NULL && strchr(options, 'J') != NULL};
    if (r.is_json)
        r.write_text(r.opaque, "{\"jemalloc\":{\"stats\":{");
    else
        r.write_text(r.opaque, "___ Begin arena statistics ___\n");
    report_totals(&r);
    if (r.is_json)
        r.write_text(r.opaque, "},\"bins\":[");
    report_classes(&r);
    r.write_text(r.opaque, r.is_json ? "]}}\n" : "___ End arena statistics ___\n");
}

void ctl_print_at_exit(void) {
    ctl_print(NULL, NULL, NULL);
}
