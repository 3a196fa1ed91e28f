#include "allocators/native.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>

#include "allocators/image.h"
#include "allocators/subject.h"
#include "allocators/text.h"

static const struct alloc_stats stats_unknown = ALLOC_STATS_UNKNOWN;

/* glibc */

typedef struct mallinfo2 mallinfo2_fn(void);

int64_t libc_allocated_bytes(void) {
    mallinfo2_fn *info = (mallinfo2_fn *)dlsym(image_libc_handle(), "mallinfo2");
    if (!info)
        return -1;
    struct mallinfo2 m = info();
    return (int64_t)(m.uordblks + m.hblkhd);
}

int glibc_version(const struct subject *s, char *out, size_t out_bytes) {
    const char *(*version)(void) = (const char *(*)(void))allocator_symbol(s, "gnu_get_libc_version");
    if (!version)
        return -ENOSYS;
    text_append(out, out_bytes, version());
    return 0;
}

int glibc_stats(const struct subject *s, struct alloc_stats *out) {
    (void)s;
    *out = stats_unknown;
    out->allocated_bytes = libc_allocated_bytes();
    return out->allocated_bytes < 0 ? -ENOSYS : 0;
}

int glibc_purge(const struct subject *s) {
    int (*trim)(size_t) = (int (*)(size_t))allocator_symbol(s, "malloc_trim");
    if (!trim)
        return -ENOSYS;
    trim(0);
    return 0;
}

/* mallctl */

typedef int mallctl_fn(const char *name, void *old, size_t *old_bytes, void *new, size_t new_bytes);

static mallctl_fn *find_mallctl(const struct subject *s) {
    return (mallctl_fn *)allocator_symbol(s, "mallctl");
}

/* A counter of the allocator, or -1. Sizes are size_t in mallctl, the thread's counters uint64_t: both 8
 * bytes. */
static int64_t mallctl_read(mallctl_fn *mallctl, const char *name) {
    uint64_t value = 0;
    size_t n = sizeof value;
    return mallctl(name, &value, &n, NULL, 0) == 0 && n == sizeof value ? (int64_t)value : -1;
}

int mallctl_version(const struct subject *s, char *out, size_t out_bytes) {
    mallctl_fn *mallctl = find_mallctl(s);
    const char *version = NULL;
    size_t n = sizeof version;
    if (!mallctl)
        return -ENOSYS;
    int err = mallctl("version", &version, &n, NULL, 0);
    if (err)
        return -err;
    text_append(out, out_bytes, version);
    return 0;
}

/* MALLCTL_ARENAS_ALL */
#define MALLCTL_ALL "stats.arenas.4096."

/* A counter of one bin over all arenas. */
static int64_t mallctl_read_bin(mallctl_fn *mallctl, unsigned bin, const char *member) {
    char name[64];
    snprintf(name, sizeof name, MALLCTL_ALL "bins.%u.%s", bin, member);
    return mallctl_read(mallctl, name);
}

static void mallctl_add(int64_t *sum, int64_t more) {
    if (more >= 0)
        *sum = more + (*sum < 0 ? 0 : *sum);
}

static unsigned mallctl_read_unsigned(mallctl_fn *mallctl, const char *name) {
    unsigned value = 0;
    size_t n = sizeof value;
    return mallctl(name, &value, &n, NULL, 0) == 0 && n == sizeof value ? value : 0;
}

static void mallctl_bins(mallctl_fn *mallctl, struct alloc_stats *out) {
    unsigned n = mallctl_read_unsigned(mallctl, "arenas.nbins");
    for (unsigned i = 0; i < n && i < ALLOC_STATS_BINS; i++) {
        char name[64];
        snprintf(name, sizeof name, "arenas.bin.%u.size", i);
        struct alloc_bin *bin = &out->bins[i];
        bin->region_bytes = mallctl_read(mallctl, name);
        bin->n_regions = mallctl_read_bin(mallctl, i, "curregs");
        bin->n_runs = mallctl_read_bin(mallctl, i, "curslabs");
        if (bin->region_bytes < 0 || bin->n_regions < 0 || bin->n_runs < 0)
            break;
        out->n_bins = i + 1;
        mallctl_add(&out->n_fills, mallctl_read_bin(mallctl, i, "nfills"));
        mallctl_add(&out->n_flushes, mallctl_read_bin(mallctl, i, "nflushes"));
        mallctl_add(&out->n_contended, mallctl_read_bin(mallctl, i, "mutex.num_wait"));
    }
}

