/*
 * The table behind the workload fleet: classes of objects with size, rate of allocation and number of live objects.
 *
 * Owns: reading a table, from the compiled-in workloads/data/fleet.csv or a file of the user's, and drawing classes by
 * their rates. Lives in scratch memory; read-only once it was made.
 * Does not know: threads, the heap.
 */
#ifndef HEAPDYNO_FLEET_TABLE_H
#define HEAPDYNO_FLEET_TABLE_H

#include "workloads/workload.h"

#define FLEET_FILE_VARIABLE                                                                                  \
    "HEAPDYNO_FLEET_CSV" /* names a file to be read in place of the compiled-in table */
#define FLEET_MAX_CLASSES 4096
#define FLEET_MAX_OBJECT_BYTES (UINT64_C(1) << 30)

struct fleet_class {
    uint64_t size_bytes;
    double allocs_per_s, live_objects;
    /* Walker's alias method: this class is drawn if 32 random bits are below `threshold`, the other one if not. */
    uint64_t threshold;
    uint32_t alias;
};

struct fleet_table {
    struct fleet_class *classes;
    uint32_t n_classes;
    double live_bytes; /* of all classes */
};

/* The file that FLEET_FILE_VARIABLE names, or the compiled-in table. 0, or -errno after cell_fail, which tells the
 * line. */
int fleet_table_load(struct cell *c, struct fleet_table *t);

/* Parses a text of n_bytes, which is changed; text[n_bytes] must be writable. */
int fleet_table_parse(struct cell *c, struct fleet_table *t, char *text, size_t n_bytes);

/* Leaves out classes with objects above that size, then prepares fleet_draw. -EINVAL after cell_fail: no class with
 * a rate is left. */
int fleet_table_prepare(struct cell *c, struct fleet_table *t, uint64_t max_object_bytes);

/* Class in proportion to its rate. */
static inline uint32_t fleet_draw(const struct fleet_table *t, struct prng *g) {
    uint64_t draw = prng_next(g);
    uint32_t i = (uint32_t)((draw >> 32) * t->n_classes >> 32);
    return (draw & 0xffffffff) < t->classes[i].threshold ? i : t->classes[i].alias;
}

#endif
