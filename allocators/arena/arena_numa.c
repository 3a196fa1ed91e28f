/* Which arena belongs to which NUMA node: the setting arena_numa, "0-3@0;4-7@1" (or with commas). */
#include "arena.h"
#include "conf.h"
#include "os.h"

static unsigned arena_numa_number(const char **text) {
    unsigned x = 0;
    while (**text >= '0' && **text <= '9' && x < 100000)
        x = x * 10 + (unsigned)(*(*text)++ - '0');
    return x;
}

int arena_numa_node_of(const char *map, unsigned idx) {
    while (*map != '\0') {
        unsigned first = arena_numa_number(&map), last = first;
        if (*map == '-') {
            map++;
            last = arena_numa_number(&map);
        }
        if (*map != '@')
            return -1;
        map++;
        unsigned node = arena_numa_number(&map);
        if (first <= idx && idx <= last)
            return (int)node;
        if (*map != ';' && *map != ',')
            return -1;
        map++;
    }
    return -1;
}

void arena_numa_bind(const struct arena *arena, void *addr, size_t bytes) {
    if (arena->node >= 0)
        os_bind_memory(addr, bytes,
                       (unsigned)arena->node); /* refused: the memory stays where it is first touched */
}

bool arena_numa_allows(unsigned idx) {
    if (conf.arena_numa[0] == '\0')
        return true;
    int node = arena_numa_node_of(conf.arena_numa, idx);
    return node < 0 || (unsigned)node == os_current_node();
}
