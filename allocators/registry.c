/* The allocators known by name, in the order of the figures. A new one is one row here. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "allocators/allocator.h"
#include "allocators/native.h"

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

const struct allocator allocator_table[] = {
    {
        .name = "arena",
        .summary = "the allocator of this project: arenas, runs, thread caches",
        .candidates = NAMES("libarena.so"),
        .identity = NAMES("mallctl", "malloc_trim", "free_aligned_sized"), /* jemalloc has no malloc_trim */
        .flags = ALLOCATOR_DEFAULT | ALLOCATOR_COUNTS_FREES | ALLOCATOR_IN_TREE,
        .version = mallctl_version,
        .stats = mallctl_stats,
        .witness = mallctl_witness,
        .purge = mallctl_purge,
    },
    {
        .name = "glibc",
        .summary = "ptmalloc of the C library",
        .identity = NAMES("gnu_get_libc_version", "malloc_info"),
        .flags = ALLOCATOR_DEFAULT,
        .version = glibc_version,
        .stats = glibc_stats,
        .purge = glibc_purge,
    },
    {
        .name = "jemalloc",
        .summary = "jemalloc 5: arenas, slabs, decay",
        .package = "libjemalloc2",
        .candidates = NAMES("libjemalloc.so.2"),
        .identity =
            NAMES("mallctl", "mallocx", "malloc_stats_print", "malloc_message"), /* arena lacks the last */
        .flags = ALLOCATOR_DEFAULT | ALLOCATOR_COUNTS_FREES,
        .version = mallctl_version,
        .stats = mallctl_stats,
        .witness = mallctl_witness,
        .purge = mallctl_purge,
    },
    {
        .name = "mimalloc",
        .summary = "mimalloc 2: pages with sharded free lists",
        .package = "libmimalloc2.0",
        .candidates = NAMES("libmimalloc.so.2"),
        .identity = NAMES("mi_version", "mi_malloc"),
        .flags = ALLOCATOR_DEFAULT,
        .version = mimalloc_version,
        .witness = mimalloc_witness,
        .purge = mimalloc_purge,
    },
    {
        .name = "tcmalloc",
        .summary = "tcmalloc of gperftools: thread caches, central lists, spans",
        .package = "libtcmalloc-minimal4",
        .candidates = NAMES("libtcmalloc_minimal.so.4"),
        .identity = NAMES("tc_version", "MallocExtension_GetNumericProperty"),
        .flags = ALLOCATOR_DEFAULT | ALLOCATOR_COUNTS_FREES,
        .version = tcmalloc_version,
        .stats = tcmalloc_stats,
        .witness = tcmalloc_witness,
        .purge = tcmalloc_purge,
    },
    {
        .name = "tbbmalloc",
        .summary = "oneTBB scalable allocator, through its malloc proxy",
        .package = "libtbbmalloc2",
        /* libtbbmalloc.so.2 itself exports scalable_* only: asked for malloc it answers with libc's. */
        .candidates = NAMES("libtbbmalloc_proxy.so.2"),
        .identity = NAMES("__TBB_malloc_proxy", "scalable_malloc", "__TBB_malloc_safer_msize"),
        .flags = ALLOCATOR_DEFAULT,
        .witness = tbbmalloc_witness,
        .purge = tbbmalloc_purge,
    },
    {
        .name = "scudo",
        .summary = "LLVM's hardened allocator, standalone",
        .package = "libclang-rt-14-dev",
        .candidates = NAMES("/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.scudo_standalone-x86_64.so",
                            "/usr/lib/llvm-*/lib/clang/*/lib/*-linux-gnu/libclang_rt.scudo_standalone.so",
                            "/usr/lib*/clang/*/lib/linux/libclang_rt.scudo_standalone-x86_64.so"),
        .identity = NAMES("__scudo_print_stats", "malloc_set_zero_contents"),
        .flags = ALLOCATOR_DEFAULT,
        .stats = scudo_stats,
        .witness = scudo_witness,
        .purge = scudo_purge,
    },
    {
        .name = "biglock-dl",
        .summary = "control: boundary tags and best fit behind one lock, as dlmalloc",
        .candidates = NAMES("libbiglock-dl.so"),
        .identity = NAMES("biglock_dl", "biglock_allocated_bytes"),
        .flags = ALLOCATOR_COUNTS_FREES | ALLOCATOR_IN_TREE,
        .stats = biglock_stats,
        .witness = biglock_witness,
    },
    {
        .name = "biglock-phk",
        .summary = "control: page directory and bitmaps behind one lock, as phkmalloc",
        .candidates = NAMES("libbiglock-phk.so"),
        .identity = NAMES("biglock_phk", "biglock_allocated_bytes"),
        .flags = ALLOCATOR_COUNTS_FREES | ALLOCATOR_IN_TREE,
        .stats = biglock_stats,
        .witness = biglock_witness,
    },
    {
        .name = "null",
        .summary = "control: thread-local bump and reuse, the speed of light",
        .candidates = NAMES("libnull.so"),
        .identity = NAMES("malloc"),
        .flags = ALLOCATOR_DEFAULT | ALLOCATOR_IN_TREE | ALLOCATOR_THREAD_LOCAL,
    },
    {
        .name = "floor",
        .summary = "control: empty functions, the cost of the loop itself",
        .candidates = NAMES("libfloor.so"),
        .identity = NAMES("malloc"),
        .flags = ALLOCATOR_IN_TREE | ALLOCATOR_FLOOR,
    },
    {.name = NULL},
};

const struct allocator *allocator_find(const char *name) {
    for (const struct allocator *a = allocator_table; a->name; a++)
        if (strcmp(a->name, name) == 0)
            return a;
    return NULL;
}

static const char *row_fault(const struct allocator *a) {
    if (!*a->name || strlen(a->name) >= ALLOCATOR_NAME_MAX ||
        strspn(a->name, "abcdefghijklmnopqrstuvwxyz0123456789-_") != strlen(a->name))
        return "malformed name";
    if (allocator_find(a->name) != a)
        return "name used twice";
    if (!a->summary || !*a->summary)
        return "no summary";
    if (!a->identity || !a->identity[0])
        return "no identity symbol";
    if (a->candidates && !a->candidates[0])
        return "empty list of candidates";
    if ((a->flags & ALLOCATOR_IN_TREE) && (!a->candidates || a->package))
        return "built in the tree: needs candidates and no package";
    if (a->candidates && !(a->flags & ALLOCATOR_IN_TREE) && !a->package)
        return "no package";
    return NULL;
}

int allocator_table_check(char *why, size_t why_bytes) {
    for (const struct allocator *a = allocator_table; a->name; a++) {
        const char *fault = row_fault(a);
        if (fault) {
            snprintf(why, why_bytes, "allocator %s: %s", a->name, fault);
            return -EINVAL;
        }
    }
    return 0;
}
