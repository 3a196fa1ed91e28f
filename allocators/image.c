#include "allocators/image.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <string.h>

const struct link_map *image_of_address(const void *address) {
    Dl_info info;
    struct link_map *map = NULL;
    if (!address || !dladdr1(address, &info, (void **)&map, RTLD_DL_LINKMAP))
        return NULL;
    return map;
}

const struct link_map *image_of_handle(void *handle) {
    struct link_map *map = NULL;
    return handle && dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 ? map : NULL;
}

void *image_libc_handle(void) {
    return dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
}

const char *image_base_name(const struct link_map *image) {
    const char *slash = strrchr(image->l_name, '/');
    return slash ? slash + 1 : image->l_name;
}

/* The linker relocates DT_STRTAB in place on most targets; an unrelocated one is an offset into the image. */
static const char *string_table(const struct link_map *image) {
    for (const ElfW(Dyn) *d = image->l_ld; d->d_tag != DT_NULL; d++)
        if (d->d_tag == DT_STRTAB)
            return (const char *)(d->d_un.d_ptr < image->l_addr ? image->l_addr + d->d_un.d_ptr
                                                                : d->d_un.d_ptr);
    return NULL;
}

static const char *shared_object_name(const struct link_map *image) {
    const char *strings = string_table(image);
    for (const ElfW(Dyn) *d = image->l_ld; strings && d->d_tag != DT_NULL; d++)
        if (d->d_tag == DT_SONAME)
            return strings + d->d_un.d_val;
    return image_base_name(image);
}

bool image_needs(const struct link_map *image, const struct link_map *needed) {
    const char *strings = string_table(image), *name = shared_object_name(needed);
    for (const ElfW(Dyn) *d = image->l_ld; strings && d->d_tag != DT_NULL; d++)
        if (d->d_tag == DT_NEEDED && strcmp(strings + d->d_un.d_val, name) == 0)
            return true;
    return false;
}

struct note_search {
    const struct link_map *image;
    char *out;
    size_t out_bytes;
};

static void print_hex(const uint8_t *bytes, size_t n, char *out, size_t out_bytes) {
    static const char digits[] = "0123456789abcdef";
    if (2 * n + 1 > out_bytes)
        return;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = '\0';
}

static int find_note(struct dl_phdr_info *info, size_t info_bytes, void *arg) {
    struct note_search *search = arg;
    (void)info_bytes;
    if (info->dlpi_addr != search->image->l_addr)
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_NOTE)
            continue;
        const uint8_t *at = (const uint8_t *)(info->dlpi_addr + segment->p_vaddr),
                      *end = at + segment->p_memsz;
        size_t align = segment->p_align == 8 ? 8 : 4;
        while (at + sizeof(ElfW(Nhdr)) <= end) {
            ElfW(Nhdr) note;
            memcpy(&note, at, sizeof note);
            const uint8_t *name = at + sizeof note;
            const uint8_t *desc = at + ((sizeof note + note.n_namesz + align - 1) & ~(align - 1));
            if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(name, "GNU", 4) == 0) {
                print_hex(desc, note.n_descsz, search->out, search->out_bytes);
                return 1;
            }
            at = desc + ((note.n_descsz + align - 1) & ~(align - 1));
        }
    }
    return 1;
}

void image_build_id(const struct link_map *image, char *out, size_t out_bytes) {
    struct note_search search = {.image = image, .out = out, .out_bytes = out_bytes};
    out[0] = '\0';
    dl_iterate_phdr(find_note, &search);
}
