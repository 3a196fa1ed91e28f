/* The plan: what is in it, in which order, and what makes two cells the same. On a synthetic machine of 64
 * processing units, so that every host plans alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "harness/plan.h"

#define MAX_WORDS 32

struct planned {
    struct options o;
    struct topology t;
    struct plan plan;
    char *words[MAX_WORDS];
};

/* `line` is split at blanks. */
static void plan_line(struct planned *x, const char *line) {
    struct problem p = {{0}};
    int n = 0;
    char *copy = strdup(line);
    x->words[n++] = (char *)(uintptr_t) "run-bench";
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
        x->words[n++] = word;
    x->words[n] = NULL;
    if (options_parse(&x->o, n, x->words, &p) != 0)
        fail_msg("%s: %s", line, p.text);
    assert_int_equal(topology_open(&x->t, &p), 0);
    options_default_threads(&x->o, x->t.n_pus);
    assert_int_equal(plan_make(&x->plan, &x->o, &x->t, &p), 0);
    x->words[0] = copy;
}

static void plan_drop(struct planned *x) {
    plan_free(&x->plan);
    topology_close(&x->t);
    options_free(&x->o);
    free(x->words[0]);
}

static char *csv_of(const struct plan *plan) {
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    plan_write_csv(out, plan);
    fclose(out);
    return text;
}

#define SMALL "--threads 1..8 --allocators glibc,jemalloc --workloads malloc-test,larson --reps 3"

static void same_command_same_plan(void **state) {
    (void)state;
    struct planned a, b, c;
    plan_line(&a, SMALL);
    plan_line(&b, SMALL);
    plan_line(&c, SMALL " --seed 7");
    char *text_a = csv_of(&a.plan), *text_b = csv_of(&b.plan), *text_c = csv_of(&c.plan);
    assert_string_equal(text_a, text_b);
    assert_string_not_equal(text_a, text_c);
    free(text_a);
    free(text_b);
    free(text_c);
    plan_drop(&a);
    plan_drop(&b);
    plan_drop(&c);
}

static void blocks_are_complete(void **state) {
    (void)state;
    struct planned x;
    plan_line(&x, SMALL);
    size_t n = x.plan.n_identities;
    assert_int_equal(n, 2 * 2 * 4);
    assert_int_equal(x.plan.n_cells, n * 6);
    for (unsigned block = 0; block < 6; block++) {
        bool is_seen[16] = {false};
        for (size_t i = 0; i < n; i++) {
            const struct plan_cell *cell = &x.plan.cells[block * n + i];
            assert_int_equal(cell->block, block);
            assert_int_equal(cell->slot, i);
            assert_int_equal(cell->pass, block % 2 == 0 ? PASS_AUDIT : PASS_TIMED);
            assert_int_equal(cell->repetition, block / 2 + 1);
            assert_false(is_seen[cell->identity_idx]);
            is_seen[cell->identity_idx] = true;
        }
    }
    plan_drop(&x);
}

/* One block each after the repetitions, at the audits' operations; --audit-only leaves the timed blocks out, and
 * sharing the cells with one thread, instructions those with more. */
static void passes_besides_come_once_and_last(void **state) {
    static const enum cell_pass passes[] = {PASS_AUDIT, PASS_AUDIT, PASS_SYSCALLS, PASS_SHARING};
    struct planned x;
    (void)state;
    plan_line(
        &x, "--threads 1,2 --allocators glibc --workloads larson --reps 2 --audit-only --sharing --syscalls");
    assert_int_equal(x.plan.n_cells, 2 * 3 + 1);
    for (size_t i = 0; i < x.plan.n_cells; i++) {
        const struct plan_cell *cell = &x.plan.cells[i];
        assert_int_equal(cell->pass, passes[i / 2]);
        assert_int_equal(cell->repetition, i / 2 == 1 ? 2 : 1);
        assert_int_equal(cell->ops_total, 500000);
        assert_int_equal(cell->duration_ns, 0);
    }
    assert_int_equal(x.plan.cells[2 * 3].slots->n_threads, 2);
    plan_drop(&x);
    plan_line(&x, "--threads 1..4 --allocators glibc --workloads larson --reps 1 --audit-only --instructions "
                  "callgrind");
    assert_int_equal(x.plan.n_cells, 3 + 1);
    assert_int_equal(x.plan.cells[3].pass, PASS_INSTRUCTIONS);
    assert_int_equal(x.plan.cells[3].slots->n_threads, 1);
    plan_drop(&x);
}

static void blocks_are_shuffled_apart(void **state) {
    (void)state;
    struct planned x;
    plan_line(&x, SMALL);
    size_t n = x.plan.n_identities, n_same = 0, n_in_order = 0;
    for (size_t i = 0; i < n; i++) {
        n_same += x.plan.cells[n + i].identity_idx == x.plan.cells[2 * n + i].identity_idx;
        n_in_order += x.plan.cells[n + i].identity_idx == i;
    }
    assert_true(n_same < n / 2);
    assert_true(n_in_order < n / 2);
    plan_drop(&x);
}

