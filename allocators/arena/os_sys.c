/* The seam of the room os: in a file of its own, because a linker's --wrap reaches only calls between files. */
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void *os_sys_mmap(void *hint, size_t bytes, int prot, int flags) {
    return mmap(hint, bytes, prot, flags, -1, 0);
}

int os_sys_munmap(void *addr, size_t bytes) {
    return munmap(addr, bytes);
}

int os_sys_madvise(void *addr, size_t bytes, int advice) {
    return madvise(addr, bytes, advice);
}

void *os_sys_mremap(void *addr, size_t old_bytes, size_t new_bytes, int flags, void *target) {
    return mremap(addr, old_bytes, new_bytes, flags, target);
}

int os_sys_mbind(void *addr, size_t bytes, unsigned node) {
    unsigned long mask[16] = {0};
    if (node >= sizeof mask * 8)
        return -EINVAL;
    mask[node / 64] = 1ul << (node % 64);
    return syscall(SYS_mbind, addr, bytes, 1 /* MPOL_PREFERRED */, mask, sizeof mask * 8, 0) == 0 ? 0
                                                                                                  : -errno;
}

unsigned os_sys_current_node(void) {
    unsigned cpu, node = 0;
    return syscall(SYS_getcpu, &cpu, &node, NULL) == 0 ? node : 0;
}

size_t os_sys_read_file(const char *path, char *buf, size_t size) {
    int saved = errno;
    ssize_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, buf, size - 1);
        close(fd);
    }
    errno = saved;
    if (n < 0)
        n = 0;
    buf[n] = '\0';
    return (size_t)n;
}
