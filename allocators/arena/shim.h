/* shim: the public interface, for programs that link libarena-prefixed.a (names with arena_) and for shim.c
 * itself.
 *
 * Owns the names. Does not know how anything is done.
 */
#ifndef ARENA_SHIM_H
#define ARENA_SHIM_H

#include <stddef.h>

#if defined(ARENA_PREFIXED)
#define SHIM_NAME(name) arena_##name
#else
#define SHIM_NAME(name) name
#endif

void *SHIM_NAME(malloc)(size_t bytes);
void SHIM_NAME(free)(void *p);
void *SHIM_NAME(calloc)(size_t n, size_t bytes);
void *SHIM_NAME(realloc)(void *p, size_t bytes);
void *SHIM_NAME(reallocarray)(void *p, size_t n, size_t bytes);
int SHIM_NAME(posix_memalign)(void **out, size_t align, size_t bytes);
void *SHIM_NAME(aligned_alloc)(size_t align, size_t bytes);
void *SHIM_NAME(memalign)(size_t align, size_t bytes);
void *SHIM_NAME(valloc)(size_t bytes);
void *SHIM_NAME(pvalloc)(size_t bytes);
size_t SHIM_NAME(malloc_usable_size)(void *p);
void SHIM_NAME(free_sized)(void *p, size_t bytes);
void SHIM_NAME(free_aligned_sized)(void *p, size_t align, size_t bytes);
void SHIM_NAME(cfree)(void *p);
int SHIM_NAME(malloc_trim)(size_t pad);

/* The extended interface; flags: lg of the alignment in the low 6 bits, 0x40 = zeroed. */
void *SHIM_NAME(mallocx)(size_t bytes, int flags);
void *SHIM_NAME(rallocx)(void *p, size_t bytes, int flags);
size_t SHIM_NAME(xallocx)(void *p, size_t bytes, size_t extra, int flags);
size_t SHIM_NAME(sallocx)(const void *p, int flags);
void SHIM_NAME(dallocx)(void *p, int flags);
void SHIM_NAME(sdallocx)(void *p, size_t bytes, int flags);
size_t SHIM_NAME(nallocx)(size_t bytes, int flags);

/* Reading and control: 0 or an errno value. */
int SHIM_NAME(mallctl)(const char *name, void *old, size_t *old_bytes, void *new, size_t new_bytes);
int SHIM_NAME(mallctlnametomib)(const char *name, size_t *mib, size_t *mib_len);
int SHIM_NAME(mallctlbymib)(const size_t *mib, size_t mib_len, void *old, size_t *old_bytes, void *new,
                            size_t new_bytes);
void SHIM_NAME(malloc_stats_print)(void (*write_text)(void *, const char *), void *opaque,
                                   const char *options);

#endif
