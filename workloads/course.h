/*
 * Courses: workloads of stages with a beginning and an end, for watching memory over time.
 *
 * Owns: the meeting point at which the threads of a course wait for each other, and its clock.
 * Does not know: what the stages are. Lock-free: a counter and a futex word.
 *
 * Only where course_is_on do threads meet and hold; elsewhere each goes through its stages at its own pace.
 */
#ifndef HEAPDYNO_COURSE_H
#define HEAPDYNO_COURSE_H

#include "workloads/workload.h"

struct course {
    _Alignas(WORKER_ALIGN_BYTES) _Atomic uint32_t n_arrived;
    _Atomic uint32_t n_meetings; /* a futex word */
};

static inline bool course_is_on(const struct worker *w) {
    return w->cell->is_course && w->ops_budget == UINT64_MAX;
}

/* Makes a course the cell's state. 0, or -ENOMEM after cell_fail. */
int course_create(struct cell *c);

/* Monotonic clock. */
uint64_t course_now_ns(void);

/* Sleeps until that time or, within 10 ms, the stop flag. Returns at once when the course is not on. */
void course_wait_until(const struct worker *w, uint64_t until_ns);

/* Waits until all slots are here, or the stop flag is up; then holds for hold_ms. Nothing when the course is
 * not on. Every slot must come to the same meetings. The course is the cell's state. */
void course_meet(const struct worker *w, int64_t hold_ms);

#endif
