/* The small languages of the command line: threads, allocators, numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/grammar.h"
#include "harness/units.h"

static const char *threads_of(const char *text) {
    static char out[512];
    struct thread_list list;
    struct problem p = {{0}};
    out[0] = '\0';
    if (grammar_parse_threads(text, &list, &p) != 0) {
        assert_true(p.text[0] != '\0');
        return "refused";
    }
    for (unsigned i = 0; i < list.n; i++)
        snprintf(out + strlen(out), sizeof out - strlen(out), "%s%u", i > 0 ? "," : "", list.counts[i]);
    return out;
}

static void threads_ranges(void **state) {
    (void)state;
    assert_string_equal(threads_of("1..64"), "1,2,4,8,16,32,64");
    assert_string_equal(threads_of("3..13"), "3,6,12,13"); /* the end is always there */
    assert_string_equal(threads_of("5..5"), "5");
    assert_string_equal(threads_of("1..9+3"), "1,4,7");
    assert_string_equal(threads_of("2..8+2"), "2,4,6,8");
    assert_string_equal(threads_of("7,1,3"), "1,3,7");
    assert_string_equal(threads_of("1..4,3,4..8"), "1,2,3,4,8"); /* each once */
    assert_string_equal(threads_of("1024"), "1024");
}

static void threads_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",       "0",     "-1",   "1025",   "4..1", "1..",     "..4",
        "1..4+0", "1..4+", "1,,2", "a",      "1 ",   " 1",      "1.5",
        "1..x",   "0..4",  "1,",   "1..4+x", "+1",   "1..2..3", "1..99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (strcmp(threads_of(bad[i]), "refused") != 0)
            fail_msg("'%s' was taken as %s", bad[i], threads_of(bad[i]));
    }
}

static void allocators_taken(void **state) {
    (void)state;
    struct allocator_list list = {0};
    struct problem p = {{0}};
    char label[GRAMMAR_LABEL_MAX];
    assert_int_equal(
        grammar_parse_allocators("jemalloc[MALLOC_CONF=tcache:false,narenas:1;X=2],glibc", &list, &p), 0);
    assert_int_equal(grammar_parse_allocators("mine=/dev/../dev/null[A=b=c]", &list, &p), 0);
    assert_int_equal(list.n, 3);
    assert_string_equal(list.items[0].name, "jemalloc");
    assert_string_equal(list.items[0].config, "MALLOC_CONF=tcache:false,narenas:1;X=2");
    assert_ptr_equal(list.items[0].row, allocator_find("jemalloc"));
    grammar_allocator_label(&list.items[0], label, sizeof label);
    assert_string_equal(label, "jemalloc[MALLOC_CONF=tcache:false,narenas:1;X=2]");
    grammar_allocator_label(&list.items[1], label, sizeof label);
    assert_string_equal(label, "glibc");
    assert_string_equal(list.items[1].path, "");
    assert_string_equal(list.items[2].path, "/dev/null");
    assert_string_equal(list.items[2].config, "A=b=c");
    assert_null(list.items[2].row);
    assert_true(list.items[2].is_named);
    free(list.items);
}

static void allocators_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "glibc,",
                                      "nosuch",
                                      "glibc[",
                                      "glibc]",
                                      "glibc[]",
                                      "glibc[A]",
                                      "glibc[1A=2]",
                                      "glibc[A=1;]",
                                      "glibc[=1]",
                                      "glibc[A=1]x",
                                      "glibc,glibc",
                                      "glibc[A=1],glibc[A=1]",
                                      "mine=/nonexistent.so",
                                      "mine=",
                                      "a b=/dev/null",
                                      "glibc[LD_PRELOAD=/x.so]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct allocator_list list = {0};
        struct problem p = {{0}};
        if (grammar_parse_allocators(bad[i], &list, &p) == 0)
            fail_msg("'%s' was taken", bad[i]);
        assert_true(p.text[0] != '\0');
        free(list.items);
    }
}

static void allocators_two_configurations(void **state) {
    (void)state;
    struct allocator_list list = {0};
    struct problem p = {{0}};
    assert_int_equal(grammar_parse_allocators("glibc,glibc[A=1],glibc[A=2]", &list, &p), 0);
    assert_int_equal(list.n, 3);
    free(list.items);
}

static void numbers(void **state) {
    (void)state;
    uint64_t u;
    int64_t i;
    assert_int_equal(units_parse_u64("18446744073709551615", 0, UINT64_MAX, &u), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(units_parse_u64("18446744073709551616", 0, UINT64_MAX, &u), -ERANGE);
    assert_int_equal(units_parse_u64("0x10", 0, 100, &u), 0);
    assert_int_equal(u, 16);
    assert_int_equal(units_parse_u64("-1", 0, UINT64_MAX, &u), -EINVAL);
    assert_int_equal(units_parse_u64("010", 0, 100, &u), 0); /* decimal, whatever it starts with */
    assert_int_equal(u, 10);
    assert_int_equal(units_parse_i64("-5", -10, 10, &i), 0);
    assert_int_equal(i, -5);
    assert_int_equal(units_parse_i64("-11", -10, 10, &i), -ERANGE);
    assert_int_equal(units_parse_i64("--1", -10, 10, &i), -EINVAL);
}

static void times(void **state) {
    (void)state;
    uint64_t ns;
    char text[64];
    assert_int_equal(units_parse_seconds("0.3", &ns), 0);
    assert_int_equal(ns, 300000000);
    assert_int_equal(units_parse_seconds("250ms", &ns), 0);
    assert_int_equal(ns, 250000000);
    assert_int_equal(units_parse_seconds("5m", &ns), 0);
    assert_true(ns == 300ull * UNITS_NS_PER_S);
    static const char *const bad[] = {"",    "0",   "-1",  "1x",  "s",     "1.2.3",
                                      "nan", "inf", "1e3", "0.0", "90000", "."};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (units_parse_seconds(bad[i], &ns) == 0)
            fail_msg("'%s' was taken", bad[i]);
    }
    units_format_duration(300000000, text, sizeof text);
    assert_string_equal(text, "0.3 s");
    units_format_duration(245ull * UNITS_NS_PER_S, text, sizeof text);
    assert_string_equal(text, "4:05 min");
    units_format_duration(3723ull * UNITS_NS_PER_S, text, sizeof text);
    assert_string_equal(text, "1:02:03 h");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_ranges),
        cmocka_unit_test(threads_refused),
        cmocka_unit_test(allocators_taken),
        cmocka_unit_test(allocators_refused),
        cmocka_unit_test(allocators_two_configurations),
        cmocka_unit_test(numbers),
        cmocka_unit_test(times),
    };
    return cmocka_run_group_tests_name("grammar", tests, NULL, NULL);
}