/* Those that have been made. */
static void mallctl_arenas(mallctl_fn *mallctl, int64_t page_bytes, struct alloc_stats *out) {
    unsigned n = mallctl_read_unsigned(mallctl, "arenas.narenas");
    for (unsigned i = 0; i < n && out->n_arenas < ALLOC_STATS_ARENAS; i++) {
        char name[64];
        bool is_made = false;
        size_t n_bytes = sizeof is_made;
        snprintf(name, sizeof name, "arena.%u.initialized", i);
        if (mallctl(name, &is_made, &n_bytes, NULL, 0) != 0 || !is_made)
            continue;
        snprintf(name, sizeof name, "stats.arenas.%u.pactive", i);
        int64_t n_pages = mallctl_read(mallctl, name);
        if (n_pages >= 0)
            out->arena_active_bytes[out->n_arenas++] = n_pages * page_bytes;
    }
}

int mallctl_stats(const struct subject *s, struct alloc_stats *out) {
    mallctl_fn *mallctl = find_mallctl(s);
    uint64_t epoch = 1;
    *out = stats_unknown;
    if (!mallctl)
        return -ENOSYS;
    int err = mallctl("epoch", NULL, NULL, &epoch, sizeof epoch);
    if (err)
        return -err;
    out->allocated_bytes = mallctl_read(mallctl, "stats.allocated");
    out->active_bytes = mallctl_read(mallctl, "stats.active");
    out->resident_bytes = mallctl_read(mallctl, "stats.resident");
    out->metadata_bytes = mallctl_read(mallctl, "stats.metadata");
    out->tcache_bytes = mallctl_read(mallctl, MALLCTL_ALL "tcache_bytes");
    out->n_purge_calls = mallctl_read(mallctl, MALLCTL_ALL "dirty_nmadvise");
    int64_t page_bytes = mallctl_read(mallctl, "arenas.page");
    int64_t n_purged = mallctl_read(mallctl, MALLCTL_ALL "dirty_purged");
    if (n_purged >= 0 && page_bytes > 0)
        out->purged_bytes = n_purged * page_bytes;
    mallctl_bins(mallctl, out);
    mallctl_arenas(mallctl, page_bytes, out);
    return 0;
}

static bool has_no_thread_caches(mallctl_fn *mallctl) {
    bool value = true;
    size_t n = sizeof value;
    return mallctl("opt.tcache", &value, &n, NULL, 0) == 0 && n == sizeof value && !value;
}

/* stats.allocated counts what sits in thread caches as allocated; the thread's own counters are exact. Without
 * thread caches it is the other way round: arena has no counter of a thread's frees then. */
int64_t mallctl_witness(const struct subject *s, void *const *blocks, unsigned n_blocks) {
    mallctl_fn *mallctl = find_mallctl(s);
    struct alloc_stats stats;
    (void)blocks, (void)n_blocks;
    if (!mallctl)
        return -1;
    if (has_no_thread_caches(mallctl))
        return mallctl_stats(s, &stats) == 0 ? stats.allocated_bytes : -1;
    int64_t allocated = mallctl_read(mallctl, "thread.allocated");
    int64_t deallocated = mallctl_read(mallctl, "thread.deallocated");
    return allocated < 0 || deallocated < 0 ? -1 : allocated - deallocated;
}

int mallctl_purge(const struct subject *s) {
    mallctl_fn *mallctl = find_mallctl(s);
    return mallctl ? -mallctl("arena.4096.purge", NULL, NULL, NULL, 0) : -ENOSYS; /* 4096: all arenas */
}

/* mimalloc: numbers are printed, not returned, so blocks are recognised instead of counted. */

static void append_dotted(char *out, size_t out_bytes, int number) {
    text_append(out, out_bytes, ".");
    text_append_number(out, out_bytes, number);
}

int mimalloc_version(const struct subject *s, char *out, size_t out_bytes) {
    int (*version)(void) = (int (*)(void))allocator_symbol(s, "mi_version");
    if (!version)
        return -ENOSYS;
    int v = version(); /* 209 is 2.0.9 */
    text_append_number(out, out_bytes, v / 100);
    append_dotted(out, out_bytes, v / 10 % 10);
    append_dotted(out, out_bytes, v % 10);
    return 0;
}

int64_t mimalloc_witness(const struct subject *s, void *const *blocks, unsigned n_blocks) {
    /* Walks the thread's heap; mi_is_in_heap_region knows no addresses above its own hints. */
    bool (*is_own)(const void *) = (bool (*)(const void *))allocator_symbol(s, "mi_check_owned");
    size_t (*usable)(const void *) = (size_t(*)(const void *))allocator_symbol(s, "mi_usable_size");
    int64_t sum = 0;
    if (!is_own || !usable)
        return -1;
    for (unsigned i = 0; i < n_blocks; i++)
        if (is_own(blocks[i]))
            sum += (int64_t)usable(blocks[i]);
    return sum;
}

