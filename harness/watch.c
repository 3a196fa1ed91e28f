#include "harness/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness/bench.h"
#include "harness/units.h"

#define ROLLUP_SHARE 20 /* at most one part in so many of the time is spent in reading smaps_rollup */
#define PROC_BYTES 2048

static const uint64_t mark_ns[N_MARKS] = {
    [MARK_100_MS] = UNITS_NS_PER_S / 10, [MARK_1_S] = UNITS_NS_PER_S, [MARK_5_S] = 5ull * UNITS_NS_PER_S};

void watch_result_clear(struct watch_result *r) {
    memset(r, 0xff, sizeof *r);
}

void watch_init(struct watch *w) {
    *w = (struct watch){.statm_fd = -1, .rollup_fd = -1};
    watch_result_clear(&w->result);
}

static int open_proc(int pid, const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

int watch_open(struct watch *w, int pid, int workers_fd, unsigned n_workers, const struct workload *workload,
               uint64_t interval_ns, uint64_t idle_ns, struct problem *p) {
    void *map = mmap(NULL, n_workers * sizeof *w->workers, PROT_READ, MAP_SHARED, workers_fd, 0);
    if (map == MAP_FAILED)
        return problem_set(p, errno, "the workers of the cell cannot be mapped: %s", strerror(errno));
    w->workers = map;
    w->n_workers = n_workers;
    w->has_live = workload->peak_live_bytes != NULL;
    w->has_successors = (workload->flags & WORKLOAD_SUCCESSORS) != 0;
    w->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    w->statm_fd = open_proc(pid, "statm");
    if (w->statm_fd < 0)
        return problem_set(p, errno, "the resident set cannot be read: %s", strerror(errno));
    w->rollup_fd =
        open_proc(pid, "smaps_rollup"); /* not everywhere: then PSS and huge pages are not measured */
    while (w->n_marks < N_MARKS && mark_ns[w->n_marks] <= idle_ns)
        w->n_marks++;
    w->result.interval_ns = interval_ns;
    w->result.n_samples = w->result.sampling_ns = 0;
    w->start_ns = w->next_ns = w->next_rollup_ns = bench_now_ns();
    return 0;
}

void watch_close(struct watch *w) {
    if (w->workers != NULL)
        munmap((void *)(uintptr_t)w->workers, w->n_workers * sizeof *w->workers);
    if (w->statm_fd >= 0)
        close(w->statm_fd);
    if (w->rollup_fd >= 0)
        close(w->rollup_fd);
    w->workers = NULL;
    w->statm_fd = w->rollup_fd = -1;
}

void watch_free(struct watch *w) {
    watch_close(w);
    free(w->samples);
    w->samples = NULL;
    w->n_room = 0;
}

/* The file from its beginning. False when it cannot be read, as when the process has ended. */
static bool read_proc(int fd, char text[PROC_BYTES]) {
    ssize_t n = fd >= 0 ? pread(fd, text, PROC_BYTES - 1, 0) : -1;
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* The number at `text`, behind blanks; UINT64_MAX: there is none. */
static uint64_t parse_number(const char *text) {
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    return end != text && errno == 0 ? value : UINT64_MAX;
}

static uint64_t find_kb(const char *text, const char *key) {
    const char *at = strstr(text, key);
    uint64_t kb = at != NULL ? parse_number(at + strlen(key)) : UINT64_MAX;
    return kb != UINT64_MAX ? kb * 1024 : UINT64_MAX;
}

/* A free seen on one slot before the malloc on another, the sum may be below 0 for an instant. */
static uint64_t read_live(const struct watch *w) {
    int64_t sum = 0;
    for (unsigned i = 0; i < w->n_workers; i++)
        sum += atomic_load_explicit(&w->workers[i].live_bytes, memory_order_relaxed);
    return sum > 0 ? (uint64_t)sum : 0;
}

static uint64_t read_generations(const struct watch *w) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < w->n_workers; i++)
        sum += atomic_load_explicit(&w->workers[i].n_generations, memory_order_relaxed);
    return sum;
}

