#include "harness/collect.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/environment.h"
#include "harness/judge.h"
#include "harness/machine.h"
#include "harness/spawn.h"
#include "harness/units.h"

union message {
    struct cell_header header;
    struct cell_proof proof;
    struct cell_tids tids;
    struct cell_latency latency;
    struct cell_freed freed;
    struct cell_result result;
};

enum heard {
    HEARD_MESSAGE,
    HEARD_END,     /* the child let go of its socket */
    HEARD_NOTHING, /* until the deadline */
    HEARD_STOP,    /* the user */
};

/* What the child is doing. It moves on by one message only, so that no result counts without its proof. */
enum stage { STAGE_PROVING, STAGE_SETTING_UP, STAGE_RUNNING, STAGE_IDLE, STAGE_ENDING };

static const char *const stage_names[] = {
    [STAGE_PROVING] = "loading and proving the allocator",
    [STAGE_SETTING_UP] = "setting up the workload",
    [STAGE_RUNNING] = "running the workload",
    [STAGE_IDLE] = "keeping still after the workload",
    [STAGE_ENDING] = "ending",
};

struct conversation {
    struct bench *bench;
    struct child child;
    struct record *record;
    uint64_t deadline_ns;
    enum stage stage;
    bool was_killed;      /* by us: the status is settled */
    uint64_t n_oom_kills; /* before the start */
    union message in;
    int in_fd; /* came with it; -1: none */
};

static void kill_as(struct conversation *c, enum cell_status status, const char *why) {
    record_settle(c->record, status, "%s", why);
    c->was_killed = true;
    spawn_kill(&c->child);
}

static bool is_watching(const struct conversation *c) {
    return c->record->watch.workers != NULL && (c->stage == STAGE_RUNNING || c->stage == STAGE_IDLE);
}

static void say_go(struct conversation *c);

/* Takes the sample that is due and lets a process go that was watched long enough. A process that cannot be read has
 * ended or ends now: its end is what will be reported. */
static void watch(struct conversation *c) {
    struct problem p = {{0}};
    struct watch *w = &c->record->watch;
    if (watch_take_due(w, &p) != 0) {
        watch_close(w);
        return;
    }
    if (c->stage != STAGE_IDLE || !watch_is_over(w))
        return;
    watch_close(w);
    say_go(c);
}

/* Waits for `fd` to be readable, and watches meanwhile. */
static enum heard wait_for(struct conversation *c, int fd) {
    for (;;) {
        uint64_t now_ns = bench_now_ns(), until_ns = c->deadline_ns;
        if (now_ns >= c->deadline_ns)
            return HEARD_NOTHING;
        if (is_watching(c))
            watch(c);
        if (is_watching(c) && watch_due_ns(&c->record->watch) < until_ns)
            until_ns = watch_due_ns(&c->record->watch);
        now_ns = bench_now_ns();
        uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
        struct timespec left = {(time_t)(left_ns / UNITS_NS_PER_S), (long)(left_ns % UNITS_NS_PER_S)};
        struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = c->bench->stop_fd, .events = POLLIN}};
        int n = ppoll(fds, 2, &left, NULL);
        if (n > 0 && fds[1].revents != 0)
            return HEARD_STOP;
        if (n > 0)
            return HEARD_MESSAGE;
    }
}

static bool is_well_formed(const union message *m, size_t n_bytes) {
    size_t expected = m->header.message == MSG_PROOF     ? sizeof m->proof
                      : m->header.message == MSG_TIDS    ? sizeof m->tids
                      : m->header.message == MSG_LATENCY ? sizeof m->latency
                      : m->header.message == MSG_FREED   ? sizeof m->freed
                      : m->header.message == MSG_RESULT  ? sizeof m->result
                                                         : 0;
    return n_bytes >= sizeof m->header && m->header.magic == CELL_MAGIC &&
           m->header.version == CELL_VERSION && n_bytes == expected && m->header.n_bytes == expected;
}

static void drop_fd(struct conversation *c) {
    if (c->in_fd >= 0)
        close(c->in_fd);
    c->in_fd = -1;
}

