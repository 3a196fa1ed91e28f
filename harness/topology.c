#include "harness/topology.h"

#include <errno.h>
#include <hwloc/linux.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

const char *const placement_names[N_PLACEMENTS + 1] = {"cores", "compact", "scatter", "none", NULL};

const char *placement_name(enum placement placement) {
    return placement_names[placement];
}

int placement_parse(const char *text, enum placement *out) {
    for (int i = 0; i < N_PLACEMENTS; i++) {
        if (strcmp(text, placement_names[i]) == 0) {
            *out = (enum placement)i;
            return 0;
        }
    }
    return -EINVAL;
}

static int topology_load(hwloc_topology_t *out, unsigned long flags, struct problem *p) {
    if (hwloc_topology_init(out) != 0)
        return problem_set(p, ENOMEM, "hwloc cannot start");
    if (hwloc_topology_set_flags(*out, flags) != 0 || hwloc_topology_load(*out) != 0) {
        int err = errno != 0 ? errno : EIO;
        hwloc_topology_destroy(*out);
        return problem_set(p, err, "hwloc cannot read the topology: %s", strerror(err));
    }
    return 0;
}

/* Position of a unit among those of its core: 0 for the first. A unit without a core is its own. */
static unsigned sibling_rank(hwloc_topology_t h, hwloc_obj_t pu) {
    hwloc_obj_t core = hwloc_get_ancestor_obj_by_type(h, HWLOC_OBJ_CORE, pu);
    if (core == NULL)
        return 0;
    unsigned rank = 0;
    hwloc_obj_t other = NULL;
    while ((other = hwloc_get_next_obj_inside_cpuset_by_type(h, core->cpuset, HWLOC_OBJ_PU, other)) != pu &&
           other != NULL)
        rank++;
    return rank;
}

static int orders_fill(struct topology *t) {
    t->cores_order = calloc(t->n_pus, sizeof *t->cores_order);
    t->compact_order = calloc(t->n_pus, sizeof *t->compact_order);
    if (t->cores_order == NULL || t->compact_order == NULL)
        return -ENOMEM;
    unsigned n = 0;
    for (unsigned rank = 0; n < t->n_pus; rank++) {
        for (unsigned i = 0; i < t->n_pus; i++) {
            hwloc_obj_t pu = hwloc_get_obj_by_type(t->hwloc, HWLOC_OBJ_PU, i);
            t->compact_order[i] = pu->os_index;
            if (sibling_rank(t->hwloc, pu) == rank)
                t->cores_order[n++] = pu->os_index;
        }
    }
    return 0;
}

static unsigned count_of(hwloc_topology_t h, hwloc_obj_type_t type) {
    int n = hwloc_get_nbobjs_by_type(h, type);
    return n > 0 ? (unsigned)n : 0;
}

int topology_open(struct topology *t, struct problem *p) {
    *t = (struct topology){0};
    /* Whose topology it is is for hwloc to find out, not for a variable to claim. */
    unsetenv("HWLOC_THISSYSTEM");
    /* IS_THISSYSTEM makes hwloc believe in any topology, so the question is asked before it is set. */
    int err = topology_load(&t->hwloc, 0, p);
    if (err != 0)
        return err;
    t->is_thissystem = hwloc_topology_is_thissystem(t->hwloc) != 0;
    if (t->is_thissystem) {
        hwloc_topology_destroy(t->hwloc);
        /* Both together, or planning escapes the mask that taskset gave. */
        err = topology_load(
            &t->hwloc, HWLOC_TOPOLOGY_FLAG_IS_THISSYSTEM | HWLOC_TOPOLOGY_FLAG_RESTRICT_TO_CPUBINDING, p);
        if (err != 0) {
            t->hwloc = NULL;
            return err;
        }
    }
    t->n_pus = count_of(t->hwloc, HWLOC_OBJ_PU);
    t->n_cores = count_of(t->hwloc, HWLOC_OBJ_CORE);
    t->n_packages = count_of(t->hwloc, HWLOC_OBJ_PACKAGE);
    t->n_nodes = count_of(t->hwloc, HWLOC_OBJ_NUMANODE);
    if (t->n_pus == 0)
        err = problem_set(p, ENODEV, "hwloc finds no processing unit this process may use");
    else if (orders_fill(t) != 0)
        err = problem_set(p, ENOMEM, "out of memory");
    if (err != 0)
        topology_close(t);
    return err;
}

