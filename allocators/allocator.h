/*
 * The allocator vtable: what a workload calls, and what the harness knows about an allocator.
 *
 * Owns: the table of allocators, loading a library, proving that the entries taken are its own.
 * Does not know: workloads, threads, the harness. Everything here runs in the measured process.
 *
 * Two objects. `struct allocator` is a row of the registry: const, what is known before anything is
 * loaded. `struct subject` is an allocator that was opened in this process: the entry points first,
 * because they are what the measured loops load.
 */
#ifndef HEAPDYNO_ALLOCATOR_H
#define HEAPDYNO_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Entry points with libc's signatures, so that a loaded symbol needs no trampoline. The first two are
 * always there; any other may be NULL, which means "not offered": a caller skips, it never emulates. */
struct alloc_ops {
    void *(*alloc)(size_t size_bytes);
    void (*free)(void *block);
    void *(*calloc)(size_t n, size_t size_bytes);
    void *(*realloc)(void *block, size_t size_bytes);
    void *(*aligned_alloc)(size_t align_bytes, size_t size_bytes);
    size_t (*usable_size)(void *block);
    void (*free_sized)(void *block, size_t size_bytes);
};

enum allocator_load { LOAD_DLOPEN, LOAD_PRELOAD };

enum allocator_flags {
    ALLOCATOR_DEFAULT = 1 << 0,      /* part of a sweep that names no allocators */
    ALLOCATOR_THREAD_LOCAL = 1 << 1, /* memory freed by another thread never goes back to its maker */
    ALLOCATOR_FLOOR = 1 << 2,        /* returns one address for ever: only for counting the loop itself */
    ALLOCATOR_IN_TREE = 1 << 3,      /* built here: candidates are relative to the build folder */
    ALLOCATOR_COUNTS_FREES = 1 << 4, /* its witness is a count of live bytes, which sees frees too */
};

/* Bins and arenas listed; of more, the first. */
#define ALLOC_STATS_BINS 64
#define ALLOC_STATS_ARENAS 64

/* The allocator's own counters, over its life; -1 = it does not say. */
struct alloc_stats {
    int64_t allocated_bytes; /* in live objects, as the allocator counts them */
    int64_t active_bytes;
    int64_t resident_bytes;
    int64_t metadata_bytes;
    int64_t tcache_bytes;       /* in thread caches */
    int64_t n_fills, n_flushes; /* of thread caches, from and to bins */
    int64_t n_contended;        /* times that a bin's lock had to be waited for */
    int64_t n_purge_calls;      /* system calls that gave pages back */
    int64_t purged_bytes;       /* that went back */
    uint32_t n_bins, n_arenas;  /* listed below; 0 = it does not say */
    struct alloc_bin {
        int64_t region_bytes, n_regions, n_runs; /* n_regions: in use or cached */
    } bins[ALLOC_STATS_BINS];
    int64_t arena_active_bytes[ALLOC_STATS_ARENAS];
};

#define ALLOC_STATS_UNKNOWN                                                                                  \
    {                                                                                                        \
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 0, {{0}}, {                                               \
            0                                                                                                \
        }                                                                                                    \
    }

#define ALLOCATOR_NAME_MAX 64
#define ALLOCATOR_PATH_MAX 512
#define ALLOCATOR_WHY_MAX 256

/* What was found out about an opened allocator; goes into every row. */
struct allocator_proof {
    char path[ALLOCATOR_PATH_MAX]; /* file that holds `malloc`, as the dynamic linker names it */
    char build_id[64];             /* hex of the loaded image's GNU build-id note; empty = it has none */
    char version[64];              /* as the library says; empty = it does not say */
    char canary[64];               /* evidence of the counted canary, see allocator_prove */
    /* Entries that answered with another library's symbol, comma separated. */
    char foreign[ALLOCATOR_WHY_MAX];
    char why[ALLOCATOR_WHY_MAX]; /* reason when it could not be opened or proved */
};

struct subject;

struct allocator {
    const char *name;
    const char *summary; /* one line for --list */
    const char *package; /* Debian package that brings it; NULL: built here or part of libc */
    /* File names or glob patterns tried in order, NULL-terminated; NULL: libc. */
    const char *const *candidates;
    const char *const *identity; /* symbols that must lie in the library or one it needs; NULL-terminated */
    unsigned flags;              /* enum allocator_flags */
    int (*version)(const struct subject *s, char *out, size_t out_bytes); /* 0 or -errno; may be NULL */
    /* Fresh statistics of the allocator itself: 0 or -errno. NULL: it has none that can be read. */
    int (*stats)(const struct subject *s, struct alloc_stats *out);
    /* The allocator's own count of live bytes, exact to the block, or, where it can only recognise blocks,
     * the bytes of those of the n_blocks that it knows. Differences are taken. -1: it does not say. NULL: no
     * way. */
    int64_t (*witness)(const struct subject *s, void *const *blocks, unsigned n_blocks);
    /* Gives back what can be given back now: 0 or -errno. NULL: no such call. */
    int (*purge)(const struct subject *s);
};

