/*
 * A measured process that misbehaves on purpose, for the driver's side of harness/protocol.h. The variable ODD,
 * given by the allocator's configuration, says how; without it, it measures nothing but answers well.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/protocol.h"

static void say(void *message, enum cell_message kind, size_t n_bytes) {
    struct cell_header *header = message;
    *header = (struct cell_header){CELL_MAGIC, CELL_VERSION, kind, (uint32_t)n_bytes};
    if (send(CELL_FD, message, n_bytes, 0) < 0)
        _exit(9);
}

static void say_nothing_of_a_kind(void) {
    struct cell_header header = {CELL_MAGIC, CELL_VERSION + 1, MSG_PROOF, sizeof header};
    if (send(CELL_FD, &header, sizeof header, 0) < 0)
        _exit(9);
}

static void say_tids(const struct cell_spec *spec, const char *odd) {
    static struct cell_tids tids;
    struct cell_go go;
    tids.n_threads = strcmp(odd, "threads") == 0 ? spec->n_threads + 1 : spec->n_threads;
    for (unsigned i = 0; i < spec->n_threads; i++)
        tids.tids[i] = strcmp(odd, "badbind") == 0 ? 0x3fffffff : gettid(); /* no such thread */
    say(&tids, MSG_TIDS, sizeof tids);
    if (recv(CELL_FD, &go, sizeof go, 0) <= 0)
        _exit(9);
}

/* A proof that holds: this program's own file stands for the library. */
static void make_proof(struct cell_proof *proof, const char *odd) {
    char *path = proof->proof.path;
    if (strcmp(odd, "nosha") == 0)
        snprintf(path, sizeof proof->proof.path, "/nonexistent/lib.so");
    else if (strcmp(odd, "nopath") != 0 && readlink("/proc/self/exe", path, sizeof proof->proof.path - 1) < 0)
        _exit(9);
    if (strcmp(odd, "nocanary") != 0)
        snprintf(proof->proof.canary, sizeof proof->proof.canary, "libc=16384 own=none");
}

int main(void) {
    static struct cell_spec spec;
    static struct cell_proof proof;
    static struct cell_result result;
    const char *odd = getenv("ODD") != NULL ? getenv("ODD") : "";
    if (recv(CELL_FD, &spec, sizeof spec, 0) != sizeof spec)
        return 9;
    if (strcmp(odd, "version") == 0)
        say_nothing_of_a_kind();
    if (strcmp(odd, "early") == 0)
        return 7;
    make_proof(&proof, odd);
    if (spec.pass == PASS_PROBE || strcmp(odd, "noproof") != 0)
        say(&proof, MSG_PROOF, sizeof proof);
    if (spec.pass == PASS_PROBE)
        return 0;
    if (strcmp(odd, "killed") == 0)
        raise(SIGKILL);
    if (strcmp(odd, "sleep") == 0)
        sleep(600);
    if (strcmp(odd, "noproof") != 0 && strcmp(odd, "hasty") != 0)
        say_tids(&spec, odd);
    result.status = strcmp(odd, "oom") == 0 ? STATUS_OOM : STATUS_OK;
    snprintf(result.why, sizeof result.why, "%s", result.status == STATUS_OK ? "" : "said so itself");
    bool is_lazy = strcmp(odd, "lazy") == 0 || (strcmp(odd, "later") == 0 && spec.pass == PASS_TIMED);
    result.ops = spec.ops_total - is_lazy;
    result.window_ops = result.window_ns = result.peak_rss_bytes = 1000;
    result.expected_allocs = result.counted_allocs = result.counted_frees = 100;
    if (strcmp(odd, "miscount") == 0)
        result.counted_allocs = 5;
    if (strcmp(odd, "idle") == 0)
        result.expected_allocs = result.counted_allocs = result.counted_frees = 0;
    if (strcmp(odd, "leak") == 0)
        result.counted_frees = 99;
    say(&result, MSG_RESULT, sizeof result);
    if (strcmp(odd, "stays") == 0) {
        close(CELL_FD);
        sleep(600);
    }
    return strcmp(odd, "exit") == 0 ? 3 : 0;
}
