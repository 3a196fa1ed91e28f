#include "harness/membind.h"

#include <errno.h>
#include <inttypes.h>
#include <numa.h>
#include <numaif.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "harness/units.h"

#define MAX_NODE 4095

static const char first_touch[] = "first-touch", interleave[] = "interleave";

int membind_parse(const char *text, struct membind *out) {
    uint64_t node;
    *out = (struct membind){.kind = MEMBIND_FIRST_TOUCH};
    if (strcmp(text, first_touch) == 0)
        return 0;
    if (strcmp(text, interleave) == 0) {
        out->kind = MEMBIND_INTERLEAVE;
        return 0;
    }
    if (units_parse_u64(text, 0, MAX_NODE, &node) != 0)
        return -EINVAL;
    *out = (struct membind){.kind = MEMBIND_NODE, .node = (int)node};
    return 0;
}

const char *membind_name(const struct membind *m, char text[MEMBIND_NAME_MAX]) {
    if (m->kind == MEMBIND_NODE)
        snprintf(text, MEMBIND_NAME_MAX, "%d", m->node);
    else
        snprintf(text, MEMBIND_NAME_MAX, "%s", m->kind == MEMBIND_INTERLEAVE ? interleave : first_touch);
    return text;
}

void membind_write(FILE *out, const struct membind *m) {
    char text[MEMBIND_NAME_MAX];
    fputs(membind_name(m, text), out);
}

int membind_check(const struct membind *m, struct problem *p) {
    char text[MEMBIND_NAME_MAX];
    if (m->kind == MEMBIND_FIRST_TOUCH)
        return 0;
    if (numa_available() < 0)
        return problem_set(p, ENOSYS, "--membind %s: this kernel has no memory policies",
                           membind_name(m, text));
    if (m->kind == MEMBIND_INTERLEAVE)
        return 0;
    if (m->node > numa_max_node() || !numa_bitmask_isbitset(numa_all_nodes_ptr, (unsigned)m->node)) {
        bool exists = m->node <= numa_max_node() && numa_node_size64(m->node, NULL) >= 0;
        return problem_set(p, exists ? EACCES : ENODEV,
                           exists
                               ? "--membind %s: this process may not use the memory of that NUMA node"
                               : "--membind %s: this machine has no NUMA node of that number; see numactl -H",
                           membind_name(m, text));
    }
    return 0;
}

int membind_apply(const struct membind *m) {
    if (m->kind == MEMBIND_FIRST_TOUCH)
        return 0;
    struct bitmask *one = NULL;
    const struct bitmask *nodes = numa_all_nodes_ptr;
    if (m->kind == MEMBIND_NODE) {
        one = numa_allocate_nodemask();
        if (one == NULL)
            return -ENOMEM;
        nodes = numa_bitmask_setbit(one, (unsigned)m->node);
    }
    int mode = m->kind == MEMBIND_NODE ? MPOL_BIND : MPOL_INTERLEAVE;
    int err = set_mempolicy(mode, nodes->maskp, nodes->size + 1) != 0 ? -errno : 0;
    if (one != NULL)
        numa_bitmask_free(one);
    return err;
}
