/*
 * What the kernel says about this process: memory, times, faults.
 *
 * Owns nothing; reads /proc with open and read into the stack. No stdio: a buffer of fopen left at the top of
 * the heap made glibc look as if it had kept 206 MB of which it had kept 4.
 * Does not know: cells, threads, allocators. UINT64_MAX = the kernel does not say.
 */
#ifndef HEAPDYNO_PROBE_H
#define HEAPDYNO_PROBE_H

#include <stdint.h>

struct probe_memory {
    uint64_t rss_bytes, peak_rss_bytes;
};

struct probe_pages {
    uint64_t anon_bytes; /* anonymous and shared memory */
    uint64_t file_bytes; /* mapped from files and not written to */
    uint64_t anon_huge_bytes;
};

struct probe_usage {
    uint64_t user_ns, sys_ns, nvcsw, nivcsw, minflt, majflt;
};

/* CLOCK_MONOTONIC. */
uint64_t probe_now_ns(void);

/* VmRSS and VmHWM. A fork and exec do not inherit the latter, unlike the peak that getrusage reports. */
struct probe_memory probe_memory(void);

/* What is resident by kind, from smaps_rollup, which looks at each page: exact on every kernel. Takes some 9 ms per
 * GiB with the map locked: never in a measured phase. */
struct probe_pages probe_pages(void);

/* Of the whole process, threads that ended included. */
struct probe_usage probe_usage(void);

/* How often the calling thread has left its processor since it was born. */
uint64_t probe_switches(void);

/* Time the calling thread was ready to run but did not, since it was born. Takes some microseconds. */
uint64_t probe_run_delay_ns(void);

#endif
