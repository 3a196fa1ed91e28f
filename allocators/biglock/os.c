/* The system calls of the heaps. errno stays as it was: an allocation that ends well must not change it. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "allocators/biglock/heap.h"

void *os_map(size_t n_bytes) {
    int kept = errno;
    void *p = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    errno = kept;
    return p == MAP_FAILED ? NULL : p;
}

bool os_unmap(void *p, size_t n_bytes) {
    int kept = errno;
    bool is_done = munmap(p, n_bytes) == 0;
    errno = kept;
    return is_done;
}

void *os_remap(void *p, size_t old_bytes, size_t new_bytes) {
    int kept = errno;
    void *moved = mremap(p, old_bytes, new_bytes, MREMAP_MAYMOVE);
    errno = kept;
    return moved == MAP_FAILED ? NULL : moved;
}

size_t os_page_bytes(void) {
    static size_t page_bytes;
    if (page_bytes == 0)
        page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    return page_bytes;
}

void os_die(const char *what) {
    static char start[] = "biglock: heap corruption: ", end[] = "\n";
    struct iovec parts[] = {{start, sizeof start - 1}, {(void *)(uintptr_t)what, strlen(what)}, {end, 1}};
    ssize_t ignored = writev(STDERR_FILENO, parts, 3);
    (void)ignored;
    abort();
}
