#include "harness/machine.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <linux/limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#define FACT_BYTES 8192
#define CPU0 "/sys/devices/system/cpu/cpu0/"

/* Length, or -1. */
static ssize_t file_read(const char *path, char out[FACT_BYTES]) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, out, FACT_BYTES - 1);
    close(fd);
    while (n > 0 && isspace((unsigned char)out[n - 1]))
        n--;
    if (n >= 0)
        out[n] = '\0';
    return n;
}

json_t *machine_file(const char *path) {
    char text[FACT_BYTES];
    return file_read(path, text) < 0 ? json_null() : json_string(text);
}

static json_t *file_number(const char *path) {
    char text[FACT_BYTES], *end;
    if (file_read(path, text) <= 0)
        return json_null();
    long long value = strtoll(text, &end, 10);
    return *end == '\0' ? json_integer(value) : json_null();
}

/* The word in brackets of "always [madvise] never". */
static json_t *file_choice(const char *path) {
    char text[FACT_BYTES];
    if (file_read(path, text) < 0)
        return json_null();
    char *open = strchr(text, '['), *close = open != NULL ? strchr(open, ']') : NULL;
    return close != NULL ? json_stringn(open + 1, (size_t)(close - open - 1)) : json_string(text);
}

/* Value of the first line "name : value" of a file, or null. */
static json_t *file_entry(const char *path, const char *name) {
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return json_null();
    char *line = NULL;
    size_t room = 0, n_name = strlen(name);
    json_t *found = NULL;
    while (found == NULL && getline(&line, &room, in) >= 0) {
        char *colon = strchr(line, ':');
        if (colon == NULL || strncmp(line, name, n_name) != 0 ||
            n_name + strspn(line + n_name, " \t") != (size_t)(colon - line))
            continue;
        char *value = colon + 1 + strspn(colon + 1, " \t");
        value[strcspn(value, "\n")] = '\0';
        found = json_string(value);
    }
    free(line);
    fclose(in);
    return found != NULL ? found : json_null();
}

/* "Name: 123 kB" of /proc/meminfo in bytes. */
static json_t *meminfo_bytes(const char *name) {
    json_t *entry = file_entry("/proc/meminfo", name);
    json_t *bytes = json_is_string(entry) ? json_integer(1024 * strtoll(json_string_value(entry), NULL, 10))
                                          : json_null();
    json_decref(entry);
    return bytes;
}

static json_t *mitigations(void) {
    static const char folder[] = "/sys/devices/system/cpu/vulnerabilities";
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return json_null();
    json_t *all = json_object();
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.')
            json_object_set_new(all, entry->d_name, machine_file(path));
    }
    closedir(dir);
    return all;
}

static json_t *hypervisor(void) {
#if defined(__x86_64__) || defined(__i386__)
    unsigned a, b, c, d;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c >> 31) == 0)
        return json_string("none");
    unsigned name[4] = {0};
    __cpuid(0x40000000, a, name[0], name[1], name[2]);
    json_t *text = json_string((const char *)name);
    return text != NULL ? text : json_string("unknown");
#else
    return machine_file("/sys/hypervisor/type");
#endif
}

/* Two sources: the cpufreq core's switch, and intel_pstate's inverted one. */
static json_t *boost(void) {
    json_t *on = file_number("/sys/devices/system/cpu/cpufreq/boost");
    if (json_is_integer(on))
        return on;
    json_t *off = file_number("/sys/devices/system/cpu/intel_pstate/no_turbo");
    if (!json_is_integer(off))
        return off;
    json_t *inverted = json_integer(json_integer_value(off) == 0);
    json_decref(off);
    return inverted;
}

static json_t *describe_kernel(void) {
    struct utsname name;
    if (uname(&name) != 0)
        return json_null();
    return json_pack("{s:s,s:s,s:s,s:o}", "release", name.release, "version", name.version, "architecture",
                     name.machine, "command_line", machine_file("/proc/cmdline"));
}

static json_t *describe_cpu(void) {
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "model",
                     file_entry("/proc/cpuinfo", "model name"), "microcode",
                     file_entry("/proc/cpuinfo", "microcode"), "online",
                     machine_file("/sys/devices/system/cpu/online"), "isolated",
                     machine_file("/sys/devices/system/cpu/isolated"), "mitigations", mitigations(),
                     "governor", machine_file(CPU0 "cpufreq/scaling_governor"), "boost", boost(), "smt",
                     machine_file("/sys/devices/system/cpu/smt/control"), "hypervisor", hypervisor());
}

static json_t *describe_memory(void) {
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "total_bytes", meminfo_bytes("MemTotal"),
                     "swap_total_bytes", meminfo_bytes("SwapTotal"), "swappiness",
                     file_number("/proc/sys/vm/swappiness"), "overcommit",
                     file_number("/proc/sys/vm/overcommit_memory"), "max_map_count",
                     file_number("/proc/sys/vm/max_map_count"), "thp_enabled",
                     file_choice("/sys/kernel/mm/transparent_hugepage/enabled"), "thp_defrag",
                     file_choice("/sys/kernel/mm/transparent_hugepage/defrag"), "thp_khugepaged_defrag",
                     file_number("/sys/kernel/mm/transparent_hugepage/khugepaged/defrag"), "numa_balancing",
                     file_number("/proc/sys/kernel/numa_balancing"));
}

