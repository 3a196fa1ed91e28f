/* What is offered to somebody who wrote a word that is not known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "harness/nearest.h"

static const char *const names[] = {"larson",  "pair",    "prodcons", "phong", "robson",
                                    "t-test1", "t-test2", "core",     NULL};

static const char *hint_for(const char *written) {
    static struct nearest near;
    nearest_start(&near, written);
    for (const char *const *name = names; *name != NULL; name++)
        nearest_offer(&near, *name);
    return nearest_hint(&near);
}

static void one_slip_is_forgiven(void **state) {
    (void)state;
    assert_string_equal(hint_for("larsen"), " (did you mean larson?)");  /* exchanged */
    assert_string_equal(hint_for("lason"), " (did you mean larson?)");   /* left out */
    assert_string_equal(hint_for("larrson"), " (did you mean larson?)"); /* too many */
    assert_string_equal(hint_for("lasron"), " (did you mean larson?)");  /* swapped */
    assert_string_equal(hint_for("apir"), " (did you mean pair?)");
    assert_string_equal(hint_for("prodcon"), " (did you mean prodcons?)");
    assert_string_equal(hint_for("ttest2"), " (did you mean t-test2?)");
}

static void what_is_far_or_absurd_has_no_hint(void **state) {
    (void)state;
    static const char *const far[] = {"", "x", "nosuch", "pa", "malloc", "pirate", "cores-and-more"};
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++)
        assert_string_equal(hint_for(far[i]), "");
    char endless[4 * NEAREST_WORD_MAX];
    memset(endless, 'a', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    assert_string_equal(hint_for(endless), "");
}

static void the_nearest_wins_and_of_equals_the_first(void **state) {
    (void)state;
    assert_string_equal(hint_for("t-test3"), " (did you mean t-test1?)");
    assert_string_equal(hint_for("lobson"), " (did you mean robson?)");
}

static void a_long_name_is_not_cut_off(void **state) {
    (void)state;
    struct nearest near;
    char name[NEAREST_WORD_MAX + 1], written[NEAREST_WORD_MAX + 1];
    memset(name, 'n', sizeof name);
    name[NEAREST_WORD_MAX - 1] = '\0'; /* the longest that is searched */
    strcpy(written, name);
    written[0] = 'm';
    nearest_start(&near, written);
    nearest_offer(&near, name);
    assert_non_null(strstr(nearest_hint(&near), name));
    assert_non_null(strstr(nearest_hint(&near), "?)"));
    name[NEAREST_WORD_MAX - 1] = 'n';
    name[NEAREST_WORD_MAX] = '\0';
    nearest_start(&near, written);
    nearest_offer(&near, name);
    assert_string_equal(nearest_hint(&near), "");
}

static void a_refusal_lists_what_is_allowed(void **state) {
    (void)state;
    struct problem p = {{0}};
    const char *const allowed[] = {"dlopen", "preload", NULL};
    assert_int_equal(nearest_refuse("prelaod", allowed, &p), -EINVAL);
    assert_string_equal(p.text, "allowed are dlopen, preload (did you mean preload?)");
    assert_int_equal(nearest_refuse("x", allowed, &p), -EINVAL);
    assert_string_equal(p.text, "allowed are dlopen, preload");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_slip_is_forgiven),
        cmocka_unit_test(what_is_far_or_absurd_has_no_hint),
        cmocka_unit_test(the_nearest_wins_and_of_equals_the_first),
        cmocka_unit_test(a_long_name_is_not_cut_off),
        cmocka_unit_test(a_refusal_lists_what_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
