/* The counters that tell a kill by the kernel from one by anybody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness/machine.h"

static void a_counter_is_found_by_its_whole_name(void **state) {
    (void)state;
    char path[] = "/tmp/heapdyno-machine-XXXXXX";
    FILE *out = fdopen(mkstemp(path), "w");
    assert_non_null(out);
    fputs("oom 7\noom_kill 3\noom_group_kill 5\nempty \n", out);
    assert_int_equal(fclose(out), 0);
    uint64_t n_kills = machine_counter(path, "oom_kill"), n_half = machine_counter(path, "oom_"),
             n_empty = machine_counter(path, "empty");
    unlink(path);
    assert_true(n_kills == 3);
    assert_true(n_half == UINT64_MAX);
    assert_true(n_empty == UINT64_MAX);
}

static void a_file_that_is_not_there_counts_nothing(void **state) {
    (void)state;
    assert_true(machine_counter("/nonexistent/memory.events", "oom_kill") == UINT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_counter_is_found_by_its_whole_name),
        cmocka_unit_test(a_file_that_is_not_there_counts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
