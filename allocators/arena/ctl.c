#include "ctl.h"

#include <errno.h>
#include <string.h>

#include "background.h"
#include "conf.h"
#include "os.h"
#include "stats.h"
#include "tcache.h"

#define CTL_VERSION "heapdyno-arena 1.0"
#define CTL_MAX_DEPTH 7

struct ctl_request {
    size_t arg; /* of the table row */
    size_t idx[2];
    void *old;
    size_t *old_bytes;
    const void *new;
    size_t new_bytes;
};

struct ctl_entry {
    const char *name; /* # stands for a number */
    int (*handle)(struct ctl_request *req);
    size_t arg;
};

static struct {
    struct lock lock;
    struct stats stats;
    uint64_t epoch;
} ctl_snapshot = {.lock = {.rank = LOCK_CONTROL}};

static void ctl_refresh(void) {
    struct stats fresh;
    stats_read(&fresh);
    lock_acquire(&ctl_snapshot.lock);
    ctl_snapshot.stats = fresh;
    ctl_snapshot.epoch++;
    lock_release(&ctl_snapshot.lock);
}

void ctl_fork_child(void) {
    lock_reset_in_child(&ctl_snapshot.lock);
    ctl_snapshot.epoch = 0; /* it may have been half written: read anew at the next question */
}

static int ctl_give(struct ctl_request *req, const void *value, size_t bytes) {
    if (req->old == NULL || req->old_bytes == NULL)
        return 0;
    if (*req->old_bytes != bytes) {
        *req->old_bytes = bytes;
        return EINVAL;
    }
    memcpy(req->old, value, bytes);
    return 0;
}

static int ctl_give_only(struct ctl_request *req, const void *value, size_t bytes) {
    return req->new != NULL ? EPERM : ctl_give(req, value, bytes);
}

static int ctl_give_size(struct ctl_request *req, size_t value) {
    return ctl_give_only(req, &value, sizeof value);
}

static int ctl_give_unsigned(struct ctl_request *req, size_t value) {
    unsigned x = (unsigned)value;
    return ctl_give_only(req, &x, sizeof x);
}

static int ctl_version(struct ctl_request *req) {
    const char *text = CTL_VERSION;
    return ctl_give_only(req, &text, sizeof text); // NOLINT(bugprone-sizeof-expression): the pointer is given
}

static int ctl_epoch(struct ctl_request *req) {
    if (req->new != NULL)
        ctl_refresh();
    return ctl_give(req, &ctl_snapshot.epoch, sizeof ctl_snapshot.epoch);
}

static int ctl_stats(struct ctl_request *req) {
    if (ctl_snapshot.epoch == 0)
        ctl_refresh();
    lock_acquire(&ctl_snapshot.lock);
    size_t value = *(const size_t *)(const void *)((const char *)&ctl_snapshot.stats + req->arg);
    lock_release(&ctl_snapshot.lock);
    return ctl_give_size(req, value);
}

/* One member of struct stats of an arena, or of all. */
static int ctl_stats_arena(struct ctl_request *req) {
    struct stats st;
    if (req->idx[0] == CTL_ARENAS_ALL)
        stats_read(&st);
    else if (req->idx[0] < arena_n())
        stats_read_arena((unsigned)req->idx[0], &st);
    else
        return ENOENT;
    return ctl_give_size(req, *(const size_t *)(const void *)((const char *)&st + req->arg));
}

static int ctl_stats_pactive(struct ctl_request *req) {
    struct stats st;
    if (req->idx[0] >= arena_n() && req->idx[0] != CTL_ARENAS_ALL)
        return ENOENT;
    if (req->idx[0] == CTL_ARENAS_ALL)
        stats_read(&st);
    else
        stats_read_arena((unsigned)req->idx[0], &st);
    return ctl_give_size(req, st.active_bytes >> PAGE_LG);
}

/* A class of an arena, or of all. */
static bool ctl_read_class(const struct ctl_request *req, struct stats_class *out) {
    bool is_all = req->idx[0] == CTL_ARENAS_ALL;
    if ((req->idx[0] >= arena_n() && !is_all) || req->idx[1] >= SIZE_CLASS_N_BINS)
        return false;
    if (is_all)
        stats_sum_class((unsigned)req->idx[1], out);
    else
        stats_read_class((unsigned)req->idx[0], (unsigned)req->idx[1], out);
    return true;
}

