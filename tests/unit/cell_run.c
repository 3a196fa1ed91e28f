/*
 * The built cell binary, spoken to over its socket as the driver does, without the driver: what it proves, what it
 * measures, and what is left of it when its allocator misbehaves.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness/protocol.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#else
#define IS_SANITIZED 0
#endif

/* ThreadSanitizer does not see the locks of a libc that it does not intercept, and takes the reuse of a block for a
 * race; it sees the pthread lock of the sound fixture. */
#ifdef __SANITIZE_THREAD__
#define IS_LIBC_OPAQUE 1
#else
#define IS_LIBC_OPAQUE 0
#endif

#define PATIENCE_MS 120000 /* a cell that is silent for so long hangs */
#define WARMUP_OPS 100

struct answer {
    bool has_proof, has_tids, has_result;
    struct cell_proof proof;
    struct cell_tids tids;
    struct cell_result result;
    int wait_status;
    uint64_t image_written_kb; /* pages of the cell's own file that it wrote to, while its threads wait */
};

struct order {
    struct cell_spec spec;
    const char *cell; /* in the build folder */
    const char *preload;
    const char *fault_after;
    int patience_ms;
    rlim_t address_space_bytes; /* 0: no limit */
    bool is_deserted;           /* the driver goes away instead of sending cell_go */
};

static struct answer answer;

static const char *build_dir(void) {
    const char *dir = getenv("HEAPDYNO_BUILD");
    return dir ? dir : "build";
}

