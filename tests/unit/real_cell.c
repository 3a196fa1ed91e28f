#include "tests/unit/real_cell.h"

#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ThreadSanitizer does not see the locks of a libc that it does not intercept, and takes the reuse of a block for a
 * race; it sees the pthread lock of the sound fixture. */
#ifdef __SANITIZE_THREAD__
#define IS_LIBC_OPAQUE 1
#else
#define IS_LIBC_OPAQUE 0
#endif

#define PATIENCE_MS 120000 /* a cell that is silent for so long hangs */

struct answer answer;

const char *build_dir(void) {
    const char *dir = getenv("HEAPDYNO_BUILD");
    return dir ? dir : "build";
}

struct order make_order(const char *allocator, const char *workload, enum cell_pass pass,
                        unsigned n_threads) {
    struct order o = {.cell = "cell"};
    struct cell_spec *s = &o.spec;
    s->header = (struct cell_header){CELL_MAGIC, CELL_VERSION, MSG_SPEC, sizeof *s};
    snprintf(s->allocator, sizeof s->allocator, "%s", allocator);
    snprintf(s->workload, sizeof s->workload, "%s", workload);
    snprintf(s->tree_dir, sizeof s->tree_dir, "%s", build_dir());
    s->pass = pass;
    s->n_threads = n_threads;
    s->seed = 42;
    s->warmup_ops = WARMUP_OPS;
    s->expected_node = -1;
    if (strcmp(workload, "larson") == 0) {
        /* min_bytes, max_bytes, chunks, rounds: a generation is 200 steps. */
        const int64_t params[] = {8, 500, 100, 2};
        memcpy(s->params, params, sizeof params);
    } else {
        s->params[0] = 64; /* malloc-test's size_bytes */
    }
    return o;
}

struct order with_fixture(struct order o, const char *fixture, const char *fault_after) {
    snprintf(o.spec.library, sizeof o.spec.library, "%s/fixtures/%s.so", build_dir(), fixture);
    o.fault_after = fault_after;
    return o;
}

struct order make_sound_order(const char *workload, enum cell_pass pass, unsigned n_threads) {
    struct order o = make_order("glibc", workload, pass, n_threads);
    if (!IS_LIBC_OPAQUE)
        return o;
    snprintf(o.spec.allocator, sizeof o.spec.allocator, "subject");
    return with_fixture(o, "sound", NULL);
}

static _Noreturn void become_cell(const struct order *o, int fd) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", build_dir(), o->cell);
    if (dup2(fd, CELL_FD) < 0)
        _exit(126);
    for (int i = CELL_FD + 1; i < 64; i++)
        close(i);
    setenv("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=16384", 1);
    if (o->preload)
        setenv("LD_PRELOAD", o->preload, 1);
    if (o->fault_after)
        setenv("FAULT_AFTER", o->fault_after, 1);
    const struct rlimit limit = {o->address_space_bytes, o->address_space_bytes};
    if (o->address_space_bytes && setrlimit(RLIMIT_AS, &limit) != 0)
        _exit(126);
    execl(path, path, (char *)NULL);
    _exit(126);
}

/* Next message, of whatever kind; 0 at the end of the process or of our patience. */
static uint32_t receive(int fd, int patience_ms) {
    static union {
        struct cell_header header;
        struct cell_proof proof;
        struct cell_tids tids;
        struct cell_result result;
    } m;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, patience_ms) != 1)
        return 0;
    ssize_t n = recv(fd, &m, sizeof m, 0);
    if (n <= 0)
        return 0;
    assert_int_equal(m.header.magic, CELL_MAGIC);
    assert_int_equal(m.header.n_bytes, n);
    switch (m.header.message) {
    case MSG_PROOF:
        answer.proof = m.proof;
        answer.has_proof = true;
        break;
    case MSG_TIDS:
        answer.tids = m.tids;
        answer.has_tids = true;
        break;
    case MSG_RESULT:
        answer.result = m.result;
        answer.has_result = true;
        break;
    default:
        fail_msg("message %u", m.header.message);
    }
    return m.header.message;
}

/* Adds up what /proc says of the mappings of files that are called "cell". */
static uint64_t image_written_kb(int32_t tid) {
    char path[64], line[4096];
    uint64_t sum = 0, kb;
    bool is_cell = false;
    snprintf(path, sizeof path, "/proc/%d/smaps", (int)tid);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        const char *slash = strrchr(line, '/');
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            is_cell = slash && strcmp(slash, "/cell\n") == 0;
        else if (is_cell && sscanf(line, "Anonymous: %" SCNu64 " kB", &kb) == 1)
            sum += kb;
    }
    fclose(f);
    return sum;
}

static void converse(const struct order *o, int fd) {
    const struct cell_go go = {{CELL_MAGIC, CELL_VERSION, MSG_GO, sizeof go}};
    if (send(fd, &o->spec, sizeof o->spec, MSG_NOSIGNAL) != (ssize_t)sizeof o->spec)
        return;
    if (receive(fd, PATIENCE_MS) != MSG_PROOF || answer.proof.status != STATUS_OK ||
        o->spec.pass == PASS_PROBE)
        return;
    if (receive(fd, PATIENCE_MS) != MSG_TIDS || o->is_deserted)
        return;
    answer.image_written_kb = image_written_kb(answer.tids.tids[0]);
    if (send(fd, &go, sizeof go, MSG_NOSIGNAL) == (ssize_t)sizeof go)
        receive(fd, o->result_patience_ms ? o->result_patience_ms : PATIENCE_MS);
}

void run_cell(struct order o) {
    int pair[2];
    memset(&answer, 0, sizeof answer);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        become_cell(&o, pair[1]);
    close(pair[1]);
    converse(&o, pair[0]);
    close(pair[0]);
    if (o.result_patience_ms)
        kill(pid, SIGKILL); /* it was meant to hang */
    assert_int_equal(waitpid(pid, &answer.wait_status, 0), pid);
}

void assert_says(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

void assert_result_ok(void) {
    if (!answer.has_proof || answer.proof.status != STATUS_OK)
        fail_msg("not proved: %s", answer.proof.proof.why);
    if (!answer.has_result || answer.result.status != STATUS_OK)
        fail_msg("no good result: %s (wait status %d)", answer.result.why, answer.wait_status);
    assert_int_equal(answer.wait_status, 0);
}

void assert_no_numbers(void) {
    const struct cell_result *r = &answer.result;
    assert_true(r->ops == UINT64_MAX && r->wall_ns == UINT64_MAX && r->window_ops == UINT64_MAX);
    assert_true(r->start_rss_bytes == UINT64_MAX && r->peak_rss_bytes == UINT64_MAX);
    assert_true(r->minflt == UINT64_MAX && r->stats.allocated_bytes == -1);
    assert_true(isnan(r->remote_free_fraction) && isnan(r->on_node_fraction));
}
