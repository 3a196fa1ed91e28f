/* Open loop, on a clock that the test turns: arrivals keep to their schedule whatever a transaction takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>
#include <time.h>

#include "harness/cell/schedule.c"

#define MS UINT64_C(1000000)
#define MAX_NOTES 5000

/* The world of one slot. */
static struct {
    uint64_t now_ns, stop_ns, n_runs, service_ns;
    uint64_t stall_run, stall_ns; /* this run takes longer */
    struct cell cell;
    uint64_t notes[LATENCY_N_OPS][MAX_NOTES];
    size_t n_notes[LATENCY_N_OPS];
} world;

static void turn_clock(uint64_t ns) {
    world.now_ns += ns;
    if (world.now_ns >= world.stop_ns)
        atomic_store(&world.cell.is_stopping, true);
}

/* A reading takes its time, or waiting awake would never end. */
uint64_t probe_now_ns(void) {
    turn_clock(10);
    return world.now_ns;
}

int nanosleep(const struct timespec *requested, struct timespec *left) {
    (void)left;
    turn_clock((uint64_t)requested->tv_sec * 1000 * MS + (uint64_t)requested->tv_nsec);
    return 0;
}

void latency_note_ns(enum latency_op op, uint64_t ns) {
    assert_true(world.n_notes[op] < MAX_NOTES);
    world.notes[op][world.n_notes[op]++] = ns;
}

static enum run_result run_stub(struct worker *w) {
    turn_clock(++world.n_runs == world.stall_run ? world.stall_ns : world.service_ns);
    atomic_store(&w->ops, w->ops_budget);
    return RUN_DONE;
}

static enum run_result run_with_successors(struct worker *w) {
    uint64_t done = atomic_load(&w->ops) + 1;
    atomic_store(&w->ops, done);
    turn_clock(world.service_ns);
    return done < w->ops_budget ? RUN_SUCCEED : RUN_DONE;
}

static void begin(struct cell_spec *spec, struct worker *w, uint64_t rate_per_s, uint64_t ops) {
    memset(&world, 0, sizeof world);
    world.stop_ns = UINT64_MAX;
    world.now_ns = 1000 * MS;
    world.service_ns = MS / 100;
    *spec = (struct cell_spec){
        .n_threads = 1, .seed = 3, .rate_per_s = rate_per_s, .transaction_ops = 10, .is_fixed_rate = 1};
    *w = (struct worker){.cell = &world.cell, .ops_budget = ops};
}

/* 1000 a second, each 10 us, one of them 500 ms: five hundred come meanwhile, and each has waited since it was due. A
 * load that waits for an answer before it asks again would have told of one. */
static void a_stall_is_felt_by_all_that_were_due_in_it(void **state) {
    struct cell_spec spec;
    struct worker w;
    struct schedule s = {0};
    size_t n_slow = 0, n_slow_service = 0;
    (void)state;
    begin(&spec, &w, 1000, 20000);
    world.stall_run = 700;
    world.stall_ns = 500 * MS;
    assert_int_equal(schedule_serve(&s, &spec, &w, run_stub), RUN_DONE);
    assert_int_equal(world.n_runs, 2000);
    assert_int_equal(s.n_due, 2000);
    assert_int_equal(s.n_missed, 0);
    for (size_t i = 0; i < 2000; i++) {
        n_slow += world.notes[LATENCY_TRANSACTION][i] > MS;
        n_slow_service += world.notes[LATENCY_SERVICE][i] > MS;
    }
    assert_int_equal(n_slow_service, 1);
    assert_in_range(n_slow, 499, 510);
    assert_in_range(s.n_late, 499, 510);
    assert_in_range(world.notes[LATENCY_TRANSACTION][700], 499 * MS, 500 * MS);
    assert_in_range(world.notes[LATENCY_TRANSACTION][949], 250 * MS, 254 * MS);
}