static struct order make_order(const char *allocator, const char *workload, enum cell_pass pass,
                               unsigned n_threads) {
    struct order o = {.cell = "cell", .patience_ms = PATIENCE_MS};
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

static struct order with_fixture(struct order o, const char *fixture, const char *fault_after) {
    snprintf(o.spec.library, sizeof o.spec.library, "%s/fixtures/%s.so", build_dir(), fixture);
    o.fault_after = fault_after;
    return o;
}

/* An order for an allocator that works, with blocks passing between threads. */
static struct order make_sound_order(const char *workload, enum cell_pass pass, unsigned n_threads) {
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
    if (receive(fd, o->patience_ms) != MSG_PROOF || answer.proof.status != STATUS_OK ||
        o->spec.pass == PASS_PROBE)
        return;
    if (receive(fd, o->patience_ms) != MSG_TIDS || o->is_deserted)
        return;
    answer.image_written_kb = image_written_kb(answer.tids.tids[0]);
    if (send(fd, &go, sizeof go, MSG_NOSIGNAL) == (ssize_t)sizeof go)
        receive(fd, o->patience_ms);
}

static void run_cell(struct order o) {
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
    if (o.patience_ms != PATIENCE_MS)
        kill(pid, SIGKILL); /* it was meant to hang */
    assert_int_equal(waitpid(pid, &answer.wait_status, 0), pid);
}

static void assert_says(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static void assert_result_ok(void) {
    if (!answer.has_proof || answer.proof.status != STATUS_OK)
        fail_msg("not proved: %s", answer.proof.proof.why);
    if (!answer.has_result || answer.result.status != STATUS_OK)
        fail_msg("no good result: %s (wait status %d)", answer.result.why, answer.wait_status);
    assert_int_equal(answer.wait_status, 0);
}

static void assert_no_numbers(void) {
    const struct cell_result *r = &answer.result;
    assert_true(r->ops == UINT64_MAX && r->wall_ns == UINT64_MAX && r->window_ops == UINT64_MAX);
    assert_true(r->start_rss_bytes == UINT64_MAX && r->peak_rss_bytes == UINT64_MAX);
    assert_true(r->minflt == UINT64_MAX && r->stats.allocated_bytes == -1);
    assert_true(isnan(r->remote_free_fraction) && isnan(r->on_node_fraction));
}

/* Installed libraries are proved, others are skipped with the package's name; nothing else may come. */
static void every_allocator_is_proved_or_absent(void **state) {
    static const char *const names[] = {"glibc", "jemalloc",   "mimalloc",    "tcmalloc", "tbbmalloc",
                                        "scudo", "biglock-dl", "biglock-phk", "null",     "floor"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        run_cell(make_order(names[i], "", PASS_PROBE, 0));
        const struct allocator_proof *p = &answer.proof.proof;
        assert_true(answer.has_proof);
        assert_int_equal(answer.wait_status, 0);
        if (answer.proof.status == STATUS_SKIP) {
            assert_says(p->why, "install ");
            continue;
        }
        if (answer.proof.status != STATUS_OK)
            fail_msg("%s: %s", names[i], p->why);
        assert_int_equal(access(p->path, R_OK), 0); /* as the linker names it; the driver follows links */
        const char *libc = strstr(p->canary, "libc=");
        assert_non_null(libc);
        long libc_bytes = strtol(libc + strlen("libc="), NULL, 10);
        /* A witness may leave a little with libc (the linker's error text); a block of the canary it is not. */
        if (strcmp(names[i], "glibc") == 0)
            assert_true(libc_bytes >= CANARY_BLOCKS * CANARY_BYTES / 2);
        else
            assert_in_range(libc_bytes, 0, CANARY_BYTES - 1);
        bool is_counted = strcmp(names[i], "glibc") == 0 || strcmp(names[i], "jemalloc") == 0 ||
                          strcmp(names[i], "tcmalloc") == 0 || strncmp(names[i], "biglock", 7) == 0;
        assert_says(p->canary, is_counted ? " freed=1" : " freed=none");
    }
}

static void fixed_operations_are_done_exactly(void **state) {
    (void)state;
    struct order o = make_order("glibc", "malloc-test", PASS_TIMED, 3);
    o.spec.ops_total = 100001;
    run_cell(o);
    assert_result_ok();
    const struct cell_result *r = &answer.result;
    assert_int_equal(r->ops, 100001);
    assert_int_equal(r->expected_allocs, 100001 + 3 * WARMUP_OPS);
    assert_true(r->counted_allocs == UINT64_MAX);
    assert_true(r->n_generations_min == UINT64_MAX);
    assert_true(r->wall_ns > 0 && r->wall_ns != UINT64_MAX);
    assert_true(r->start_skew_ns <= r->wall_ns);
    assert_true(r->start_rss_bytes > 0 && r->start_rss_bytes <= r->peak_rss_bytes);
    assert_true(r->end_rss_bytes <= r->peak_rss_bytes);
    assert_true(r->peak_anon_bytes > 0 && r->peak_anon_bytes < r->peak_rss_bytes);
    assert_true(r->anon_huge_bytes != UINT64_MAX);
    assert_true(r->run_delay_ns != UINT64_MAX);
    assert_true(r->remote_free_fraction == 0);
    assert_true(r->stats.allocated_bytes >= 0 && r->stats.resident_bytes == -1);
}

static void work_left_undone_is_unproven(void **state) {
    (void)state;
    for (enum cell_pass pass = PASS_TIMED; pass <= PASS_AUDIT; pass++) {
        struct order o = make_order("glibc", "half", pass, 2);
        o.cell = "idle/cell";
        o.spec.ops_total = 1000;
        run_cell(o);
        assert_true(answer.has_result);
        assert_int_equal(answer.result.status, STATUS_UNPROVEN);
        assert_says(answer.result.why, "500 operations were done, 1000 ordered");
        assert_no_numbers();
        uint64_t n_counted = pass == PASS_AUDIT ? 500 + 2 * WARMUP_OPS : UINT64_MAX;
        assert_true(answer.result.counted_allocs == n_counted && answer.result.counted_frees == n_counted);
        assert_int_equal(answer.result.expected_allocs, 500 + 2 * WARMUP_OPS);
    }
}

static void audit_without_allocations_is_unproven(void **state) {
    (void)state;
    struct order o = make_order("glibc", "none", PASS_AUDIT, 2);
    o.cell = "idle/cell";
    o.spec.ops_total = 1000;
    run_cell(o);
    assert_true(answer.has_result);
    assert_int_equal(answer.result.status, STATUS_UNPROVEN);
    assert_says(answer.result.why, "no allocation was counted");
    assert_no_numbers();
    assert_true(answer.result.counted_allocs == 0 && answer.result.expected_allocs == 0);
}

static void clock_ends_the_window(void **state) {
    (void)state;
    struct order o = make_order("glibc", "malloc-test", PASS_TIMED, 4);
    o.spec.duration_ns = 50000000;
    run_cell(o);
    assert_result_ok();
    const struct cell_result *r = &answer.result;
    assert_true(r->window_ns >= 50000000 && r->window_ns != UINT64_MAX);
    assert_true(r->window_ns <= r->wall_ns);
    assert_true(r->window_ops > 0 && r->window_ops <= r->ops);
    assert_true(r->min_thread_ops <= r->max_thread_ops);
    assert_true(r->min_thread_ops * 4 <= r->window_ops && r->window_ops <= r->max_thread_ops * 4);
}

static void audit_counts_agree(void **state) {
    static const char *const workloads[] = {"malloc-test", "larson"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct order o = make_sound_order(workloads[i], PASS_AUDIT, 4);
        o.spec.ops_total = 20000;
        run_cell(o);
        assert_result_ok();
        assert_int_equal(answer.result.counted_allocs, answer.result.expected_allocs);
        assert_int_equal(answer.result.counted_frees, answer.result.counted_allocs);
        assert_true(answer.result.counted_allocs >= 20000);
    }
}

static void threads_are_the_cells_own(void **state) {
    (void)state;
    struct order o = make_order("glibc", "malloc-test", PASS_TIMED, 16);
    o.spec.ops_total = 16;
    run_cell(o);
    assert_result_ok();
    assert_int_equal(answer.tids.n_threads, 16);
    for (unsigned i = 0; i < 16; i++) {
        assert_true(answer.tids.tids[i] > 0);
        for (unsigned j = 0; j < i; j++)
            assert_true(answer.tids.tids[i] != answer.tids.tids[j]);
    }
}

static void successors_are_counted_and_none_is_lost(void **state) {
    (void)state;
    struct order o = make_sound_order("larson", PASS_AUDIT, 8);
    o.spec.ops_total = 8 * 2000; /* ten generations of 200 steps a slot: nine successors */
    run_cell(o);
    assert_result_ok();
    assert_int_equal(answer.result.ops, 16000);
    assert_true(answer.result.n_generations_min >= 8 && answer.result.n_generations_min <= 10);
    assert_true(answer.result.remote_free_fraction > 0);
}

/* Which part of the heap a thread gets often depends on who comes first: over real libraries, in the pass whose threads
 * race, the share is the same each time. */
static void shared_lines_repeat_over_real_libraries(void **state) {
    static const char *const names[] = {"glibc", "jemalloc", "arena", "mimalloc", "tcmalloc"};
    static const char *const workloads[] = {"false-sharing-active", "false-sharing-passive"};
    static const int64_t params[] = {8, 100, 16, 64}; /* object_bytes, writes, probe_bytes, probe_objects */
    (void)state;
    if (IS_SANITIZED)
        skip();
    for (size_t i = 0; i < 2 * sizeof names / sizeof *names; i++) {
        struct order o = make_order(names[i / 2], workloads[i % 2], PASS_TIMED, 32);
        double first = NAN;
        memcpy(o.spec.params, params, sizeof params);
        o.spec.ops_total = 320000;
        for (int k = 0; k < 5; k++) {
            run_cell(o);
            if (answer.proof.status == STATUS_SKIP)
                break; /* not installed */
            assert_result_ok();
            first = k == 0 ? answer.result.shared_line_fraction : first;
            assert_true(first >= 0 && first <= 1);
            if (answer.result.shared_line_fraction != first)
                fail_msg("%s, %s: %g, then %g", names[i / 2], workloads[i % 2], first,
                         answer.result.shared_line_fraction);
        }
    }
}

/* Before there are heirs the remote frees are those of main's blocks. */
static void remote_share_waits_for_successors(void **state) {
    (void)state;
    struct order o = make_sound_order("larson", PASS_AUDIT, 8);
    o.spec.ops_total = 8 * 400; /* warm-up is half a generation: two successors */
    run_cell(o);
    assert_result_ok();
    assert_int_equal(answer.result.n_generations_min, 2);
    assert_true(isnan(answer.result.remote_free_fraction));
}

/* 64 threads whose generations end every few microseconds, stopped by the clock in their midst. */
static void stop_reaches_generations_being_born(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct order o = make_sound_order("larson", PASS_AUDIT, 64);
        o.spec.params[3] = 1;
        o.spec.duration_ns = 30000000;
        run_cell(o);
        assert_result_ok();
        assert_int_equal(answer.result.counted_allocs, answer.result.expected_allocs);
    }
}

static void same_seed_is_the_same_run(void **state) {
    (void)state;
    struct order o = make_sound_order("larson", PASS_AUDIT, 1);
    o.spec.ops_total = 5000;
    run_cell(o);
    assert_result_ok();
    struct cell_result first = answer.result;
    run_cell(o);
    assert_result_ok();
    assert_int_equal(answer.result.counted_allocs, first.counted_allocs);
    assert_true(answer.result.remote_free_fraction == first.remote_free_fraction);
    assert_int_equal(answer.result.n_generations_min, first.n_generations_min);
}

static void unfit_pairs_are_skipped_with_a_reason(void **state) {
    (void)state;
    struct order o = make_order("floor", "larson", PASS_TIMED, 2);
    o.spec.ops_total = 10;
    run_cell(o);
    assert_int_equal(answer.proof.status, STATUS_SKIP);
    assert_says(answer.proof.proof.why, "live set");
    assert_false(answer.has_tids);
    assert_int_equal(answer.wait_status, 0);

    o = make_order("null", "prodcons", PASS_TIMED, 2); /* its producers never get their memory back */
    o.spec.ops_total = 10;
    run_cell(o);
    assert_int_equal(answer.proof.status, STATUS_SKIP);
    assert_says(answer.proof.proof.why, "one way");

    o = make_order("glibc", "no-such-workload", PASS_TIMED, 1);
    o.spec.ops_total = 10;
    run_cell(o);
    assert_int_equal(answer.proof.status, STATUS_SKIP);
    assert_says(answer.proof.proof.why, "no such workload");
}

static void floor_serves_a_workload_without_live_set(void **state) {
    (void)state;
    struct order o = make_order("floor", "malloc-test", PASS_AUDIT, 1);
    o.spec.ops_total = 1000;
    run_cell(o);
    assert_result_ok();
    assert_int_equal(answer.result.counted_allocs, 1000 + WARMUP_OPS);
}

static void faulty_allocators_are_unproven(void **state) {
    static const char *const fixtures[] = {"overlap", "corrupt", "exhausted", "forward"};
    (void)state;
    for (size_t i = 0; i < sizeof fixtures / sizeof *fixtures; i++) {
        struct order o = with_fixture(make_order("subject", "malloc-test", PASS_TIMED, 1), fixtures[i], NULL);
        o.spec.ops_total = 10;
        run_cell(o);
        assert_int_equal(answer.proof.status, STATUS_UNPROVEN);
        assert_says(answer.proof.proof.why, "canary: ");
        assert_false(answer.has_tids);
    }
    run_cell(with_fixture(make_order("subject", "", PASS_PROBE, 0), "no_free", NULL));
    assert_int_equal(answer.proof.status, STATUS_SKIP);
    assert_says(answer.proof.proof.why, "free is not in");
}

static void exhaustion_in_the_run_is_out_of_memory(void **state) {
    static const char *const workloads[] = {"malloc-test", "larson"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct order o =
            with_fixture(make_order("subject", workloads[i], PASS_TIMED, 4), "exhausted", "5000");
        o.spec.ops_total = 100000;
        run_cell(o);
        assert_true(answer.has_result);
        assert_int_equal(answer.result.status, STATUS_OOM);
        assert_says(answer.result.why, "NULL");
        assert_no_numbers();
    }
}

static void too_many_threads_are_out_of_memory(void **state) {
    (void)state;
    if (IS_SANITIZED)
        skip(); /* their shadow needs terabytes of address space */
    struct order o = make_order("glibc", "malloc-test", PASS_TIMED, CELL_MAX_THREADS);
    o.spec.ops_total = 1;
    o.address_space_bytes = 64 << 20;
    run_cell(o);
    assert_int_equal(answer.proof.status, STATUS_OK);
    assert_false(answer.has_tids);
    assert_true(answer.has_result);
    assert_int_equal(answer.result.status, STATUS_OOM);
    assert_says(answer.result.why, "a thread could not be made");
}

/* The ledger of the sharing pass sees an address that is given out again while it is live. */
static void an_address_held_twice_is_unproven(void **state) {
    static const int64_t params[] = {64, 8000}; /* size_bytes, blocks */
    (void)state;
    struct order o =
        with_fixture(make_order("subject", "linux-scalability", PASS_SHARING, 1), "overlap", "5000");
    memcpy(o.spec.params, params, sizeof params);
    o.spec.ops_total = 64000;
    run_cell(o);
    assert_true(answer.has_result);
    assert_int_equal(answer.result.status, STATUS_UNPROVEN);
    assert_says(answer.result.why, "given out while they were live");
    assert_true(isnan(answer.result.shared_line_fraction));
}

/* A chain of threads shares no line with itself: what it shares is with main, whose blocks are gone soon. Were each
 * generation an owner, a tenth of the lines would be shared. */
static void successors_are_one_owner(void **state) {
    (void)state;
    struct order o = make_sound_order("larson", PASS_SHARING, 1);
    o.spec.ops_total = 20000;
    run_cell(o);
    assert_result_ok();
    assert_int_equal(answer.result.counted_allocs, answer.result.expected_allocs);
    assert_true(answer.result.n_generations_min >= WORKLOAD_MIN_GENERATIONS);
    assert_true(answer.result.shared_line_fraction >= 0 && answer.result.shared_line_fraction < 0.01);
    assert_true(answer.result.passive_line_fraction <= answer.result.shared_line_fraction);
}

static void crash_leaves_a_signal_and_no_result(void **state) {
    (void)state;
    struct order o = with_fixture(make_order("subject", "malloc-test", PASS_TIMED, 2), "crash", "5000");
    o.spec.ops_total = 100000;
    run_cell(o);
    assert_int_equal(answer.proof.status, STATUS_OK);
    assert_true(answer.has_tids);
    assert_false(answer.has_result);
    assert_int_not_equal(answer.wait_status, 0); /* SIGSEGV, or the sanitizer's exit */
}

static void hang_leaves_silence(void **state) {
    (void)state;
    struct order o = with_fixture(make_order("subject", "malloc-test", PASS_TIMED, 2), "hang", "5000");
    o.spec.ops_total = 100000;
    o.patience_ms = IS_SANITIZED ? 5000 : 1000;
    run_cell(o);
    assert_true(answer.has_tids);
    assert_false(answer.has_result);
    assert_true(WIFSIGNALED(answer.wait_status) && WTERMSIG(answer.wait_status) == SIGKILL);
}

/* The real library by LD_PRELOAD; sanitizers have their own malloc in the process, which nothing may displace. */
static void preloaded_library_is_told_from_others(void **state) {
    char path[512];
    (void)state;
    if (IS_SANITIZED)
        skip();
    snprintf(path, sizeof path, "%s/fixtures/sound.so", build_dir());
    struct order o = with_fixture(make_order("subject", "malloc-test", PASS_AUDIT, 2), "sound", NULL);
    o.spec.load = LOAD_PRELOAD;
    o.spec.ops_total = 1000;
    run_cell(o);
    assert_int_equal(answer.proof.status, STATUS_UNPROVEN);
    assert_says(answer.proof.proof.why, "LD_PRELOAD did not take effect");
    o.preload = path;
    run_cell(o);
    assert_int_equal(answer.proof.status, STATUS_UNPROVEN);
    assert_says(answer.proof.proof.why, "calloc is not in");
}

static void preload_of_another_allocator_is_unproven(void **state) {
    (void)state;
    if (IS_SANITIZED)
        skip();
    struct order o = make_order("glibc", "", PASS_PROBE, 0);
    o.spec.load = LOAD_PRELOAD;
    run_cell(o);
    assert_int_equal(answer.proof.status, STATUS_OK);
    run_cell(make_order("jemalloc", "", PASS_PROBE, 0));
    if (answer.proof.status == STATUS_SKIP)
        skip();
    char library[ALLOCATOR_PATH_MAX];
    memcpy(library, answer.proof.proof.path, sizeof library);
    o.preload = library;
    run_cell(o);
    assert_int_equal(answer.proof.status, STATUS_UNPROVEN);
    assert_says(answer.proof.proof.why, "jemalloc");

    o = make_order("jemalloc", "larson", PASS_AUDIT, 4);
    o.spec.load = LOAD_PRELOAD;
    o.spec.ops_total = 10000;
    o.preload = library;
    run_cell(o);
    assert_result_ok();
    assert_string_equal(answer.proof.proof.path, library);
}

static void nonsense_is_refused(void **state) {
    (void)state;
    struct order good = make_order("glibc", "malloc-test", PASS_TIMED, 1);
    good.spec.ops_total = 1;
    struct order bad[] = {good, good, good, good, good, good};
    bad[0].spec.header.version++;
    bad[1].spec.header.magic = 0;
    bad[2].spec.n_threads = 0;
    bad[3].spec.n_threads = CELL_MAX_THREADS + 1;
    bad[4].spec.ops_total = 0;
    memset(bad[5].spec.allocator, 'x', sizeof bad[5].spec.allocator);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        run_cell(bad[i]);
        assert_false(answer.has_proof);
        assert_true(WIFEXITED(answer.wait_status));
        assert_int_equal(WEXITSTATUS(answer.wait_status), 2);
    }
}

