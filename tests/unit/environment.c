/* What a measured process is given, and what it is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "harness/environment.h"

#define TLS "glibc.rtld.optional_static_tls=16384"

static const char *value_of(const struct environment *e, const char *name) {
    const char *found = NULL;
    size_t n = strlen(name);
    for (size_t i = 0; i < e->n; i++) {
        if (strncmp(e->variables[i], name, n) == 0 && e->variables[i][n] == '=') {
            assert_null(found); /* each name once */
            found = e->variables[i] + n + 1;
        }
    }
    return found;
}

static void only_what_is_known_passes(void **state) {
    (void)state;
    char *outside[] = {(char[]){"PATH=/bin"},
                       (char[]){"SECRET=1"},
                       (char[]){"LD_PRELOAD=/evil.so"},
                       (char[]){"MALLOC_CONF=x:y"},
                       (char[]){"LD_LIBRARY_PATH=/l"},
                       (char[]){"PATHOLOGY=1"},
                       NULL};
    struct environment e;
    struct problem p;
    assert_int_equal(environment_make(&e, outside, "", "", &p), 0);
    assert_string_equal(value_of(&e, "PATH"), "/bin");
    assert_string_equal(value_of(&e, "MALLOC_CONF"), "x:y");
    assert_string_equal(value_of(&e, "LD_LIBRARY_PATH"), "/l");
    assert_string_equal(value_of(&e, "GLIBC_TUNABLES"), TLS);
    assert_null(value_of(&e, "SECRET"));
    assert_null(value_of(&e, "PATHOLOGY"));
    assert_null(value_of(&e, "LD_PRELOAD"));
    assert_null(e.variables[e.n]);
    assert_int_equal(e.n, 4);
    environment_free(&e);
}

static void what_makes_another_measurement_is_described(void **state) {
    (void)state;
    char *outside[] = {(char[]){"PATH=/bin"}, (char[]){"MALLOC_CONF=x:y"},
                       (char[]){"HEAPDYNO_FLEET_CSV=mine.csv"}, (char[]){"HEAPDYNO_BUILD=build"}, NULL};
    char *text = environment_describe_ambient(outside);
    assert_non_null(text);
    assert_string_equal(text, "HEAPDYNO_FLEET_CSV=mine.csv;MALLOC_CONF=x:y");
    free(text);
    text = environment_describe_ambient(outside + 4);
    assert_non_null(text);
    assert_string_equal(text, "");
    free(text);
}

static void configuration_wins(void **state) {
    (void)state;
    char *outside[] = {(char[]){"MALLOC_CONF=x:y"}, NULL};
    struct environment e;
    struct problem p;
    assert_int_equal(environment_make(&e, outside, "MALLOC_CONF=tcache:false,a:b;OTHER=1", "/lib/x.so", &p),
                     0);
    assert_string_equal(value_of(&e, "MALLOC_CONF"), "tcache:false,a:b");
    assert_string_equal(value_of(&e, "OTHER"), "1");
    assert_string_equal(value_of(&e, "LD_PRELOAD"), "/lib/x.so");
    environment_free(&e);
}

static void tunables_are_merged(void **state) {
    (void)state;
    char *outside[] = {(char[]){"GLIBC_TUNABLES=glibc.malloc.arena_max=1"}, NULL};
    struct environment e;
    struct problem p;
    assert_int_equal(environment_make(&e, outside, "", "", &p), 0);
    assert_string_equal(value_of(&e, "GLIBC_TUNABLES"), "glibc.malloc.arena_max=1:" TLS);
    environment_free(&e);
    assert_int_equal(environment_make(&e, outside, "GLIBC_TUNABLES=glibc.malloc.tcache_count=0", "", &p), 0);
    assert_string_equal(value_of(&e, "GLIBC_TUNABLES"), "glibc.malloc.tcache_count=0:" TLS);
    environment_free(&e);
    assert_int_equal(
        environment_make(&e, outside, "GLIBC_TUNABLES=glibc.rtld.optional_static_tls=99", "", &p), 0);
    assert_string_equal(value_of(&e, "GLIBC_TUNABLES"), "glibc.rtld.optional_static_tls=99");
    environment_free(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_known_passes),
        cmocka_unit_test(what_makes_another_measurement_is_described),
        cmocka_unit_test(configuration_wins),
        cmocka_unit_test(tunables_are_merged),
    };
    return cmocka_run_group_tests_name("environment", tests, NULL, NULL);
}
