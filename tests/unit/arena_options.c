/*
 * Each option of MALLOC_CONF does what it says: this program runs itself with a setting and looks at one thing (a
 * probe), which differs if the option is ignored. And what is reported of wrong settings; how many arenas there are by
 * affinity and cgroup quota; where NUMA maps put arenas and memory, with the node and the policy call injected.
 *
 *   arena_options --table      docs/arena-options.md, from the table of options
 *   arena_options --probe N    what the probe N sees, for the tests
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARENA_PREFIXED 1
#include "allocators/arena/arena.h"
#include "allocators/arena/conf.h"
#include "allocators/arena/os.h"
#include "allocators/arena/shim.h"

#if defined(ARENA_HARDENED)
#define GUARD_BYTES sizeof(uint64_t) /* of a block belong to the guard */
#else
#define GUARD_BYTES 0
#endif

/* The seam: the node of the caller, the memory policies set, and the files about cgroups. */
static unsigned injected_node;
static size_t n_bound_bytes[8];
static const char *const *injected_files; /* path, content, ..., NULL; NULL: the real ones */

unsigned __wrap_os_sys_current_node(void);
int __wrap_os_sys_mbind(void *addr, size_t bytes, unsigned node);
size_t __real_os_sys_read_file(const char *path, char *buf, size_t size);
size_t __wrap_os_sys_read_file(const char *path, char *buf, size_t size);

unsigned __wrap_os_sys_current_node(void) {
    return injected_node;
}

int __wrap_os_sys_mbind(void *addr, size_t bytes, unsigned node) {
    if (addr == NULL || node >= 8)
        abort();
    __atomic_fetch_add(&n_bound_bytes[node], bytes, __ATOMIC_RELAXED);
    return 0;
}

size_t __wrap_os_sys_read_file(const char *path, char *buf, size_t size) {
    if (injected_files == NULL)
        return __real_os_sys_read_file(path, buf, size);
    buf[0] = '\0';
    for (size_t i = 0; injected_files[i] != NULL; i += 2)
        if (strcmp(injected_files[i], path) == 0)
            snprintf(buf, size, "%s", injected_files[i + 1]);
    return strlen(buf);
}

/* Helpers of the probes, which run in a process of their own. */

static size_t ctl(const char *name) {
    size_t value = 0, n = sizeof value;
    if (arena_mallctl(name, &value, &n, NULL, 0) != 0)
        abort();
    return value;
}

static unsigned own_arena(void) {
    unsigned idx = 0;
    size_t n = sizeof idx;
    if (arena_mallctl("thread.arena", &idx, &n, NULL, 0) != 0)
        abort();
    return idx;
}

/* The counter of the thread's own arena. */
static size_t own(const char *name) {
    char full[160];
    snprintf(full, sizeof full, "stats.arenas.%u.%s", own_arena(), name);
    return ctl(full);
}

static void act(const char *name) {
    char full[160];
    snprintf(full, sizeof full, "arena.%u.%s", own_arena(), name);
    if (arena_mallctl(full, NULL, NULL, NULL, 0) != 0)
        abort();
}

static void flush(void) {
    arena_mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
}

static void *blocks[4000];

static void fill(size_t size, size_t n) {
    for (size_t i = 0; i < n; i++) {
        blocks[i] = arena_malloc(size);
        memset(blocks[i], 1, size);
    }
}

static void drop(size_t n) {
    for (size_t i = 0; i < n; i++)
        arena_free(blocks[i]);
}

static void in_thread(void *(*body)(void *), void *arg) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, arg) != 0 || pthread_join(thread, NULL) != 0)
        abort();
}

static void probe_narenas(void) {
    unsigned n = 0;
    size_t n_bytes = sizeof n;
    arena_mallctl("arenas.narenas", &n, &n_bytes, NULL, 0);
    printf("%u", n);
}

static void probe_lg_chunk(void) {
    fill(4000, 1000);
    const char *wrong = arena_check(arena_peek(own_arena()));
    printf("%zu %s", own("mapped") % ((size_t)1 << conf.lg_chunk) == 0 ? chunk_bytes : 0,
           wrong == NULL ? "sound" : wrong);
}

