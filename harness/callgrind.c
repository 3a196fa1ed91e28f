#include "harness/callgrind.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/program.h"

int callgrind_check(struct problem *p) {
    const char *const argv[] = {"valgrind", "--version", NULL};
    char version[64];
    if (program_capture(argv, version, sizeof version) == 0)
        return 0;
    return problem_set(
        p, ENOENT,
        "--instructions callgrind: valgrind cannot be run; the Debian package that brings it is "
        "valgrind");
}

int callgrind_open(struct callgrind *c, struct problem *p) {
    snprintf(c->profile, sizeof c->profile, "%s/heapdyno-callgrind.XXXXXX", P_tmpdir);
    int fd = mkstemp(c->profile);
    if (fd < 0)
        return problem_set(p, errno, "cannot make a file for callgrind in %s: %s", P_tmpdir, strerror(errno));
    close(fd);
    /* One position a line and whole names: the profile then needs no dictionary to be read. */
    snprintf(c->command, sizeof c->command,
             "valgrind -q --tool=callgrind --instr-atstart=no --compress-strings=no --compress-pos=no "
             "--dump-line=no --callgrind-out-file=%s",
             c->profile);
    return 0;
}

void callgrind_close(struct callgrind *c) {
    if (c->profile[0] != '\0')
        unlink(c->profile);
}

/* What the reader has seen: `ob=`, `cob=` and `cfn=` hold for the lines that follow. */
struct profile {
    const char *program;
    bool is_libc_subject;
    char object[4096], called_object[4096], called_function[4096];
    bool is_call;       /* the next line of costs is of a call */
    uint64_t sum;       /* of all own costs */
    uint64_t harness;   /* of the program's own */
    uint64_t its_calls; /* of the program's calls to libc that are no allocations */
    uint64_t total;     /* by callgrind */
    bool has_total;
};

static void take_name(char *where, size_t where_bytes, const char *name) {
    snprintf(where, where_bytes, "%s", name);
}

static bool is_libc(const char *object) {
    const char *slash = strrchr(object, '/');
    return strncmp(slash != NULL ? slash + 1 : object, "libc.so", 7) == 0 ||
           strncmp(slash != NULL ? slash + 1 : object, "libc-", 5) == 0;
}

static bool is_allocation(const char *function) {
    return strstr(function, "alloc") != NULL || strstr(function, "free") != NULL ||
           strstr(function, "memalign") != NULL;
}

/* A call of the program that is its own affair: into libc, and not to allocate by libc's malloc. */
static bool is_own_call(const struct profile *f) {
    return strcmp(f->object, f->program) == 0 && is_libc(f->called_object) &&
           !(f->is_libc_subject && is_allocation(f->called_function));
}

/* "<position> <cost>" */
static void take_cost(struct profile *f, const char *line) {
    const char *blank = strchr(line, ' ');
    uint64_t cost = blank != NULL ? strtoull(blank + 1, NULL, 10) : 0;
    if (f->is_call) {
        f->its_calls += is_own_call(f) ? cost : 0;
        f->is_call = false;
        return;
    }
    f->sum += cost;
    f->harness += strcmp(f->object, f->program) == 0 ? cost : 0;
}

static void take_line(struct profile *f, const char *line) {
    if (strncmp(line, "ob=", 3) == 0) {
        take_name(f->object, sizeof f->object, line + 3);
    } else if (strncmp(line, "cob=", 4) == 0) {
        take_name(f->called_object, sizeof f->called_object, line + 4);
    } else if (strncmp(line, "cfn=", 4) == 0) {
        take_name(f->called_function, sizeof f->called_function, line + 4);
    } else if (strncmp(line, "calls=", 6) == 0) {
        f->is_call = true;
    } else if (strncmp(line, "totals: ", 8) == 0) {
        f->total = strtoull(line + 8, NULL, 10);
        f->has_total = true;
    } else if (line[0] >= '0' && line[0] <= '9') {
        take_cost(f, line);
        f->called_object[0] = '\0'; /* without cob= the callee is in the caller's object */
    }
}

int callgrind_parse(FILE *in, const char *program, bool is_libc_subject, struct callgrind_counts *out,
                    struct problem *p) {
    struct profile f = {.program = program, .is_libc_subject = is_libc_subject};
    char *line = NULL;
    size_t line_bytes = 0;
    ssize_t n;
    while ((n = getline(&line, &line_bytes, in)) > 0) {
        if (line[n - 1] == '\n')
            line[n - 1] = '\0';
        take_line(&f, line);
    }
    free(line);
    if (!f.has_total || f.total == 0)
        return problem_set(p, EBADMSG, "callgrind counted nothing");
    if (f.sum != f.total || f.harness + f.its_calls > f.total)
        return problem_set(p, EBADMSG, "the profile of callgrind does not add up: %" PRIu64 " of %" PRIu64,
                           f.sum, f.total);
    *out = (struct callgrind_counts){f.total, f.total - f.harness - f.its_calls};
    return 0;
}

int callgrind_read(const struct callgrind *c, const char *program, bool is_libc_subject,
                   struct callgrind_counts *out, struct problem *p) {
    FILE *in = fopen(c->profile, "re");
    if (in == NULL)
        return problem_set(p, EBADMSG, "the profile of callgrind cannot be read: %s", strerror(errno));
    int err = callgrind_parse(in, program, is_libc_subject, out, p);
    fclose(in);
    return err;
}
