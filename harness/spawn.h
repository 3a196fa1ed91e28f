/*
 * Measured processes: start, kill, reap. Owns: the process and the driver's end of its socket.
 * Does not know: what is said over the socket, what a status is.
 *
 * A child is the leader of a process group of its own, so that a Ctrl-C at the terminal reaches the driver
 * alone and a kill reaches a wrapper's children too. It dies with the driver.
 */
#ifndef HEAPDYNO_SPAWN_H
#define HEAPDYNO_SPAWN_H

#include <stdint.h>
#include <sys/types.h>

#include "harness/membind.h"
#include "harness/problem.h"

struct child {
    pid_t pid;
    int fd;    /* SOCK_SEQPACKET to CELL_FD of the child */
    int pidfd; /* readable when the child has ended */
    /* When it called execve, CLOCK_MONOTONIC; 0 until then. Shared with the child; NULL after spawn_reap. */
    const uint64_t *exec_ns;
};

/* Executes `program`, under the words of `wrap` when it is not NULL, with its memory placed by `membind`. 0 or
 * -errno with the reason; a program that cannot be executed ends with exit code SPAWN_EXEC_FAILED, one whose
 * memory policy the kernel refused with SPAWN_POLICY_FAILED. */
int spawn_start(struct child *child, const char *program, const char *wrap, char *const *environment,
                const struct membind *membind, struct problem *p);
#define SPAWN_EXEC_FAILED 127
#define SPAWN_POLICY_FAILED 126

void spawn_kill(const struct child *child);

/* Waits for the end and lets go of everything; fills the wait status. 0 or -errno. */
int spawn_reap(struct child *child, int *wait_status);

#endif