static int ctl_stats_class(struct ctl_request *req) {
    struct stats_class sc;
    if (!ctl_read_class(req, &sc))
        return ENOENT;
    return ctl_give_size(req, *(const size_t *)(const void *)((const char *)&sc + req->arg));
}

static int ctl_stats_class_current(struct ctl_request *req) {
    struct stats_class sc;
    if (!ctl_read_class(req, &sc))
        return ENOENT;
    return ctl_give_size(req, sc.n_taken - sc.n_put);
}

static int ctl_thread_bytes(struct ctl_request *req) {
    uint64_t value = req->arg == 0 ? tcache_allocated_bytes() : tcache_freed_bytes();
    return ctl_give_only(req, &value, sizeof value);
}

static int ctl_thread_arena(struct ctl_request *req) {
    struct arena *arena = tcache_arena();
    unsigned idx = arena == NULL ? 0 : arena->idx;
    int err = ctl_give(req, &idx, sizeof idx);
    if (err != 0 || req->new == NULL)
        return err;
    if (req->new_bytes != sizeof(unsigned))
        return EINVAL;
    memcpy(&idx, req->new, sizeof idx);
    return tcache_set_arena(idx) ? 0 : EFAULT;
}

static int ctl_thread_flush(struct ctl_request *req) {
    if (req->old != NULL || req->new != NULL)
        return EPERM;
    tcache_flush();
    return 0;
}

static int ctl_arenas_constant(struct ctl_request *req) {
    return ctl_give_size(req, req->arg);
}

static int ctl_arenas_count(struct ctl_request *req) {
    return ctl_give_unsigned(req, req->arg != 0 ? req->arg : arena_n());
}

static int ctl_arenas_tcache_max(struct ctl_request *req) {
    return ctl_give_size(req, conf.tcache_max_bytes);
}

static int ctl_class_size(struct ctl_request *req) {
    if (req->idx[0] >= SIZE_CLASS_N_SMALL)
        return ENOENT;
    return ctl_give_size(req, size_class_bytes((unsigned)req->idx[0]));
}

static int ctl_class_n_regions(struct ctl_request *req) {
    if (req->idx[0] >= SIZE_CLASS_N_SMALL)
        return ENOENT;
    uint32_t n = run_classes[req->idx[0]].n_regions;
    return ctl_give_only(req, &n, sizeof n);
}

static int ctl_class_run_bytes(struct ctl_request *req) {
    if (req->idx[0] >= SIZE_CLASS_N_SMALL)
        return ENOENT;
    return ctl_give_size(req, (size_t)run_classes[req->idx[0]].n_pages << PAGE_LG);
}

static int ctl_arena_is_made(struct ctl_request *req) {
    if (req->idx[0] >= arena_n())
        return ENOENT;
    bool is_made = arena_peek((unsigned)req->idx[0]) != NULL;
    return ctl_give_only(req, &is_made, sizeof is_made);
}

enum { CTL_PURGE, CTL_DECAY };

static int ctl_arena_give_back(struct ctl_request *req) {
    if (req->old != NULL || req->new != NULL)
        return EPERM;
    size_t first = req->idx[0], last = first;
    if (first == CTL_ARENAS_ALL || first == arena_n()) {
        first = 0;
        last = arena_n() - 1;
    } else if (first > arena_n()) {
        return ENOENT;
    }
    for (size_t i = first; i <= last; i++) {
        struct arena *arena = arena_peek((unsigned)i);
        if (arena != NULL && arena == tcache_tls.arena && req->arg == CTL_PURGE)
            tcache_flush(); /* an object in the cache keeps its whole run */
        if (arena != NULL && req->arg == CTL_PURGE)
            arena_purge(arena);
        else if (arena != NULL)
            arena_tick(arena, os_now_ns());
    }
    if (req->arg == CTL_PURGE && first != last)
        chunk_store_trim();
    return 0;
}

enum { CTL_DIRTY, CTL_MUZZY };

static int ctl_arena_decay_ms(struct ctl_request *req) {
    if (req->idx[0] >= arena_n())
        return ENOENT;
    struct arena *arena = arena_get((unsigned)req->idx[0]);
    if (arena == NULL)
        return EAGAIN;
    int64_t ms[2] = {arena->dirty_decay.time_ms, arena->muzzy_decay.time_ms};
    int err = ctl_give(req, &ms[req->arg], sizeof ms[0]);
    if (err != 0 || req->new == NULL)
        return err;
    if (req->new_bytes != sizeof ms[0])
        return EINVAL;
    memcpy(&ms[req->arg], req->new, sizeof ms[0]);
    if (ms[req->arg] < -1 || ms[req->arg] > CONF_MAX_MS)
        return EFAULT;
    arena_set_decay(arena, ms[0], ms[1]);
    return 0;
}