/* Largest size of which a freed block stays in the cache; 0: none. */
static void probe_cached(void) {
    size_t largest = 0;
    for (unsigned i = 0; i < SIZE_CLASS_N_BINS; i++) {
        flush();
        arena_free(arena_malloc(size_class_bytes(i) - GUARD_BYTES));
        if (own("tcache_bytes") != 0)
            largest = size_class_bytes(i);
    }
    printf("%zu", largest);
}

/* What the cache holds after a lot of all sizes was freed. */
static void probe_cache_bytes(void) {
    size_t most = 0;
    for (int round = 0; round < 4; round++)
        for (size_t size = 16; size <= 60000; size += size / 3) {
            size_t n = 4000000 / size < 1000 ? 4000000 / size : 1000;
            fill(size, n);
            drop(n);
            size_t now = own("tcache_bytes");
            most = now > most ? now : most;
        }
    printf("%s, %s a quarter of it", most <= conf.tcache_bytes ? "within" : "above",
           most > conf.tcache_bytes / 4 ? "more than" : "less than");
}

static void probe_fills(void) {
    char name[100];
    fill(100 - GUARD_BYTES, 1000);
    snprintf(name, sizeof name, "bins.%u.nfills", size_class_of(100));
    printf("%s", own(name) >= 1000 ? "one by one" : "in batches");
}

/* Whether ten cached blocks stay so while others are allocated. */
static void probe_aged(void) {
    char taken[100], put[100];
    snprintf(taken, sizeof taken, "bins.%u.nmalloc", size_class_of(100));
    snprintf(put, sizeof put, "bins.%u.ndalloc", size_class_of(100));
    fill(100 - GUARD_BYTES, 10);
    drop(10);
    size_t before = own(taken) - own(put);
    for (int i = 0; i < 3000; i++)
        arena_free(arena_malloc(3000));
    printf("%s", own(taken) - own(put) < before ? "aged" : "kept");
}

static void nap(void) {
    nanosleep(&(struct timespec){0, 60000000}, NULL);
}

/* Dirty and muzzy pages after some were freed beside a live block, and time has passed. */
static void probe_decay(void) {
    fill(30000, 100);
    for (int i = 1; i < 100; i++)
        arena_free(blocks[i]);
    flush();
    for (int i = 0; i < 10 && own("pdirty") != 0; i++) {
        nap();
        act("decay");
    }
    printf("%s %s", own("pdirty") != 0 ? "dirty" : "-", own("pmuzzy") != 0 ? "muzzy" : "-");
}

static void probe_tasks(void) {
    int n = 0;
    DIR *dir = opendir("/proc/self/task");
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        n += entry->d_name[0] != '.';
    closedir(dir);
    printf("%d", n);
}

static void *say_arena(void *out) {
    arena_free(arena_malloc(100));
    *(unsigned *)out = own_arena();
    return NULL;
}

static void probe_percpu(void) {
    cpu_set_t all, one;
    bool is_by_cpu = true;
    sched_getaffinity(0, sizeof all, &all);
    for (int round = 0; round < 2; round++)
        for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--) {
            unsigned idx = 0;
            if (!CPU_ISSET(cpu, &all))
                continue;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            sched_setaffinity(0, sizeof one, &one);
            in_thread(say_arena, &idx);
            is_by_cpu = is_by_cpu && idx == (unsigned)cpu % arena_n();
        }
    printf("%s", is_by_cpu ? "by CPU" : "otherwise");
}

static void *allocate_kinds(void *out) {
    arena_free(arena_malloc(100));
    blocks[own_arena()] = arena_malloc(3000000); /* kept, so that the next thread has its own made */
    return say_arena(out);
}

/* Arenas that threads on node 1 join, and on which nodes memory was placed. */
static void probe_numa(void) {
    unsigned idx;
    injected_node = 1;
    for (int i = 0; i < 6; i++) {
        in_thread(allocate_kinds, &idx);
        printf("%u ", idx);
    }
    for (unsigned node = 0; node < 8; node++)
        if (n_bound_bytes[node] != 0)
            printf("node %u %s ", node,
                   n_bound_bytes[node] >= 3000000 + chunk_bytes ? "chunks and huge" : "some");
}

