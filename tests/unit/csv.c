/* RFC 4180 there and back, torn rows, full disks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/csv.h"

static char path[64];

static int make_file(void **state) {
    (void)state;
    strcpy(path, "/tmp/heapdyno-csv-XXXXXX");
    int fd = mkstemp(path);
    close(fd);
    return fd < 0;
}

static int drop_file(void **state) {
    (void)state;
    return unlink(path);
}

static void put(const char *text) {
    FILE *out = fopen(path, "w");
    fputs(text, out);
    fclose(out);
}

static void assert_quoted(const char *text, const char *wanted) {
    char *got = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&got, &n);
    csv_write_field(out, text);
    fclose(out);
    assert_string_equal(got, wanted);
    free(got);
}

static void fields_are_quoted_when_they_must(void **state) {
    (void)state;
    assert_quoted("plain text;x=1", "plain text;x=1");
    assert_quoted("", "");
    assert_quoted("a,b", "\"a,b\"");
    assert_quoted("say \"hi\"", "\"say \"\"hi\"\"\"");
    assert_quoted("two\nlines", "\"two\nlines\"");
    assert_quoted("cr\r", "\"cr\r\"");
}

static void every_text_comes_back(void **state) {
    (void)state;
    static const char *const texts[] = {"a,b", "\"",         "\"\"", "x\ny", "", "MALLOC_CONF=a:b,c:d",
                                        ",,",  "\"a\",\"b\""};
    enum { N = sizeof texts / sizeof texts[0] };
    FILE *out = fopen(path, "w");
    for (int row = 0; row < 3; row++) {
        for (size_t i = 0; i < N; i++) {
            if (i > 0)
                fputc(',', out);
            csv_write_field(out, texts[i]);
        }
        fputc('\n', out);
    }
    fclose(out);
    struct csv_table table;
    struct problem p;
    assert_int_equal(csv_load(&table, path, &p), 0);
    assert_int_equal(table.n_rows, 3);
    assert_int_equal(table.n_columns, N);
    assert_int_equal(table.n_torn_bytes, 0);
    for (size_t row = 0; row < 3; row++) {
        for (int i = 0; i < N; i++)
            assert_string_equal(csv_field(&table, row, i), texts[i]);
    }
    csv_free(&table);
}

static void torn_rows_are_found(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t n_rows, n_torn;
    } cases[] = {
        {"a,b\n1,2\n", 2, 0},
        {"a,b\r\n1,2\r\n", 2, 0},
        {"a,b\n1,2\n3", 2, 1},
        {"a,b\n1,2\n3,4", 2, 3},
        {"a,b\n1,2\n\"3\n", 2, 3},
        {"a,b", 0, 3},
        {"", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct csv_table table;
        struct problem p;
        put(cases[i].text);
        assert_int_equal(csv_load(&table, path, &p), 0);
        assert_int_equal(table.n_rows, cases[i].n_rows);
        assert_int_equal(table.n_torn_bytes, cases[i].n_torn);
        csv_free(&table);
    }
}

static void ragged_rows_are_refused(void **state) {
    (void)state;
    struct csv_table table;
    struct problem p;
    put("a,b\n1,2,3\n4,5\n");
    assert_int_equal(csv_load(&table, path, &p), -EBADMSG);
    assert_non_null(strstr(p.text, "row 2"));
}

static void columns_have_names(void **state) {
    (void)state;
    struct csv_table table;
    struct problem p;
    put("a,b\n1,2\n");
    assert_int_equal(csv_load(&table, path, &p), 0);
    assert_int_equal(csv_column(&table, "b"), 1);
    assert_int_equal(csv_column(&table, "c"), -1);
    csv_free(&table);
}

/* At a limit of the file size a row is written wholly or not at all, and the error names the file. */
static void full_disk_keeps_whole_rows(void **state) {
    (void)state;
    static const char row[] = "0123456789\n";
    struct csv_file file;
    struct problem p = {{0}};
    struct rlimit before, limit;
    struct stat st;
    assert_int_equal(csv_open(&file, path, &p), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 25;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int first = csv_append(&file, row, 11, &p), second = csv_append(&file, row, 11, &p),
        third = csv_append(&file, row, 11, &p);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(first, 0);
    assert_int_equal(second, 0);
    assert_int_equal(third, -EFBIG);
    assert_non_null(strstr(p.text, path));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 22);
    assert_int_equal(csv_append(&file, row, 11, &p), 0); /* there is room again */
    assert_int_equal(csv_close(&file, &p), 0);
    int full = open("/dev/full", O_WRONLY);
    if (full >= 0) {
        close(full);
        assert_int_equal(csv_open(&file, "/dev/full", &p), 0);
        assert_int_equal(csv_append(&file, row, 11, &p), -ENOSPC);
        assert_non_null(strstr(p.text, "/dev/full"));
        csv_close(&file, &p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_quoted_when_they_must),
        cmocka_unit_test_setup_teardown(every_text_comes_back, make_file, drop_file),
        cmocka_unit_test_setup_teardown(torn_rows_are_found, make_file, drop_file),
        cmocka_unit_test_setup_teardown(ragged_rows_are_refused, make_file, drop_file),
        cmocka_unit_test_setup_teardown(columns_have_names, make_file, drop_file),
        cmocka_unit_test_setup_teardown(full_disk_keeps_whole_rows, make_file, drop_file),
    };
    return cmocka_run_group_tests_name("csv", tests, NULL, NULL);
}
