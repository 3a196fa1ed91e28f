/*
 * Looks up every name that the allocator must define, in the order of the dynamic linker, and uses it: each pointer
 * that one of them gives is freed by free.
 *
 *   names LIBRARY          the name must come from a file whose path ends so
 *   names LIBRARY plain    those of C and POSIX alone, not what the arena allocator has besides
 *
 * Exit code 1 with a line for each name that is missing, comes from elsewhere, or does not work.
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *library;
static int n_bad;

static void bad(const char *name, const char *what) {
    printf("%s: %s\n", name, what);
    n_bad++;
}

static void *look_up(const char *name) {
    void *f = dlsym(RTLD_DEFAULT, name);
    Dl_info info;
    if (f == NULL) {
        bad(name, "missing");
        return NULL;
    }
    if (dladdr(f, &info) == 0 || strlen(info.dli_fname) < strlen(library) ||
        strcmp(info.dli_fname + strlen(info.dli_fname) - strlen(library), library) != 0)
        bad(name, info.dli_fname);
    return f;
}

/* It must be writable as far as it says, and ours. */
static void use(const char *name, void *p) {
    if (p == NULL) {
        bad(name, "NULL");
        return;
    }
    if (malloc_usable_size(p) < 100)
        bad(name, "too small");
    memset(p, 1, malloc_usable_size(p));
    free(p);
}

#define CALL(type, name, ...)                                                                                \
    do {                                                                                                     \
        type *f;                                                                                             \
        *(void **)&f = look_up(#name);                                                                       \
        if (f != NULL)                                                                                       \
            use(#name, f(__VA_ARGS__));                                                                      \
    } while (0)

typedef void *alloc_1(size_t);
typedef void *alloc_2(size_t, size_t);
typedef void *alloc_p(void *, size_t);
typedef void *alloc_p2(void *, size_t, size_t);

static void use_allocating(void) {
    CALL(alloc_1, malloc, 100);
    CALL(alloc_1, valloc, 100);
    CALL(alloc_1, pvalloc, 100);
    CALL(alloc_2, calloc, 10, 10);
    CALL(alloc_2, memalign, 64, 100);
    CALL(alloc_2, aligned_alloc, 64, 128);
    CALL(alloc_p, realloc, NULL, 100);
    CALL(alloc_p, realloc, malloc(50), 100);
    CALL(alloc_p2, reallocarray, NULL, 10, 10);
    int (*f)(void **, size_t, size_t);
    void *p = NULL;
    *(void **)&f = look_up("posix_memalign");
    if (f != NULL && f(&p, 4096, 100) == 0)
        use("posix_memalign", p);
}

static void use_freeing(void) {
    void (*f1)(void *);
    size_t (*size)(void *);
    *(void **)&f1 = look_up("free");
    f1(malloc(100));
    *(void **)&size = look_up("malloc_usable_size");
    if (size != NULL && size(NULL) != 0)
        bad("malloc_usable_size", "NULL has a size");
}

static void use_freeing_of_arena(void) {
    void (*f1)(void *), (*f2)(void *, size_t), (*f3)(void *, size_t, size_t);
    *(void **)&f1 = look_up("cfree");
    if (f1 != NULL)
        f1(malloc(100));
    *(void **)&f2 = look_up("free_sized");
    if (f2 != NULL)
        f2(malloc(100), 100);
    *(void **)&f3 = look_up("free_aligned_sized");
    if (f3 != NULL)
        f3(aligned_alloc(64, 128), 64, 128);
}

/* What programs ask an allocator in passing. */
static void use_control(void) {
    int (*trim)(size_t), (*ctl)(const char *, void *, size_t *, void *, size_t);
    size_t value = 0, bytes = sizeof value;
    unsigned n_arenas = 0;
    *(void **)&trim = look_up("malloc_trim");
    if (trim != NULL && trim(0) != 1)
        bad("malloc_trim", "nothing given back");
    *(void **)&ctl = look_up("mallctl");
    if (ctl == NULL)
        return;
    void *kept = malloc(1000000);
    unsigned long epoch = 1;
    bytes = sizeof epoch;
    if (ctl("epoch", &epoch, &bytes, &epoch, sizeof epoch) != 0)
        bad("mallctl epoch", "fails");
    bytes = sizeof value;
    if (ctl("stats.allocated", &value, &bytes, NULL, 0) != 0 || value < 1000000)
        bad("mallctl stats.allocated", "too little");
    size_t active = 0, resident = 0;
    if (ctl("stats.active", &active, &bytes, NULL, 0) != 0 || active < value || active % 4096 != 0)
        bad("mallctl stats.active", "below allocated, or no whole pages");
    if (ctl("stats.resident", &resident, &bytes, NULL, 0) != 0 || resident < active || resident % 4096 != 0)
        bad("mallctl stats.resident", "below active, or no whole pages");
    bytes = sizeof n_arenas;
    if (ctl("arenas.narenas", &n_arenas, &bytes, NULL, 0) != 0 || n_arenas == 0)
        bad("mallctl arenas.narenas", "fails");
    if (ctl("arena.0.purge", NULL, NULL, NULL, 0) != 0)
        bad("mallctl arena.0.purge", "fails");
    if (ctl("no.such.name", NULL, NULL, NULL, 0) != ENOENT)
        bad("mallctl no.such.name", "is not ENOENT");
    free(kept);
}

int main(int argc, char **argv) {
    library = argc > 1 ? argv[1] : "libarena.so";
    use_allocating();
    use_freeing();
    if (argc > 2 && strcmp(argv[2], "plain") == 0)
        return n_bad != 0;
    use_freeing_of_arena();
    use_control();
    for (size_t i = 0; i < 7; i++)
        look_up((const char *[]){"mallocx", "rallocx", "xallocx", "sallocx", "dallocx", "sdallocx",
                                 "nallocx"}[i]);
    look_up("malloc_stats_print");
    return n_bad != 0;
}