/* hg, nh or - of the mapping that an address lies in. */
static const char *thp_flag(const void *address) {
    static char line[4096];
    bool is_there = false;
    FILE *f = fopen("/proc/self/smaps", "r");
    const char *flag = "?";
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            is_there = from <= (unsigned long)address && (unsigned long)address < to;
        if (is_there && strncmp(line, "VmFlags:", 8) == 0) {
            flag = strstr(line, " hg") != NULL ? "hg" : strstr(line, " nh") != NULL ? "nh" : "-";
            break;
        }
    }
    fclose(f);
    return flag;
}

/* Flags of a full chunk, of the newest one, of a large and a small huge block; then of the full one, mostly freed. */
static void probe_thp(void) {
    fill(4000, 4000);
    char *huge = arena_malloc(8000000), *small = arena_malloc(1000000);
    uintptr_t first = chunk_base(chunk_of(blocks[0])), last = chunk_base(chunk_of(blocks[3999]));
    printf("%s %s %s %s", thp_flag(blocks[0]), first == last ? "one chunk" : thp_flag(blocks[3999]),
           thp_flag(huge + 4000000), thp_flag(small));
    for (int i = 0; i < 3999; i++)
        if (i % 200 != 0)
            arena_free(blocks[i]);
    flush();
    act("purge");
    printf(" %s", thp_flag(blocks[0]));
    arena_free(huge);
    arena_free(small);
}

/* First bytes of new and of freed blocks of each kind, used before; asterisks where they differ. */
static void probe_filling(void) {
    const size_t sizes[] = {100, 5000, 40000, 150000};
    int fresh = -1, freed = -1;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int round = 0; round < 2; round++) {
            volatile unsigned char *p = arena_malloc(sizes[i]);
            for (size_t at = 32; at < 96; at++) {
                fresh = fresh == -1 || fresh == p[at] ? p[at] : 999;
                p[at] = 0x33;
            }
            arena_free((void *)p);
            freed = freed == -1 || freed == p[50] ? p[50] : 999;
        }
    printf("%x %x", (unsigned)fresh, (unsigned)freed);
}

static void probe_fresh(void) {
    int sum = 0;
    for (int round = 0; round < 3; round++) {
        unsigned char *p = arena_malloc(3000), *q = arena_malloc(400000), *r = arena_malloc(150000);
        for (int i = 0; i < 3000; i++)
            sum += p[i] + q[i] + r[i];
        memset(p, 7, 3000);
        memset(q, 7, 3000);
        memset(r, 7, 3000);
        arena_free(p);
        arena_free(q);
        arena_free(r);
    }
    printf("%s", sum == 0 ? "zero" : "used");
}

static void probe_retain(void) {
    fill(4000, 4000);
    drop(4000);
    flush();
    act("purge");
    arena_mallctl("epoch", NULL, NULL, &(uint64_t){1}, sizeof(uint64_t));
    printf("%s", ctl("stats.retained") != 0 ? "retained" : "unmapped");
}

static void probe_nothing(void) {
    arena_free(arena_malloc(1));
    printf("ran");
}

static void (*const probes[])(void) = {
    probe_narenas, probe_lg_chunk, probe_cached, probe_cache_bytes, probe_fills,
    probe_aged,    probe_decay,    probe_tasks,  probe_percpu,      probe_numa,
    probe_thp,     probe_filling,  probe_fresh,  probe_retain,      probe_nothing,
};

/* Runs this program with a setting and a probe: what it wrote to both streams; its wait status. */
struct outcome {
    char out[512], err[8192];
    int status;
};

static void read_all(int fd, char *text, size_t size) {
    size_t n = 0;
    for (ssize_t got; n + 1 < size && (got = read(fd, text + n, size - 1 - n)) > 0;)
        n += (size_t)got;
    text[n] = '\0';
    close(fd);
}

static int probe_number(void (*probe)(void)) {
    for (size_t i = 0; i < sizeof probes / sizeof probes[0]; i++)
        if (probes[i] == probe)
            return (int)i;
    abort();
}

