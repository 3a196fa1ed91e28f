/*
 * Allocates blocks of one size until the limit on address space is reached, checks and frees them; several sizes and
 * rounds in one process.
 *
 *   exhaustion LIMIT_MIB SIZE...
 *
 * Promised: at least 90 % of the limit becomes payload (usable bytes), then NULL and ENOMEM; the blocks that live are
 * intact; after freeing, all of it is to be had again, also in the other sizes. Exit code 1 if not, with a line.
 */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define N_ROUNDS 3
#define MIN_PERCENT 90

/* At the start of each block; its seal also stands at the end. */
struct block {
    struct block *next;
    uint64_t seal;
};

static uint64_t seal_of(const struct block *b, size_t size) {
    return (uintptr_t)b * 0x9e3779b97f4a7c15u ^ size;
}

static void write_seals(struct block *b, size_t size) {
    b->seal = seal_of(b, size);
    memcpy((char *)b + size - sizeof b->seal, &b->seal, sizeof b->seal);
}

static int has_seals(const struct block *b, size_t size) {
    uint64_t seal = seal_of(b, size);
    return b->seal == seal && memcmp((const char *)b + size - sizeof seal, &seal, sizeof seal) == 0;
}

/* What of the limit became payload, in percent; -1 if something did not hold. */
static int fill_and_free(size_t size, size_t limit_bytes) {
    struct block *all = NULL, *b;
    size_t payload = 0;
    int status = 0;
    while (errno = 0, (b = malloc(size)) != NULL) {
        b->next = all;
        all = b;
        write_seals(b, size);
        payload += malloc_usable_size(b);
    }
    if (errno != ENOMEM) {
        fprintf(stderr, "exhaustion: errno is %d, not ENOMEM, after NULL for %zu bytes\n", errno, size);
        status = -1;
    }
    for (; all != NULL; all = b) {
        b = all->next;
        if (!has_seals(all, size))
            status = -1;
        free(all);
    }
    return status != 0 ? -1 : (int)(payload * 100 / limit_bytes);
}

static size_t mapped_bytes(void) {
    char text[64] = "";
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fgets(text, sizeof text, f) == NULL)
        exit(2);
    fclose(f);
    return strtoul(text, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

int main(int argc, char **argv) {
    size_t limit_bytes = strtoul(argv[1], NULL, 10) << 20;
    struct rlimit limit = {mapped_bytes() + limit_bytes, RLIM_INFINITY};
    int n_bad = 0;
    if (setrlimit(RLIMIT_AS, &limit) != 0)
        return 2;
    for (int round = 0; round < N_ROUNDS; round++)
        for (int i = 2; i < argc; i++) {
            int percent = fill_and_free(strtoul(argv[i], NULL, 10), limit_bytes);
            printf("round %d: %s bytes: %d %%\n", round, argv[i], percent);
            n_bad += percent < MIN_PERCENT;
        }
    return n_bad != 0;
}
