/*
 * The built cell binary, spoken to over its socket as the driver does, without the driver. One cell at a time.
 */
#ifndef HEAPDYNO_REAL_CELL_H
#define HEAPDYNO_REAL_CELL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "harness/protocol.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#else
#define IS_SANITIZED 0
#endif

#define WARMUP_OPS 100

struct order {
    struct cell_spec spec;
    const char *cell; /* in the build folder */
    const char *preload;
    const char *fault_after;
    int result_patience_ms;     /* so long the result is waited for; 0: until the cell must be hanging */
    rlim_t address_space_bytes; /* 0: no limit */
    bool is_deserted;           /* the driver goes away instead of sending cell_go */
};

/* Of the last cell. */
struct answer {
    bool has_proof, has_tids, has_result;
    struct cell_proof proof;
    struct cell_tids tids;
    struct cell_result result;
    int wait_status;
    uint64_t image_written_kb; /* pages of the cell's own file that it wrote to, while its threads wait */
};

extern struct answer answer;

const char *build_dir(void);

/* Short runs of malloc-test or of a larson whose generations are 200 steps; ops_total or duration_ns are the caller's. */
struct order make_order(const char *allocator, const char *workload, enum cell_pass pass, unsigned n_threads);
/* An order for an allocator that works, with blocks passing between threads. */
struct order make_sound_order(const char *workload, enum cell_pass pass, unsigned n_threads);
/* The same with a library of tests/fixtures, which may fail after so many calls (NULL: as it is). */
struct order with_fixture(struct order o, const char *fixture, const char *fault_after);

/* Runs a cell to its end and fills `answer`. */
void run_cell(struct order o);

void assert_says(const char *text, const char *part);
void assert_result_ok(void);
void assert_no_numbers(void);

#endif
