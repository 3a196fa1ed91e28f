/*
 * On which NUMA node the pages of this process are, asked of the kernel with move_pages.
 *
 * Owns nothing; reads /proc/self/maps into the stack, as probe.h does. Takes a system call for each 512 pages of
 * address space: never in a measured phase.
 */
#ifndef HEAPDYNO_PAGES_H
#define HEAPDYNO_PAGES_H

/* Share on `node` of the resident pages of anonymous writable mappings: heaps, thread stacks and the harness's
 * bookkeeping, which the same policy placed. NaN: the kernel does not say, or there are none. */
double pages_on_node_fraction(int node);

#endif
