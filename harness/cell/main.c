/*
 * The measured process: one allocator, one workload, one run. Reads its orders from CELL_FD, proves its
 * allocator, runs, sends one result, and leaves with _exit: destructors of the measured library say nothing
 * about the run and have been seen to crash.
 *
 * A process that cannot speak the protocol writes one line to stderr and exits with EXIT_PROTOCOL.
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/cell/latency.h"
#include "harness/cell/pages.h"
#include "harness/cell/probe.h"
#include "harness/cell/run.h"
#include "harness/cell/trim.h"
#include "harness/protocol.h"

#define EXIT_PROTOCOL 2
#define FIRST_BYTES 64

/* One run a process: its parts live here, in pages that are touched only when they are used. */
static struct cell_spec spec;
static struct cell_proof proof;
static struct cell_tids tids;
static struct cell_result result;
static struct cell_latency latency;
static struct subject subject;
static struct alloc_ops wrapped_ops, noted_ops;
static struct run run;
static uint64_t start_anon_bytes; /* beside result.start_rss_bytes */

static _Noreturn void die(const char *why) {
    char line[128];
    int n = snprintf(line, sizeof line, "cell: %s\n", why);
    ssize_t ignored = write(STDERR_FILENO, line, (size_t)n);
    (void)ignored;
    _exit(EXIT_PROTOCOL);
}

static void receive(void *message, uint32_t kind, uint32_t n_bytes) {
    struct cell_header *header = message;
    ssize_t n;
    do
        n = recv(CELL_FD, message, n_bytes, MSG_TRUNC);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)n_bytes)
        die(n == 0 ? "the driver is gone" : "a message of another size: built from another version");
    if (header->magic != CELL_MAGIC || header->version != CELL_VERSION || header->message != kind ||
        header->n_bytes != n_bytes)
        die("not the message that was expected");
}

/* fd is sent along unless it is negative. */
static void send_message_with(void *message, uint32_t kind, uint32_t n_bytes, int fd) {
    *(struct cell_header *)message = (struct cell_header){CELL_MAGIC, CELL_VERSION, kind, n_bytes};
    struct iovec text = {message, n_bytes};
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof fd)] = {0};
    struct msghdr m = {.msg_iov = &text, .msg_iovlen = 1};
    if (fd >= 0) {
        m.msg_control = room;
        m.msg_controllen = sizeof room;
        *CMSG_FIRSTHDR(&m) = (struct cmsghdr){CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof fd);
    }
    ssize_t n;
    do
        n = sendmsg(CELL_FD, &m, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)n_bytes)
        die("the driver is gone");
}

static void send_message(void *message, uint32_t kind, uint32_t n_bytes) {
    send_message_with(message, kind, n_bytes, -1);
}

static bool is_text(const char *text, size_t n_bytes) {
    return memchr(text, '\0', n_bytes) != NULL;
}

static void receive_spec(void) {
    receive(&spec, MSG_SPEC, sizeof spec);
    if (!is_text(spec.allocator, sizeof spec.allocator) || !is_text(spec.library, sizeof spec.library) ||
        !is_text(spec.tree_dir, sizeof spec.tree_dir) || !is_text(spec.workload, sizeof spec.workload))
        die("text without an end");
    if (spec.load > LOAD_PRELOAD || spec.pass > PASS_PROBE)
        die("unknown load mode or pass");
    if (spec.pass == PASS_PROBE)
        return;
    if (spec.n_threads < 1 || spec.n_threads > CELL_MAX_THREADS)
        die("number of threads out of range");
    if (!spec.ops_total && !spec.duration_ns && spec.pass != PASS_RSS)
        die("neither operations nor a duration");
    if (spec.pass == PASS_LATENCY && (spec.sample_every < 1 || (spec.rate_per_s && !spec.transaction_ops)))
        die("no sampling interval, or transactions without operations");
}