static struct outcome run_program(const char *program, const char *setting, void (*probe)(void)) {
    static struct outcome o;
    int out[2], err[2];
    char number[8];
    snprintf(number, sizeof number, "%d", probe_number(probe));
    assert_int_equal(pipe(out), 0);
    assert_int_equal(pipe(err), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGABRT, SIG_DFL);
        dup2(out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        setenv("MALLOC_CONF", setting, 1);
        execl(program, "arena_options", "--probe", number, NULL);
        _exit(99);
    }
    close(out[1]);
    close(err[1]);
    read_all(out[0], o.out, sizeof o.out);
    read_all(err[0], o.err, sizeof o.err);
    assert_int_equal(waitpid(child, &o.status, 0), child);
    return o;
}

static struct outcome run_with(const char *setting, void (*probe)(void)) {
    return run_program("/proc/self/exe", setting, probe);
}

/* Rows with one option and several values: if the option were ignored, one of them would fail. */
static const struct {
    const char *option, *setting;
    void (*probe)(void);
    const char *expected;
} cases[] = {
    {"narenas", "narenas:7", probe_narenas, "7"},
    {"narenas", "narenas:1024", probe_narenas, "1024"},
    {"lg_chunk", "lg_chunk:18", probe_lg_chunk, "262144 sound"},
    {"lg_chunk", "lg_chunk:19", probe_lg_chunk, "524288 sound"},
    {"lg_chunk", "lg_chunk:20", probe_lg_chunk, "1048576 sound"},
    {"lg_chunk", "", probe_lg_chunk, "2097152 sound"},
    {"lg_chunk", "lg_chunk:22", probe_lg_chunk, "4194304 sound"},
    {"lg_chunk", "lg_chunk:23", probe_lg_chunk, "8388608 sound"},
    {"lg_chunk", "lg_chunk:24", probe_lg_chunk, "16777216 sound"},
    {"lg_chunk", "lg_chunk:25", probe_lg_chunk, "33554432 sound"},
    {"lg_chunk", "lg_chunk:26", probe_lg_chunk, "67108864 sound"},
    {"tcache", "tcache:false", probe_cached, "0"},
    {"tcache", "tcache:true", probe_cached, "65536"},
    {"tcache_max", "tcache_max:1024", probe_cached, "1024"},
    {"tcache_max", "tcache_max:196608,tcache_bytes:4000000", probe_cached, "196608"},
    {"tcache_max", "tcache_max:0", probe_cached, "0"},
    {"tcache_bytes", "tcache_bytes:4096", probe_cache_bytes, "within, more than a quarter of it"},
    {"tcache_bytes", "tcache_bytes:65536", probe_cache_bytes, "within, more than a quarter of it"},
    {"tcache_bytes", "", probe_cache_bytes, "within, more than a quarter of it"},
    {"tcache_bytes", "tcache_bytes:3000000", probe_cache_bytes, "within, more than a quarter of it"},
    {"tcache_fill_div", "tcache_fill_div:64", probe_fills, "one by one"},
    {"tcache_fill_div", "tcache_fill_div:1", probe_fills, "in batches"},
    {"tcache_gc_bytes", "tcache_gc_bytes:1024", probe_aged, "aged"},
    {"tcache_gc_bytes", "tcache_gc_bytes:1073741824", probe_aged, "kept"},
    {"dirty_decay_ms", "dirty_decay_ms:0", probe_decay, "- -"},
    {"dirty_decay_ms", "dirty_decay_ms:50", probe_decay, "- -"},
    {"dirty_decay_ms", "dirty_decay_ms:-1", probe_decay, "dirty -"},
    {"dirty_decay_ms", "", probe_decay, "dirty -"},
    {"muzzy_decay_ms", "dirty_decay_ms:0,muzzy_decay_ms:-1", probe_decay, "- muzzy"},
    {"muzzy_decay_ms", "dirty_decay_ms:0,muzzy_decay_ms:60000", probe_decay, "- muzzy"},
    {"muzzy_decay_ms", "dirty_decay_ms:0,muzzy_decay_ms:0", probe_decay, "- -"},
    {"percpu_arena", "percpu_arena:true,narenas:64", probe_percpu, "by CPU"},
    {"arena_numa", "arena_numa:0-1@0;2-3@1,narenas:4", probe_numa, "2 2 2 2 2 2 node 1 chunks and huge "},
    {"arena_numa", "arena_numa:0-1@0,2-3@1,narenas:4", probe_numa, "2 2 2 2 2 2 node 1 chunks and huge "},
    {"arena_numa", "arena_numa:3@1;0-2@5,narenas:4", probe_numa, "3 3 3 3 3 3 node 1 chunks and huge "},
    {"junk", "junk:true", probe_filling, "a5 5a"},
    {"junk", "junk:false,zero:true", probe_filling, "0 33"},
    {"zero", "zero:true", probe_fresh, "zero"},
    {"zero", "zero:false", probe_fresh, "used"},
    {"retain", "retain:true", probe_retain, "retained"},
    {"retain", "retain:false", probe_retain, "unmapped"},
};

