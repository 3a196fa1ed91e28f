#include "harness/instruments.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness/callgrind.h"
#include "harness/strace.h"

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
