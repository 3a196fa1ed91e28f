/* os: the system calls, and what is known of the machine.
 *
 * Owns no memory. Does not know arenas or chunks. No lock. Every call leaves errno as it found it, so that a
 * successful malloc never changes errno; failures come back as NULL or -errno.
 *
 * The os_sys_* functions are the seam for fault injection: tests link with -Wl,--wrap=os_sys_mmap and so on.
 */
#ifndef ARENA_OS_H
#define ARENA_OS_H

#include "util.h"

void *os_sys_mmap(void *hint, size_t bytes, int prot, int flags);
int os_sys_munmap(void *addr, size_t bytes);
int os_sys_madvise(void *addr, size_t bytes, int advice);
void *os_sys_mremap(void *addr, size_t old_bytes, size_t new_bytes, int flags, void *target);

/** Policy MPOL_PREFERRED for the node, and the node that the caller runs on: the seam for tests on one node. */
int os_sys_mbind(void *addr, size_t bytes, unsigned node);
unsigned os_sys_current_node(void);

/** Reads a small file into buf as a string; its length, 0 on any failure. Leaves errno alone. */
size_t os_sys_read_file(const char *path, char *buf, size_t size);

/** Reads a number at *text, after blanks, and moves on behind it; 0 if there is none. */
size_t os_parse_number(const char **text);

/** Maps zeroed, private, writable memory, near hint if that is free; NULL if the system refuses. */
void *os_map(void *hint, size_t bytes);

/** Like os_map, but aligned to align, a power of two of at least a page. Maps exactly `bytes`. */
void *os_map_aligned(void *hint, size_t bytes, size_t align);

/** Maps exactly [addr, addr + bytes) if nothing is there; false if something is, or the system refuses. */
bool os_map_exactly(void *addr, size_t bytes);

/** 0 or -errno. On failure the range stays mapped and readable. */
int os_unmap(void *addr, size_t bytes);

/** Gives the pages back at once; they read as zero afterwards. 0 or -errno (contents then unchanged). */
int os_purge(void *addr, size_t bytes);

/** Lets the kernel take the pages when it needs them (MADV_FREE); contents undefined afterwards. 0 or -errno.
 */
int os_purge_lazily(void *addr, size_t bytes);

/** Moves the pages of [from, from + from_bytes) to `to`, where to_bytes are mapped, growing them to to_bytes.
 *  0 or -errno; `from` is then as before, but the kernel may have unmapped some or all of `to`. */
int os_move_pages(void *from, size_t from_bytes, void *to, size_t to_bytes);

/** Asks for (or forbids) transparent huge pages. 0 or -errno. */
int os_advise_huge_pages(void *addr, size_t bytes, bool is_wanted);

/** Monotonic clock, coarse (about 4 ms), without a system call. */
uint64_t os_now_ns(void);

/** CPUs that this process may run on: affinity mask, lowered by the quota of its cgroup and of those above, version 1
 *  or 2; at least 1. */
unsigned os_n_cpus(void);

/** CPU the caller runs on, or 0. */
unsigned os_current_cpu(void);

/** Asks that pages come from a NUMA node if it has any left. 0 or -errno. */
int os_bind_memory(void *addr, size_t bytes, unsigned node);

/** NUMA node that the caller runs on, or 0. */
unsigned os_current_node(void);

/** Bytes of this process that are resident, or 0 if unknown. */
size_t os_resident_bytes(void);

/** True if the process has more rights than its user (setuid), so that its environment is not to be trusted.
 */
bool os_is_privileged(void);

/** Writes text to standard error with write(2). */
void os_write_error(const char *text);

/** Writes "arena: <text> 0x<addr>" and a newline to standard error, then aborts. */
_Noreturn void os_die(const char *text, const void *addr);

/** Sleeps while *word == expected; may return early. A timeout of 0 means none. */
void os_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns);
void os_futex_wake(_Atomic uint32_t *word, int n);

#endif