static void deserted_cell_ends(void **state) {
    (void)state;
    struct order o = make_order("glibc", "malloc-test", PASS_TIMED, 4);
    o.spec.ops_total = 1;
    o.is_deserted = true;
    run_cell(o);
    assert_true(answer.has_tids);
    assert_true(WIFEXITED(answer.wait_status));
    assert_int_equal(WEXITSTATUS(answer.wait_status), 2);
}

/* Several processes: the kernel makes libc's code resident in windows of 64 KiB, whose place changes with its address. */
static void idle_glibc_cell_is_small(void **state) {
    (void)state;
#if IS_SANITIZED || !defined(NDEBUG)
    skip();
#endif
    for (size_t i = 0; i < 10; i++) {
        struct order o = make_order("glibc", "malloc-test", PASS_TIMED, 1);
        o.spec.warmup_ops = 0;
        o.spec.ops_total = 1;
        run_cell(o);
        assert_result_ok();
        assert_in_range(answer.result.peak_rss_bytes, 1, 1600 * 1000);
    }
}

/* Of the tables that grow with each workload none is written to: the linker's own page or two are all. */
static void cells_tables_stay_the_files(void **state) {
    (void)state;
    if (IS_SANITIZED)
        skip();
    struct order o = make_order("glibc", "malloc-test", PASS_TIMED, 1);
    o.spec.ops_total = 1;
    run_cell(o);
    assert_result_ok();
    assert_in_range(answer.image_written_kb, 1, 16);
}

