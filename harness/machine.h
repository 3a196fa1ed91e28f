/* Facts about the machine that results depend on. Reads, changes nothing. What cannot be had is JSON null. */
#ifndef HEAPDYNO_MACHINE_H
#define HEAPDYNO_MACHINE_H

#include <jansson.h>
#include <stdint.h>

/* kernel, cpu, memory, cgroup and the rest; new reference, NULL when out of memory. */
json_t *machine_describe(void);

/* What changes while a run goes on: load averages and stolen time; new reference. */
json_t *machine_activity(void);

/*
 * How many processes the kernel has killed for want of memory: in this process's cgroup (version 2), or, where the
 * cgroup does not say, on the machine. UINT64_MAX: nobody says.
 */
uint64_t machine_oom_kills(void);

/* What this process may use: the machine's memory, or the limit of its cgroup (version 2) or one above where that is
 * less. UINT64_MAX: nobody says. */
uint64_t machine_memory_bytes(void);

/* The number behind `name` at the start of a line of a file, "name 12"; UINT64_MAX: there is none. */
uint64_t machine_counter(const char *path, const char *name);

/* Whole text of a small file without its final newline, or null; new reference. */
json_t *machine_file(const char *path);

#endif
