#include "harness/cell/trim.h"

#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_RANGES 64

struct ranges {
    struct range {
        uintptr_t from, to;
    } items[MAX_RANGES];
    size_t n;
    uintptr_t page_mask;
};

/* Code that was relocated in place is private to the process: dropped, it would come back as it is in the file. */
static bool has_text_relocations(const struct dl_phdr_info *image) {
    for (unsigned i = 0; i < image->dlpi_phnum; i++) {
        if (image->dlpi_phdr[i].p_type != PT_DYNAMIC)
            continue;
        for (const ElfW(Dyn) *d = (const void *)(image->dlpi_addr + image->dlpi_phdr[i].p_vaddr);
             d->d_tag != DT_NULL; d++) {
            if (d->d_tag == DT_TEXTREL || (d->d_tag == DT_FLAGS && (d->d_un.d_val & DF_TEXTREL)))
                return true;
        }
    }
    return false;
}

static int note_code(struct dl_phdr_info *image, size_t info_bytes, void *arg) {
    struct ranges *r = arg;
    (void)info_bytes;
    if (has_text_relocations(image))
        return 0;
    for (unsigned i = 0; i < image->dlpi_phnum && r->n < MAX_RANGES; i++) {
        const ElfW(Phdr) *segment = &image->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X) || (segment->p_flags & PF_W))
            continue;
        uintptr_t from = image->dlpi_addr + segment->p_vaddr;
        r->items[r->n++] =
            (struct range){from & r->page_mask, (from + segment->p_filesz + ~r->page_mask) & r->page_mask};
    }
    return 0;
}

void trim_code(void) {
    struct ranges ranges = {.page_mask = ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1)};
    dl_iterate_phdr(note_code, &ranges);
    for (size_t i = 0; i < ranges.n; i++)
        madvise((void *)ranges.items[i].from, ranges.items[i].to - ranges.items[i].from, MADV_DONTNEED);
}

void trim_reset_peak(void) {
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t ignored = write(fd, "5", 1);
        (void)ignored;
        close(fd);
    }
}