/* On a machine with one node everything is on node 0, and nothing is on another. */
static void pages_are_asked_for_their_node(void **state) {
    (void)state;
    struct order o = make_order("glibc", "malloc-test", PASS_TIMED, 1);
    o.spec.ops_total = 1;
    run_cell(o);
    assert_result_ok();
    assert_true(isnan(answer.result.on_node_fraction));
    if (access("/sys/devices/system/node/node1", F_OK) == 0)
        skip();
#if IS_SANITIZED
    skip(); /* a sanitizer reserves 16 TB, page by page */
#endif
    o.spec.expected_node = 0;
    run_cell(o);
    if (isnan(answer.result.on_node_fraction))
        skip(); /* a kernel without move_pages */
    assert_true(answer.result.on_node_fraction == 1.0);
    o.spec.expected_node = 1;
    run_cell(o);
    assert_true(answer.result.on_node_fraction == 0.0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_asked_for_their_node),
        cmocka_unit_test(every_allocator_is_proved_or_absent),
        cmocka_unit_test(fixed_operations_are_done_exactly),
        cmocka_unit_test(work_left_undone_is_unproven),
        cmocka_unit_test(audit_without_allocations_is_unproven),
        cmocka_unit_test(clock_ends_the_window),
        cmocka_unit_test(audit_counts_agree),
        cmocka_unit_test(threads_are_the_cells_own),
        cmocka_unit_test(successors_are_counted_and_none_is_lost),
        cmocka_unit_test(shared_lines_repeat_over_real_libraries),
        cmocka_unit_test(remote_share_waits_for_successors),
        cmocka_unit_test(stop_reaches_generations_being_born),
        cmocka_unit_test(same_seed_is_the_same_run),
        cmocka_unit_test(unfit_pairs_are_skipped_with_a_reason),
        cmocka_unit_test(floor_serves_a_workload_without_live_set),
        cmocka_unit_test(faulty_allocators_are_unproven),
        cmocka_unit_test(exhaustion_in_the_run_is_out_of_memory),
        cmocka_unit_test(too_many_threads_are_out_of_memory),
        cmocka_unit_test(an_address_held_twice_is_unproven),
        cmocka_unit_test(successors_are_one_owner),
        cmocka_unit_test(crash_leaves_a_signal_and_no_result),
        cmocka_unit_test(hang_leaves_silence),
        cmocka_unit_test(preloaded_library_is_told_from_others),
        cmocka_unit_test(preload_of_another_allocator_is_unproven),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(deserted_cell_ends),
        cmocka_unit_test(idle_glibc_cell_is_small),
        cmocka_unit_test(cells_tables_stay_the_files),
    };
    return cmocka_run_group_tests_name("cell_run", tests, NULL, NULL);
}
