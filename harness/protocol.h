/*
 * What the driver and the measured process say to each other: fixed-size, versioned structs, one per message,
 * over one SOCK_SEQPACKET pair whose child end is CELL_FD. Nothing between C and C is text that has to be
 * parsed.
 *
 *   driver -> cell   struct cell_spec
 *   cell -> driver   struct cell_proof    after the allocator was opened and proved (or not: status tells)
 *   cell -> driver   struct cell_tids     slot i's thread; each waits for cell_go
 *   driver -> cell   struct cell_go       after each tid was bound and its mask read back
 *   cell -> driver   struct cell_latency  in the latency pass alone, when all went well
 *   cell -> driver   struct cell_freed    PASS_RSS only: all has been freed, the threads are idle
 *   driver -> cell   struct cell_go       after it has watched that for a while
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
#define CELL_VERSION 4u

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

enum cell_message { MSG_SPEC = 1, MSG_PROOF, MSG_TIDS, MSG_GO, MSG_FREED, MSG_RESULT, MSG_LATENCY };

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
    uint64_t seed; /* mixed by the driver from master seed, workload and repetition */
    /* Fixed number of operations over all threads. 0: duration_ns ends the run, or, in PASS_RSS, a
     * WORKLOAD_COURSE ends by itself. */
    uint64_t ops_total;
    uint64_t duration_ns;  /* of the window in which all threads run */
    uint64_t warmup_ops;   /* per thread */
    uint32_t has_counters; /* read the processor's counters in the measured phase */
    int32_t expected_node; /* NUMA node whose share of the pages is asked for; -1: none */
    /* Of the latency pass: */
    uint32_t sample_every;    /* calls from one that is timed to the next, on average */
    uint32_t transaction_ops; /* operations of a transaction */
    uint64_t rate_per_s;      /* transactions that arrive, all threads together; 0: each begins when it can */
    uint32_t is_fixed_rate;   /* at equal distances; 0: as a Poisson process */
};

struct cell_proof {
    struct cell_header header;
    uint32_t status; /* OK, SKIP (not installed, entry missing), UNPROVEN */
    struct allocator_proof proof;
};

/* In PASS_RSS a descriptor comes with it (SCM_RIGHTS): the memory that holds the cell's struct worker[n_threads],
 * in which live_bytes and n_generations may be read while the cell runs. */
struct cell_tids {
    struct cell_header header;
    int32_t pid; /* of the measured process, which a wrapper may have started */
    uint32_t n_threads;
    int32_t tids[CELL_MAX_THREADS];
};

struct cell_go {
    struct cell_header header;
};

struct cell_freed {
    struct cell_header header;
};

/* What was timed. The first are entries of the allocator, by their names. */
enum latency_op {
    LATENCY_MALLOC,
    LATENCY_FREE,
    LATENCY_CALLOC,
    LATENCY_REALLOC,
    LATENCY_ALIGNED_ALLOC,
    LATENCY_N_CALLS,
    LATENCY_ANY_CALL = LATENCY_N_CALLS, /* all of the above */
    LATENCY_FIRST_MALLOC,               /* the first allocation that a thread makes */
    LATENCY_STARTUP,                    /* the driver puts it together */
    LATENCY_TRANSACTION,                /* from the scheduled time to the end */
    LATENCY_SERVICE,                    /* of a transaction: from its beginning to the end */
    LATENCY_DELAY,                      /* of a transaction: from the scheduled time to its beginning */
    LATENCY_N_OPS
};

/* Groups of sizes asked for, by the largest size in each; the last has no bound. */
#define LATENCY_CLASS_BYTES                                                                                  \
    { 64, 256, 1024, 4096, 16384, 131072, 1048576, UINT64_MAX }
#define LATENCY_N_CLASSES 8
#define LATENCY_ANY_CLASS LATENCY_N_CLASSES

/* Percentiles, in millionths. */
#define LATENCY_PPM                                                                                          \
    {                                                                                                        \
        0, 250000, 500000, 750000, 900000, 950000, 980000, 990000, 995000, 998000, 999000, 999500, 999800,   \
            999900, 999950, 999980, 999990, 999999, 1000000                                                  \
    }
#define LATENCY_N_PPM 19
#define LATENCY_MAX_ROWS 64

enum latency_timer { TIMER_CLOCK_GETTIME, TIMER_RDTSCP };

struct latency_row {
    uint32_t op, size_class; /* enum latency_op; index into LATENCY_CLASS_BYTES or LATENCY_ANY_CLASS */
    uint64_t n;
    double ns[LATENCY_N_PPM]; /* NaN: fewer samples than it takes to have one beyond */
};

struct cell_latency {
    struct cell_header header;
    uint32_t timer; /* enum latency_timer */
    double timer_min_ns,
        timer_median_ns;  /* between two readings with nothing in between; taken off nothing */
    double timer_step_ns; /* least change of the clock */
    uint64_t main_ns;     /* CLOCK_MONOTONIC as main began */
    uint64_t open_ns;     /* from there on, opening the library and a first malloc */
    /* Transactions: due by the end; of them, late: another of the same thread was not done at the scheduled time;
     * and missed: not begun by the end, of which the time waited until then was counted. */
    uint64_t n_due, n_late, n_missed;
    uint32_t n_rows;
    struct latency_row rows[LATENCY_MAX_ROWS];
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
    uint64_t table_bytes;                                                  /* see struct cell */
    uint64_t peak_rss_bytes;                                               /* VmHWM, read last */
    uint64_t peak_anon_bytes;                                 /* of it, what is not mapped from files */
    uint64_t end_rss_bytes;                                   /* after the run, before teardown */
    uint64_t retained_rss_bytes;                              /* after teardown has freed everything */
    uint64_t anon_huge_bytes;                                 /* after the run */
    double on_node_fraction;                                  /* of the anonymous pages, after the run */
    uint64_t instructions, cycles, cache_misses, dtlb_misses; /* measured phase, user mode, all threads */
    struct alloc_stats stats;                                 /* of the allocator itself, after the run */
};

#endif
