/*
 * What allocators say about themselves: version, statistics, the canary's witness, the call that gives memory
 * back. One set of functions for each interface that is in use; the registry's rows name them.
 *
 * Owns: the foreign signatures. Does not know: how a library was loaded or proved.
 * Every symbol is looked up through allocator_symbol, so that nobody is answered by another library.
 */
#ifndef HEAPDYNO_NATIVE_H
#define HEAPDYNO_NATIVE_H

#include "allocators/allocator.h"

/* Bytes in use of glibc's malloc, by its own mallinfo2, whoever else took that name; -1: it does not say. */
int64_t libc_allocated_bytes(void);

int glibc_version(const struct subject *s, char *out, size_t out_bytes);
int glibc_stats(const struct subject *s, struct alloc_stats *out);
int glibc_purge(const struct subject *s);

/* jemalloc's mallctl, which arena speaks too. */
int mallctl_version(const struct subject *s, char *out, size_t out_bytes);
int mallctl_stats(const struct subject *s, struct alloc_stats *out);
int64_t mallctl_witness(const struct subject *s, void *const *blocks, unsigned n_blocks);
int mallctl_purge(const struct subject *s);

int mimalloc_version(const struct subject *s, char *out, size_t out_bytes);
int64_t mimalloc_witness(const struct subject *s, void *const *blocks, unsigned n_blocks);
int mimalloc_purge(const struct subject *s);

int tcmalloc_version(const struct subject *s, char *out, size_t out_bytes);
int tcmalloc_stats(const struct subject *s, struct alloc_stats *out);
int64_t tcmalloc_witness(const struct subject *s, void *const *blocks, unsigned n_blocks);
int tcmalloc_purge(const struct subject *s);

int64_t tbbmalloc_witness(const struct subject *s, void *const *blocks, unsigned n_blocks);
int tbbmalloc_purge(const struct subject *s);

int scudo_stats(const struct subject *s, struct alloc_stats *out);
int64_t scudo_witness(const struct subject *s, void *const *blocks, unsigned n_blocks);
int scudo_purge(const struct subject *s);

/* The two classics behind one lock, in allocators/biglock. */
int biglock_stats(const struct subject *s, struct alloc_stats *out);
int64_t biglock_witness(const struct subject *s, void *const *blocks, unsigned n_blocks);

#endif
