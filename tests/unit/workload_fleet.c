/* fleet does what its table says: shares of sizes, numbers of live objects, lifetimes; and refuses a table it cannot read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/fake_cell.h"

#define MAX_SIZE_BYTES (1 << 20)

struct header {
    uint64_t size_bytes, born;
};

/* By size of object. One thread only. */
static uint64_t n_calls, n_born[MAX_SIZE_BYTES + 1], n_dead[MAX_SIZE_BYTES + 1], age_sum[MAX_SIZE_BYTES + 1];

static void *observed_alloc(size_t size_bytes) {
    struct header *h = malloc(sizeof *h + size_bytes);
    assert_true(h && size_bytes <= MAX_SIZE_BYTES);
    *h = (struct header){size_bytes, n_calls++};
    n_born[size_bytes]++;
    return h + 1;
}

static void observed_free(void *block) {
    struct header *h = (struct header *)block - 1;
    n_dead[h->size_bytes]++;
    age_sum[h->size_bytes] += n_calls - h->born;
    free(h);
}

static const struct alloc_ops observed = {.alloc = observed_alloc, .free = observed_free};

static void observe(uint64_t n_ops, int64_t total_bytes, struct fake_result *r) {
    struct fake_spec spec;
    fake_spec_init(&spec, "fleet", 1);
    fake_param_set(&spec, "total_bytes", total_bytes);
    spec.inner = &observed;
    spec.warmup_ops = 0;
    spec.ops_total = n_ops;
    n_calls = 0;
    memset(n_born, 0, sizeof n_born);
    memset(n_dead, 0, sizeof n_dead);
    memset(age_sum, 0, sizeof age_sum);
    fake_run(&spec, r);
}

static void observe_table(const char *text, uint64_t n_ops, int64_t total_bytes, struct fake_result *r) {
    char path[] = "/tmp/heapdyno-fleet-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    setenv("HEAPDYNO_FLEET_CSV", path, 1);
    observe(n_ops, total_bytes, r);
    unsetenv("HEAPDYNO_FLEET_CSV");
    unlink(path);
}

#define assert_near(x, y, relative) assert_true(fabs((double)(x) / (double)(y)-1) < (relative))

static void objects_live_as_long_as_the_table_says(void **state) {
    (void)state;
    static const char table[] = "# two classes\n"
                                "size_bytes,allocs_per_s,live_objects\n"
                                "100,3e3,10\r\n"
                                "\n"
                                "1000,1000,100";
    enum { OPS = 200000, START = 110 };
    struct fake_result r;
    observe_table(table, OPS, 100 * 10 + 1000 * 100, &r);
    assert_int_equal(r.err, 0);
    assert_int_equal(r.n_allocs, START + OPS);
    assert_int_equal(r.expected_allocs, START + OPS);
    assert_near(n_born[100], OPS * 0.75, 0.01);
    assert_near(n_born[1000], OPS * 0.25, 0.02);
    /* Of all steps 3 in 4 are of the first class and hit one of its 10 objects. */
    assert_near((double)age_sum[100] / (double)n_dead[100], 10 / 0.75, 0.02);
    assert_near((double)age_sum[1000] / (double)n_dead[1000], 100 / 0.25, 0.04);
}

static void live_objects_follow_total_bytes(void **state) {
    (void)state;
    static const char table[] = "size_bytes,allocs_per_s,live_objects\n64,1,1000\n128,0,500\n6000,0.001,0\n";
    struct fake_result r;
    observe_table(table, 1000, 2 * 128000, &r);
    assert_int_equal(r.err, 0);
    assert_int_equal(n_born[128], 1000); /* the start: such objects are never replaced */
    assert_in_range(n_born[64], 2000 + 980, 2000 + 1000);
    assert_int_equal(n_born[64] + n_born[6000], 3000);
}

/* What the comment in workloads/data/fleet.csv says. */
static void the_default_table_has_its_shares(void **state) {
    (void)state;
    enum { OPS = 1000000 };
    struct fake_result r;
    uint64_t n_start = 0, start_bytes = 0, start_small_bytes = 0, n_small = 0;
    observe(1, 128 << 20, &r);
    assert_int_equal(r.err, 0);
    for (uint64_t size = 1; size <= MAX_SIZE_BYTES; size++) {
        n_start += n_born[size];
        start_bytes += size * n_born[size];
        start_small_bytes += size <= 8192 ? size * n_born[size] : 0;
    }
    assert_near(start_bytes, 128 << 20, 0.05);
    assert_near(start_small_bytes, 0.61 * (double)start_bytes, 0.02);

    observe(OPS, 16 << 20, &r);
    uint64_t n_start_small = 0;
    for (uint64_t size = 1; size <= 512; size++)
        n_small += n_born[size];
    observe(1, 16 << 20, &r);
    for (uint64_t size = 1; size <= 512; size++)
        n_start_small += n_born[size];
    assert_near(n_small - n_start_small, 0.98 * OPS, 0.005);
}

static void a_bad_table_is_refused_with_its_line(void **state) {
    (void)state;
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"", "no classes"},
        {"size,rate,live\n1,2,3\n", "line 1"},
        {"size_bytes,allocs_per_s,live_objects\n", "no classes"},
        {"size_bytes,allocs_per_s,live_objects\n16,1,1\n16,1\n", "line 3"},
        {"size_bytes,allocs_per_s,live_objects\n16,1,1,1\n", "line 2"},
        {"size_bytes,allocs_per_s,live_objects\n16,-1,1\n", "line 2"},
        {"size_bytes,allocs_per_s,live_objects\n16,nan,1\n", "line 2"},
        {"# a\n\nsize_bytes,allocs_per_s,live_objects\n0,1,1\n", "line 4"},
        {"size_bytes,allocs_per_s,live_objects\n16,0,1\n", "no class with a rate"},
        {"size_bytes,allocs_per_s,live_objects\n1000000,1,1\n", "no class with a rate"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct fake_result r;
        observe_table(bad[i].text, 1, 4096, &r);
        if (r.err != -EINVAL || !strstr(r.why, bad[i].why))
            fail_msg("table %zu: %d %s", i, r.err, r.why);
        assert_int_equal(r.n_allocs, 0);
    }
}

static void a_missing_file_is_an_error(void **state) {
    (void)state;
    struct fake_result r;
    setenv("HEAPDYNO_FLEET_CSV", "/nonexistent/fleet.csv", 1);
    observe(1, 4096, &r);
    unsetenv("HEAPDYNO_FLEET_CSV");
    assert_int_equal(r.err, -ENOENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_live_as_long_as_the_table_says),
        cmocka_unit_test(live_objects_follow_total_bytes),
        cmocka_unit_test(the_default_table_has_its_shares),
        cmocka_unit_test(a_bad_table_is_refused_with_its_line),
        cmocka_unit_test(a_missing_file_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
