#include "harness/cell/counters.h"

#include <linux/perf_event.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness/cell/scratch.h"

#define CACHE_EVENT(cache, op, result) ((cache) | (op) << 8 | (result) << 16)

static const struct {
    uint32_t type;
    uint64_t config;
} events[N_COUNTERS] = {
    [COUNTER_INSTRUCTIONS] = {PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
    [COUNTER_CYCLES] = {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
    [COUNTER_CACHE_MISSES] = {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES},
    [COUNTER_DTLB_MISSES] = {PERF_TYPE_HW_CACHE,
                             CACHE_EVENT(PERF_COUNT_HW_CACHE_DTLB, PERF_COUNT_HW_CACHE_OP_READ,
                                         PERF_COUNT_HW_CACHE_RESULT_MISS)},
};

static int open_event(enum counter which, int32_t tid) {
    struct perf_event_attr attr = {
        .type = events[which].type,
        .size = sizeof attr,
        .config = events[which].config,
        .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
        .inherit = 1,
        .exclude_kernel = 1,
        .exclude_hv = 1,
    };
    return (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/* Four descriptors a thread: more than the usual soft limit when there are many. */
static void allow_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

void counters_open(struct counters *c, const int32_t *tids, unsigned n_threads) {
    c->fds = scratch_alloc((size_t)n_threads * N_COUNTERS * sizeof *c->fds, sizeof *c->fds);
    c->n_threads = c->fds ? n_threads : 0;
    allow_descriptors();
    for (unsigned i = 0; i < c->n_threads; i++)
        for (unsigned which = 0; which < N_COUNTERS; which++)
            c->fds[i * N_COUNTERS + which] = open_event((enum counter)which, tids[i]);
}

/* Closes the event. False: there is no value that may be believed. */
static bool take_value(int fd, uint64_t *value) {
    struct {
        uint64_t value, enabled_ns, running_ns;
    } reading;
    if (fd < 0)
        return false;
    ssize_t n = read(fd, &reading, sizeof reading);
    close(fd);
    *value = reading.value;
    return n == (ssize_t)sizeof reading && reading.running_ns > 0 && reading.running_ns == reading.enabled_ns;
}

void counters_read(struct counters *c) {
    for (unsigned which = 0; which < N_COUNTERS; which++) {
        bool is_measured = c->n_threads > 0;
        uint64_t sum = 0, value = 0;
        for (unsigned i = 0; i < c->n_threads; i++) {
            is_measured = take_value(c->fds[i * N_COUNTERS + which], &value) && is_measured;
            sum += value;
        }
        c->values[which] = is_measured ? sum : UINT64_MAX;
    }
}