/* Into c->in and c->in_fd. */
static ssize_t receive(struct conversation *c) {
    struct iovec text = {&c->in, sizeof c->in};
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof c->in_fd)];
    struct msghdr m = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    drop_fd(c);
    ssize_t n = recvmsg(c->child.fd, &m, MSG_CMSG_CLOEXEC);
    const struct cmsghdr *extra = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
    if (extra != NULL && extra->cmsg_type == SCM_RIGHTS && extra->cmsg_len == CMSG_LEN(sizeof c->in_fd))
        memcpy(&c->in_fd, CMSG_DATA(extra), sizeof c->in_fd);
    return n;
}

/* The next message into c->in. A child that is late or talks nonsense is killed here. */
static enum heard listen_for(struct conversation *c) {
    enum heard heard = wait_for(c, c->child.fd);
    if (heard == HEARD_NOTHING) {
        char why[128];
        snprintf(why, sizeof why, "no answer in time while %s", stage_names[c->stage]);
        kill_as(c, STATUS_TIMEOUT, why);
    } else if (heard == HEARD_STOP) {
        kill_as(c, STATUS_CRASH, "stopped by the user");
    }
    if (heard != HEARD_MESSAGE)
        return heard;
    ssize_t n = receive(c);
    if (n <= 0)
        return HEARD_END;
    if (is_well_formed(&c->in, (size_t)n))
        return HEARD_MESSAGE;
    kill_as(c, STATUS_CRASH, "the measured process speaks another version of the protocol; run make");
    return HEARD_END;
}

static struct cell_header header_of(enum cell_message message, size_t n_bytes) {
    return (struct cell_header){CELL_MAGIC, CELL_VERSION, message, (uint32_t)n_bytes};
}