/* Twice what can be served: half of what is due by the end is missed, and counts with the time it has waited. */
static void what_is_missed_counts(void **state) {
    struct cell_spec spec;
    struct worker w;
    struct schedule s = {0};
    uint64_t longest = 0;
    (void)state;
    begin(&spec, &w, 1000, UINT64_MAX);
    world.service_ns = 2 * MS;
    world.stop_ns = world.now_ns + 1000 * MS;
    assert_int_equal(schedule_serve(&s, &spec, &w, run_stub), RUN_DONE);
    assert_in_range(s.n_due, 998, 1002);
    assert_in_range(s.n_missed, 495, 505);
    assert_int_equal(world.n_notes[LATENCY_TRANSACTION], s.n_due);
    for (size_t i = 0; i < world.n_notes[LATENCY_TRANSACTION]; i++)
        longest =
            world.notes[LATENCY_TRANSACTION][i] > longest ? world.notes[LATENCY_TRANSACTION][i] : longest;
    assert_in_range(longest, 480 * MS, 510 * MS);
}

static void an_idle_schedule_is_not_late(void **state) {
    struct cell_spec spec;
    struct worker w;
    struct schedule s = {0};
    (void)state;
    begin(&spec, &w, 100, 1005);
    assert_int_equal(schedule_serve(&s, &spec, &w, run_stub), RUN_DONE);
    assert_int_equal(atomic_load(&w.ops), 1005); /* the last transaction has what is left */
    assert_int_equal(s.n_due, 101);
    assert_int_equal(s.n_late, 0);
    for (size_t i = 0; i < 101; i++)
        assert_in_range(world.notes[LATENCY_DELAY][i], 0, MS / 10);
}

/* A transaction in which the thread is succeeded goes on, and has one time. */
static void a_successor_goes_on(void **state) {
    struct cell_spec spec;
    struct worker w;
    struct schedule s = {0};
    size_t n_successors = 0;
    (void)state;
    begin(&spec, &w, 1000, 100);
    while (schedule_serve(&s, &spec, &w, run_with_successors) == RUN_SUCCEED)
        n_successors++;
    assert_int_equal(n_successors, 90);
    assert_int_equal(s.n_due, 10);
    assert_int_equal(world.n_notes[LATENCY_TRANSACTION], 10);
    assert_int_equal(w.ops_budget, 100);
}

static void arrivals_are_exponential(void **state) {
    enum { N = 200000 };
    static const double quantiles[] = {0.1, 0.5, 0.9, 0.99};
    size_t n_below[4] = {0};
    double sum = 0, squares = 0;
    struct prng g;
    (void)state;
    prng_seed(&g, 11, 0);
    for (size_t i = 0; i < N; i++) {
        double x = schedule_draw_exponential(&g);
        sum += x;
        squares += x * x;
        for (size_t k = 0; k < 4; k++)
            n_below[k] += x < -log(1 - quantiles[k]);
    }
    assert_true(fabs(sum / N - 1) < 0.01);
    assert_true(fabs(squares / N - 2) < 0.05);
    for (size_t k = 0; k < 4; k++)
        assert_true(fabs((double)n_below[k] / N - quantiles[k]) < 0.005);
}

/* The same seed, the same schedule, whoever is measured; over the threads it adds up to the rate. */
static void a_schedule_depends_on_seed_and_slot_alone(void **state) {
    struct cell_spec spec;
    struct worker w;
    uint64_t due_ns[2];
    size_t n_due = 0;
    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        struct schedule s = {0};
        begin(&spec, &w, 1000, 2000);
        spec.is_fixed_rate = 0;
        world.service_ns = turn == 0 ? MS / 100 : 3 * MS;
        schedule_serve(&s, &spec, &w, run_stub);
        due_ns[turn] = s.due_ns;
    }
    assert_true(due_ns[0] == due_ns[1]);
    for (unsigned slot = 0; slot < 4; slot++) {
        struct schedule s = {0};
        begin(&spec, &w, 1000, UINT64_MAX);
        spec.is_fixed_rate = 0;
        spec.n_threads = 4;
        w.idx = slot;
        world.stop_ns = world.now_ns + 3000 * MS;
        schedule_serve(&s, &spec, &w, run_stub);
        n_due += s.n_due;
    }
    assert_in_range(n_due, 2800, 3200);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stall_is_felt_by_all_that_were_due_in_it),
        cmocka_unit_test(what_is_missed_counts),
        cmocka_unit_test(an_idle_schedule_is_not_late),
        cmocka_unit_test(a_successor_goes_on),
        cmocka_unit_test(arrivals_are_exponential),
        cmocka_unit_test(a_schedule_depends_on_seed_and_slot_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
