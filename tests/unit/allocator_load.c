/* Opening and proving: glibc itself, and fixtures that are not what they say. Each fault has its own message. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "allocators/allocator.h"

static const char *build_dir(void) {
    const char *dir = getenv("HEAPDYNO_BUILD");
    return dir ? dir : "build";
}

static int open_fixture(struct subject *s, const char *name, const char *fixture) {
    char path[256];
    snprintf(path, sizeof path, "%s/fixtures/%s.so", build_dir(), fixture);
    return allocator_open(s, name, path, LOAD_DLOPEN, build_dir());
}

static void assert_says(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static void table_is_sound(void **state) {
    char why[ALLOCATOR_WHY_MAX];
    (void)state;
    assert_int_equal(allocator_table_check(why, sizeof why), 0);
    assert_ptr_equal(allocator_find("glibc")->candidates, NULL);
    assert_null(allocator_find("no-such-allocator"));
    assert_null(allocator_find(""));
}

static void glibc_is_proved(void **state) {
    struct subject s;
    (void)state;
    assert_int_equal(allocator_open(&s, "glibc", NULL, LOAD_DLOPEN, build_dir()), 0);
    assert_int_equal(allocator_prove(&s), 0);
    assert_says(s.proof.path, "/libc.so.6");
    assert_true(strlen(s.proof.build_id) >= 16);
    assert_true(s.proof.version[0] >= '2' && s.proof.version[0] <= '9');
    assert_non_null(s.ops.aligned_alloc);
    assert_null(s.ops.free_sized);

    struct alloc_stats before, during;
    assert_int_equal(s.row->stats(&s, &before), 0);
    void *block = s.ops.alloc(1 << 22);
    assert_non_null(block);
    assert_int_equal(s.row->stats(&s, &during), 0);
    s.ops.free(block);
    assert_true(during.allocated_bytes - before.allocated_bytes >= 1 << 22);
    assert_int_equal(during.resident_bytes, -1);
    assert_int_equal(during.n_fills, -1);
    assert_int_equal(during.n_bins + during.n_arenas, 0);
}

/* The counters of bins, arenas and caches, where the allocator has them: those of the arena see what was done. */
static void arena_counts_by_bin_and_by_arena(void **state) {
    enum { N_BLOCKS = 1000, BLOCK_BYTES = 1000 /* and a tag, where blocks are hardened */ };
    static void *blocks[N_BLOCKS];
    static struct alloc_stats before, during, after;
    struct subject s;
    (void)state;
    assert_int_equal(allocator_open(&s, "arena", NULL, LOAD_DLOPEN, build_dir()), 0);
    assert_int_equal(s.row->stats(&s, &before), 0);
    for (int i = 0; i < N_BLOCKS; i++)
        blocks[i] = s.ops.alloc(BLOCK_BYTES);
    assert_int_equal(s.row->stats(&s, &during), 0);
    for (int i = 0; i < N_BLOCKS; i++)
        s.ops.free(blocks[i]);
    assert_int_equal(s.row->purge(&s), 0);
    assert_int_equal(s.row->stats(&s, &after), 0);
    const struct alloc_bin *bin = during.bins;
    for (unsigned i = 0; i < during.n_bins && bin->region_bytes < BLOCK_BYTES; i++)
        bin++;
    assert_true(bin->n_regions >= N_BLOCKS);
    assert_true(bin->n_runs * 64 >= N_BLOCKS);
    assert_true(during.n_fills > before.n_fills && after.n_flushes > during.n_flushes);
    assert_int_equal(during.n_arenas, 1);
    assert_true(during.arena_active_bytes[0] >= N_BLOCKS * BLOCK_BYTES);
    assert_true(during.tcache_bytes < N_BLOCKS * BLOCK_BYTES && after.tcache_bytes == 0);
    assert_true(after.n_purge_calls > during.n_purge_calls && after.purged_bytes > during.purged_bytes);
    assert_int_equal(during.n_contended, 0);
}

static void sound_library_is_proved_under_any_label(void **state) {
    struct subject s;
    (void)state;
    assert_int_equal(open_fixture(&s, "anything", "sound"), 0);
    assert_int_equal(allocator_prove(&s), 0);
    assert_null(s.row);
    assert_says(s.proof.path, "/fixtures/sound.so");
    assert_says(s.proof.canary, "libc=0 own=none freed=none");
}