static int ctl_background_thread(struct ctl_request *req) {
    bool is_running = background_is_running();
    int err = ctl_give(req, &is_running, sizeof is_running);
    if (err != 0 || req->new == NULL)
        return err;
    return req->new_bytes == sizeof(bool) ? background_set(*(const bool *)req->new) : EINVAL;
}

#define CTL_STATS(member) offsetof(struct stats, member)
#define CTL_CLASS(member) offsetof(struct stats_class, member)

static const struct ctl_entry ctl_entries[] = {
    {"version", ctl_version, 0},
    {"epoch", ctl_epoch, 0},
    {"background_thread", ctl_background_thread, 0},
    {"stats.allocated", ctl_stats, CTL_STATS(allocated_bytes)},
    {"stats.active", ctl_stats, CTL_STATS(active_bytes)},
    {"stats.metadata", ctl_stats, CTL_STATS(metadata_bytes)},
    {"stats.resident", ctl_stats, CTL_STATS(resident_bytes)},
    {"stats.mapped", ctl_stats, CTL_STATS(mapped_bytes)},
    {"stats.retained", ctl_stats, CTL_STATS(retained_bytes)},
    {"stats.arenas.#.pactive", ctl_stats_pactive, 0},
    {"stats.arenas.#.pdirty", ctl_stats_arena, CTL_STATS(dirty_pages)},
    {"stats.arenas.#.pmuzzy", ctl_stats_arena, CTL_STATS(muzzy_pages)},
    {"stats.arenas.#.mapped", ctl_stats_arena, CTL_STATS(mapped_bytes)},
    {"stats.arenas.#.nthreads", ctl_stats_arena, CTL_STATS(n_threads)},
    {"stats.arenas.#.tcache_bytes", ctl_stats_arena, CTL_STATS(tcache_bytes)},
    {"stats.arenas.#.small.allocated", ctl_stats_arena, CTL_STATS(small_bytes)},
    {"stats.arenas.#.large.allocated", ctl_stats_arena, CTL_STATS(large_bytes)},
    {"stats.arenas.#.huge.allocated", ctl_stats_arena, CTL_STATS(huge_bytes)},
    {"stats.arenas.#.dirty_npurge", ctl_stats_arena, CTL_STATS(n_purge_passes)},
    {"stats.arenas.#.dirty_nmadvise", ctl_stats_arena, CTL_STATS(n_purge_calls)},
    {"stats.arenas.#.dirty_purged", ctl_stats_arena, CTL_STATS(n_purged_pages)},
    {"stats.arenas.#.bins.#.nmalloc", ctl_stats_class, CTL_CLASS(n_taken)},
    {"stats.arenas.#.bins.#.ndalloc", ctl_stats_class, CTL_CLASS(n_put)},
    {"stats.arenas.#.bins.#.nfills", ctl_stats_class, CTL_CLASS(n_fills)},
    {"stats.arenas.#.bins.#.nflushes", ctl_stats_class, CTL_CLASS(n_flushes)},
    {"stats.arenas.#.bins.#.mutex.num_wait", ctl_stats_class, CTL_CLASS(n_contended)},
    {"stats.arenas.#.bins.#.curslabs", ctl_stats_class, CTL_CLASS(n_runs)},
    {"stats.arenas.#.bins.#.curregs", ctl_stats_class_current, 0},
    {"thread.allocated", ctl_thread_bytes, 0},
    {"thread.deallocated", ctl_thread_bytes, 1},
    {"thread.arena", ctl_thread_arena, 0},
    {"thread.tcache.flush", ctl_thread_flush, 0},
    {"thread.idle", ctl_thread_flush, 0},
    {"arenas.narenas", ctl_arenas_count, 0},
    {"arenas.nbins", ctl_arenas_count, SIZE_CLASS_N_SMALL},
    {"arenas.page", ctl_arenas_constant, PAGE_BYTES},
    {"arenas.quantum", ctl_arenas_constant, 16},
    {"arenas.tcache_max", ctl_arenas_tcache_max, 0},
    {"arenas.bin.#.size", ctl_class_size, 0},
    {"arenas.bin.#.nregs", ctl_class_n_regions, 0},
    {"arenas.bin.#.slab_size", ctl_class_run_bytes, 0},
    {"arena.#.initialized", ctl_arena_is_made, 0},
    {"arena.#.purge", ctl_arena_give_back, CTL_PURGE},
    {"arena.#.decay", ctl_arena_give_back, CTL_DECAY},
    {"arena.#.dirty_decay_ms", ctl_arena_decay_ms, CTL_DIRTY},
    {"arena.#.muzzy_decay_ms", ctl_arena_decay_ms, CTL_MUZZY},
};

