#include "allocators/native.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>

#include "allocators/image.h"
#include "allocators/subject.h"
#include "allocators/text.h"

static const struct alloc_stats stats_unknown = {-1, -1, -1, -1};

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
    return 0;
}

/* stats.allocated counts what sits in thread caches as allocated; the thread's own counters are exact. */
int64_t mallctl_witness(const struct subject *s, void *const *blocks, unsigned n_blocks) {
    mallctl_fn *mallctl = find_mallctl(s);
    (void)blocks, (void)n_blocks;
    if (!mallctl)
        return -1;
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
