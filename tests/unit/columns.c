/* A row has the header's columns, and says nothing where nothing was measured. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/csv.h"
#include "harness/record.h"

static char path[64];
static struct csv_table table;

static void row_load(const struct record *r) {
    struct problem p;
    strcpy(path, "/tmp/heapdyno-columns-XXXXXX");
    FILE *out = fdopen(mkstemp(path), "w");
    columns_write_header(out);
    columns_write_row(out, r);
    fclose(out);
    int err = csv_load(&table, path, &p);
    unlink(path);
    assert_int_equal(err, 0);
    assert_int_equal(table.n_rows, 2);
}

static const char *value(const char *column) {
    int at = csv_column(&table, column);
    if (at < 0)
        fail_msg("no column %s", column);
    return csv_field(&table, 1, at);
}

static const struct run_identity run = {"run-1", "host"};
static const struct options options;
static const struct allocator_choice allocator = {.name = "je", .config = "MALLOC_CONF=a:b,c:d"};
static unsigned pus[2] = {4, 9};
static const struct slots slots = {
    .n_threads = 2, .placement = PLACEMENT_SCATTER, .pus = pus, .is_oversubscribed = true};

static struct plan_cell cell_make(struct workload_choice *w) {
    *w = (struct workload_choice){.row = workload_find("larson")};
    for (int i = 0; w->row->params[i].name != NULL; i++)
        w->params[i] = i + 1;
    return (struct plan_cell){.allocator = &allocator,
                              .workload = w,
                              .slots = &slots,
                              .load = LOAD_PRELOAD,
                              .pass = PASS_TIMED,
                              .block = 2,
                              .slot = 5,
                              .repetition = 2,
                              .seed = 77,
                              .duration_ns = 1000,
                              .cell_id = "0123456789ab"};
}

static void what_was_not_measured_is_empty(void **state) {
    (void)state;
    static const char *const empty[] = {"ops",
                                        "ops_per_s",
                                        "window_ns",
                                        "wall_ns",
                                        "peak_rss_bytes",
                                        "peak_anon_bytes",
                                        "minflt",
                                        "remote_free_fraction",
                                        "shared_line_fraction",
                                        "alloc_active_bytes",
                                        "generations",
                                        "exit_code",
                                        "signal",
                                        "start_unix_ns",
                                        "syscalls",
                                        "sys_mmap",
                                        "sys_sched_yield",
                                        "passive_line_fraction",
                                        "lat_p50_ns",
                                        "fragmentation",
                                        "ops_target",
                                        "library_path",
                                        "pinned"};
    struct workload_choice w;
    struct plan_cell cell = cell_make(&w);
    struct record r;
    record_init(&r, &run, &options, &cell);
    record_settle(&r, STATUS_UNPROVEN, "two\nlines, and a comma");
    row_load(&r);
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        if (strcmp(value(empty[i]), "") != 0)
            fail_msg("%s is '%s'", empty[i], value(empty[i]));
    }
    assert_string_equal(value("status"), "unproven");
    assert_string_equal(value("why"), "two lines, and a comma");
    assert_string_equal(value("config"), "MALLOC_CONF=a:b,c:d");
    assert_string_equal(value("load"), "preload");
    assert_string_equal(value("placement"), "scatter");
    assert_string_equal(value("pus"), "4;9");
    assert_string_equal(value("oversubscribed"), "1");
    assert_string_equal(value("cell_id"), "0123456789ab");
    assert_string_equal(value("block"), "2");
    assert_string_equal(value("slot"), "5");
    assert_true(strncmp(value("params"), "min_bytes=1;max_bytes=2", 23) == 0);
    csv_free(&table);
}

static void measured_values_come_out(void **state) {
    (void)state;
    struct workload_choice w;
    struct plan_cell cell = cell_make(&w);
    struct record r;
    record_init(&r, &run, &options, &cell);
    r.has_proof = r.is_pinned = true;
    r.exit_code = 0;
    r.result.ops = 0; /* measured, and none */
    r.result.window_ops = 3000;
    r.result.window_ns = 2000;
    r.result.n_generations_min = 3;
    r.result.remote_free_fraction = 0.25;
    r.result.stats.active_bytes = 0;
    r.syscalls.total = 12;
    r.syscalls.by_name[SYSCALL_SCHED_YIELD] = 0;
    row_load(&r);
    assert_string_equal(value("syscalls"), "12");
    assert_string_equal(value("sys_sched_yield"), "0");
    assert_string_equal(value("sys_brk"), "");
    assert_string_equal(value("alloc_bins"), "");
    assert_string_equal(value("alloc_arenas"), "");
    csv_free(&table);
    r.result.stats.n_bins = 3; /* the second one has no runs */
    r.result.stats.bins[0] = (struct alloc_bin){16, 5, 2};
    r.result.stats.bins[1] = (struct alloc_bin){32, 0, 0};
    r.result.stats.bins[2] = (struct alloc_bin){48, 0, 1};
    r.result.stats.n_arenas = 2;
    r.result.stats.arena_active_bytes[1] = 4096;
    row_load(&r);
    assert_string_equal(value("alloc_bins"), "16:5:2;48:0:1");
    assert_string_equal(value("alloc_arenas"), "0;4096");
    assert_string_equal(value("alloc_fills"), "");
    assert_string_equal(value("ops"), "0");
    assert_string_equal(value("ops_per_s"), "1500000000");
    assert_string_equal(value("generations"), "3");
    assert_string_equal(value("remote_free_fraction"), "0.25");
    assert_string_equal(value("alloc_active_bytes"), "0");
    assert_string_equal(value("alloc_resident_bytes"), "");
    assert_string_equal(value("pinned"), "1");
    assert_string_equal(value("exit_code"), "0");
    csv_free(&table);
    r.result.n_generations_min = 2; /* too few to speak of */
    r.result.window_ns = 0;
    row_load(&r);
    assert_string_equal(value("generations"), "");
    assert_string_equal(value("ops_per_s"), "");
    csv_free(&table);
}

static void statuses_have_names(void **state) {
    (void)state;
    for (int i = STATUS_OK; i <= STATUS_UNPROVEN; i++) {
        enum cell_status back;
        assert_int_equal(status_parse(status_name((enum cell_status)i), &back), 0);
        assert_int_equal(back, i);
        assert_int_equal(status_is_failure(back), i != STATUS_OK && i != STATUS_SKIP);
    }
    enum cell_status none;
    assert_true(status_parse("fine", &none) < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_not_measured_is_empty),
        cmocka_unit_test(measured_values_come_out),
        cmocka_unit_test(statuses_have_names),
    };
    return cmocka_run_group_tests_name("columns", tests, NULL, NULL);
}
