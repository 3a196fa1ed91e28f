/*
 * The machine as hwloc sees it, and where the threads of a cell go.
 * Owns: the hwloc topology, the orders of processing units, binding of a thread from outside.
 * Does not know: cells, processes, results.
 *
 * Only what this process may run on is planned with (affinity mask, cgroup cpuset). A topology that is not
 * this machine's (HWLOC_SYNTHETIC, HWLOC_XMLFILE) plans but must not measure: hwloc would report success for
 * bindings it never made.
 */
#ifndef HEAPDYNO_TOPOLOGY_H
#define HEAPDYNO_TOPOLOGY_H

#include <hwloc.h>
#include <stdbool.h>
#include <sys/types.h>

#include "harness/problem.h"

enum placement {
    PLACEMENT_CORES, /* one unit of each core, then their siblings: the smaller plan is part of the larger */
    PLACEMENT_COMPACT, /* units in the order of the machine: siblings side by side */
    PLACEMENT_SCATTER, /* as far apart as can be (hwloc_distrib); not nested */
    PLACEMENT_NONE,    /* the kernel decides */
};
#define N_PLACEMENTS 4

struct topology {
    hwloc_topology_t hwloc;
    bool is_thissystem;
    unsigned n_pus, n_cores, n_packages, n_nodes;
    unsigned *cores_order;   /* n_pus OS indices */
    unsigned *compact_order; /* n_pus OS indices */
};

const char *placement_name(enum placement placement);
extern const char *const placement_names[]; /* ends with NULL */
/* 0 or -EINVAL. */
int placement_parse(const char *text, enum placement *out);

/* Loads the topology this process may use. 0 or -errno with the reason. */
int topology_open(struct topology *t, struct problem *p);
void topology_close(struct topology *t);

/*
 * Fills pus[n_threads] with the OS index of each slot's unit. More threads than units go round robin.
 * Returns 1, or 0 for PLACEMENT_NONE (pus untouched), or -ENOMEM.
 */
int topology_place(const struct topology *t, enum placement placement, unsigned n_threads, unsigned *pus);

/* OS index of the NUMA node of a unit; -1: it has none, or more than one. */
int topology_node_of(const struct topology *t, unsigned pu);

/* Writes the hwloc export. 0 or -errno with the reason. */
int topology_export(const struct topology *t, const char *path, struct problem *p);

/* Binds thread tid to one unit and reads the mask back. 0, or -errno with the reason; -EXDEV when the mask
 * read back is another one. */
int topology_bind_tid(const struct topology *t, pid_t tid, unsigned pu, struct problem *p);

#endif
