/* list: an intrusive circular doubly linked list with a head of its own kind.
 *
 * Belongs to the room util. The lock is whatever guards the head.
 */
#ifndef ARENA_LIST_H
#define ARENA_LIST_H

#include "util.h"

struct list {
    struct list *next, *prev;
};

#define LIST_ENTRY(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void list_init(struct list *head) {
    head->next = head->prev = head;
}

static inline bool list_is_empty(const struct list *head) {
    return head->next == head;
}

static inline void list_push_tail(struct list *head, struct list *node) {
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void list_push_head(struct list *head, struct list *node) {
    list_push_tail(head->next, node);
}

/** For nodes of which nobody asks whether they are members. */
static inline void list_unlink(struct list *node) {
    node->prev->next = node->next;
    node->next->prev = node->prev;
}

/** Leaves the node self-linked, so that removing twice is harmless and list_is_empty(node) tells membership.
 */
static inline void list_remove(struct list *node) {
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

#endif