#define CTL_N_ENTRIES (sizeof ctl_entries / sizeof ctl_entries[0])

/* Matches a name against a pattern; fills in the MIB. Number of components, 0 if it does not match. */
static size_t ctl_match(const char *pattern, const char *name, size_t mib[CTL_MAX_DEPTH]) {
    size_t depth = 0;
    for (;;) {
        size_t n = strcspn(pattern, "."), m = strcspn(name, ".");
        mib[depth] = 0;
        if (n == 1 && *pattern == '#') {
            for (size_t i = 0; i < m; i++) {
                if (name[i] < '0' || name[i] > '9')
                    return 0;
                mib[depth] = mib[depth] * 10 + (size_t)(name[i] - '0');
            }
            if (m == 0 || m > 6)
                return 0;
        } else if (n != m || memcmp(pattern, name, n) != 0) {
            return 0;
        }
        depth++;
        if (pattern[n] != name[m])
            return 0;
        if (pattern[n] == '\0')
            return depth;
        pattern += n + 1;
        name += m + 1;
    }
}

static int ctl_find(const char *name, size_t mib[CTL_MAX_DEPTH], size_t *depth) {
    for (size_t i = 0; i < CTL_N_ENTRIES; i++) {
        *depth = ctl_match(ctl_entries[i].name, name, mib);
        if (*depth != 0) {
            mib[0] = i;
            return 0;
        }
    }
    return ENOENT;
}

/* Settings: opt.<name of MALLOC_CONF>. */
static int ctl_option(const char *name, struct ctl_request *req) {
    for (size_t i = 0; i < conf_n_options; i++) {
        const struct conf_option *opt = &conf_options[i];
        if (strcmp(name, opt->name) != 0)
            continue;
        const char *at = (const char *)&conf + opt->offset;
        if (opt->kind == CONF_BOOL)
            return ctl_give_only(req, at, sizeof(bool));
        if (opt->kind == CONF_NUMA)
            return ctl_give_only(req, &at, sizeof at);
        if (opt->kind == CONF_THP) {
            const char *words[] = {"default", "always", "never"};
            return ctl_give_only(req, &words[conf.thp], sizeof words[0]);
        }
        return ctl_give_only(req, at, sizeof(int64_t));
    }
    return ENOENT;
}

// NOLINTNEXTLINE(readability-non-const-parameter): written through the request
int ctl_by_mib(const size_t *mib, size_t mib_len, void *old, size_t *old_bytes, const void *new,
               size_t new_bytes) {
    if (mib_len == 0 || mib[0] >= CTL_N_ENTRIES)
        return ENOENT;
    const struct ctl_entry *entry = &ctl_entries[mib[0]];
    struct ctl_request req = {
        .arg = entry->arg, .old = old, .old_bytes = old_bytes, .new = new, .new_bytes = new_bytes};
    size_t n_idx = 0, depth = 0;
    for (const char *p = entry->name; *p != '\0'; p++) {
        depth += *p == '.';
        if (*p == '#' && depth < mib_len)
            req.idx[n_idx++] = mib[depth];
    }
    if (depth + 1 != mib_len)
        return ENOENT;
    return entry->handle(&req);
}

int ctl_by_name(const char *name, void *old, size_t *old_bytes, const void *new, size_t new_bytes) {
    size_t mib[CTL_MAX_DEPTH], depth;
    if (strncmp(name, "opt.", 4) == 0) {
        struct ctl_request req = {.old = old, .old_bytes = old_bytes, .new = new, .new_bytes = new_bytes};
        return ctl_option(name + 4, &req);
    }
    int err = ctl_find(name, mib, &depth);
    return err != 0 ? err : ctl_by_mib(mib, depth, old, old_bytes, new, new_bytes);
}

int ctl_name_to_mib(const char *name, size_t *mib, size_t *mib_len) {
    size_t full[CTL_MAX_DEPTH], depth;
    int err = ctl_find(name, full, &depth);
    if (err != 0)
        return err;
    if (*mib_len < depth)
        return EINVAL;
    memcpy(mib, full, depth * sizeof full[0]);
    *mib_len = depth;
    return 0;
}