static void assert_probe(const char *setting, void (*probe)(void), const char *expected) {
    struct outcome o = run_with(setting, probe);
    if (o.status != 0 || strcmp(o.out, expected) != 0)
        fail_msg("%s: %s instead of %s, wait status %#x, it wrote: %s", setting, o.out, expected, o.status,
                 o.err);
}

static void every_option_does_what_it_says(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
#if defined(ARENA_HARDENED)
        if (strcmp(cases[i].option, "junk") == 0)
            continue; /* that build fills blocks with patterns of its own */
#endif
        assert_probe(cases[i].setting, cases[i].probe, cases[i].expected);
    }
}

static void no_option_goes_without_a_test(void **state) {
    (void)state;
    const char *elsewhere[] = {"background_thread", "thp",          "stats_print",
                               "abort_conf",        "confirm_conf", "strict_conf"};
    for (size_t i = 0; i < conf_n_options; i++) {
        bool is_tested = false;
        for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
            is_tested = is_tested || strcmp(cases[c].option, conf_options[i].name) == 0;
        for (size_t e = 0; e < sizeof elsewhere / sizeof elsewhere[0]; e++)
            is_tested = is_tested || strcmp(elsewhere[e], conf_options[i].name) == 0;
        if (!is_tested)
            fail_msg("no test of the option %s", conf_options[i].name);
    }
}

static void a_background_thread_runs_if_wanted(void **state) {
    (void)state;
    int without = atoi(run_with("background_thread:false", probe_tasks).out);
    int with = atoi(run_with("background_thread:true", probe_tasks).out);
    assert_true(without >= 1);
    assert_true(with > without); /* by one, but for threads of a sanitizer's own */
}

static void huge_pages_go_where_memory_is_mostly_active(void **state) {
    (void)state;
    if (access("/sys/kernel/mm/transparent_hugepage/enabled", F_OK) != 0)
        skip();
    assert_probe("thp:default", probe_thp, "- - - - -");
    assert_probe("thp:always", probe_thp, "hg - hg - nh");
    assert_probe("thp:never", probe_thp, "nh nh nh nh nh");
}

static void statistics_are_printed_at_exit(void **state) {
    (void)state;
    assert_non_null(strstr(run_with("stats_print:true", probe_nothing).err, "Begin arena statistics"));
    assert_string_equal(run_with("stats_print:false", probe_nothing).err, "");
}

static void settings_are_confirmed(void **state) {
    (void)state;
    struct outcome o = run_with("confirm_conf:true,narenas:3,thp:never", probe_nothing);
    assert_non_null(strstr(o.err, "arena: MALLOC_CONF: applied: narenas:3\n"));
    assert_non_null(strstr(o.err, "arena: MALLOC_CONF: applied: thp:never\n"));
}

static void assert_reported(const char *setting, const char *message) {
    struct outcome o = run_with(setting, probe_nothing);
    char line[300];
    snprintf(line, sizeof line, "arena: MALLOC_CONF: %s\n", message);
    if (o.status != 0 || strcmp(o.out, "ran") != 0 || strstr(o.err, line) == NULL)
        fail_msg("%s: wait status %#x, it wrote: %s", setting, o.status, o.err);
    const char *names = strstr(o.err, "valid names:");
    assert_non_null(names);
    for (size_t i = 0; i < conf_n_options; i++)
        assert_non_null(strstr(names, conf_options[i].name));
}

