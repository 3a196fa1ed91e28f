/* Facts about the machine that results depend on. Reads, changes nothing. What cannot be had is JSON null. */
#ifndef HEAPDYNO_MACHINE_H
#define HEAPDYNO_MACHINE_H

#include <jansson.h>

/* kernel, cpu, memory, cgroup and the rest; new reference, NULL when out of memory. */
json_t *machine_describe(void);

/* What changes while a run goes on: load averages and stolen time; new reference. */
json_t *machine_activity(void);

/* Whole text of a small file without its final newline, or null; new reference. */
json_t *machine_file(const char *path);

#endif
