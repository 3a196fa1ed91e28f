/* Other people's programs: git, the summary script. Not measured processes; those are spawn.h. */
#ifndef HEAPDYNO_PROGRAM_H
#define HEAPDYNO_PROGRAM_H

#include <stddef.h>

/* Runs a program found by PATH with our standard streams. Its exit code, 128 + signal, or -errno. */
int program_run(const char *const argv[]);

/* The same, but its output goes to `out` (cut off, final newline removed) and its errors nowhere. */
int program_capture(const char *const argv[], char *out, size_t out_bytes);

#endif
