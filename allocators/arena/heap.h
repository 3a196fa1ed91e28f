/* heap: an intrusive pairing heap ordered by address (Fredman, Sedgewick, Sleator, Tarjan 1986).
 *
 * Gives the lowest-addressed chunk or run in amortised O(log n) and removes any member likewise. Belongs to
 * the room util: owns nothing but the links inside its members. The lock is whatever guards the root.
 */
#ifndef ARENA_HEAP_H
#define ARENA_HEAP_H

#include "util.h"

/* prev is the left sibling, or the parent if the node is its first child. */
struct heap_node {
    uintptr_t key;
    struct heap_node *child, *next, *prev;
};

struct heap {
    struct heap_node *min;
};

void heap_insert(struct heap *heap, struct heap_node *node);
void heap_remove(struct heap *heap, struct heap_node *node);

/** Removes and returns the node with the smallest key, or NULL. */
struct heap_node *heap_pop(struct heap *heap);

/** The node after this one in some order that begins with heap->min and meets all; NULL at the end. The heap must not
 *  change meanwhile. */
struct heap_node *heap_next(const struct heap_node *node);

#endif