struct subject {
    struct alloc_ops ops;
    const struct allocator *row; /* NULL: a library given on the command line, known by its path alone */
    void *handle;                /* of the library, in both modes */
    enum allocator_load load;
    struct allocator_proof proof;
};

/* The registry, in the order of the figures. Ends with a row whose name is NULL. */
extern const struct allocator allocator_table[];

/* Row of that name, or NULL. */
const struct allocator *allocator_find(const char *name);

/* Checks the registry itself: names unique and well formed, members present. 0, or -EINVAL with the reason in
 * why. */
int allocator_table_check(char *why, size_t why_bytes);

/*
 * Opens an allocator in this process.
 *   name      row of the table, or any label when path is given
 *   path      library to load, NULL = the row's candidates
 *   tree_dir  folder that in-tree candidates are relative to
 * With LOAD_PRELOAD nothing is loaded: the process must have been started with the library in LD_PRELOAD and
 * the entries are those of the global scope. Every entry's library is looked up; a foreign one counts as
 * missing. 0, or -errno with proof.why filled: -ENOENT not installed, -ELIBBAD cannot be loaded, -ENOSYS
 * malloc or free missing or foreign, -EPROTO in preload mode when malloc, free, calloc or realloc of the process
 * are another's.
 */
int allocator_open(struct subject *s, const char *name, const char *path, enum allocator_load load,
                   const char *tree_dir);

/*
 * Proves that the opened allocator does the work. The counted canary allocates CANARY_BLOCKS blocks of
 * CANARY_BYTES, writes them, checks that they are distinct, do not overlap and keep their contents, and asks
 * the witnesses: libc's own counter (mallinfo2) must see all of them for glibc and none for anybody else, and
 * where the allocator has a witness it must see them too. Then they are freed, which a witness that counts must see
 * as well: glibc's own counter for glibc, the allocator's for ALLOCATOR_COUNTS_FREES. proof.canary says who saw what:
 * "blocks=64 libc=0 own=16384 freed=16384", in bytes but for the first; none = nobody can say.
 * 0, or -EPROTO with proof.why filled.
 */
int allocator_prove(struct subject *s);
#define CANARY_BLOCKS 64
#define CANARY_BYTES 256

/*
 * Counting entries: the same calls, counted per thread, passed on to the subject. For the audit pass only.
 * counting_wrap may be called once per process. counting_read sums over all threads that ever called.
 */
struct alloc_counts {
    uint64_t n_allocs;   /* alloc, calloc, aligned_alloc, realloc(NULL) that returned a block */
    uint64_t n_frees;    /* free and free_sized of a block that is not NULL */
    uint64_t n_reallocs; /* realloc of a block that is not NULL */
    uint64_t n_failed;   /* calls that returned NULL where a block was asked for */
};
void counting_wrap(const struct alloc_ops *inner, struct alloc_ops *outer);
void counting_read(struct alloc_counts *out);

/*
 * The counters of the calling thread, which makes no call after that, for the one that comes in its place: so what they
 * take does not grow with the threads that have lived. NULL when it has none; taking over NULL does nothing. The
 * successor must be made after counting_hand_over and take over before its first call.
 */
void *counting_hand_over(void);
void counting_take_over(void *counters);

/*
 * Entries that note in which 64-byte lines the live blocks of which owner lie, and pass the calls on. For the sharing
 * pass only: the ledger takes 128 bytes for each line in which a block ever began or ended, and a lock for each call.
 * An owner is who asked for a block: 0, or the number that sharing_set_owner gave to the calling thread; threads that
 * follow one another in one role share a number. A line is shared while it holds live blocks of more than one owner,
 * and passive while, besides, a block in it was once freed by another than its owner.
 * sharing_wrap may be called once per process.
 */
#define SHARING_MAX_OWNER 1024
struct alloc_sharing {
    uint64_t n_allocs;                     /* the three below were added up after each */
    uint64_t n_lines, n_shared, n_passive; /* lines with live blocks; of these, shared; of these, passive */
    uint64_t n_faults; /* blocks given out while they were live, or taken back while they were not */
};
void sharing_wrap(const struct alloc_ops *inner, struct alloc_ops *outer);
void sharing_set_owner(unsigned owner);
/* While no thread is inside of an entry. */
void sharing_read(struct alloc_sharing *out);

#endif
