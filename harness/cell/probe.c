#include "harness/cell/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

uint64_t probe_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The file's text, NUL-terminated and cut to its room; empty when it cannot be read. */
static void read_text(const char *path, char *text, size_t text_bytes) {
    size_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && n + 1 < text_bytes) {
        ssize_t got = read(fd, text + n, text_bytes - 1 - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    text[n] = '\0';
    if (fd >= 0)
        close(fd);
}

static uint64_t parse_number(const char *at) {
    uint64_t value = 0;
    while (*at == ' ' || *at == '\t')
        at++;
    if (*at < '0' || *at > '9')
        return UINT64_MAX;
    for (; *at >= '0' && *at <= '9'; at++)
        value = value * 10 + (uint64_t)(*at - '0');
    return value;
}

/* Number in kB behind `key`, in bytes. */
static uint64_t find_kb(const char *text, const char *key) {
    const char *at = strstr(text, key);
    uint64_t kb = at ? parse_number(at + strlen(key)) : UINT64_MAX;
    return kb == UINT64_MAX ? UINT64_MAX : kb * 1024;
}

struct probe_memory probe_memory(void) {
    char text[2048];
    read_text("/proc/self/status", text, sizeof text);
    return (struct probe_memory){
        .rss_bytes = find_kb(text, "\nVmRSS:"),
        .peak_rss_bytes = find_kb(text, "\nVmHWM:"),
    };
}

/* Memory that is shared has one user here, so that its proportional size is its size. */
struct probe_pages probe_pages(void) {
    char text[2048];
    read_text("/proc/self/smaps_rollup", text, sizeof text);
    uint64_t rss = find_kb(text, "\nRss:"), anon = find_kb(text, "\nAnonymous:");
    uint64_t shared = find_kb(text, "\nPss_Shmem:");
    struct probe_pages pages = {UINT64_MAX, UINT64_MAX, find_kb(text, "\nAnonHugePages:")};
    if (rss != UINT64_MAX && anon != UINT64_MAX && shared != UINT64_MAX && anon + shared <= rss) {
        pages.anon_bytes = anon + shared;
        pages.file_bytes = rss - pages.anon_bytes;
    }
    return pages;
}

static uint64_t timeval_ns(struct timeval t) {
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_usec * 1000;
}

struct probe_usage probe_usage(void) {
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (struct probe_usage){
        .user_ns = timeval_ns(r.ru_utime),
        .sys_ns = timeval_ns(r.ru_stime),
        .nvcsw = (uint64_t)r.ru_nvcsw,
        .nivcsw = (uint64_t)r.ru_nivcsw,
        .minflt = (uint64_t)r.ru_minflt,
        .majflt = (uint64_t)r.ru_majflt,
    };
}

uint64_t probe_switches(void) {
    struct rusage r;
    getrusage(RUSAGE_THREAD, &r);
    return (uint64_t)r.ru_nvcsw + (uint64_t)r.ru_nivcsw;
}

uint64_t probe_run_delay_ns(void) {
    char text[128]; /* "run_ns run_delay_ns n_slices" */
    read_text("/proc/thread-self/schedstat", text, sizeof text);
    const char *second = strchr(text, ' ');
    return second ? parse_number(second) : UINT64_MAX;
}