/* The reason why this workload cannot run on this allocator, NULL when it can. */
static const char *why_unsupported(const struct workload *w) {
    const struct alloc_ops *ops = &subject.ops;
    unsigned flags = subject.row ? subject.row->flags : 0;
    if (spec.n_threads < w->min_threads)
        return "the workload needs more threads";
    if ((w->needs & NEEDS_CALLOC) && !ops->calloc)
        return "the allocator has no calloc";
    if ((w->needs & NEEDS_REALLOC) && !ops->realloc)
        return "the allocator has no realloc";
    if ((w->needs & NEEDS_ALIGNED) && !ops->aligned_alloc)
        return "the allocator has no aligned_alloc";
    if ((w->needs & NEEDS_USABLE_SIZE) && !ops->usable_size)
        return "the allocator has no malloc_usable_size";
    if (spec.pass == PASS_RSS && !spec.ops_total && !(w->flags & WORKLOAD_COURSE))
        return "the workload does not end by itself";
    if ((flags & ALLOCATOR_FLOOR) && !(w->flags & WORKLOAD_NO_LIVE_SET))
        return "a floor holds one block, the workload needs a live set";
    if ((flags & ALLOCATOR_FLOOR) && spec.pass == PASS_SHARING)
        return "a floor gives one block to all threads";
    if ((flags & ALLOCATOR_THREAD_LOCAL) && (w->flags & WORKLOAD_ONE_WAY) && spec.n_threads > 1)
        return "memory flows one way, and this allocator never brings it back";
    if (spec.pass == PASS_LATENCY && spec.rate_per_s && !(w->flags & WORKLOAD_OPEN_LOOP))
        return "the workload cannot be cut into transactions";
    return NULL;
}

/* The end of starting up: a block is there, and can be written to. */
static void allocate_first(uint64_t begin_ns) {
    unsigned char *block = subject.ops.alloc(FIRST_BYTES);
    if (!block)
        return;
    *block = 1;
    latency.open_ns = probe_now_ns() - begin_ns;
    subject.ops.free(block);
}

static uint32_t open_and_prove(const struct workload *workload) {
    struct allocator_proof *p = &subject.proof;
    const char *library = spec.library[0] ? spec.library : NULL;
    uint64_t begin_ns = probe_now_ns();
    int err =
        allocator_open(&subject, spec.allocator, library, (enum allocator_load)spec.load, spec.tree_dir);
    if (!err && spec.pass == PASS_LATENCY)
        allocate_first(begin_ns);
    if (!err)
        err = allocator_prove(&subject);
    if (err)
        return err == -EPROTO ? STATUS_UNPROVEN : STATUS_SKIP;
    const char *why = NULL;
    if (spec.pass != PASS_PROBE)
        why = workload ? why_unsupported(workload) : "no such workload";
    if (!why)
        return STATUS_OK;
    snprintf(p->why, sizeof p->why, "%s", why);
    return STATUS_SKIP;
}

static uint32_t status_of_errno(int err) {
    switch (err) {
    case 0:
        return STATUS_OK;
    case ENOMEM:
    case EAGAIN: /* what pthread_create says when there is no room for a thread */
        return STATUS_OOM;
    case EBADMSG: /* contents changed: whatever was measured was not an allocator */
        return STATUS_UNPROVEN;
    default:
        return STATUS_CRASH;
    }
}

static void clear_result(void) {
    const struct cell_header header = {0};
    const struct alloc_stats unknown = ALLOC_STATS_UNKNOWN;
    memset(&result, 0xff, sizeof result); /* every counter UINT64_MAX: not measured */
    result.header = header;
    result.status = STATUS_OK;
    memset(result.why, 0, sizeof result.why);
    result.remote_free_fraction = result.on_node_fraction = NAN;
    result.shared_line_fraction = result.passive_line_fraction = NAN;
    result.stats = unknown;
}

/* What was measured of a run that did not do its work says nothing. The counts stay: they show what is wrong. */
static void keep_evidence_only(void) {
    const struct cell_result all = result;
    clear_result();
    result.status = all.status;
    memcpy(result.why, all.why, sizeof result.why);
    result.expected_allocs = all.expected_allocs;
    result.counted_allocs = all.counted_allocs;
    result.counted_frees = all.counted_frees;
}

