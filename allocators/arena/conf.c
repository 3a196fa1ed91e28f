#include "conf.h"

#include <errno.h>
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

#define CONF_ROW(name_, kind_, member, min_, max_, help_)                                                    \
    { name_, kind_, offsetof(struct conf, member), min_, max_, help_ }

const struct conf_option conf_options[] = {
    CONF_ROW("narenas", CONF_SIZE, n_arenas, 0, 1024, "arenas; 0 = four per usable CPU"),
    CONF_ROW("lg_chunk", CONF_SIZE, lg_chunk, 18, 26, "binary logarithm of the chunk size in bytes"),
    CONF_ROW("tcache", CONF_BOOL, is_tcache, 0, 1, "thread caches"),
    CONF_ROW("tcache_max", CONF_SIZE, tcache_max_bytes, 0, 196608,
             "largest size kept in thread caches, bytes"),
    CONF_ROW("tcache_bytes", CONF_SIZE, tcache_bytes, 4096, 1 << 30,
             "most that one thread cache may hold, bytes"),
    CONF_ROW("tcache_fill_div", CONF_SIZE, tcache_fill_div, 1, 64, "a fill brings capacity divided by this"),
    CONF_ROW("tcache_gc_bytes", CONF_SIZE, tcache_gc_bytes, 1024, 1 << 30,
             "bytes allocated by a thread between two ageing steps of its cache"),
    CONF_ROW("dirty_decay_ms", CONF_MS, dirty_decay_ms, -1, INT64_MAX / 2000000,
             "time in which unused dirty pages are given up; -1 = never, 0 = at once"),
    CONF_ROW("muzzy_decay_ms", CONF_MS, muzzy_decay_ms, -1, INT64_MAX / 2000000,
             "time for which given up pages stay with MADV_FREE first; 0 = they do not"),
    CONF_ROW("background_thread", CONF_BOOL, is_background_thread, 0, 1,
             "a thread that purges while others sleep"),
    CONF_ROW("percpu_arena", CONF_BOOL, is_percpu_arena, 0, 1, "choose the arena by the current CPU"),
    CONF_ROW("arena_numa", CONF_TEXT, arena_numa, 0, 127, "arena ranges on nodes, as 0-3@0;4-7@1"),
    CONF_ROW("thp", CONF_THP, thp, 0, 2, "transparent huge pages: default, always or never"),
    CONF_ROW("junk", CONF_BOOL, is_junk, 0, 1, "fill new blocks with 0xa5 and freed ones with 0x5a"),
    CONF_ROW("zero", CONF_BOOL, is_zero, 0, 1, "fill new blocks with zero"),
    CONF_ROW("retain", CONF_BOOL, is_retain, 0, 1, "keep the addresses of up to 16 purged chunks for reuse"),
    CONF_ROW("stats_print", CONF_BOOL, is_stats_print, 0, 1, "print statistics at exit"),
    CONF_ROW("abort_conf", CONF_BOOL, is_abort_conf, 0, 1, "abort on a wrong setting"),
    CONF_ROW("confirm_conf", CONF_BOOL, is_confirm_conf, 0, 1, "print the settings that are applied"),
    CONF_ROW("strict_conf", CONF_BOOL, is_strict_conf, 0, 1,
             "wrong settings make the process exit with status 1"),
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
    case CONF_TEXT:
        if (n > (size_t)opt->max)
            return false;
        memcpy(where, value, n);
        ((char *)where)[n] = '\0';
        return true;
    case CONF_THP:
        for (int i = 0; i < 3; i++)
            if (conf_is(value, n, (const char *[]){"default", "always", "never"}[i])) {
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

static void conf_report(const char *what, const char *pair, size_t n) {
    os_write_error("arena: MALLOC_CONF: ");
    os_write_error(what);
    os_write_error(": ");
    conf_write(pair, n);
    os_write_error("\n");
}

static bool conf_parse_pair(const char *pair, size_t n) {
    const char *colon = memchr(pair, ':', n);
    if (colon == NULL) {
        conf_report("malformed pair, expected name:value", pair, n);
        return false;
    }
    for (size_t i = 0; i < conf_n_options; i++) {
        const struct conf_option *opt = &conf_options[i];
        if (!conf_is(pair, (size_t)(colon - pair), opt->name))
            continue;
        if (!conf_apply(opt, colon + 1, n - (size_t)(colon + 1 - pair))) {
            conf_report("invalid value", pair, n);
            return false;
        }
        if (conf.is_confirm_conf)
            conf_report("applied", pair, n);
        return true;
    }
    conf_report("unknown option", pair, n);
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
