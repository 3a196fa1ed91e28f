/* shim: the public names. The only file that exports anything.
 *
 * Built twice: with the names of the C library for libarena.so, and with the prefix arena_ (ARENA_PREFIXED)
 * for libarena-prefixed.a. The C++ operators are given by their mangled names, so no C++ library is needed;
 * when memory is out they call the new-handler and throw through the C++ library if the program has one.
 */
#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "api.h"
#include "ctl.h"
#include "os.h"
#include "shim.h"

/* Which entry points the names stand for. */
#if defined(ARENA_HARDENED)
#include "harden.h"
#define SHIM_CALL(fn) harden_##fn
#else
#define SHIM_CALL(fn) api_##fn
/* The size that a sized free states is not looked at in the default build. */
static inline void api_free_sized(void *p, size_t bytes) {
    (void)bytes;
    api_free(p);
}
#endif

#define SHIM_EXPORT __attribute__((visibility("default")))

/* Each begins a cache line, so that their speed does not hang on how long the code before them happens to be. */
SHIM_EXPORT UTIL_ALIGN_LINE void *SHIM_NAME(malloc)(size_t bytes) {
    return SHIM_CALL(alloc)(bytes);
}

SHIM_EXPORT UTIL_ALIGN_LINE void SHIM_NAME(free)(void *p) {
    SHIM_CALL(free)(p);
}

SHIM_EXPORT void *SHIM_NAME(calloc)(size_t n, size_t bytes) {
    return SHIM_CALL(calloc)(n, bytes);
}

SHIM_EXPORT void *SHIM_NAME(realloc)(void *p, size_t bytes) {
    return SHIM_CALL(realloc)(p, bytes);
}