static _Noreturn void finish(void) {
    if (result.status != STATUS_OK)
        keep_evidence_only();
    send_message(&result, MSG_RESULT, sizeof result);
    _exit(0);
}

static _Noreturn void finish_failed(void) {
    result.status = status_of_errno(atomic_load(&run.cell.failed_errno));
    memcpy(result.why, run.cell.why, sizeof result.why);
    finish();
}

static void raise_to(uint64_t *peak, uint64_t value) {
    if (*peak != UINT64_MAX && value != UINT64_MAX && value > *peak)
        *peak = value;
}

/* Between trim_code and here file pages only come in: at the peak there were no more of them than now. */
static void note_pages(void) {
    struct probe_pages pages = probe_pages();
    result.anon_huge_bytes = pages.anon_huge_bytes;
    if (result.peak_rss_bytes == UINT64_MAX || pages.anon_bytes == UINT64_MAX)
        return;
    result.peak_anon_bytes = pages.anon_bytes;
    if (result.peak_rss_bytes > pages.file_bytes)
        raise_to(&result.peak_anon_bytes, result.peak_rss_bytes - pages.file_bytes);
    raise_to(&result.peak_anon_bytes, start_anon_bytes);
}

static void report_memory(void) {
    struct probe_memory memory = probe_memory();
    result.end_rss_bytes = memory.rss_bytes;
    result.peak_rss_bytes = memory.peak_rss_bytes;
    note_pages();
    if (spec.expected_node >= 0)
        result.on_node_fraction = pages_on_node_fraction(spec.expected_node);
    if (subject.row && subject.row->stats && subject.row->stats(&subject, &result.stats))
        result.stats = (struct alloc_stats)ALLOC_STATS_UNKNOWN;
}

/* What the probes after the run have made resident is not the allocator's. The peak is at least what was read beside
 * it: where the kernel keeps a thread's changes to the resident set back for a while, its own may lag. */
static void report_end(void) {
    trim_code();
    result.retained_rss_bytes = probe_memory().rss_bytes;
    raise_to(&result.peak_rss_bytes, result.start_rss_bytes);
    raise_to(&result.peak_rss_bytes, result.end_rss_bytes);
    raise_to(&result.peak_rss_bytes, result.retained_rss_bytes);
}

static __attribute__((format(printf, 1, 2))) void unproven(const char *format, ...) {
    va_list args;
    result.status = STATUS_UNPROVEN;
    va_start(args, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): clang-tidy 14 forgets va_start after its first file
    vsnprintf(result.why, sizeof result.why, format, args);
    va_end(args);
}

/* A fixed number of operations is what rows are compared at: it must have been done. */
static void judge_ops(void) {
    unsigned long long done = result.ops, ordered = spec.ops_total;
    if (ordered && done != ordered)
        unproven("%llu operations were done, %llu ordered", done, ordered);
}

/* After teardown the counts must be those that the workload announced, and everything must be freed. */
static void judge_counts(void) {
    struct alloc_counts counts;
    counting_read(&counts);
    result.counted_allocs = counts.n_allocs;
    result.counted_frees = counts.n_frees;
    unsigned long long made = counts.n_allocs, freed = counts.n_frees, expected = result.expected_allocs;
    if (result.status != STATUS_OK)
        return;
    if (made == 0)
        unproven("no allocation was counted");
    else if (result.expected_allocs != UINT64_MAX && made != expected)
        unproven("%llu allocations were counted, %llu expected", made, expected);
    else if (freed != made)
        unproven("%llu allocations were counted, but %llu frees", made, freed);
}

static bool is_counted(void) {
    return spec.pass == PASS_AUDIT || spec.pass == PASS_RSS || spec.pass == PASS_SHARING;
}

/* An address that two hold at a time belongs to no allocator. */
static void judge_ledger(void) {
    struct alloc_sharing sharing;
    sharing_read(&sharing);
    if (result.status == STATUS_OK && sharing.n_faults > 0)
        unproven("%llu blocks were given out while they were live, or freed while they were not",
                 (unsigned long long)sharing.n_faults);
}