static void wrong_settings_are_reported(void **state) {
    (void)state;
    assert_reported("nosuch:1", "unknown option: nosuch:1");
    assert_reported("narenas", "malformed pair, expected name:value: narenas");
    assert_reported("junk:true,narenas:", "invalid value: narenas:; allowed: 0 to 1024");
    assert_reported("narenas:1025", "invalid value: narenas:1025; allowed: 0 to 1024");
    assert_reported("narenas:-1", "invalid value: narenas:-1; allowed: 0 to 1024");
    assert_reported("narenas:99999999999999999999",
                    "invalid value: narenas:99999999999999999999; allowed: 0 to 1024");
    assert_reported("lg_chunk:17", "invalid value: lg_chunk:17; allowed: 18 to 26");
    assert_reported("lg_chunk:27", "invalid value: lg_chunk:27; allowed: 18 to 26");
    assert_reported("tcache_bytes:4095", "invalid value: tcache_bytes:4095; allowed: 4096 to 1073741824");
    assert_reported("dirty_decay_ms:-2", "invalid value: dirty_decay_ms:-2; allowed: -1 to 4611686018427");
    assert_reported("junk:1", "invalid value: junk:1; allowed: true or false");
    assert_reported("thp:often", "invalid value: thp:often; allowed: default, always or never");
    const char *const maps[] = {"0-3", "0-3@", "@1", "0-@1", "0-3@0;", "0-3@0 ", "a@0", "00000@1"};
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) {
        char setting[100], message[200];
        snprintf(setting, sizeof setting, "arena_numa:%s", maps[i]);
        snprintf(message, sizeof message, "invalid value: %s; allowed: FIRST-LAST@NODE;..., 127 characters",
                 setting);
        assert_reported(setting, message);
    }
}

static void wrong_settings_may_be_fatal(void **state) {
    (void)state;
    struct outcome o = run_with("abort_conf:true,nosuch:1", probe_nothing);
    assert_true(WIFSIGNALED(o.status) && WTERMSIG(o.status) == SIGABRT);
    o = run_with("nosuch:1,strict_conf:true", probe_nothing);
    assert_true(WIFEXITED(o.status) && WEXITSTATUS(o.status) == 1);
    assert_int_equal(run_with("abort_conf:true,strict_conf:true,narenas:3", probe_nothing).status, 0);
    assert_int_equal(run_with("nosuch:1", probe_nothing).status, 0);
}

/* A copy that belongs to somebody else and takes on his rights. */
static void privileged_programs_do_not_listen(void **state) {
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* their run-time does not start in such a program */
#endif
    char path[] = "/tmp/arena_options_XXXXXX", buf[65536];
    struct statvfs fs;
    int from = open("/proc/self/exe", O_RDONLY), to = geteuid() == 0 ? mkstemp(path) : -1;
    if (to < 0) {
        close(from);
        skip();
    }
    for (ssize_t n; (n = read(from, buf, sizeof buf)) > 0;)
        assert_int_equal(write(to, buf, (size_t)n), n);
    close(from);
    assert_int_equal(fchown(to, 65534, 65534), 0);
    assert_int_equal(fchmod(to, 04755), 0);
    close(to);
    bool takes_rights = statvfs(path, &fs) == 0 && (fs.f_flag & ST_NOSUID) == 0;
    struct outcome plain = run_with("", probe_narenas), o = run_program(path, "narenas:77", probe_narenas);
    unlink(path);
    if (!takes_rights)
        skip();
    assert_string_equal(o.out, plain.out);
}

static void arenas_follow_affinity(void **state) {
    (void)state;
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    struct outcome o = run_with("narenas:0", probe_narenas);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    assert_string_equal(o.out, "4");
}

static unsigned cpus_with(const char *const *files) {
    injected_files = files;
    unsigned n = os_n_cpus();
    injected_files = NULL;
    return n;
}

