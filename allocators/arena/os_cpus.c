/* How many CPUs the process may use. Belongs to the room os. */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os.h"

#define OS_CGROUP_PATH_MAX 512

size_t os_parse_number(const char **text) {
    size_t x = 0;
    while (**text == ' ')
        ++*text;
    while (**text >= '0' && **text <= '9')
        x = x * 10 + (size_t)(*(*text)++ - '0');
    return x;
}

static size_t os_quota_cpus(size_t quota, size_t period) {
    return quota == 0 || period == 0 ? SIZE_MAX : util_max((quota + period - 1) / period, 1);
}

/* Reads the file of that name in the folder of n bytes at `folder`, which has room for the name behind. */
static size_t os_read_in(char *folder, size_t n, const char *name, char *buf, size_t size) {
    memcpy(folder + n, name, strlen(name) + 1);
    return os_sys_read_file(folder, buf, size);
}

/* The least that the cgroup at root/path, or one above it, allows. */
static size_t os_cgroup_cpus(const char *root, const char *path, size_t path_bytes, bool is_v2) {
    char folder[OS_CGROUP_PATH_MAX], buf[64];
    size_t root_bytes = strlen(root), least = SIZE_MAX;
    if (root_bytes + path_bytes + sizeof "/cpu.cfs_period_us" > sizeof folder)
        return SIZE_MAX;
    memcpy(folder, root, root_bytes);
    memcpy(folder + root_bytes, path, path_bytes);
    folder[root_bytes + path_bytes] = '/';
    for (size_t n = root_bytes + path_bytes;; n--) {
        if (n != root_bytes && folder[n] != '/')
            continue;
        const char *text = buf;
        if (is_v2 && os_read_in(folder, n, "/cpu.max", buf, sizeof buf) != 0) {
            size_t quota = os_parse_number(&text);
            least = util_min(least, os_quota_cpus(quota, os_parse_number(&text)));
        } else if (!is_v2 && os_read_in(folder, n, "/cpu.cfs_quota_us", buf, sizeof buf) != 0) {
            size_t quota = os_parse_number(&text); /* -1 = none, which reads as 0 */
            const char *period = buf;
            if (os_read_in(folder, n, "/cpu.cfs_period_us", buf, sizeof buf) != 0)
                least = util_min(least, os_quota_cpus(quota, os_parse_number(&period)));
        }
        if (n == root_bytes)
            return least;
    }
}

static bool os_has_word(const char *list, size_t n, const char *word) {
    for (size_t len = strlen(word); n >= len;) {
        if (memcmp(list, word, len) == 0 && (n == len || list[len] == ','))
            return true;
        const char *comma = memchr(list, ',', n);
        if (comma == NULL)
            return false;
        n -= (size_t)(comma + 1 - list);
        list = comma + 1;
    }
    return false;
}

/* Lines of /proc/self/cgroup: id, controllers (none: version 2), path, divided by colons. */
static size_t os_all_cgroups_cpus(void) {
    char text[2048];
    size_t least = SIZE_MAX;
    os_sys_read_file("/proc/self/cgroup", text, sizeof text);
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        const char *list = memchr(line, ':', (size_t)(end - line));
        const char *path = list == NULL ? NULL : memchr(list + 1, ':', (size_t)(end - list - 1));
        if (path == NULL)
            continue;
        list++;
        bool is_v2 = list == path;
        if (is_v2 || os_has_word(list, (size_t)(path - list), "cpu"))
            least = util_min(least, os_cgroup_cpus(is_v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu", path + 1,
                                                   (size_t)(end - path - 1), is_v2));
    }
    return least;
}

unsigned os_n_cpus(void) {
    uint64_t mask[64];
    int saved = errno;
    long bytes = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
    errno = saved;
    unsigned n = 0;
    for (long i = 0; i < bytes / 8; i++)
        n += (unsigned)__builtin_popcountl(mask[i]);
    n = (unsigned)util_min(n, os_all_cgroups_cpus());
    return n == 0 ? 1 : n;
}
