#include "heap.h"

/* Links two roots; the smaller key becomes the parent. Either may be NULL. */
static struct heap_node *heap_link(struct heap_node *a, struct heap_node *b) {
    if (a == NULL)
        return b;
    if (b == NULL)
        return a;
    if (b->key < a->key) {
        struct heap_node *t = a;
        a = b;
        b = t;
    }
    b->next = a->child;
    if (a->child != NULL)
        a->child->prev = b;
    b->prev = a;
    a->child = b;
    a->next = NULL;
    a->prev = NULL;
    return a;
}

/* The two-pass merge of a list of siblings: pairs from the left, then together from the right. */
static struct heap_node *heap_merge_children(struct heap_node *first) {
    struct heap_node *paired = NULL;
    if (first == NULL || first->next == NULL) {
        if (first != NULL)
            first->prev = NULL;
        return first;
    }
    while (first != NULL) {
        struct heap_node *a = first, *b = a->next;
        first = b != NULL ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b != NULL)
            b->next = b->prev = NULL;
        struct heap_node *m = heap_link(a, b);
        m->next = paired;
        paired = m;
    }
    struct heap_node *root = NULL;
    while (paired != NULL) {
        struct heap_node *rest = paired->next;
        paired->next = NULL;
        root = heap_link(root, paired);
        paired = rest;
    }
    return root;
}

void heap_insert(struct heap *heap, struct heap_node *node) {
    node->child = node->next = node->prev = NULL;
    heap->min = heap_link(heap->min, node);
}

struct heap_node *heap_pop(struct heap *heap) {
    struct heap_node *node = heap->min;
    if (node != NULL)
        heap->min = heap_merge_children(node->child);
    return node;
}

void heap_remove(struct heap *heap, struct heap_node *node) {
    if (heap->min == node) {
        heap_pop(heap);
        return;
    }
    if (node->prev->child == node)
        node->prev->child = node->next;
    else
        node->prev->next = node->next;
    if (node->next != NULL)
        node->next->prev = node->prev;
    heap->min = heap_link(heap->min, heap_merge_children(node->child));
}

struct heap_node *heap_next(const struct heap_node *node) {
    if (node->child != NULL)
        return node->child;
    while (node->next == NULL) {
        while (node->prev != NULL && node->prev->child != node)
            node = node->prev;
        if (node->prev == NULL)
            return NULL;
        node = node->prev;
    }
    return node->next;
}
