/* Placement on a machine of 2 packages, 32 cores, 64 units; binding on this one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/topology.h"

#define SYNTHETIC "pack:2 [numa] l3:4 core:4 pu:2"
#define MAX_THREADS 130

static void open_synthetic(struct topology *t, const char *what) {
    struct problem p;
    setenv("HWLOC_SYNTHETIC", what, 1);
    assert_int_equal(topology_open(t, &p), 0);
    unsetenv("HWLOC_SYNTHETIC");
}

static void synthetic_is_not_this_system(void **state) {
    (void)state;
    struct topology t;
    struct problem p;
    open_synthetic(&t, SYNTHETIC);
    assert_false(t.is_thissystem);
    assert_int_equal(t.n_pus, 64);
    assert_int_equal(t.n_cores, 32);
    assert_int_equal(t.n_packages, 2);
    topology_close(&t);
    assert_int_equal(topology_open(&t, &p), 0);
    assert_true(t.is_thissystem);
    topology_close(&t);
}

/* With 2 units a core, core c has units 2c and 2c+1. */
static void cores_first_then_siblings(void **state) {
    (void)state;
    struct topology t;
    unsigned pus[MAX_THREADS];
    open_synthetic(&t, SYNTHETIC);
    assert_int_equal(topology_place(&t, PLACEMENT_CORES, 64, pus), 1);
    for (unsigned i = 0; i < 32; i++) {
        assert_int_equal(pus[i], 2 * i);
        assert_int_equal(pus[32 + i], 2 * i + 1);
    }
    topology_close(&t);
}

static void compact_keeps_siblings_together(void **state) {
    (void)state;
    struct topology t;
    unsigned pus[MAX_THREADS];
    open_synthetic(&t, SYNTHETIC);
    assert_int_equal(topology_place(&t, PLACEMENT_COMPACT, 64, pus), 1);
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(pus[i], i);
    topology_close(&t);
}

static void scatter_spreads(void **state) {
    (void)state;
    struct topology t;
    unsigned pus[MAX_THREADS];
    open_synthetic(&t, SYNTHETIC);
    assert_int_equal(topology_place(&t, PLACEMENT_SCATTER, 2, pus), 1);
    assert_int_not_equal(pus[0] / 32, pus[1] / 32); /* a package each */
    assert_int_equal(topology_place(&t, PLACEMENT_SCATTER, 8, pus), 1);
    bool is_used[8] = {false};
    for (unsigned i = 0; i < 8; i++) { /* an L3 each: 8 units share one */
        assert_false(is_used[pus[i] / 8]);
        is_used[pus[i] / 8] = true;
    }
    topology_close(&t);
}

/* Whatever the placement, no unit is used twice before all are used once, and beyond it goes round. */
static void units_are_used_evenly(void **state) {
    (void)state;
    static const enum placement placements[] = {PLACEMENT_CORES, PLACEMENT_COMPACT, PLACEMENT_SCATTER};
    struct topology t;
    open_synthetic(&t, SYNTHETIC);
    for (size_t k = 0; k < 3; k++) {
        for (unsigned n = 1; n <= MAX_THREADS; n++) {
            unsigned pus[MAX_THREADS], n_uses[64] = {0};
            assert_int_equal(topology_place(&t, placements[k], n, pus), 1);
            for (unsigned i = 0; i < n; i++) {
                assert_true(pus[i] < 64);
                n_uses[pus[i]]++;
                if (i >= 64)
                    assert_int_equal(pus[i], pus[i - 64]);
            }
            for (unsigned u = 0; u < 64; u++)
                assert_true(n_uses[u] <= (n + 63) / 64);
        }
    }
    topology_close(&t);
}

static void cores_is_nested(void **state) {
    (void)state;
    struct topology t;
    unsigned small[MAX_THREADS], large[MAX_THREADS];
    open_synthetic(&t, SYNTHETIC);
    topology_place(&t, PLACEMENT_CORES, MAX_THREADS, large);
    for (unsigned n = 1; n < MAX_THREADS; n++) {
        topology_place(&t, PLACEMENT_CORES, n, small);
        assert_memory_equal(small, large, n * sizeof small[0]);
    }
    topology_close(&t);
}

static void none_places_nothing(void **state) {
    (void)state;
    struct topology t;
    unsigned pus[1] = {77};
    open_synthetic(&t, SYNTHETIC);
    assert_int_equal(topology_place(&t, PLACEMENT_NONE, 1, pus), 0);
    assert_int_equal(pus[0], 77);
    topology_close(&t);
}

/* Four siblings a core, and a machine without cores in its description. */
static void other_shapes(void **state) {
    (void)state;
    struct topology t;
    unsigned pus[8];
    static const unsigned wanted[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    open_synthetic(&t, "core:2 pu:4");
    assert_int_equal(topology_place(&t, PLACEMENT_CORES, 8, pus), 1);
    assert_memory_equal(pus, wanted, sizeof wanted);
    topology_close(&t);
    open_synthetic(&t, "pu:4");
    assert_int_equal(topology_place(&t, PLACEMENT_CORES, 4, pus), 1);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pus[i], i);
    topology_close(&t);
}

static void binding_is_real(void **state) {
    (void)state;
    struct topology t;
    struct problem p = {{0}};
    cpu_set_t before, bound;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    assert_int_equal(topology_open(&t, &p), 0);
    unsigned pu = t.cores_order[t.n_pus - 1];
    assert_int_equal(topology_bind_tid(&t, gettid(), pu, &p), 0);
    assert_int_equal(sched_getaffinity(0, sizeof bound, &bound), 0);
    assert_int_equal(CPU_COUNT(&bound), 1);
    assert_true(CPU_ISSET(pu, &bound));
    sched_setaffinity(0, sizeof before, &before);
    assert_true(topology_bind_tid(&t, gettid(), 4000, &p) < 0); /* no such unit */
    assert_non_null(strstr(p.text, "4000"));
    assert_int_equal(topology_bind_tid(&t, 0x3fffffff, pu, &p), -ESRCH); /* no such thread */
    topology_close(&t);
}

/* What taskset forbids is not planned with. */
static void mask_is_respected(void **state) {
    (void)state;
    struct topology t;
    struct problem p;
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    int cpu = CPU_SETSIZE - 1;
    while (!CPU_ISSET(cpu, &before))
        cpu--;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(topology_open(&t, &p), 0);
    sched_setaffinity(0, sizeof before, &before);
    assert_int_equal(t.n_pus, 1);
    assert_int_equal(t.cores_order[0], cpu);
    topology_close(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(synthetic_is_not_this_system),
        cmocka_unit_test(cores_first_then_siblings),
        cmocka_unit_test(compact_keeps_siblings_together),
        cmocka_unit_test(scatter_spreads),
        cmocka_unit_test(units_are_used_evenly),
        cmocka_unit_test(cores_is_nested),
        cmocka_unit_test(none_places_nothing),
        cmocka_unit_test(other_shapes),
        cmocka_unit_test(binding_is_real),
        cmocka_unit_test(mask_is_respected),
    };
    return cmocka_run_group_tests_name("topology", tests, NULL, NULL);
}