/* False: the process is gone. */
static bool read_sample(struct watch *w, uint64_t now_ns, struct watch_sample *s) {
    char text[PROC_BYTES];
    *s = (struct watch_sample){.t_ns = now_ns - w->start_ns,
                               .live_bytes = w->has_live ? read_live(w) : UINT64_MAX,
                               .pss_bytes = UINT64_MAX,
                               .anon_huge_bytes = UINT64_MAX,
                               .n_generations = w->has_successors ? read_generations(w) : UINT64_MAX};
    if (!read_proc(w->statm_fd, text))
        return false;
    const char *second = strchr(text, ' ');
    uint64_t n_pages = second != NULL ? parse_number(second) : 0;
    if (n_pages == 0 || n_pages == UINT64_MAX)
        return false;
    s->rss_bytes = n_pages * w->page_bytes;
    if (now_ns < w->next_rollup_ns)
        return true;
    uint64_t before_ns = bench_now_ns();
    if (read_proc(w->rollup_fd, text)) {
        s->pss_bytes = find_kb(text, "\nPss:");
        s->anon_huge_bytes = find_kb(text, "\nAnonHugePages:");
    }
    uint64_t after_ns = bench_now_ns();
    w->next_rollup_ns = after_ns + (after_ns - before_ns) * ROLLUP_SHARE;
    return true;
}

static int make_room(struct watch *w, struct problem *p) {
    if (w->result.n_samples < w->n_room)
        return 0;
    size_t n_room = w->n_room == 0 ? 1024 : 2 * w->n_room;
    struct watch_sample *grown = realloc(w->samples, n_room * sizeof *grown);
    if (grown == NULL)
        return problem_set(p, ENOMEM, "no memory for the samples");
    w->samples = grown;
    w->n_room = n_room;
    return 0;
}

static uint64_t mark_due_ns(const struct watch *w) {
    if (w->result.freed_ns == UINT64_MAX || w->next_mark >= w->n_marks)
        return UINT64_MAX;
    return w->start_ns + w->result.freed_ns + mark_ns[w->next_mark];
}

uint64_t watch_due_ns(const struct watch *w) {
    uint64_t due_ns = mark_due_ns(w);
    return due_ns < w->next_ns ? due_ns : w->next_ns;
}

/* What is noted is of samples, so that it can be found among them. */
static void note_sample(struct watch *w, const struct watch_sample *s, uint64_t now_ns) {
    struct watch_result *r = &w->result;
    bool is_higher = r->peak_live_bytes == UINT64_MAX || s->live_bytes > r->peak_live_bytes;
    bool is_as_high = s->live_bytes == r->peak_live_bytes && s->rss_bytes > r->peak_live_rss_bytes;
    if (w->has_live && (is_higher || is_as_high)) {
        r->peak_live_bytes = s->live_bytes;
        r->peak_live_rss_bytes = s->rss_bytes;
    }
    while (now_ns >= mark_due_ns(w))
        r->kept_rss_bytes[w->next_mark++] = s->rss_bytes;
}

int watch_take_due(struct watch *w, struct problem *p) {
    uint64_t now_ns = bench_now_ns();
    if (now_ns < watch_due_ns(w))
        return 0;
    int err = make_room(w, p);
    if (err != 0)
        return err;
    struct watch_sample *s = &w->samples[w->result.n_samples];
    if (!read_sample(w, now_ns, s))
        return problem_set(p, ESRCH, "the resident set could not be read");
    w->result.n_samples++;
    note_sample(w, s, now_ns);
    while (w->next_ns <= now_ns)
        w->next_ns += w->result.interval_ns;
    w->result.sampling_ns += bench_now_ns() - now_ns;
    return 0;
}

void watch_note_freed(struct watch *w) {
    w->result.freed_ns = bench_now_ns() - w->start_ns;
}

bool watch_is_over(const struct watch *w) {
    return w->result.freed_ns != UINT64_MAX && w->next_mark >= w->n_marks;
}
