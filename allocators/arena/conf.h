/* conf: the settings, parsed once, before the first allocation and without allocating.
 *
 * Owns the frozen configuration and the one table of options, from which parsing, mallctl("opt.*") and the
 * documentation come. Does not know arenas. No lock: written by conf_init under the one-time initialisation,
 * constant afterwards.
 *
 * Sources, later ones win: the weak symbol malloc_conf, the name that the symbolic link /etc/malloc.conf
 * points to, the environment variable MALLOC_CONF (the last two not in privileged processes). Syntax:
 * name:value,...
 */
#ifndef ARENA_CONF_H
#define ARENA_CONF_H

#include "util.h"

enum conf_thp { CONF_THP_DEFAULT, CONF_THP_ALWAYS, CONF_THP_NEVER };

/* Decay times are counted in nanoseconds, and added to the clock. */
#define CONF_MAX_MS (INT64_MAX / 2000000)

struct conf {
    size_t n_arenas; /* 0 = four per CPU */
    size_t lg_chunk;
    bool is_tcache;
    size_t tcache_max_bytes; /* largest size that is cached */
    size_t tcache_bytes;     /* what one thread's cache may hold */
    size_t tcache_fill_div;  /* a fill brings capacity / this */
    size_t tcache_gc_bytes;  /* allocated bytes between two steps of ageing */
    int64_t dirty_decay_ms;  /* -1 = never, 0 = at once */
    int64_t muzzy_decay_ms;
    bool is_background_thread;
    bool is_percpu_arena;
    char arena_numa[128];
    enum conf_thp thp;
    bool is_junk;
    bool is_zero;
    bool is_retain;
    bool is_stats_print;
    bool is_abort_conf;
    bool is_confirm_conf;
    bool is_strict_conf;
};

extern struct conf conf;

enum conf_kind { CONF_BOOL, CONF_SIZE, CONF_MS, CONF_NUMA, CONF_THP };

/* docs/arena-options.md is made from this table; so are the messages about wrong values. */
struct conf_option {
    const char *name;
    enum conf_kind kind;
    size_t offset; /* into struct conf */
    int64_t min, max;
    const char *values; /* what is allowed */
    const char *help;
};

extern const struct conf_option conf_options[];
extern const size_t conf_n_options;

/** Reads all sources. Unknown or malformed pairs are reported on standard error with the valid names, and are
 * fatal under abort_conf. */
void conf_init(const char *weak_symbol_text);

/** Applies one string of pairs; the number of pairs that were wrong. For conf_init and tests. */
size_t conf_parse(const char *text);

/** The value of an option in the form that MALLOC_CONF takes; returns out. */
const char *conf_format(const struct conf_option *opt, char *out, size_t size);

#endif