/* The entries that the workload calls: what is put around them is all that passes differ in. NULL after a failure. */
static const struct alloc_ops *wrap_entries(void) {
    if (spec.pass == PASS_LATENCY)
        return latency_open(&subject.ops, &wrapped_ops, &spec, &run.cell.is_measuring) ? NULL : &wrapped_ops;
    if (!is_counted())
        return &subject.ops;
    counting_wrap(&subject.ops, &wrapped_ops);
    if (spec.pass != PASS_SHARING)
        return &wrapped_ops;
    sharing_wrap(&wrapped_ops, &noted_ops);
    return &noted_ops;
}

/* After the threads have ended. */
static void report_latency(void) {
    for (unsigned i = 0; i < spec.n_threads; i++) {
        const struct schedule *s = &run.slots[i].schedule;
        latency.n_due += s->n_due;
        latency.n_late += s->n_late;
        latency.n_missed += s->n_missed;
    }
    int err = latency_report(&latency);
    if (err == -ERANGE)
        unproven("the clock of the latencies went backward");
    else if (err) {
        result.status = status_of_errno(-err);
        snprintf(result.why, sizeof result.why, "no memory for the histograms");
    } else if (result.status == STATUS_OK)
        send_message(&latency, MSG_LATENCY, sizeof latency);
}

/* Says who the threads are and waits until the driver has bound them. */
static void await_go(void) {
    struct cell_go go;
    tids.pid = (int32_t)getpid();
    tids.n_threads = spec.n_threads;
    for (unsigned i = 0; i < spec.n_threads; i++)
        tids.tids[i] = run.slots[i].tid;
    send_message_with(&tids, MSG_TIDS, sizeof tids, run.is_watched ? run.workers_fd : -1);
    receive(&go, MSG_GO, sizeof go);
}

/* All has been freed and all threads wait: nothing happens here until the driver has seen enough. */
static void stay_idle(void) {
    static struct cell_freed freed;
    struct cell_go go;
    trim_code();
    send_message(&freed, MSG_FREED, sizeof freed);
    receive(&go, MSG_GO, sizeof go);
}

static void measure(const struct workload *workload) {
    clear_result();
    const struct alloc_ops *heap = wrap_entries();
    if (!heap) {
        cell_fail(&run.cell, ENOMEM, "no memory for the samplers");
        finish_failed();
    }
    if (run_create(&run, &spec, workload, heap))
        finish_failed();
    await_go();

    trim_code();
    trim_reset_peak();
    result.start_rss_bytes = probe_memory().rss_bytes;
    start_anon_bytes = probe_pages().anon_bytes;
    if (run_measure(&run))
        finish_failed();
    report_memory();
    run_report(&run, &result);
    if (run_finish(&run))
        finish_failed();
    if (spec.pass != PASS_SHARING)
        result.shared_line_fraction =
            run.cell.shared_line_fraction; /* the probe may have found it only now */
    if (workload->expected_allocs)
        result.expected_allocs = workload->expected_allocs(&run.cell);
    if (workload->teardown)
        workload->teardown(&run.cell);
    result.table_bytes = run.cell.table_bytes;
    if (run.is_watched)
        stay_idle();
    run_end(&run);
    report_end();
    judge_ops();
    if (is_counted())
        judge_counts();
    if (spec.pass == PASS_SHARING)
        judge_ledger();
    if (spec.pass == PASS_LATENCY)
        report_latency();
    finish();
}

int main(void) {
    const uint64_t main_ns = probe_now_ns();
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* no cell outlives its driver */
    receive_spec();
    if (spec.pass == PASS_LATENCY)
        latency.main_ns = main_ns;
    const struct workload *workload = spec.pass == PASS_PROBE ? NULL : workload_find(spec.workload);
    proof.status = open_and_prove(workload);
    proof.proof = subject.proof;
    send_message(&proof, MSG_PROOF, sizeof proof);
    if (proof.status == STATUS_OK && workload)
        measure(workload);
    _exit(0);
}
