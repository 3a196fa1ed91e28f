/*
 * Allocates, checks and frees while the kernel refuses system calls, by a seccomp filter.
 *
 *   refused_calls NAME=ERRNO...        as in mmap=12 munmap=22
 *
 * Promised: no crash, contents intact, calloc zero, NULL with ENOMEM. Exit code 0; 1 with a line if something did not
 * hold; 77 where filters are not allowed.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define N_SLOTS 400
#define N_OPS 8000
#define MAX_FILTER 40

static const struct {
    const char *name;
    unsigned nr;
} calls[] = {{"mmap", SYS_mmap},     {"munmap", SYS_munmap}, {"madvise", SYS_madvise},
             {"mremap", SYS_mremap}, {"brk", SYS_brk},       {"mprotect", SYS_mprotect},
             {"getcpu", SYS_getcpu}, {"mbind", SYS_mbind},   {"membarrier", SYS_membarrier},
             {"futex", SYS_futex}};

static struct sock_filter filter[MAX_FILTER] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
};
static unsigned short n_filter = 1;

static int add_rule(const char *rule) {
    const char *equals = strchr(rule, '=');
    for (size_t i = 0; equals != NULL && i < sizeof calls / sizeof calls[0]; i++) {
        if (strlen(calls[i].name) != (size_t)(equals - rule) ||
            strncmp(calls[i].name, rule, (size_t)(equals - rule)) != 0)
            continue;
        filter[n_filter++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i].nr, 0, 1);
        filter[n_filter++] = (struct sock_filter)BPF_STMT(
            BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (strtoul(equals + 1, NULL, 10) & SECCOMP_RET_DATA));
        return 0;
    }
    return -1;
}

static int install(void) {
    filter[n_filter++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {n_filter, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        return -1;
    return 0;
}

struct slot {
    unsigned char *p;
    size_t size;
};

static struct slot slots[N_SLOTS];
static unsigned n_null, n_bad;

static void bad(const char *what, size_t size) {
    if (n_bad++ == 0)
        fprintf(stderr, "refused_calls: %s, %zu bytes\n", what, size);
}

/* Both ends, for they are what a neighbour would overwrite. */
static int holds(const struct slot *s, size_t size, unsigned char byte) {
    for (size_t i = 0; i < size; i++)
        if ((i < 64 || i + 64 >= size) && s->p[i] != byte)
            return 0;
    return 1;
}

static unsigned char byte_of(const struct slot *s) {
    return (unsigned char)((s - slots) * 7 + 1);
}

static size_t draw_size(uint32_t x) {
    return x % 64 < 48 ? x / 64 % 600 + 1 : x % 64 < 60 ? x / 64 % 60000 + 1 : x / 64 % 1000000 + 1;
}

static void step(struct slot *s, uint32_t x) {
    size_t size = draw_size(x);
    if (s->p != NULL && !holds(s, s->size, byte_of(s)))
        bad("content changed", s->size);
    errno = 0;
    unsigned char *p;
    if (s->p != NULL && x % 5 == 0) {
        p = realloc(s->p, size);
        if (p != NULL) {
            s->p = p;
            if (!holds(s, size < s->size ? 0 : s->size < 64 ? s->size : 64, byte_of(s)))
                bad("realloc lost content", size);
        }
    } else if (s->p != NULL) {
        free(s->p);
        s->p = NULL;
        return;
    } else {
        p = x % 3 == 0 ? calloc(1, size) : malloc(size);
        s->p = p;
        if (p != NULL && x % 3 == 0)
            for (size_t i = 0; i < size; i++)
                if (p[i] != 0)
                    bad("calloc is not zero", size);
    }
    if (p == NULL) {
        n_null++;
        if (errno != ENOMEM)
            bad("NULL without ENOMEM", size);
        return;
    }
    s->size = size;
    memset(p, byte_of(s), size);
}

static void run(uint32_t seed) {
    for (uint32_t i = 0, x = seed; i < N_OPS; i++) {
        x = x * 1664525 + 1013904223;
        step(&slots[x >> 8 & 0xffff ? (x >> 16) % N_SLOTS : 0], x * 2654435761u >> 3);
    }
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (add_rule(argv[i]) != 0)
            return 2;
    run(1);
    if (n_null != 0)
        bad("NULL before the filter", n_null);
    if (install() != 0)
        return 77;
    run(2);
    printf("%u times NULL\n", n_null);
    return n_bad != 0;
}