void topology_close(struct topology *t) {
    if (t->hwloc != NULL)
        hwloc_topology_destroy(t->hwloc);
    free(t->cores_order);
    free(t->compact_order);
    *t = (struct topology){0};
}

static int place_scatter(const struct topology *t, unsigned n_threads, unsigned *pus) {
    unsigned n_sets = n_threads < t->n_pus ? n_threads : t->n_pus;
    hwloc_cpuset_t *sets =
        calloc(n_sets, sizeof(hwloc_cpuset_t)); // NOLINT(bugprone-sizeof-expression): an array of pointers
    if (sets == NULL)
        return -ENOMEM;
    int err = 1;
    hwloc_obj_t root = hwloc_get_root_obj(t->hwloc);
    if (hwloc_distrib(t->hwloc, &root, 1, sets, n_sets, INT_MAX, 0) != 0)
        err = -ENOMEM;
    for (unsigned i = 0; err > 0 && i < n_threads; i++)
        pus[i] = (unsigned)hwloc_bitmap_first(sets[i % n_sets]);
    for (unsigned i = 0; i < n_sets; i++)
        hwloc_bitmap_free(sets[i]);
    free(sets);
    return err;
}

int topology_place(const struct topology *t, enum placement placement, unsigned n_threads, unsigned *pus) {
    if (placement == PLACEMENT_NONE)
        return 0;
    if (placement == PLACEMENT_SCATTER)
        return place_scatter(t, n_threads, pus);
    const unsigned *order = placement == PLACEMENT_CORES ? t->cores_order : t->compact_order;
    for (unsigned i = 0; i < n_threads; i++)
        pus[i] = order[i % t->n_pus];
    return 1;
}

int topology_node_of(const struct topology *t, unsigned pu) {
    hwloc_obj_t unit = hwloc_get_pu_obj_by_os_index(t->hwloc, pu);
    if (unit == NULL || unit->nodeset == NULL || hwloc_bitmap_weight(unit->nodeset) != 1)
        return -1;
    return hwloc_bitmap_first(unit->nodeset);
}

int topology_export(const struct topology *t, const char *path, struct problem *p) {
    errno = 0;
    if (hwloc_topology_export_xml(t->hwloc, path, 0) == 0)
        return 0;
    int err = errno != 0 ? errno : EIO;
    return problem_set(p, err, "cannot write %s: %s", path, strerror(err));
}

int topology_bind_tid(const struct topology *t, pid_t tid, unsigned pu, struct problem *p) {
    hwloc_bitmap_t wanted = hwloc_bitmap_alloc(), got = hwloc_bitmap_alloc();
    int err = 0;
    if (wanted == NULL || got == NULL) {
        err = problem_set(p, ENOMEM, "out of memory");
        goto out;
    }
    hwloc_bitmap_only(wanted, pu);
    if (hwloc_linux_set_tid_cpubind(t->hwloc, tid, wanted) != 0) {
        err = problem_set(p, errno, "binding thread %d to unit %u failed: %s", (int)tid, pu, strerror(errno));
        goto out;
    }
    if (hwloc_linux_get_tid_cpubind(t->hwloc, tid, got) != 0) {
        err = problem_set(p, errno, "the mask of thread %d cannot be read: %s", (int)tid, strerror(errno));
        goto out;
    }
    if (!hwloc_bitmap_isequal(wanted, got)) {
        char text[128];
        hwloc_bitmap_list_snprintf(text, sizeof text, got);
        err = problem_set(p, EXDEV, "thread %d was bound to unit %u but its mask is %s", (int)tid, pu, text);
    }
out:
    hwloc_bitmap_free(wanted);
    hwloc_bitmap_free(got);
    return err;
}