/* A child that has gone is noticed when its end is collected. */
static void say(struct conversation *c, const void *message, size_t n_bytes) {
    while (send(c->child.fd, message, n_bytes, MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
}

static void say_go(struct conversation *c) {
    struct cell_go go = {header_of(MSG_GO, sizeof go)};
    say(c, &go, sizeof go);
}

/* The node that the pages of the cell should be on, -1 when there is no one such node or no other. */
static int expected_node(const struct conversation *c) {
    const struct topology *t = c->bench->topology;
    const struct slots *slots = c->record->cell->slots;
    if (t->n_nodes < 2 || slots->membind.kind == MEMBIND_INTERLEAVE)
        return -1;
    if (slots->membind.kind == MEMBIND_NODE)
        return slots->membind.node;
    int node = slots->pus != NULL ? topology_node_of(t, slots->pus[0]) : -1;
    for (unsigned i = 1; node >= 0 && i < slots->n_threads; i++)
        node = topology_node_of(t, slots->pus[i]) == node ? node : -1;
    return node;
}

static void say_spec(struct conversation *c, enum allocator_load load) {
    const struct plan_cell *cell = c->record->cell;
    struct cell_spec spec = {
        .header = header_of(MSG_SPEC, sizeof spec),
        .load = load,
        .pass = cell->pass,
        .seed = cell->seed,
        .ops_total = cell->ops_total,
        .duration_ns = cell->duration_ns,
        .has_counters = cell->pass == PASS_TIMED && c->bench->options->instrument == INSTRUMENT_PERF,
        .expected_node = -1,
        .sample_every = c->bench->options->latency.sample_every,
        .transaction_ops = c->bench->options->latency.transaction_ops,
        .rate_per_s = c->bench->options->latency.rate_per_s,
        .is_fixed_rate = c->bench->options->latency.is_fixed_rate,
    };
    snprintf(spec.allocator, sizeof spec.allocator, "%s", cell->allocator->name);
    snprintf(spec.library, sizeof spec.library, "%s", cell->allocator->path);
    snprintf(spec.tree_dir, sizeof spec.tree_dir, "%.*s", ALLOCATOR_PATH_MAX - 1, c->bench->build_dir);
    if (cell->workload != NULL) {
        snprintf(spec.workload, sizeof spec.workload, "%s", cell->workload->row->name);
        memcpy(spec.params, cell->workload->params, sizeof spec.params);
        spec.n_threads = cell->slots->n_threads;
        spec.expected_node = expected_node(c);
        spec.warmup_ops = cell->workload->row->warmup_ops;
    }
    say(c, &spec, sizeof spec);
}

/* Each slot's thread onto its unit, every mask read back, before any of them may go. */
static void bind_and_go(struct conversation *c) {
    const struct slots *slots = c->record->cell->slots;
    struct problem p;
    if (c->in.tids.n_threads != slots->n_threads) {
        kill_as(c, STATUS_CRASH, "the measured process made another number of threads than was asked for");
        return;
    }
    for (unsigned i = 0; slots->pus != NULL && i < slots->n_threads; i++) {
        if (topology_bind_tid(c->bench->topology, c->in.tids.tids[i], slots->pus[i], &p) != 0) {
            kill_as(c, STATUS_BADBIND, p.text);
            return;
        }
    }
    c->record->is_pinned = slots->pus != NULL;
    if (c->record->cell->pass == PASS_RSS &&
        watch_open(&c->record->watch, c->in.tids.pid, c->in_fd, slots->n_threads,
                   c->record->cell->workload->row, c->bench->options->rss_interval_ns,
                   c->record->cell->idle_ns, &p) != 0) {
        kill_as(c, STATUS_UNPROVEN, p.text);
        return;
    }
    say_go(c);
    c->stage = STAGE_RUNNING;
}

/* Follows symbolic links here and not in the cell: realpath is more of libc's code made resident there. */
static void resolve_path(char path[ALLOCATOR_PATH_MAX]) {
    char resolved[PATH_MAX];
    if (path[0] != '\0' && realpath(path, resolved) && strlen(resolved) < ALLOCATOR_PATH_MAX)
        memcpy(path, resolved, strlen(resolved) + 1);
}

/* The evidence that a row needs, whatever the process says of itself. NULL when all is there. */
static const char *missing_evidence(const struct record *r) {
    if (r->proof.proof.path[0] == '\0')
        return "it is not known which file holds malloc";
    if (r->proof.proof.canary[0] == '\0')
        return "nobody saw the allocations of the canary";
    return r->library_sha256[0] == '\0' ? "the file that holds malloc cannot be read" : NULL;
}

static void take_proof(struct conversation *c) {
    struct record *r = c->record;
    r->proof = c->in.proof;
    r->has_proof = true;
    resolve_path(r->proof.proof.path);
    if (r->proof.proof.path[0] != '\0')
        snprintf(r->library_sha256, sizeof r->library_sha256, "%s",
                 bench_library_sha256(c->bench, r->proof.proof.path));
    bool is_last = r->proof.status != STATUS_OK || r->cell->pass == PASS_PROBE;
    c->stage = is_last ? STAGE_ENDING : STAGE_SETTING_UP;
    const char *missing = missing_evidence(r);
    if (r->proof.status != STATUS_OK)
        record_settle(r, r->proof.status, "%s", r->proof.proof.why);
    else if (missing != NULL)
        kill_as(c, STATUS_UNPROVEN, missing);
}

/* Start-up ends with a first malloc: from exec to main, and from opening the library to there. What lies in between is
 * the driver's. Under a wrapper it would be the wrapper's. The rows are checked: what follows indexes tables by them. */
static void take_latency(struct conversation *c) {
    struct record *r = c->record;
    struct cell_latency *l = &r->latency;
    *l = c->in.latency;
    for (uint32_t i = 0; l->n_rows <= LATENCY_MAX_ROWS && i < l->n_rows; i++)
        l->n_rows = l->rows[i].op < LATENCY_N_OPS ? l->n_rows : UINT32_MAX;
    if (l->n_rows >= LATENCY_MAX_ROWS) { /* one place is the driver's */
        kill_as(c, STATUS_CRASH, "the latencies are not well-formed");
        return;
    }
    r->has_latency = true;
    uint64_t exec_ns = *c->child.exec_ns;
    if (c->bench->options->wrap != NULL || exec_ns == 0 || l->main_ns < exec_ns || l->open_ns == 0)
        return;
    r->startup_ns = l->main_ns - exec_ns + l->open_ns;
    struct latency_row *row = &l->rows[l->n_rows++];
    *row = (struct latency_row){.op = LATENCY_STARTUP, .size_class = LATENCY_ANY_CLASS, .n = 1};
    for (unsigned i = 0; i < LATENCY_N_PPM; i++)
        row->ns[i] = NAN;
    row->ns[0] = row->ns[LATENCY_N_PPM - 1] = (double)r->startup_ns;
}

static void take_freed(struct conversation *c) {
    if (c->record->watch.workers == NULL) {
        kill_as(c, STATUS_UNPROVEN, "the resident set could not be read");
        return;
    }
    watch_note_freed(&c->record->watch);
    c->stage = STAGE_IDLE;
}

static void take_result(struct conversation *c) {
    c->record->result = c->in.result;
    c->record->has_result = true;
    c->stage = STAGE_ENDING;
    record_settle(c->record, c->in.result.status, "%s", c->in.result.why);
}

/* A failure may come in place of the threads that could not be made. */
static bool is_in_turn(const struct conversation *c) {
    switch (c->in.header.message) {
    case MSG_PROOF:
        return c->stage == STAGE_PROVING;
    case MSG_TIDS:
        return c->stage == STAGE_SETTING_UP;
    case MSG_LATENCY:
        return c->stage == STAGE_RUNNING && c->record->cell->pass == PASS_LATENCY && !c->record->has_latency;
    case MSG_FREED:
        return c->stage == STAGE_RUNNING && c->record->cell->pass == PASS_RSS;
    default:
        if (c->stage == STAGE_IDLE)
            return c->record->watch.workers == NULL; /* it was let go */
        if (c->stage == STAGE_RUNNING)
            return c->record->cell->pass != PASS_RSS || c->in.result.status != STATUS_OK;
        return (c->stage == STAGE_SETTING_UP && c->in.result.status != STATUS_OK);
    }
}

static void take(struct conversation *c) {
    if (!is_in_turn(c)) {
        char why[128];
        snprintf(why, sizeof why, "a message out of turn while %s", stage_names[c->stage]);
        kill_as(c, STATUS_CRASH, why);
    } else if (c->in.header.message == MSG_PROOF) {
        take_proof(c);
    } else if (c->in.header.message == MSG_TIDS) {
        bind_and_go(c);
    } else if (c->in.header.message == MSG_LATENCY) {
        take_latency(c);
    } else if (c->in.header.message == MSG_FREED) {
        take_freed(c);
    } else {
        take_result(c);
    }
}

/* Until the child lets go of its socket or is killed. */
static enum heard converse(struct conversation *c) {
    enum heard heard;
    while ((heard = listen_for(c)) == HEARD_MESSAGE && !c->was_killed)
        take(c);
    if (c->was_killed)
        return heard;
    heard = wait_for(c, c->child.pidfd);
    if (heard == HEARD_NOTHING)
        kill_as(c, STATUS_TIMEOUT, "the process does not end");
    else if (heard == HEARD_STOP)
        kill_as(c, STATUS_CRASH, "stopped by the user");
    return heard;
}

static const struct membind *membind_of(const struct plan_cell *cell) {
    static const struct membind first_touch = {.kind = MEMBIND_FIRST_TOUCH};
    return cell->slots != NULL ? &cell->slots->membind : &first_touch; /* a probe has no slots */
}

int collect_cell(struct bench *b, enum allocator_load load, const char *library, struct record *r,
                 struct problem *p) {
    struct conversation c = {
        .bench = b, .record = r, .stage = STAGE_PROVING, .n_oom_kills = machine_oom_kills(), .in_fd = -1};
    struct environment e;
    struct instruments instruments = {0};
    int err =
        environment_make(&e, environ, r->cell->allocator->config, load == LOAD_PRELOAD ? library : "", p);
    if (err != 0)
        goto out;
    err = instruments_open(&instruments, b->options, r->cell->pass, p);
    if (err != 0)
        goto out;
    r->start_unix_ns = bench_unix_now_ns();
    c.deadline_ns =
        bench_now_ns() + b->options->timeout_ns * instruments.slowdown + plan_cell_length_ns(r->cell);
    err = spawn_start(&c.child, b->cell_path, instruments.wrap, e.variables, membind_of(r->cell), p);
    if (err != 0)
        goto out;
    say_spec(&c, load);
    enum heard heard = converse(&c);
    watch_close(&r->watch);
    drop_fd(&c);
    int wait_status = 0;
    err = spawn_reap(&c.child, &wait_status);
    if (err != 0) {
        problem_set(p, -err, "the end of a measured process is lost: %s", strerror(-err));
        goto out;
    }
    const struct ending ending = {
        .wait_status = wait_status,
        .was_killed = c.was_killed,
        .has_told_all = c.stage == STAGE_ENDING,
        .has_oom_kill = machine_oom_kills() != c.n_oom_kills,
        .stage = stage_names[c.stage],
        .cell_path = b->cell_path,
        .instruments = &instruments,
    };
    judge_cell(r, &ending);
    if (heard == HEARD_STOP)
        err = COLLECT_STOPPED;
out:
    instruments_close(&instruments);
    environment_free(&e);
    return err;
}
