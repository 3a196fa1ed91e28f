#include "workloads/course.h"

#include <errno.h>
#include <time.h>

#include "workloads/futex.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
#define SLICE_NS (10 * NS_PER_MS) /* between two looks at the stop flag */

static bool is_stopping(const struct worker *w) {
    return atomic_load_explicit(&w->cell->is_stopping, memory_order_relaxed);
}

int course_create(struct cell *c) {
    c->state = cell_scratch(c, sizeof(struct course), _Alignof(struct course));
    return c->state ? 0 : -ENOMEM;
}

uint64_t course_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

void course_wait_until(const struct worker *w, uint64_t until_ns) {
    while (course_is_on(w) && !is_stopping(w)) {
        uint64_t now_ns = course_now_ns();
        if (now_ns >= until_ns)
            return;
        uint64_t left_ns = until_ns - now_ns < SLICE_NS ? until_ns - now_ns : SLICE_NS;
        nanosleep(&(struct timespec){.tv_nsec = (long)left_ns}, NULL);
    }
}

/* The stop flag wakes nobody, so sleepers look for it now and then. */
static void wait_for_others(const struct worker *w, struct course *course, uint32_t seen) {
    while (atomic_load(&course->n_meetings) == seen && !is_stopping(w))
        futex_wait_for(&course->n_meetings, seen, SLICE_NS);
}

void course_meet(const struct worker *w, int64_t hold_ms) {
    struct course *course = w->cell->state;
    if (!course_is_on(w))
        return;
    uint32_t seen = atomic_load(&course->n_meetings);
    if (atomic_fetch_add(&course->n_arrived, 1) + 1 == w->cell->n_threads) {
        atomic_store(&course->n_arrived, 0);
        atomic_fetch_add(&course->n_meetings, 1);
        futex_wake(&course->n_meetings, CELL_MAX_THREADS);
    } else {
        wait_for_others(w, course, seen);
    }
    course_wait_until(w, course_now_ns() + (uint64_t)hold_ms * NS_PER_MS);
}
