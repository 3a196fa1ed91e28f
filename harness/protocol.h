/*
 * What the driver and the measured process say to each other: fixed-size, versioned structs, one per message,
 * over one SOCK_SEQPACKET pair whose child end is CELL_FD. Nothing between C and C is text that has to be
 * parsed.
 *
 *   driver -> cell   struct cell_spec
 *   cell -> driver   struct cell_proof    after the allocator was opened and proved (or not: status tells)
 *   cell -> driver   struct cell_tids     slot i's thread; each waits for cell_go
 *   driver -> cell   struct cell_go       after each tid was bound and its mask read back
 *   cell -> driver   struct cell_result   then _exit
 *
 * Unless its status is ok a result holds nothing but the counts of allocations and frees, where they were taken.
 *
 * Nothing follows a proof whose status is not ok. Where a thread cannot be made cell_result comes in place of
 * cell_tids. A process that ends before its result crashed, hung or ran out of memory: the driver tells by
 * wait4; exit code 2 means that it did not understand what it was sent, or that the driver was gone.
 */
#ifndef HEAPDYNO_PROTOCOL_H
#define HEAPDYNO_PROTOCOL_H

#include <stdint.h>

#include "allocators/allocator.h"
#include "workloads/workload.h"

#define CELL_FD 3
#define CELL_MAGIC 0x6f6e7968u
#define CELL_VERSION 3u

enum cell_pass {
    PASS_TIMED,
    PASS_AUDIT,
    PASS_RSS,
    PASS_LATENCY,
    PASS_INSTRUCTIONS,
    PASS_SYSCALLS,
    PASS_SHARING,
    PASS_PROBE
};

/* In the syscalls pass the measured process says by these system calls, prctl(CELL_MARK_OPTION, mark), which fail and do
 * nothing, when what follows in the trace counts. */
#define CELL_MARK_OPTION 0x68640000
enum cell_mark {
    MARK_BEGIN = 1, /* main: the measured phase */
    MARK_END,
    MARK_IN, /* a thread: from here on it is the workload's; one that was never OUT is from its birth */
    MARK_OUT
};

enum cell_status {
    STATUS_OK,
    STATUS_CONTAMINATED,
    STATUS_SKIP,
    STATUS_CRASH,
    STATUS_TIMEOUT,
    STATUS_OOM,
    STATUS_BADBIND,
    STATUS_UNPROVEN,
};

enum cell_message { MSG_SPEC = 1, MSG_PROOF, MSG_TIDS, MSG_GO, MSG_RESULT };

struct cell_header {
    uint32_t magic, version, message, n_bytes;
};

struct cell_spec {
    struct cell_header header;
    char allocator[ALLOCATOR_NAME_MAX];
    char library[ALLOCATOR_PATH_MAX]; /* empty: the candidates of the row */
    char tree_dir[ALLOCATOR_PATH_MAX];
    uint32_t load; /* enum allocator_load */
    uint32_t pass; /* enum cell_pass; PASS_PROBE ends after cell_proof */
    char workload[ALLOCATOR_NAME_MAX];
    int64_t params[WORKLOAD_MAX_PARAMS];
    uint32_t n_threads;
    uint64_t seed;         /* mixed by the driver from master seed, workload and repetition */
    uint64_t ops_total;    /* fixed number of operations over all threads; 0: duration_ns ends the run */
    uint64_t duration_ns;  /* of the window in which all threads run */
    uint64_t warmup_ops;   /* per thread */
    uint32_t has_counters; /* read the processor's counters in the measured phase */
    int32_t expected_node; /* NUMA node whose share of the pages is asked for; -1: none */
};

struct cell_proof {
    struct cell_header header;
    uint32_t status; /* OK, SKIP (not installed, entry missing), UNPROVEN */
    struct allocator_proof proof;
};

struct cell_tids {
    struct cell_header header;
    uint32_t n_threads;
    int32_t tids[CELL_MAX_THREADS];
};

struct cell_go {
    struct cell_header header;
};

/* Unsigned counters: UINT64_MAX = not measured. Doubles: NaN = not measured. */
struct cell_result {
    struct cell_header header;
    uint32_t status;
    char why[ALLOCATOR_WHY_MAX];
    uint64_t ops;     /* measured phase, all threads */
    uint64_t wall_ns; /* first start to last finish */
    /* Last start to first finish: all threads running; not measured if they never all ran. */
    uint64_t window_ns;
    uint64_t window_ops;
    uint64_t min_thread_ops, max_thread_ops; /* in the window */
    uint64_t start_skew_ns;
    uint64_t n_generations_min; /* fewest successors over the slots; not measured without successors */
    double remote_free_fraction;
    double shared_line_fraction, passive_line_fraction;
    uint64_t expected_allocs, counted_allocs, counted_frees;               /* counted: audit pass only */
    uint64_t user_ns, sys_ns, run_delay_ns, nvcsw, nivcsw, minflt, majflt; /* measured phase */
    uint64_t start_rss_bytes;                                              /* before the workload's setup */
    uint64_t peak_rss_bytes;                                               /* VmHWM, read last */
    uint64_t end_rss_bytes;                                   /* after the run, before teardown */
    uint64_t retained_rss_bytes;                              /* after teardown has freed everything */
    uint64_t anon_huge_bytes;                                 /* after the run */
    double on_node_fraction;                                  /* of the anonymous pages, after the run */
    uint64_t instructions, cycles, cache_misses, dtlb_misses; /* measured phase, user mode, all threads */
    struct alloc_stats stats;                                 /* of the allocator itself, after the run */
};

#endif
