#include "conf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os.h"

struct conf conf = {
    .n_arenas = 0,
    .lg_chunk = 21,
    .is_tcache = true,
    .tcache_max_bytes = 65536,
    .tcache_bytes = 1 << 20,
    .tcache_fill_div = 2,
    .tcache_gc_bytes = 1 << 20,
    .dirty_decay_ms = 10000,
    .muzzy_decay_ms = 0,
    .is_retain = true,
};

#define CONF_ROW(name_, kind_, member, min_, max_, values_, help_)                                           \
    { name_, kind_, offsetof(struct conf, member), min_, max_, values_, help_ }
#define CONF_FLAG(name_, member, help_) CONF_ROW(name_, CONF_BOOL, member, 0, 1, "true or false", help_)

const struct conf_option conf_options[] = {
    CONF_ROW("narenas", CONF_SIZE, n_arenas, 0, 1024, "0 to 1024",
             "Arenas; 0: four for each CPU that affinity and cgroup quota leave"),
    CONF_ROW("lg_chunk", CONF_SIZE, lg_chunk, 18, 26, "18 to 26",
             "Binary logarithm of the chunk size in bytes"),
    CONF_FLAG("tcache", is_tcache, "Thread caches"),
    CONF_ROW("tcache_max", CONF_SIZE, tcache_max_bytes, 0, 196608, "0 to 196608",
             "Largest size kept in thread caches, bytes; with chunks below 2 MiB at most 3/32 of one"),
    CONF_ROW("tcache_bytes", CONF_SIZE, tcache_bytes, 4096, 1 << 30, "4096 to 1073741824",
             "What one thread's cache may hold, bytes; and at most one object for each 256 of them"),
    CONF_ROW("tcache_fill_div", CONF_SIZE, tcache_fill_div, 1, 64, "1 to 64",
             "A fill of a class below a page brings at most its capacity divided by this"),
    CONF_ROW("tcache_gc_bytes", CONF_SIZE, tcache_gc_bytes, 1024, 1 << 30, "1024 to 1073741824",
             "Bytes that a thread allocates between two ageing steps of its cache, and at most between two "
             "looks at the clock"),
    CONF_ROW("dirty_decay_ms", CONF_MS, dirty_decay_ms, -1, CONF_MAX_MS, "-1 to 4611686018427",
             "Time in which unused pages are given up, milliseconds; -1: never, 0: at once"),
    CONF_ROW("muzzy_decay_ms", CONF_MS, muzzy_decay_ms, -1, CONF_MAX_MS, "-1 to 4611686018427",
             "Time for which pages given up stay with MADV_FREE before MADV_DONTNEED; -1: for ever, 0: not "
             "at all"),
    CONF_FLAG("background_thread", is_background_thread, "A thread that purges while the others sleep"),
    CONF_FLAG("percpu_arena", is_percpu_arena,
              "Choose a thread's arena by its CPU, again every tcache_gc_bytes"),
    CONF_ROW("arena_numa", CONF_NUMA, arena_numa, 0, sizeof conf.arena_numa - 1,
             "FIRST-LAST@NODE;..., 127 characters",
             "Arenas whose memory is preferably on a node, and which its threads join: 0-3@0;4-7@1"),
    CONF_ROW("thp", CONF_THP, thp, 0, 2, "default, always or never",
             "Transparent huge pages: as the kernel is set; for chunks that are mostly active and huge "
             "blocks from "
             "2 MiB; for nothing"),
    CONF_FLAG("junk", is_junk,
              "Fill new blocks with 0xa5 and freed ones, but for huge ones, with 0x5a; no thread caches"),
    CONF_FLAG("zero", is_zero, "Fill new blocks with zero; no thread caches"),
    CONF_FLAG("retain", is_retain, "Keep the addresses of up to 16 purged chunks for reuse"),
    CONF_FLAG("stats_print", is_stats_print, "Print statistics at exit"),
    CONF_FLAG("abort_conf", is_abort_conf, "Abort if a setting is wrong"),
    CONF_FLAG("confirm_conf", is_confirm_conf, "Print the settings that are applied from here on"),
    CONF_FLAG("strict_conf", is_strict_conf, "End the process with status 1 if a setting is wrong"),
};
const size_t conf_n_options = sizeof conf_options / sizeof conf_options[0];

static bool conf_is(const char *text, size_t n, const char *word) {
    return strlen(word) == n && memcmp(text, word, n) == 0;
}

static bool conf_parse_number(const char *text, size_t n, int64_t *out) {
    bool is_negative = n > 0 && text[0] == '-';
    size_t i = is_negative ? 1 : 0;
    int64_t x = 0;
    if (i == n)
        return false;
    for (; i < n; i++) {
        if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(x, 10, &x) ||
            __builtin_add_overflow(x, text[i] - '0', &x))
            return false;
    }
    *out = is_negative ? -x : x;
    return true;
}

static bool conf_skip_digits(const char **at, const char *end) {
    const char *start = *at;
    while (*at != end && **at >= '0' && **at <= '9')
        ++*at;
    return *at != start && *at - start <= 4;
}