static void foreign_entries_are_missing(void **state) {
    struct subject s;
    (void)state;
    assert_int_equal(open_fixture(&s, "anything", "sound"), 0);
    assert_null(s.ops.calloc);
    assert_null(s.ops.realloc);
    assert_string_equal(s.proof.foreign, "calloc,realloc,aligned_alloc,malloc_usable_size");
}

static void missing_free_is_refused(void **state) {
    struct subject s;
    (void)state;
    assert_int_equal(open_fixture(&s, "anything", "no_free"), -ENOSYS);
    assert_says(s.proof.why, "free is not in ");
    assert_says(s.proof.why, "libc.so");
}

static void forwarding_to_libc_is_unproven(void **state) {
    struct subject s;
    (void)state;
    assert_int_equal(open_fixture(&s, "anything", "forward"), 0);
    assert_int_equal(allocator_prove(&s), -EPROTO);
    assert_says(s.proof.why, "came from libc's malloc");
}

static void wrong_name_is_unproven(void **state) {
    struct subject s;
    (void)state;
    assert_int_equal(open_fixture(&s, "jemalloc", "sound"), 0);
    assert_int_equal(allocator_prove(&s), -EPROTO);
    assert_says(s.proof.why, "is not jemalloc: it has no symbol mallctl");
    assert_int_equal(open_fixture(&s, "glibc", "sound"), 0);
    assert_int_equal(allocator_prove(&s), -EPROTO);
    assert_says(s.proof.why, "is not glibc");
}

static void counters_that_stand_still_are_unproven(void **state) {
    struct subject s;
    (void)state;
    assert_int_equal(open_fixture(&s, "jemalloc", "impostor"), 0);
    assert_int_equal(allocator_prove(&s), -EPROTO);
    assert_says(s.proof.why, "jemalloc counted 0 bytes");
}

static void bad_blocks_are_unproven(void **state) {
    static const struct {
        const char *fixture, *why;
    } faults[] = {
        {"overlap", "overlap"},
        {"corrupt", "byte 0 of block 0 changed"},
        {"exhausted", "returned NULL"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct subject s;
        assert_int_equal(open_fixture(&s, "anything", faults[i].fixture), 0);
        assert_int_equal(allocator_prove(&s), -EPROTO);
        assert_says(s.proof.why, faults[i].why);
    }
}

static void absent_libraries_say_what_to_do(void **state) {
    struct subject s;
    (void)state;
    assert_int_equal(allocator_open(&s, "x", "/nonexistent/lib.so", LOAD_DLOPEN, build_dir()), -ENOENT);
    assert_says(s.proof.why, "/nonexistent/lib.so: no such file");
    assert_int_equal(allocator_open(&s, "null", NULL, LOAD_DLOPEN, "/nonexistent"), -ENOENT);
    assert_says(s.proof.why, "/nonexistent/libnull.so is not built: run make");
    assert_int_equal(allocator_open(&s, "x", NULL, LOAD_DLOPEN, build_dir()), -ENOENT);
    assert_says(s.proof.why, "no such allocator");
    assert_int_equal(allocator_open(&s, "x", "/proc/self/status", LOAD_DLOPEN, build_dir()), -ELIBBAD);
    assert_says(s.proof.why, "cannot be loaded: /proc/self/status");
}

static void preload_that_did_not_happen_is_unproven(void **state) {
    char path[256];
    struct subject s;
    (void)state;
    snprintf(path, sizeof path, "%s/fixtures/hang.so", build_dir()); /* no other test loads it */
    assert_int_equal(allocator_open(&s, "x", path, LOAD_PRELOAD, build_dir()), -EPROTO);
    assert_says(s.proof.why, "LD_PRELOAD did not take effect");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_sound),
        cmocka_unit_test(glibc_is_proved),
        cmocka_unit_test(arena_counts_by_bin_and_by_arena),
        cmocka_unit_test(sound_library_is_proved_under_any_label),
        cmocka_unit_test(foreign_entries_are_missing),
        cmocka_unit_test(missing_free_is_refused),
        cmocka_unit_test(forwarding_to_libc_is_unproven),
        cmocka_unit_test(wrong_name_is_unproven),
        cmocka_unit_test(counters_that_stand_still_are_unproven),
        cmocka_unit_test(bad_blocks_are_unproven),
        cmocka_unit_test(absent_libraries_say_what_to_do),
        cmocka_unit_test(preload_that_did_not_happen_is_unproven),
    };
    return cmocka_run_group_tests_name("allocator_load", tests, NULL, NULL);
}