/* With the 500,000 operations of its row a slot of 64 would not live to see a successor. */
static void audit_grows_with_the_threads_that_succeed(void **state) {
    struct planned x;
    (void)state;
    plan_line(&x, "--threads 1,64 --allocators glibc --workloads larson --reps 1");
    for (size_t i = 0; i < x.plan.n_cells; i++) {
        const struct plan_cell *cell = &x.plan.cells[i];
        if (cell->pass == PASS_AUDIT)
            assert_int_equal(cell->ops_total, cell->slots->n_threads == 64 ? 64 * 3 * 10000 : 500000);
    }
    plan_drop(&x);
}

/* An audit vouches for the repetitions of its identity: same allocator, workload, threads. */
static void audits_belong_to_their_cells(void **state) {
    (void)state;
    struct planned x;
    plan_line(&x, SMALL);
    for (size_t i = 0; i < x.plan.n_cells; i++) {
        for (size_t j = 0; j < x.plan.n_identities; j++) {
            const struct plan_cell *cell = &x.plan.cells[i], *audit = &x.plan.cells[j];
            bool is_same = cell->allocator == audit->allocator && cell->workload == audit->workload &&
                           cell->slots == audit->slots;
            assert_int_equal(is_same, cell->identity_idx == audit->identity_idx);
        }
    }
    plan_drop(&x);
}

static void seeds_are_the_same_for_every_allocator(void **state) {
    (void)state;
    struct planned x;
    plan_line(&x, SMALL);
    for (size_t i = 0; i < x.plan.n_cells; i++) {
        for (size_t j = 0; j < x.plan.n_cells; j++) {
            const struct plan_cell *a = &x.plan.cells[i], *b = &x.plan.cells[j];
            assert_int_equal(a->seed == b->seed,
                             a->workload == b->workload && a->repetition == b->repetition);
        }
    }
    plan_drop(&x);
}

static void first_id(const char *line, char out[PLAN_ID_BYTES]) {
    struct planned x;
    plan_line(&x, line);
    memcpy(out, x.plan.cells[0].cell_id, PLAN_ID_BYTES);
    plan_drop(&x);
}

/* Each part of the identity changes the id; what is not part of it does not. */
static void ids_follow_the_identity(void **state) {
    (void)state;
    static const char *const different[] = {
        "--threads 2 --allocators glibc --workloads larson",
        "--threads 4 --allocators glibc --workloads larson",
        "--threads 2 --allocators jemalloc --workloads larson",
        "--threads 2 --allocators glibc[A=1] --workloads larson",
        "--threads 2 --allocators glibc --workloads malloc-test",
        "--threads 2 --allocators glibc --workloads larson --param larson.min_bytes=9",
        "--threads 2 --allocators glibc --workloads larson --load preload",
        "--threads 2 --allocators glibc --workloads larson --placement compact",
    };
    static const char *const same[] = {
        "--threads 2 --allocators glibc --workloads larson --reps 7",
        "--threads 2 --allocators glibc --workloads larson --seed 9",
        "--threads 2 --allocators glibc --workloads larson --duration 3",
        "--threads 2 --allocators glibc --workloads larson --timeout 9",
    };
    enum { N = sizeof different / sizeof different[0] };
    char ids[N][PLAN_ID_BYTES], id[PLAN_ID_BYTES];
    for (size_t i = 0; i < N; i++) {
        first_id(different[i], ids[i]);
        assert_int_equal(strspn(ids[i], "0123456789abcdef"), 12);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(ids[i], ids[j]);
    }
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        first_id(same[i], id);
        assert_string_equal(id, ids[0]);
    }
}

static void durations_grow_with_threads(void **state) {
    (void)state;
    struct planned x;
    plan_line(&x, "--threads 8,15,16,64 --allocators glibc --workloads larson");
    for (size_t i = 0; i < x.plan.n_cells; i++) {
        const struct plan_cell *cell = &x.plan.cells[i];
        if (cell->pass == PASS_AUDIT) {
            assert_int_equal(cell->duration_ns, 0);
            assert_true(cell->ops_total > 0);
        } else {
            assert_int_equal(cell->duration_ns, cell->slots->n_threads < 16 ? 300000000 : 1000000000);
            assert_int_equal(cell->ops_total, 0);
        }
    }
    plan_drop(&x);
    plan_line(&x, "--threads 1 --allocators glibc --workloads larson --ops 1234");
    for (size_t i = 0; i < x.plan.n_cells; i++)
        assert_int_equal(x.plan.cells[i].ops_total, 1234);
    plan_drop(&x);
}

static void default_threads_reach_the_machine(void **state) {
    (void)state;
    struct planned x;
    plan_line(&x, "--allocators glibc --workloads larson");
    assert_int_equal(x.o.threads.n, 7);
    assert_int_equal(x.o.threads.counts[6], 64);
    plan_drop(&x);
}

int main(void) {
    setenv("HWLOC_SYNTHETIC", "pack:2 [numa] l3:4 core:4 pu:2", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_command_same_plan),
        cmocka_unit_test(blocks_are_complete),
        cmocka_unit_test(passes_besides_come_once_and_last),
        cmocka_unit_test(blocks_are_shuffled_apart),
        cmocka_unit_test(audit_grows_with_the_threads_that_succeed),
        cmocka_unit_test(audits_belong_to_their_cells),
        cmocka_unit_test(seeds_are_the_same_for_every_allocator),
        cmocka_unit_test(ids_follow_the_identity),
        cmocka_unit_test(durations_grow_with_threads),
        cmocka_unit_test(default_threads_reach_the_machine),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