/* Nothing, or FIRST[-LAST]@NODE, more of them behind a semicolon or a comma. */
static bool conf_is_numa_map(const char *at, size_t n) {
    const char *end = at + n;
    while (at != end) {
        if (!conf_skip_digits(&at, end))
            return false;
        if (at != end && *at == '-' && (at++, !conf_skip_digits(&at, end)))
            return false;
        if (at == end || *at++ != '@' || !conf_skip_digits(&at, end))
            return false;
        if (at != end && ((*at != ';' && *at != ',') || ++at == end))
            return false;
    }
    return true;
}

static const char *const conf_thp_words[] = {"default", "always", "never"};

const char *conf_format(const struct conf_option *opt, char *out, size_t size) {
    const void *where = (const char *)&conf + opt->offset;
    if (opt->kind == CONF_BOOL)
        snprintf(out, size, "%s", *(const bool *)where ? "true" : "false");
    else if (opt->kind == CONF_NUMA)
        snprintf(out, size, "%s", (const char *)where);
    else if (opt->kind == CONF_THP)
        snprintf(out, size, "%s", conf_thp_words[*(const enum conf_thp *)where]);
    else
        snprintf(out, size, "%" PRId64, *(const int64_t *)where);
    return out;
}

/* Stores one value; false if it is malformed or out of range. */
static bool conf_apply(const struct conf_option *opt, const char *value, size_t n) {
    void *where = (char *)&conf + opt->offset;
    int64_t x = 0;
    switch (opt->kind) {
    case CONF_BOOL:
        if (!conf_is(value, n, "true") && !conf_is(value, n, "false"))
            return false;
        *(bool *)where = value[0] == 't';
        return true;
    case CONF_SIZE:
    case CONF_MS:
        if (!conf_parse_number(value, n, &x) || x < opt->min || x > opt->max)
            return false;
        *(int64_t *)where = x;
        return true;
    case CONF_NUMA:
        if (n > (size_t)opt->max || !conf_is_numa_map(value, n))
            return false;
        memcpy(where, value, n);
        ((char *)where)[n] = '\0';
        return true;
    case CONF_THP:
        for (int i = 0; i < 3; i++)
            if (conf_is(value, n, conf_thp_words[i])) {
                *(enum conf_thp *)where = (enum conf_thp)i;
                return true;
            }
        return false;
    }
    return false;
}

static void conf_write(const char *text, size_t n) {
    char buf[161];
    n = util_min(n, sizeof buf - 1);
    memcpy(buf, text, n);
    buf[n] = '\0';
    os_write_error(buf);
}

/* allowed: NULL, or what the value may be. */
static void conf_report(const char *what, const char *pair, size_t n, const char *allowed) {
    os_write_error("arena: MALLOC_CONF: ");
    os_write_error(what);
    os_write_error(": ");
    conf_write(pair, n);
    if (allowed != NULL) {
        os_write_error("; allowed: ");
        os_write_error(allowed);
    }
    os_write_error("\n");
}

static bool conf_parse_pair(const char *pair, size_t n) {
    const char *colon = memchr(pair, ':', n);
    if (colon == NULL) {
        conf_report("malformed pair, expected name:value", pair, n, NULL);
        return false;
    }
    for (size_t i = 0; i < conf_n_options; i++) {
        const struct conf_option *opt = &conf_options[i];
        if (!conf_is(pair, (size_t)(colon - pair), opt->name))
            continue;
        if (!conf_apply(opt, colon + 1, n - (size_t)(colon + 1 - pair))) {
            conf_report("invalid value", pair, n, opt->values);
            return false;
        }
        if (conf.is_confirm_conf)
            conf_report("applied", pair, n, NULL);
        return true;
    }
    conf_report("unknown option", pair, n, NULL);
    return false;
}

/* Length of the first pair. Commas inside the value of arena_numa belong to it. */
static size_t conf_pair_length(const char *text) {
    size_t n = strcspn(text, ",");
    while (strncmp(text, "arena_numa:", 11) == 0 && text[n] == ',' && text[n + 1] >= '0' &&
           text[n + 1] <= '9')
        n += 1 + strcspn(text + n + 1, ",");
    return n;
}

size_t conf_parse(const char *text) {
    size_t n_wrong = 0;
    while (*text != '\0') {
        size_t n = conf_pair_length(text);
        if (n != 0)
            n_wrong += !conf_parse_pair(text, n);
        text += n + (text[n] == ',');
    }
    return n_wrong;
}

static void conf_list_names(void) {
    os_write_error("arena: MALLOC_CONF: valid names:");
    for (size_t i = 0; i < conf_n_options; i++) {
        os_write_error(" ");
        os_write_error(conf_options[i].name);
    }
    os_write_error("\n");
}

void conf_init(const char *weak_symbol_text) {
    size_t n_wrong = 0;
    if (weak_symbol_text != NULL)
        n_wrong += conf_parse(weak_symbol_text);
    if (!os_is_privileged()) {
        char link[512];
        int saved = errno;
        ssize_t n = readlink("/etc/malloc.conf", link, sizeof link - 1);
        errno = saved;
        if (n > 0) {
            link[n] = '\0';
            n_wrong += conf_parse(link);
        }
        const char *env = getenv("MALLOC_CONF");
        if (env != NULL)
            n_wrong += conf_parse(env);
    }
    if (n_wrong == 0)
        return;
    conf_list_names();
    if (conf.is_abort_conf)
        abort();
    if (conf.is_strict_conf)
        _exit(1);
}
