/* ctl: the tree of names that mallctl reads and writes, and the report of statistics.
 *
 * Owns the table of names and the last snapshot of statistics. Does not know the ABI. Snapshot under
 * LOCK_CONTROL.
 *
 * A name is dotted; a number in it stands for an arena or class: "stats.arenas.0.bins.3.nfills". In a MIB,
 * the number is at the position of its component, and the first element tells which name it is.
 */
#ifndef ARENA_CTL_H
#define ARENA_CTL_H

#include <stddef.h>

#define CTL_ARENAS_ALL 4096

/** Reads into old and writes from new; either may be NULL. 0, ENOENT (no such name or number), EPERM (not
 *  writable or not readable), EINVAL (size or value), EAGAIN, EFAULT. */
int ctl_by_name(const char *name, void *old, size_t *old_bytes, const void *new, size_t new_bytes);
int ctl_by_mib(const size_t *mib, size_t mib_len, void *old, size_t *old_bytes, const void *new,
               size_t new_bytes);
int ctl_name_to_mib(const char *name, size_t *mib, size_t *mib_len);

/** Writes a report through write_text, or to standard error if that is NULL. Options: J = JSON. */
void ctl_print(void (*write_text)(void *, const char *), void *opaque, const char *options);
void ctl_print_at_exit(void);

/** In a forked child: the snapshot may have been another thread's work. */
void ctl_fork_child(void);

#endif