int mimalloc_purge(const struct subject *s) {
    void (*collect)(bool) = (void (*)(bool))allocator_symbol(s, "mi_collect");
    if (!collect)
        return -ENOSYS;
    collect(true);
    return 0;
}

/* tcmalloc of gperftools */

int tcmalloc_version(const struct subject *s, char *out, size_t out_bytes) {
    const char *(*version)(int *, int *, const char **) =
        (const char *(*)(int *, int *, const char **))allocator_symbol(s, "tc_version");
    int major = 0, minor = 0;
    const char *patch = "";
    if (!version)
        return -ENOSYS;
    version(&major, &minor, &patch);
    text_append_number(out, out_bytes, major);
    append_dotted(out, out_bytes, minor);
    text_append(out, out_bytes, patch ? patch : "");
    return 0;
}

static int64_t tcmalloc_property(const struct subject *s, const char *name) {
    int (*get)(const char *, size_t *) =
        (int (*)(const char *, size_t *))allocator_symbol(s, "MallocExtension_GetNumericProperty");
    size_t value = 0;
    return get && get(name, &value) ? (int64_t)value : -1;
}

int tcmalloc_stats(const struct subject *s, struct alloc_stats *out) {
    *out = stats_unknown;
    out->allocated_bytes = tcmalloc_property(s, "generic.current_allocated_bytes");
    out->resident_bytes = tcmalloc_property(s, "generic.total_physical_bytes");
    return out->allocated_bytes < 0 ? -ENOSYS : 0;
}

int64_t tcmalloc_witness(const struct subject *s, void *const *blocks, unsigned n_blocks) {
    (void)blocks, (void)n_blocks;
    return tcmalloc_property(s, "generic.current_allocated_bytes");
}

int tcmalloc_purge(const struct subject *s) {
    void (*release)(void) = (void (*)(void))allocator_symbol(s, "MallocExtension_ReleaseFreeMemory");
    if (!release)
        return -ENOSYS;
    release();
    return 0;
}

/* tbbmalloc: says the size of a block if it knows the block, else asks the function given, here nobody. */

int64_t tbbmalloc_witness(const struct subject *s, void *const *blocks, unsigned n_blocks) {
    size_t (*usable)(void *, size_t (*)(void *)) =
        (size_t(*)(void *, size_t (*)(void *)))allocator_symbol(s, "__TBB_malloc_safer_msize");
    int64_t sum = 0;
    if (!usable)
        return -1;
    for (unsigned i = 0; i < n_blocks; i++)
        sum += (int64_t)usable(blocks[i], NULL);
    return sum;
}

int tbbmalloc_purge(const struct subject *s) {
    enum { CLEAN_ALL_BUFFERS = 0 };
    int (*command)(int, void *) = (int (*)(int, void *))allocator_symbol(s, "scalable_allocation_command");
    if (!command)
        return -ENOSYS;
    command(CLEAN_ALL_BUFFERS, NULL); /* its result says whether something was freed, which is no error */
    return 0;
}

/* scudo: libc's names, answered by the library itself. */

int64_t scudo_witness(const struct subject *s, void *const *blocks, unsigned n_blocks) {
    mallinfo2_fn *info = (mallinfo2_fn *)allocator_symbol(s, "mallinfo2");
    (void)blocks, (void)n_blocks;
    return info ? (int64_t)info().uordblks : -1;
}

int scudo_stats(const struct subject *s, struct alloc_stats *out) {
    *out = stats_unknown;
    out->allocated_bytes = scudo_witness(s, NULL, 0);
    return out->allocated_bytes < 0 ? -ENOSYS : 0;
}

int scudo_purge(const struct subject *s) {
    enum { SCUDO_PURGE = -101 }; /* M_PURGE of Android's malloc.h */
    int (*set)(int, int) = (int (*)(int, int))allocator_symbol(s, "mallopt");
    return set && set(SCUDO_PURGE, 0) == 1 ? 0 : -ENOSYS;
}

/* biglock: an exact count, kept under its one lock. */

int64_t biglock_witness(const struct subject *s, void *const *blocks, unsigned n_blocks) {
    int64_t (*allocated_bytes)(void) = (int64_t(*)(void))allocator_symbol(s, "biglock_allocated_bytes");
    (void)blocks, (void)n_blocks;
    return allocated_bytes ? allocated_bytes() : -1;
}

int biglock_stats(const struct subject *s, struct alloc_stats *out) {
    *out = stats_unknown;
    out->allocated_bytes = biglock_witness(s, NULL, 0);
    return out->allocated_bytes < 0 ? -ENOSYS : 0;
}
