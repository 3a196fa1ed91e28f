/* Opening an allocator: find its library, load it or find it loaded, take its entries, refuse foreign
 * ones. */
#include <dlfcn.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocators/allocator.h"
#include "allocators/image.h"
#include "allocators/subject.h"
#include "allocators/text.h"

static const struct entry {
    const char *symbol;
    size_t offset;
} entries[] = {
    {"malloc", offsetof(struct alloc_ops, alloc)},
    {"free", offsetof(struct alloc_ops, free)},
    {"calloc", offsetof(struct alloc_ops, calloc)},
    {"realloc", offsetof(struct alloc_ops, realloc)},
    {"aligned_alloc", offsetof(struct alloc_ops, aligned_alloc)},
    {"malloc_usable_size", offsetof(struct alloc_ops, usable_size)},
    {"free_sized", offsetof(struct alloc_ops, free_sized)},
};

int subject_fail(struct subject *s, int err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): clang-tidy 14 forgets va_start after its first file
    vsnprintf(s->proof.why, sizeof s->proof.why, format, args);
    va_end(args);
    return -err;
}

void *allocator_symbol(const struct subject *s, const char *name) {
    void *symbol = dlsym(s->handle, name);
    const struct link_map *library = image_of_handle(s->handle), *owner = image_of_address(symbol);
    if (!owner || !library)
        return NULL;
    if (owner == library)
        return symbol;
    return owner != image_of_handle(image_libc_handle()) && image_needs(library, owner) ? symbol : NULL;
}

/* One attempt. In preload mode the library must be in the process already. 0, -ENOENT no such file (or, in
 * preload mode, not in this process), -ELIBBAD there but not loadable. */
static int load_file(struct subject *s, const char *file) {
    int mode = RTLD_NOW | RTLD_LOCAL | (s->load == LOAD_PRELOAD ? RTLD_NOLOAD : 0);
    s->handle = dlopen(file, mode);
    if (s->handle)
        return 0;
    if (s->load == LOAD_PRELOAD)
        return -ENOENT;
    const char *error = dlerror();
    size_t n = strlen(file);
    /* The linker has no error numbers; a missing dependency is reported under the dependency's name. */
    if (error && strncmp(error, file, n) == 0 && strstr(error + n, "No such file or directory"))
        return -ENOENT;
    return subject_fail(s, ELIBBAD, "cannot be loaded: %s", error ? error : file);
}

/* A candidate with a pattern stands for all files it matches, the last of them, the newest version, first. */
static int load_candidate(struct subject *s, const char *pattern) {
    glob_t found;
    if (!strpbrk(pattern, "*?["))
        return load_file(s, pattern);
    int err = -ENOENT;
    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = found.gl_pathc; i-- > 0 && err == -ENOENT;)
            err = load_file(s, found.gl_pathv[i]);
        globfree(&found);
    }
    return err;
}

static int load_row(struct subject *s, const char *tree_dir) {
    char in_tree[PATH_MAX];
    const char *const *candidate = s->row->candidates;
    if (!candidate) {
        s->handle = image_libc_handle();
        return s->handle ? 0 : subject_fail(s, ENOENT, "the C library of this process is not glibc");
    }
    for (; *candidate; candidate++) {
        const char *file = *candidate;
        if (s->row->flags & ALLOCATOR_IN_TREE) {
            in_tree[0] = '\0';
            text_append(in_tree, sizeof in_tree, tree_dir);
            text_append(in_tree, sizeof in_tree, "/");
            text_append(in_tree, sizeof in_tree, file);
            file = in_tree;
        }
        int err = load_candidate(s, file);
        if (err != -ENOENT)
            return err;
    }
    if (s->row->flags & ALLOCATOR_IN_TREE)
        return subject_fail(s, ENOENT, "%s is not built: run make", in_tree);
    return subject_fail(s, ENOENT, "%s not found: install %s", s->row->candidates[0], s->row->package);
}

static int load_library(struct subject *s, const char *path, const char *tree_dir) {
    int err;
    if (path) {
        err = load_file(s, path);
        if (err == -ENOENT)
            subject_fail(s, ENOENT, "%s: no such file", path);
    } else if (s->row) {
        err = load_row(s, tree_dir);
    } else {
        err = subject_fail(s, ENOENT, "no such allocator, and no library given");
    }
    if (err == -ENOENT && s->load == LOAD_PRELOAD)
        return subject_fail(s, EPROTO, "%s is not in this process: LD_PRELOAD did not take effect",
                            path ? path : "the library");
    return err;
}

static void note_foreign(struct subject *s, const char *symbol) {
    char *list = s->proof.foreign;
    text_append(list, sizeof s->proof.foreign, *list ? "," : "");
    text_append(list, sizeof s->proof.foreign, symbol);
}

static void take_entries(struct subject *s, const struct link_map *library) {
    void *scope = s->load == LOAD_PRELOAD ? RTLD_DEFAULT : s->handle;
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        void *symbol = dlsym(scope, entries[i].symbol);
        if (symbol && image_of_address(symbol) != library) {
            note_foreign(s, entries[i].symbol);
            symbol = NULL;
        }
        memcpy((char *)&s->ops + entries[i].offset, &symbol, sizeof symbol);
    }
}

static int describe_image(struct subject *s, const struct link_map *library) {
    const char *path = library->l_name;
    size_t n = strlen(path);
    if (n >= sizeof s->proof.path)
        return subject_fail(s, ELIBBAD, "path longer than %zu bytes: %s", sizeof s->proof.path - 1, path);
    memcpy(s->proof.path, path, n + 1);
    image_build_id(library, s->proof.build_id, sizeof s->proof.build_id);
    if (s->row && s->row->version && s->row->version(s, s->proof.version, sizeof s->proof.version))
        s->proof.version[0] = '\0';
    return 0;
}

/* What a subject cannot do without. A preloaded one needs what the process itself may call: where calloc is
 * still libc's, blocks of one allocator end in the free of the other. NULL when all is there. */
static const char *missing_symbol(const struct subject *s) {
    if (!s->ops.alloc)
        return "malloc";
    if (!s->ops.free)
        return "free";
    if (s->load == LOAD_PRELOAD && !s->ops.calloc)
        return "calloc";
    if (s->load == LOAD_PRELOAD && !s->ops.realloc)
        return "realloc";
    return NULL;
}

/* Says who answered in the place of the missing one. */
static int refuse(struct subject *s, const char *symbol) {
    void *scope = s->load == LOAD_PRELOAD ? RTLD_DEFAULT : s->handle;
    const struct link_map *owner = image_of_address(dlsym(scope, symbol));
    return subject_fail(s, s->load == LOAD_PRELOAD ? EPROTO : ENOSYS, "%s is not in %s: the name leads to %s",
                        symbol, s->proof.path, owner ? owner->l_name : "nothing");
}

int allocator_open(struct subject *s, const char *name, const char *path, enum allocator_load load,
                   const char *tree_dir) {
    memset(s, 0, sizeof *s);
    s->row = allocator_find(name);
    s->load = load;
    int err = load_library(s, path, tree_dir);
    if (err)
        return err;
    const struct link_map *library = image_of_handle(s->handle);
    take_entries(s, library);
    err = describe_image(s, library);
    if (err)
        return err;
    const char *missing = missing_symbol(s);
    return missing ? refuse(s, missing) : 0;
}
