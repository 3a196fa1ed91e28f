/* What the instruments make of their inputs: callgrind's profile, memory policies, the nodes of a machine. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "harness/callgrind.h"
#include "harness/membind.h"
#include "harness/strace.h"
#include "harness/topology.h"

#define PROGRAM "/tree/build/cell"

/* 10 own instructions of the program; its call to the allocator costs 100, of which 30 in libc; its own call to
 * libc's memset 7; the allocator's total is 100. */
static const char profile[] = "# callgrind format\n"
                              "positions: line\nevents: Ir\nsummary: 117\n\n"
                              "ob=" PROGRAM "\nfl=pair.c\nfn=pair_run\n0 10\n"
                              "cob=/lib/liballoc.so\ncfi=???\ncfn=malloc\ncalls=5 0\n0 100\n"
                              "cob=/lib/libc.so.6\ncfi=???\ncfn=memset\ncalls=1 0\n0 7\n"
                              "cfn=pair_run'2\ncalls=1 0\n0 9999\n\n"
                              "ob=/lib/liballoc.so\nfn=malloc\n0 70\n"
                              "cob=/lib/libc.so.6\ncfn=memset\ncalls=2 0\n0 30\n\n"
                              "ob=/lib/libc.so.6\nfn=memset\n0 37\n\n";

static int parse(const char *text, bool is_libc_subject, struct callgrind_counts *out, struct problem *p) {
    FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    assert_non_null(in);
    int err = callgrind_parse(in, PROGRAM, is_libc_subject, out, p);
    fclose(in);
    return err;
}

static void profile_is_shared_out_by_file(void **state) {
    (void)state;
    char text[1024];
    struct callgrind_counts counts;
    struct problem p;
    snprintf(text, sizeof text, "%stotals: 117\n", profile);
    assert_int_equal(parse(text, false, &counts, &p), 0);
    assert_int_equal(counts.total, 117);
    assert_int_equal(counts.allocator, 100);
}

static void libc_as_the_subject_keeps_its_allocations(void **state) {
    (void)state;
    static const char text[] = "ob=" PROGRAM "\nfn=pair_run\n0 10\n"
                               "cob=/lib/libc.so.6\ncfn=malloc\ncalls=5 0\n0 100\n"
                               "cob=/lib/libc.so.6\ncfn=memset\ncalls=1 0\n0 7\n\n"
                               "ob=/lib/libc.so.6\nfn=malloc\n0 100\nfn=memset\n0 7\n\ntotals: 117\n";
    struct callgrind_counts counts;
    struct problem p;
    assert_int_equal(parse(text, true, &counts, &p), 0);
    assert_int_equal(counts.allocator, 100);
    assert_int_equal(parse(text, false, &counts, &p), 0);
    assert_int_equal(counts.allocator, 0);
}

static void profile_that_does_not_add_up_is_refused(void **state) {
    (void)state;
    char text[1024];
    struct callgrind_counts counts;
    struct problem p;
    snprintf(text, sizeof text, "%stotals: 118\n", profile);
    assert_int_equal(parse(text, false, &counts, &p), -EBADMSG);
    assert_non_null(strstr(p.text, "117 of 118"));
    assert_int_equal(parse(profile, false, &counts, &p), -EBADMSG); /* cut off before its total */
    assert_int_equal(parse("totals: 0\n", false, &counts, &p), -EBADMSG);
}

static void policies_have_one_spelling(void **state) {
    (void)state;
    static const char *const wrong[] = {"", "none", "-1", "1,2", "4096", "first", "interleave "};
    struct membind m;
    char text[MEMBIND_NAME_MAX];
    assert_int_equal(membind_parse("first-touch", &m), 0);
    assert_int_equal(m.kind, MEMBIND_FIRST_TOUCH);
    assert_int_equal(membind_parse("interleave", &m), 0);
    assert_int_equal(m.kind, MEMBIND_INTERLEAVE);
    assert_int_equal(membind_parse("07", &m), 0);
    assert_int_equal(m.node, 7);
    assert_string_equal(membind_name(&m, text), "7");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(membind_parse(wrong[i], &m), -EINVAL);
}

static void node_that_is_not_there_is_refused(void **state) {
    (void)state;
    struct membind m;
    struct problem p = {{0}};
    membind_parse("first-touch", &m);
    assert_int_equal(membind_check(&m, &p), 0);
    membind_parse("4095", &m);
    assert_int_not_equal(membind_check(&m, &p), 0);
    assert_non_null(strstr(p.text, "--membind 4095: "));
}

