/* The table of workloads is sound, its names are found, and parameters are what --param may set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "workloads/workload.h"

static void the_table_is_sound(void **state) {
    (void)state;
    char why[ALLOCATOR_WHY_MAX] = "";
    if (workload_table_check(why, sizeof why) != 0)
        fail_msg("%s", why);
}

static void every_row_is_found_by_its_name(void **state) {
    (void)state;
    for (const struct workload *const *w = workload_table; *w; w++)
        assert_ptr_equal(workload_find((*w)->name), *w);
    assert_null(workload_find("no-such-workload"));
    assert_null(workload_find(""));
}

static bool is_in_group(const struct workload *w, const char *group) {
    char groups[256];
    snprintf(groups, sizeof groups, "%s", w->groups);
    for (char *rest = groups, *g; (g = strsep(&rest, ",")) != NULL;)
        if (strcmp(g, group) == 0)
            return true;
    return false;
}

static void the_groups_hold_what_a_sweep_expects(void **state) {
    (void)state;
    static const char *const core[] = {"malloc-test", "larson", "false-sharing-active",
                                       "false-sharing-passive", "prodcons"};
    unsigned n_sharing = 0;
    for (size_t i = 0; i < sizeof core / sizeof *core; i++)
        assert_true(is_in_group(workload_find(core[i]), "core"));
    for (const struct workload *const *w = workload_table; *w; w++) {
        n_sharing += is_in_group(*w, "false-sharing");
        if ((*w)->flags & WORKLOAD_REFERENCE)
            assert_false(is_in_group(*w, "core"));
    }
    assert_int_equal(n_sharing, 4);
}

static void streams_of_the_generator_differ_and_repeat(void **state) {
    (void)state;
    struct prng a, b, again;
    prng_seed(&a, 42, 0);
    prng_seed(&b, 42, 1);
    prng_seed(&again, 42, 0);
    unsigned n_equal = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = prng_next(&a);
        assert_int_equal(x, prng_next(&again));
        n_equal += x == prng_next(&b);
        assert_true(prng_below(&a, 10) < 10);
        prng_below(&again, 10);
    }
    assert_int_equal(n_equal, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(every_row_is_found_by_its_name),
        cmocka_unit_test(the_groups_hold_what_a_sweep_expects),
        cmocka_unit_test(streams_of_the_generator_differ_and_repeat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
