/* The seam of the room os: in a file of its own, because a linker's --wrap reaches only calls between files. */
#include "os.h"

#include <sys/mman.h>

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