static void units_know_their_node(void **state) {
    (void)state;
    struct topology t;
    struct problem p;
    setenv("HWLOC_SYNTHETIC", "pack:2 [numa] core:4 pu:1", 1);
    assert_int_equal(topology_open(&t, &p), 0);
    assert_int_equal(t.n_nodes, 2);
    assert_int_equal(topology_node_of(&t, 0), 0);
    assert_int_equal(topology_node_of(&t, 3), 0);
    assert_int_equal(topology_node_of(&t, 4), 1);
    assert_int_equal(topology_node_of(&t, 99), -1);
    topology_close(&t);
}

static int parse_trace(const char *text, struct syscall_counts *out, struct problem *p) {
    FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    assert_non_null(in);
    int err = strace_parse(in, out, p);
    fclose(in);
    return err;
}

/* 10 is main, 20 and 21 the slots' first threads, 22 a successor, 30 a thread of the allocator's own. Of the marks 1 is
 * begin, 2 end, 3 in, 4 out. */
/* clang-format off */
static const char trace[] =
    "20    brk(0) = 0x1000\n"
    "20    prctl(0x68640000, 0x4, 0, 0, 0) = -1 EINVAL (Invalid argument)\n"
    "21    prctl(0x68640000, 0x4, 0, 0, 0) = -1 EINVAL (Invalid argument)\n"
    "20    futex(0x1, 0, 0 <unfinished ...>\n"
    "10    prctl(0x68640000, 0x1, 0, 0, 0) = -1 EINVAL (Invalid argument)\n"
    "10    futex(0x1, 0x1, 0x7fffffff) = 2\n" /* main opens the gate */
    "20    <... futex resumed>) = 0\n"
    "20    prctl(0x68640000, 0x3, 0, 0, 0) = -1 EINVAL (Invalid argument)\n"
    "20    mmap(0, 0x1000, 0x3, 0x22, 0xffffffff, 0) = 0x7f0000000000\n"
    "21    futex(0x1, 0, 0) = 0\n" /* still at the gate */
    "21    prctl(0x68640000, 0x3, 0, 0, 0 <unfinished ...>\n"
    "30    mmap(0, 0x2000, 0x3, 0x22, 0xffffffff, 0) = 0x7f0000001000\n"
    "21    <... prctl resumed>) = -1 EINVAL (Invalid argument)\n"
    "21    madvise(0x7f0000000000, 0x1000, 0x4 <unfinished ...>\n"
    "21    <... madvise resumed>) = 0\n"
    "21    prctl(0xf, 0x1) = 0\n"
    "21    clone3(0x7ffc, 0x58 <unfinished ...>\n"
    "22    sched_yield() = 0\n"
    "21    +++ exited with 0 +++\n"
    "20    --- SIGCONT {si_signo=SIGCONT} ---\n"
    "22    prctl(0x68640000, 0x4, 0, 0, 0) = -1 EINVAL (Invalid argument)\n"
    "22    munmap(0x7f0000000000, 0x1000) = 0\n"
    "20    prctl(0x68640000, 0x4, 0, 0, 0) = -1 EINVAL (Invalid argument)\n"
    "20    futex(0x1, 0, 0 <unfinished ...>\n"
    "10    prctl(0x68640000, 0x2, 0, 0, 0) = -1 EINVAL (Invalid argument)\n"
    "20    brk(0x2000) = 0x2000\n";
/* clang-format on */

static void trace_counts_what_the_marks_enclose(void **state) {
    (void)state;
    struct syscall_counts n;
    struct problem p;
    assert_int_equal(parse_trace(trace, &n, &p), 0);
    assert_int_equal(n.total, 6);
    assert_int_equal(n.by_name[SYSCALL_MMAP], 2);
    assert_int_equal(n.by_name[SYSCALL_MADVISE], 1);
    assert_int_equal(n.by_name[SYSCALL_SCHED_YIELD], 1);
    assert_int_equal(n.by_name[SYSCALL_FUTEX] + n.by_name[SYSCALL_BRK] + n.by_name[SYSCALL_MUNMAP], 0);
}

static void trace_without_its_marks_is_refused(void **state) {
    (void)state;
    struct syscall_counts n;
    struct problem p;
    assert_int_equal(parse_trace("10    brk(0) = 0\n", &n, &p), -EBADMSG);
    assert_non_null(strstr(p.text, "the beginning of the measured phase"));
    assert_int_equal(parse_trace("10    prctl(0x68640000, 0x1) = -1\n20    brk(0) = 0\n", &n, &p), -EBADMSG);
    assert_non_null(strstr(p.text, "the end of the measured phase"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(profile_is_shared_out_by_file),
        cmocka_unit_test(libc_as_the_subject_keeps_its_allocations),
        cmocka_unit_test(profile_that_does_not_add_up_is_refused),
        cmocka_unit_test(policies_have_one_spelling),
        cmocka_unit_test(node_that_is_not_there_is_refused),
        cmocka_unit_test(units_know_their_node),
        cmocka_unit_test(trace_counts_what_the_marks_enclose),
        cmocka_unit_test(trace_without_its_marks_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
