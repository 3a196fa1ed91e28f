#include "harness/cell/pages.h"

#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE_BYTES ((uintptr_t)4096)
#define BATCH_PAGES 512

struct census {
    int node;
    uint64_t n_on_node, n_resident;
    bool is_refused; /* the kernel has no move_pages */
};

static void count_pages(struct census *c, uintptr_t start, uintptr_t end) {
    void *pages[BATCH_PAGES];
    int where[BATCH_PAGES];
    while (start < end && !c->is_refused) {
        unsigned long n = 0;
        for (; n < BATCH_PAGES && start < end; start += PAGE_BYTES)
            pages[n++] = (void *)start;
        if (syscall(SYS_move_pages, 0, n, pages, NULL, where, 0) != 0) {
            c->is_refused = true;
            return;
        }
        for (unsigned long i = 0; i < n; i++) {
            c->n_resident += where[i] >= 0; /* below 0: not resident */
            c->n_on_node += where[i] == c->node;
        }
    }
}

/* "start-end rwxp offset device inode  name": anonymous means that the inode is 0. */
static void count_line(struct census *c, char *line) {
    char *at = line;
    uintptr_t start = strtoull(at, &at, 16);
    if (*at++ != '-')
        return;
    uintptr_t end = strtoull(at, &at, 16);
    if (strncmp(at, " rw-p ", 6) != 0)
        return;
    for (int n_fields = 0; n_fields < 3 && at; n_fields++) /* offset, device, inode */
        at = strchr(at + 1, ' ');
    if (at && strtoull(at, NULL, 10) == 0)
        count_pages(c, start, end);
}

double pages_on_node_fraction(int node) {
    struct census c = {.node = node};
    char text[4096];
    size_t n = 0;
    ssize_t got;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NAN;
    while ((got = read(fd, text + n, sizeof text - 1 - n)) > 0) {
        n += (size_t)got;
        text[n] = '\0';
        char *line = text, *line_end;
        for (; (line_end = strchr(line, '\n')) != NULL; line = line_end + 1) {
            *line_end = '\0';
            count_line(&c, line);
        }
        n -= (size_t)(line - text);
        memmove(text, line, n);
    }
    close(fd);
    return c.is_refused || c.n_resident == 0 ? NAN : (double)c.n_on_node / (double)c.n_resident;
}
