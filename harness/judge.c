#include "harness/judge.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "harness/spawn.h"

/* A result that says ok counts only if the process ended as it should. */
static void judge_end(struct record *r, const struct ending *e) {
    if (WIFEXITED(e->wait_status))
        r->exit_code = WEXITSTATUS(e->wait_status);
    else if (WIFSIGNALED(e->wait_status))
        r->signal = WTERMSIG(e->wait_status);
    if (e->was_killed)
        return;
    const char *stage = e->stage;
    if (e->has_told_all && (r->exit_code == 0 || r->status != STATUS_OK))
        return;
    if (r->signal == SIGKILL && e->has_oom_kill)
        record_settle(r, STATUS_OOM, "killed by the kernel for want of memory while %s", stage);
    else if (r->signal == SIGKILL)
        record_settle(r, STATUS_CRASH, "killed from outside while %s", stage);
    else if (r->signal != 0)
        record_settle(r, STATUS_CRASH, "signal %d (%s) while %s", r->signal, strsignal(r->signal), stage);
    else if (r->exit_code == SPAWN_POLICY_FAILED && !r->has_proof)
        record_settle(r, STATUS_CRASH, "the kernel refused the memory policy");
    else if (r->exit_code == SPAWN_EXEC_FAILED && !r->has_proof && r->options->wrap != NULL)
        record_settle(r, STATUS_CRASH, "the command of --wrap cannot be executed: %s", r->options->wrap);
    else
        record_settle(r, STATUS_CRASH, "ended with exit code %d while %s", r->exit_code, stage);
}

/* A cell that ends by operations did all of them, or its figures are those of another cell. */
static void judge_ops(struct record *r) {
    uint64_t asked = r->cell->ops_total, done = r->result.ops;
    if (r->status == STATUS_OK && r->has_result && asked != 0 && done != asked)
        record_settle(r, STATUS_UNPROVEN, "%" PRIu64 " operations done, %" PRIu64 " asked for",
                      done != UINT64_MAX ? done : 0, asked);
}

/* The audit's other half: the workload says how many it makes, the counting entries how many there were. */
static void judge_counts(struct record *r) {
    const struct cell_result *x = &r->result;
    bool is_audited =
        r->cell->pass == PASS_AUDIT || r->cell->pass == PASS_RSS || r->cell->pass == PASS_SHARING;
    if (r->status != STATUS_OK || !is_audited)
        return;
    if (x->expected_allocs == UINT64_MAX || x->counted_allocs == UINT64_MAX || x->counted_frees == UINT64_MAX)
        record_settle(r, STATUS_UNPROVEN, "the audit did not count allocations");
    else if (x->counted_allocs != x->expected_allocs)
        record_settle(r, STATUS_UNPROVEN, "%" PRIu64 " allocations counted, %" PRIu64 " expected",
                      x->counted_allocs, x->expected_allocs);
    else if (x->counted_allocs == 0)
        record_settle(r, STATUS_UNPROVEN, "no allocation was counted");
    else if (x->counted_frees != x->counted_allocs)
        record_settle(r, STATUS_UNPROVEN, "%" PRIu64 " frees counted, %" PRIu64 " allocations",
                      x->counted_frees, x->counted_allocs);
}

/* An allocator that works, as its audit has shown, but not under an instrument, is skipped. */
static void excuse_crash(struct record *r, const struct ending *e, const char *instrument) {
    if (r->status != STATUS_CRASH || e->was_killed)
        return;
    char why[sizeof r->why];
    snprintf(why, sizeof why, "%s", r->why);
    record_settle(r, STATUS_SKIP, "does not run under %s: %s", instrument, why);
}

static void judge_trace(struct record *r, const struct ending *e, const struct strace *tracer) {
    struct problem p = {{0}};
    excuse_crash(r, e, "strace");
    if (r->status == STATUS_OK && strace_read(tracer, &r->syscalls, &p) != 0)
        record_settle(r, STATUS_UNPROVEN, "%s", p.text);
}

/* Latencies that did not come are no latencies of nothing. The histograms are resident too. */
static void judge_latency(struct record *r) {
    if (r->cell->pass != PASS_LATENCY)
        return;
    record_forget_memory(r);
    if (r->status == STATUS_OK && !r->has_latency)
        record_settle(r, STATUS_UNPROVEN, "the measured process told no latencies");
}

static void judge_profile(struct record *r, const struct ending *e, const struct callgrind *counter) {
    struct callgrind_counts counts;
    struct problem p = {{0}};
    excuse_crash(r, e, "callgrind");
    if (r->status != STATUS_OK)
        return;
    bool is_libc = r->cell->allocator->row != NULL && r->cell->allocator->row->candidates == NULL &&
                   r->cell->allocator->path[0] == '\0';
    if (callgrind_read(counter, e->cell_path, is_libc, &counts, &p) != 0) {
        record_settle(r, STATUS_UNPROVEN, "%s", p.text);
        return;
    }
    r->result.instructions = counts.total;
    r->alloc_instructions = counts.allocator;
}

/* Its rates are those of a process that was looked at. The peak that the kernel kept may lag behind what was seen. */
static void judge_watched(struct record *r) {
    struct cell_result *x = &r->result;
    record_forget_rates(r);
    if (r->watch.result.peak_live_rss_bytes != UINT64_MAX && x->peak_rss_bytes != UINT64_MAX &&
        r->watch.result.peak_live_rss_bytes > x->peak_rss_bytes)
        x->peak_rss_bytes = r->watch.result.peak_live_rss_bytes;
}

/* What such a process says of its times and its memory are the instrument's. */
static void judge_instruments(struct record *r, const struct ending *e) {
    enum cell_pass pass = r->cell->pass;
    if (pass == PASS_INSTRUCTIONS || pass == PASS_SYSCALLS || pass == PASS_SHARING)
        record_forget_costs(r);
    if (pass == PASS_INSTRUCTIONS)
        judge_profile(r, e, &e->instruments->counter);
    else if (pass == PASS_SYSCALLS)
        judge_trace(r, e, &e->instruments->tracer);
}

void judge_cell(struct record *r, const struct ending *e) {
    judge_end(r, e);
    judge_ops(r);
    judge_counts(r);
    judge_latency(r);
    judge_instruments(r, e);
    if (r->cell->pass == PASS_RSS)
        judge_watched(r);
    if (r->status != STATUS_OK)
        record_drop_numbers(r);
}
