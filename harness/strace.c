#include "harness/strace.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/program.h"
#include "harness/protocol.h"

static const char *const syscall_names[N_SYSCALL_NAMES] = {
    [SYSCALL_MMAP] = "mmap",       [SYSCALL_MUNMAP] = "munmap",           [SYSCALL_MREMAP] = "mremap",
    [SYSCALL_MADVISE] = "madvise", [SYSCALL_MPROTECT] = "mprotect",       [SYSCALL_BRK] = "brk",
    [SYSCALL_FUTEX] = "futex",     [SYSCALL_SCHED_YIELD] = "sched_yield",
};

void syscall_counts_clear(struct syscall_counts *c) {
    memset(c, 0xff, sizeof *c);
}

int strace_check(struct problem *p) {
    const char *const argv[] = {"strace", "-o", "/dev/null", "true", NULL};
    char nothing[64];
    int code = program_capture(argv, nothing, sizeof nothing);
    if (code == 0)
        return 0;
    return problem_set(p, ENOENT,
                       code == 127
                           ? "--syscalls: strace cannot be run; the Debian package that brings it is strace"
                           : "--syscalls: strace may not trace here; it needs ptrace");
}

int strace_open(struct strace *s, struct problem *p) {
    snprintf(s->trace, sizeof s->trace, "%s/heapdyno-strace.XXXXXX", P_tmpdir);
    int fd = mkstemp(s->trace);
    if (fd < 0)
        return problem_set(p, errno, "cannot make a file for strace in %s: %s", P_tmpdir, strerror(errno));
    close(fd);
    /* Numbers for arguments: lines are short, and nothing of the process's memory is read. */
    snprintf(s->command, sizeof s->command,
             "strace -f -q -e trace=all -e signal=none -e verbose=none -e raw=all -o %s", s->trace);
    return 0;
}

void strace_close(struct strace *s) {
    if (s->trace[0] != '\0')
        unlink(s->trace);
}

/* What the reader has seen. Threads that are out are those that wait at the gate before the measured phase or have
 * done their share, and main. */
struct trace {
    bool is_open, has_begun, has_ended;
    long outs[CELL_MAX_THREADS + 1];
    size_t n_outs;
    struct syscall_counts counts;
};

static size_t find_out(const struct trace *t, long tid) {
    size_t i = 0;
    while (i < t->n_outs && t->outs[i] != tid)
        i++;
    return i;
}

static void put_out(struct trace *t, long tid) {
    if (find_out(t, tid) == t->n_outs && t->n_outs < sizeof t->outs / sizeof t->outs[0])
        t->outs[t->n_outs++] = tid;
}

static void take_in(struct trace *t, long tid) {
    size_t i = find_out(t, tid);
    if (i < t->n_outs)
        t->outs[i] = t->outs[--t->n_outs];
}

static void take_mark(struct trace *t, long tid, unsigned long mark) {
    if (mark == MARK_IN) {
        take_in(t, tid);
        return;
    }
    put_out(t, tid);
    if (mark == MARK_BEGIN)
        t->is_open = t->has_begun = true;
    if (mark == MARK_END) {
        t->has_ended = t->is_open;
        t->is_open = false;
    }
}

static void count_call(struct trace *t, const char *name, size_t n) {
    t->counts.total++;
    for (size_t i = 0; i < N_SYSCALL_NAMES; i++)
        if (strlen(syscall_names[i]) == n && memcmp(syscall_names[i], name, n) == 0)
            t->counts.by_name[i]++;
}

/* "TID NAME(ARGUMENTS", whatever follows. A call that another thread's line interrupted is resumed on a line that
 * begins with "<...", signals and ends with "---" and "+++": they are no calls. */
static void take_line(struct trace *t, const char *line) {
    char *name;
    long tid = strtol(line, &name, 10);
    name += strspn(name, " ");
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    if (name == line || n == 0 || name[n] != '(')
        return;
    const char *arguments = name + n + 1;
    char *comma;
    if (n == 5 && memcmp(name, "prctl", 5) == 0 && strtoul(arguments, &comma, 0) == CELL_MARK_OPTION)
        take_mark(t, tid, *comma == ',' ? strtoul(comma + 1, NULL, 0) : 0);
    else if (t->is_open && find_out(t, tid) == t->n_outs)
        count_call(t, name, n);
}

int strace_parse(FILE *in, struct syscall_counts *out, struct problem *p) {
    struct trace t = {0};
    char *line = NULL;
    size_t line_bytes = 0;
    while (getline(&line, &line_bytes, in) > 0)
        take_line(&t, line);
    free(line);
    if (!t.has_ended)
        return problem_set(p, EBADMSG, "the trace of strace does not show the %s of the measured phase",
                           t.has_begun ? "end" : "beginning");
    *out = t.counts;
    return 0;
}

int strace_read(const struct strace *s, struct syscall_counts *out, struct problem *p) {
    FILE *in = fopen(s->trace, "re");
    if (in == NULL)
        return problem_set(p, EBADMSG, "the trace of strace cannot be read: %s", strerror(errno));
    int err = strace_parse(in, out, p);
    fclose(in);
    return err;
}