SHIM_EXPORT void *SHIM_NAME(reallocarray)(void *p, size_t n, size_t bytes) {
    size_t total;
    if (__builtin_mul_overflow(n, bytes, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return SHIM_CALL(realloc)(p, total);
}

SHIM_EXPORT int SHIM_NAME(posix_memalign)(void **out, size_t align, size_t bytes) {
    if (!util_is_pow2(align) || align % sizeof(void *) != 0)
        return EINVAL;
    int saved = errno;
    void *p = SHIM_CALL(aligned)(align, bytes);
    errno = saved;
    if (p == NULL)
        return ENOMEM;
    *out = p;
    return 0;
}

SHIM_EXPORT void *SHIM_NAME(aligned_alloc)(size_t align, size_t bytes) {
    if (!util_is_pow2(align)) {
        errno = EINVAL;
        return NULL;
    }
    return SHIM_CALL(aligned)(align, bytes);
}

/* As in glibc, an alignment that is no power of two is rounded up to one. */
SHIM_EXPORT void *SHIM_NAME(memalign)(size_t align, size_t bytes) {
    if (align > (size_t)PTRDIFF_MAX / 2 + 1) {
        errno = EINVAL;
        return NULL;
    }
    if (!util_is_pow2(align))
        align = align == 0 ? 1 : (size_t)1 << (util_lg_floor(align) + 1);
    return SHIM_CALL(aligned)(align, bytes);
}

SHIM_EXPORT void *SHIM_NAME(valloc)(size_t bytes) {
    return SHIM_CALL(aligned)(PAGE_BYTES, bytes);
}

SHIM_EXPORT void *SHIM_NAME(pvalloc)(size_t bytes) {
    size_t rounded = util_align_up(bytes == 0 ? 1 : bytes, PAGE_BYTES);
    if (rounded == 0) {
        errno = ENOMEM;
        return NULL;
    }
    return SHIM_CALL(aligned)(PAGE_BYTES, rounded);
}

SHIM_EXPORT size_t SHIM_NAME(malloc_usable_size)(void *p) {
    return SHIM_CALL(usable_bytes)(p);
}

SHIM_EXPORT void SHIM_NAME(free_sized)(void *p, size_t bytes) {
    SHIM_CALL(free_sized)(p, bytes);
}

SHIM_EXPORT void SHIM_NAME(free_aligned_sized)(void *p, size_t align, size_t bytes) {
    (void)align;
    SHIM_CALL(free_sized)(p, bytes);
}

SHIM_EXPORT void SHIM_NAME(cfree)(void *p) {
    SHIM_CALL(free)(p);
}

/* 1 if memory may have been given back, as glibc says. */
SHIM_EXPORT int SHIM_NAME(malloc_trim)(size_t pad) {
    (void)pad;
    api_init();
    tcache_flush();
    arena_purge_all();
    return 1;
}

/* The flags of the extended interface: lg of the alignment, zero, cache, arena. */
#define MALLOCX_LG_ALIGN_MASK 63
#define MALLOCX_ZERO 0x40

static size_t shim_align_of(int flags) {
    return (size_t)1 << (flags & MALLOCX_LG_ALIGN_MASK);
}

SHIM_EXPORT void *SHIM_NAME(mallocx)(size_t bytes, int flags) {
    size_t align = shim_align_of(flags);
    return (flags & MALLOCX_ZERO) != 0 ? SHIM_CALL(zeroed)(align, bytes) : SHIM_CALL(aligned)(align, bytes);
}

SHIM_EXPORT void *SHIM_NAME(rallocx)(void *p, size_t bytes, int flags) {
    size_t align = shim_align_of(flags), old = SHIM_CALL(usable_bytes)(p);
    if (align <= ((size_t)1 << SIZE_CLASS_QUANTUM_LG) && (flags & MALLOCX_ZERO) == 0)
        return SHIM_CALL(realloc)(p, bytes);
    void *moved =
        (flags & MALLOCX_ZERO) != 0 ? SHIM_CALL(zeroed)(align, bytes) : SHIM_CALL(aligned)(align, bytes);
    if (moved == NULL)
        return NULL;
    memcpy(moved, p, util_min(old, bytes));
    SHIM_CALL(free)(p);
    return moved;
}

SHIM_EXPORT size_t SHIM_NAME(xallocx)(void *p, size_t bytes, size_t extra, int flags) {
    size_t old = SHIM_CALL(usable_bytes)(p), now = SHIM_CALL(resize_in_place)(p, bytes, extra);
    if ((flags & MALLOCX_ZERO) != 0 && now > old)
        memset((char *)p + old, 0, now - old);
    return now;
}

SHIM_EXPORT size_t SHIM_NAME(sallocx)(const void *p, int flags) {
    (void)flags;
    return SHIM_CALL(usable_bytes)(p);
}

SHIM_EXPORT void SHIM_NAME(dallocx)(void *p, int flags) {
    (void)flags;
    SHIM_CALL(free)(p);
}

SHIM_EXPORT void SHIM_NAME(sdallocx)(void *p, size_t bytes, int flags) {
    (void)flags;
    SHIM_CALL(free_sized)(p, bytes);
}

SHIM_EXPORT size_t SHIM_NAME(nallocx)(size_t bytes, int flags) {
    api_init();
    return SHIM_CALL(rounded_bytes)(shim_align_of(flags), bytes, (flags & MALLOCX_ZERO) != 0);
}

SHIM_EXPORT int SHIM_NAME(mallctl)(const char *name, void *old, size_t *old_bytes, void *new,
                                   size_t new_bytes) {
    api_init();
    return ctl_by_name(name, old, old_bytes, new, new_bytes);
}

SHIM_EXPORT int SHIM_NAME(mallctlnametomib)(const char *name, size_t *mib, size_t *mib_len) {
    api_init();
    return ctl_name_to_mib(name, mib, mib_len);
}

SHIM_EXPORT int SHIM_NAME(mallctlbymib)(const size_t *mib, size_t mib_len, void *old, size_t *old_bytes,
                                        void *new, size_t new_bytes) {
    api_init();
    return ctl_by_mib(mib, mib_len, old, old_bytes, new, new_bytes);
}

SHIM_EXPORT void SHIM_NAME(malloc_stats_print)(void (*write_text)(void *, const char *), void *opaque,
                                               const char *options) {
    api_init();
    ctl_print(write_text, opaque, options);
}

#if !defined(ARENA_PREFIXED)
/* C++: new and delete in all forms. Weak, because the program may have no C++ library. */
typedef void (*shim_new_handler)(void);
extern shim_new_handler shim_get_new_handler(void) __asm__("_ZSt15get_new_handlerv") __attribute__((weak));
extern void shim_throw_bad_alloc(void) __asm__("_ZSt17__throw_bad_allocv") __attribute__((weak));

static UTIL_COLD void *shim_new_slow(size_t align, size_t bytes) {
    for (;;) {
        shim_new_handler handler = shim_get_new_handler != NULL ? shim_get_new_handler() : NULL;
        if (handler == NULL)
            break;
        handler();
        void *p = SHIM_CALL(aligned)(align, bytes);
        if (p != NULL)
            return p;
    }
    if (shim_throw_bad_alloc != NULL)
        shim_throw_bad_alloc();
    os_die("operator new: out of memory, and no C++ library to throw with:", NULL);
}

/* A new-handler may throw, which C cannot catch: the C++ library's own form calls the throwing one, which is ours, and
 * does. */
static UTIL_COLD void *shim_new_nothrow_slow(size_t align, size_t bytes, const void *tag) {
    void *(*next)(size_t, size_t, const void *);
    if (shim_get_new_handler == NULL || shim_get_new_handler() == NULL)
        return NULL;
    *(void **)&next = dlsym(RTLD_NEXT, "_ZnwmSt11align_val_tRKSt9nothrow_t");
    return next != NULL ? next(bytes, util_max(align, 1), tag) : NULL;
}

#define SHIM_NEW(label, fn, params, align, slow)                                                             \
    SHIM_EXPORT void *fn params __asm__(label);                                                              \
    SHIM_EXPORT void *fn params {                                                                            \
        void *p = SHIM_CALL(aligned)(align, bytes);                                                          \
        return UTIL_LIKELY(p != NULL) ? p : (slow);                                                          \
    }

#define SHIM_DELETE(label, fn, params)                                                                       \
    SHIM_EXPORT void fn params __asm__(label);                                                               \
    SHIM_EXPORT void fn params {                                                                             \
        SHIM_CALL(free)(p);                                                                                  \
    }

#define SHIM_DELETE_SIZED(label, fn, params)                                                                 \
    SHIM_EXPORT void fn params __asm__(label);                                                               \
    SHIM_EXPORT void fn params {                                                                             \
        SHIM_CALL(free_sized)(p, bytes);                                                                     \
    }

#define SHIM_UNUSED __attribute__((unused))

SHIM_NEW("_Znwm", shim_new, (size_t bytes), 1, shim_new_slow(1, bytes))
SHIM_NEW("_Znam", shim_new_array, (size_t bytes), 1, shim_new_slow(1, bytes))
SHIM_NEW("_ZnwmRKSt9nothrow_t", shim_new_nothrow, (size_t bytes, const void *tag), 1,
         shim_new_nothrow_slow(1, bytes, tag))
SHIM_NEW("_ZnamRKSt9nothrow_t", shim_new_array_nothrow, (size_t bytes, const void *tag), 1,
         shim_new_nothrow_slow(1, bytes, tag))
SHIM_NEW("_ZnwmSt11align_val_t", shim_new_aligned, (size_t bytes, size_t align), align,
         shim_new_slow(align, bytes))
SHIM_NEW("_ZnamSt11align_val_t", shim_new_array_aligned, (size_t bytes, size_t align), align,
         shim_new_slow(align, bytes))
SHIM_NEW("_ZnwmSt11align_val_tRKSt9nothrow_t", shim_new_aligned_nothrow,
         (size_t bytes, size_t align, const void *tag), align, shim_new_nothrow_slow(align, bytes, tag))
SHIM_NEW("_ZnamSt11align_val_tRKSt9nothrow_t", shim_new_array_aligned_nothrow,
         (size_t bytes, size_t align, const void *tag), align, shim_new_nothrow_slow(align, bytes, tag))

SHIM_DELETE("_ZdlPv", shim_delete, (void *p))
SHIM_DELETE("_ZdaPv", shim_delete_array, (void *p))
SHIM_DELETE_SIZED("_ZdlPvm", shim_delete_sized, (void *p, size_t bytes))
SHIM_DELETE_SIZED("_ZdaPvm", shim_delete_array_sized, (void *p, size_t bytes))
SHIM_DELETE("_ZdlPvRKSt9nothrow_t", shim_delete_nothrow, (void *p, SHIM_UNUSED const void *tag))
SHIM_DELETE("_ZdaPvRKSt9nothrow_t", shim_delete_array_nothrow, (void *p, SHIM_UNUSED const void *tag))
SHIM_DELETE("_ZdlPvSt11align_val_t", shim_delete_aligned, (void *p, SHIM_UNUSED size_t align))
SHIM_DELETE("_ZdaPvSt11align_val_t", shim_delete_array_aligned, (void *p, SHIM_UNUSED size_t align))
SHIM_DELETE_SIZED("_ZdlPvmSt11align_val_t", shim_delete_sized_aligned,
                  (void *p, size_t bytes, SHIM_UNUSED size_t align))
SHIM_DELETE_SIZED("_ZdaPvmSt11align_val_t", shim_delete_array_sized_aligned,
                  (void *p, size_t bytes, SHIM_UNUSED size_t align))
SHIM_DELETE("_ZdlPvSt11align_val_tRKSt9nothrow_t", shim_delete_aligned_nothrow,
            (void *p, SHIM_UNUSED size_t align, SHIM_UNUSED const void *tag))
SHIM_DELETE("_ZdaPvSt11align_val_tRKSt9nothrow_t", shim_delete_array_aligned_nothrow,
            (void *p, SHIM_UNUSED size_t align, SHIM_UNUSED const void *tag))
#endif
