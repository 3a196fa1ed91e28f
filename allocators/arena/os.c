#include "os.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static void *os_map_with(void *hint, size_t bytes, int extra_flags) {
    int saved = errno;
    void *p = os_sys_mmap(hint, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | extra_flags);
    errno = saved;
    return p == MAP_FAILED ? NULL : p;
}

void *os_map(void *hint, size_t bytes) {
    return os_map_with(hint, bytes, 0);
}

bool os_map_exactly(void *addr, size_t bytes) {
    void *p = os_map_with(addr, bytes, MAP_FIXED_NOREPLACE);
    if (p == addr)
        return true;
    if (p != NULL)
        os_unmap(p, bytes); /* kernels before 4.17 take the address as a mere hint */
    return false;
}

void *os_map_aligned(void *hint, size_t bytes, size_t align) {
    char *p = os_map(hint, bytes);
    if (p == NULL || ((uintptr_t)p & (align - 1)) == 0)
        return p;
    os_unmap(p, bytes);
    if (bytes + align < bytes)
        return NULL;
    p = os_map(NULL, bytes + align);
    if (p == NULL) {
        /* Too little address space for the slack: probe for an aligned place downwards from the hint. */
        uintptr_t at = (uintptr_t)hint & ~(align - 1);
        for (int i = 0; i < 64 && at > align; i++, at -= align)
            if (os_map_exactly((void *)at, bytes))
                return (void *)at;
        return NULL;
    }
    size_t head = (size_t)((align - ((uintptr_t)p & (align - 1))) & (align - 1));
    if (head != 0)
        os_unmap(p, head);
    os_unmap(p + head + bytes, align - head);
    return p + head;
}

int os_unmap(void *addr, size_t bytes) {
    int saved = errno;
    int err = os_sys_munmap(addr, bytes) == 0 ? 0 : -errno;
    errno = saved;
    return err;
}

static int os_advise(void *addr, size_t bytes, int advice) {
    int saved = errno;
    int err = os_sys_madvise(addr, bytes, advice) == 0 ? 0 : -errno;
    errno = saved;
    return err;
}

int os_purge(void *addr, size_t bytes) {
    return os_advise(addr, bytes, MADV_DONTNEED);
}

int os_purge_lazily(void *addr, size_t bytes) {
    return os_advise(addr, bytes, MADV_FREE);
}

int os_move_pages(void *from, size_t from_bytes, void *to, size_t to_bytes) {
    int saved = errno;
    void *p = os_sys_mremap(from, from_bytes, to_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    int err = p == MAP_FAILED ? -errno : 0;
    errno = saved;
    return err;
}

int os_advise_huge_pages(void *addr, size_t bytes, bool is_wanted) {
    return os_advise(addr, bytes, is_wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

uint64_t os_now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

unsigned os_current_cpu(void) {
    int cpu = sched_getcpu();
    return cpu < 0 ? 0 : (unsigned)cpu;
}

int os_bind_memory(void *addr, size_t bytes, unsigned node) {
    int saved = errno;
    int err = os_sys_mbind(addr, bytes, node);
    errno = saved;
    return err;
}

unsigned os_current_node(void) {
    int saved = errno;
    unsigned node = os_sys_current_node();
    errno = saved;
    return node;
}

size_t os_resident_bytes(void) {
    char buf[128];
    if (os_sys_read_file("/proc/self/statm", buf, sizeof buf) == 0)
        return 0;
    const char *text = buf;
    os_parse_number(&text);
    return os_parse_number(&text) << PAGE_LG;
}

bool os_is_privileged(void) {
    return getauxval(AT_SECURE) != 0;
}

void os_write_error(const char *text) {
    int saved = errno;
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
    errno = saved;
}

void os_die(const char *text, const void *addr) {
    char line[160] = "arena: ";
    size_t n = strlen(line);
    for (; *text != '\0' && n < sizeof line - 24; text++)
        line[n++] = *text;
    line[n++] = ' ';
    line[n++] = '0';
    line[n++] = 'x';
    int shift = 60;
    while (shift > 0 && ((uintptr_t)addr >> shift & 15) == 0)
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        line[n++] = "0123456789abcdef"[(uintptr_t)addr >> shift & 15];
    line[n++] = '\n';
    line[n] = '\0';
    os_write_error(line);
    abort();
}

void os_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns) {
    int saved = errno;
    struct timespec ts = {(time_t)(timeout_ns / 1000000000u), (long)(timeout_ns % 1000000000u)};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, timeout_ns != 0 ? &ts : NULL, NULL, 0);
    errno = saved;
}

void os_futex_wake(_Atomic uint32_t *word, int n) {
    int saved = errno;
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
    errno = saved;
}
