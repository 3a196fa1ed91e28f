/* The window on a clock that says how long each reading of the counters took. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "harness/cell/window.c"

static uint64_t now_ns, step_ns;

uint64_t probe_now_ns(void) {
    return now_ns += step_ns;
}

void bell_ring(struct bell *b) {
    b->n_rings++;
}

static int state_after(uint64_t opening_step_ns, uint64_t closing_step_ns) {
    static struct worker worker;
    static struct slot slot;
    static struct run run;
    slot = (struct slot){.worker = &worker};
    run = (struct run){.slots = &slot, .cell.n_threads = 1};
    pthread_mutex_init(&run.window_lock, NULL);
    step_ns = opening_step_ns;
    window_enter(&run, &slot);
    assert_int_equal(run.bell.n_rings, 1); /* main counts the time from here, window or not */
    step_ns = closing_step_ns;
    window_close(&run);
    return run.window_state;
}

static void slow_readings_void_the_window(void **state) {
    (void)state;
    assert_int_equal(state_after(1000, 1000), WINDOW_CLOSED);
    assert_int_equal(state_after(1000000, 1000), WINDOW_VOID);
    assert_int_equal(state_after(1000, 1000000), WINDOW_VOID);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(slow_readings_void_the_window)};
    return cmocka_run_group_tests_name("cell_window", tests, NULL, NULL);
}