/* Limits of the process's own cgroup (version 2). */
static json_t *describe_cgroup(void) {
    char line[FACT_BYTES];
    if (file_read("/proc/self/cgroup", line) < 0)
        return json_null();
    char *group = strstr(line, "0::/");
    if (group == NULL)
        return json_null();
    group += strlen("0::");
    group[strcspn(group, "\n")] = '\0';
    json_t *all = json_pack("{s:s}", "path", group);
    static const char *const files[] = {"cpu.max", "cpuset.cpus.effective", "memory.max", "memory.high"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[PATH_MAX];
        int n = snprintf(path, sizeof path, "/sys/fs/cgroup%s/%s", group, files[i]);
        json_object_set_new(all, files[i], (size_t)n < sizeof path ? machine_file(path) : json_null());
    }
    return all;
}

json_t *machine_describe(void) {
    return json_pack("{s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "libc", gnu_get_libc_version(), "kernel",
                     describe_kernel(), "cpu", describe_cpu(), "memory", describe_memory(), "aslr",
                     file_number("/proc/sys/kernel/randomize_va_space"), "cgroup", describe_cgroup(),
                     "affinity", file_entry("/proc/self/status", "Cpus_allowed_list"), "clock_source",
                     machine_file("/sys/devices/system/clocksource/clocksource0/current_clocksource"));
}

uint64_t machine_counter(const char *path, const char *name) {
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return UINT64_MAX;
    char line[256];
    size_t n_name = strlen(name);
    uint64_t value = UINT64_MAX;
    while (value == UINT64_MAX && fgets(line, sizeof line, in) != NULL) {
        if (strncmp(line, name, n_name) == 0 && line[n_name] == ' ' &&
            isdigit((unsigned char)line[n_name + 1]))
            value = strtoull(line + n_name + 1, NULL, 10);
    }
    fclose(in);
    return value;
}

uint64_t machine_oom_kills(void) {
    char line[FACT_BYTES], path[PATH_MAX];
    char *group = file_read("/proc/self/cgroup", line) >= 0 ? strstr(line, "0::/") : NULL;
    uint64_t n_kills = UINT64_MAX;
    if (group != NULL) {
        group += strlen("0::");
        group[strcspn(group, "\n")] = '\0';
        if ((size_t)snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.events", group) < sizeof path)
            n_kills = machine_counter(path, "oom_kill");
    }
    return n_kills != UINT64_MAX ? n_kills : machine_counter("/proc/vmstat", "oom_kill");
}

/* A file that holds one number; UINT64_MAX: none, or "max". */
static uint64_t limit_in(const char *path) {
    char text[FACT_BYTES], *end;
    if (file_read(path, text) <= 0 || !isdigit((unsigned char)text[0]))
        return UINT64_MAX;
    uint64_t value = strtoull(text, &end, 10);
    return *end == '\0' ? value : UINT64_MAX;
}

uint64_t machine_memory_bytes(void) {
    char line[FACT_BYTES], path[PATH_MAX];
    json_t *total = meminfo_bytes("MemTotal");
    uint64_t least_bytes = json_is_integer(total) ? (uint64_t)json_integer_value(total) : UINT64_MAX;
    json_decref(total);
    char *group = file_read("/proc/self/cgroup", line) >= 0 ? strstr(line, "0::/") : NULL;
    if (group == NULL)
        return least_bytes;
    group += strlen("0::");
    group[strcspn(group, "\n")] = '\0';
    for (;;) { /* a limit holds for all groups below */
        if ((size_t)snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group) < sizeof path) {
            uint64_t limit_bytes = limit_in(path);
            least_bytes = limit_bytes < least_bytes ? limit_bytes : least_bytes;
        }
        char *slash = strrchr(group, '/');
        if (slash == NULL)
            return least_bytes;
        *slash = '\0';
    }
}

/* Eighth number of the first line of /proc/stat. */
static json_t *steal_ticks(void) {
    char text[FACT_BYTES];
    if (file_read("/proc/stat", text) <= 0 || strncmp(text, "cpu ", 4) != 0)
        return json_null();
    char *at = text + 4, *end;
    long long ticks = 0;
    for (int i = 0; i < 8; i++, at = end) {
        ticks = strtoll(at, &end, 10);
        if (end == at)
            return json_null();
    }
    return json_integer(ticks);
}

json_t *machine_activity(void) {
    double load[3];
    json_t *averages =
        getloadavg(load, 3) == 3 ? json_pack("[f,f,f]", load[0], load[1], load[2]) : json_null();
    return json_pack("{s:o,s:o}", "load_average", averages, "steal_ticks", steal_ticks());
}