static void arenas_follow_the_cgroups_quota(void **state) {
    (void)state;
    const char *none[] = {"/proc/self/cgroup", "0::/a/b\n", "/sys/fs/cgroup/a/b/cpu.max", "max 100000\n",
                          NULL};
    const char *own[] = {"/proc/self/cgroup", "0::/a/b\n", "/sys/fs/cgroup/a/b/cpu.max", "50000 100000\n",
                         NULL};
    const char *above[] = {"/proc/self/cgroup",
                           "0::/a/b\n",
                           "/sys/fs/cgroup/a/b/cpu.max",
                           "max 100000\n",
                           "/sys/fs/cgroup/a/cpu.max",
                           "100000 100000\n",
                           NULL};
    const char *root[] = {"/proc/self/cgroup", "0::/\n", "/sys/fs/cgroup/cpu.max", "90000 100000\n", NULL};
    const char *wide[] = {"/proc/self/cgroup", "0::/a\n", "/sys/fs/cgroup/a/cpu.max", "99900000 100000\n",
                          NULL};
    const char *v1[] = {"/proc/self/cgroup",
                        "4:memory:/x\n3:cpuset,cpu,cpuacct:/a\n0::/\n",
                        "/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us",
                        "70000\n",
                        "/sys/fs/cgroup/cpu/a/cpu.cfs_period_us",
                        "100000\n",
                        NULL};
    const char *v1_none[] = {"/proc/self/cgroup",
                             "3:cpu:/\n",
                             "/sys/fs/cgroup/cpu/cpu.cfs_quota_us",
                             "-1\n",
                             "/sys/fs/cgroup/cpu/cpu.cfs_period_us",
                             "100000\n",
                             NULL};
    const char *nothing[] = {NULL};
    cpu_set_t all;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    unsigned n_all = (unsigned)CPU_COUNT(&all);
    assert_int_equal(cpus_with(nothing), n_all);
    assert_int_equal(cpus_with(none), n_all);
    assert_int_equal(cpus_with(own), 1);
    assert_int_equal(cpus_with(above), 1);
    assert_int_equal(cpus_with(root), 1);
    assert_int_equal(cpus_with(wide), n_all < 999 ? n_all : 999);
    assert_int_equal(cpus_with(v1), 1);
    assert_int_equal(cpus_with(v1_none), n_all);
}

static void print_table(void) {
    char value[160];
    printf(
        "# Settings of the arena allocator\n\n"
        "`MALLOC_CONF=NAME:VALUE,...` in the environment; the same in the program's weak symbol "
        "`malloc_conf`, or in the\n"
        "name that the symbolic link `/etc/malloc.conf` points to. Of several, the environment decides. A "
        "program with\n"
        "more rights than its user (setuid) reads only its own symbol. What is wrong is reported on standard "
        "error, with\n"
        "what is allowed and the valid names, and otherwise ignored. `mallctl(\"opt.NAME\")` reads each.\n\n"
        "This page is the output of `build/tests/arena_options --table`, made from the table that the "
        "allocator reads.\n\n"
        "| name | values | default | |\n|---|---|---|---|\n");
    for (size_t i = 0; i < conf_n_options; i++)
        printf("| `%s` | %s | %s | %s |\n", conf_options[i].name, conf_options[i].values,
               conf_format(&conf_options[i], value, sizeof value), conf_options[i].help);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--table") == 0) {
        print_table();
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "--probe") == 0) {
        probes[atoi(argv[2])]();
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_does_what_it_says),
        cmocka_unit_test(no_option_goes_without_a_test),
        cmocka_unit_test(a_background_thread_runs_if_wanted),
        cmocka_unit_test(huge_pages_go_where_memory_is_mostly_active),
        cmocka_unit_test(statistics_are_printed_at_exit),
        cmocka_unit_test(settings_are_confirmed),
        cmocka_unit_test(wrong_settings_are_reported),
        cmocka_unit_test(wrong_settings_may_be_fatal),
        cmocka_unit_test(privileged_programs_do_not_listen),
        cmocka_unit_test(arenas_follow_affinity),
        cmocka_unit_test(arenas_follow_the_cgroups_quota),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
