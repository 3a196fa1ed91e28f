#include "harness/instruments.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void note_missing_counters(FILE *notices) {
    struct perf_event_attr attr = {
        .type = PERF_TYPE_HARDWARE,
        .size = sizeof attr,
        .config = PERF_COUNT_HW_INSTRUCTIONS,
        .exclude_kernel = 1,
        .exclude_hv = 1,
    };
    int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (fd >= 0) {
        close(fd);
        return;
    }
    const char *mend = errno == EACCES || errno == EPERM ? "; see /proc/sys/kernel/perf_event_paranoid"
                                                         : "; --instructions callgrind needs none";
    fprintf(
        notices,
        "run-bench: --instructions perf: the processor's counters cannot be read (%s): instructions, cycles, "
        "cache_misses, dtlb_misses stay empty%s\n",
        strerror(errno), mend);
}

int instruments_check(const struct options *o, FILE *notices, struct problem *p) {
    int err = membind_check(&o->membind, p);
    if (err == 0 && o->instrument == INSTRUMENT_CALLGRIND)
        err = callgrind_check(p);
    if (err == 0 && o->has_syscalls)
        err = strace_check(p);
    if (err == 0 && o->instrument == INSTRUMENT_PERF)
        note_missing_counters(notices);
    return err;
}

int instruments_open(struct instruments *x, const struct options *o, enum cell_pass pass, struct problem *p) {
    *x = (struct instruments){.wrap = o->wrap, .slowdown = 1};
    if (pass == PASS_INSTRUCTIONS) {
        x->wrap = x->counter.command;
        x->slowdown = CALLGRIND_SLOWDOWN;
        return callgrind_open(&x->counter, p);
    }
    if (pass == PASS_SYSCALLS) {
        x->wrap = x->tracer.command;
        x->slowdown = STRACE_SLOWDOWN;
        return strace_open(&x->tracer, p);
    }
    return 0;
}

void instruments_close(struct instruments *x) {
    callgrind_close(&x->counter);
    strace_close(&x->tracer);
}
