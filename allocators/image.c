#include "allocators/image.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <string.h>

const struct link_map *image_of_address(const void *address) {
    struct dl_find_object found;
    return address && _dl_find_object((void *)address, &found) == 0 ? found.dlfo_link_map : NULL;
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

/* The build-id's bytes in a note segment of n_bytes at `at`, or NULL. */
static const uint8_t *find_build_id(const uint8_t *at, size_t n_bytes, size_t align, size_t *n_desc_bytes) {
    const uint8_t *end = at + n_bytes;
    while (at + sizeof(ElfW(Nhdr)) <= end) {
        ElfW(Nhdr) note;
        memcpy(&note, at, sizeof note);
        const uint8_t *name = at + sizeof note;
        const uint8_t *desc = at + ((sizeof note + note.n_namesz + align - 1) & ~(align - 1));
        *n_desc_bytes = note.n_descsz;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(name, "GNU", 4) == 0)
            return desc;
        at = desc + ((note.n_descsz + align - 1) & ~(align - 1));
    }
    return NULL;
}

/* The program headers are read where the image is mapped. */
void image_build_id(const struct link_map *image, char *out, size_t out_bytes) {
    struct dl_find_object found;
    out[0] = '\0';
    if (_dl_find_object(image->l_ld, &found) != 0 || memcmp(found.dlfo_map_start, ELFMAG, SELFMAG) != 0)
        return;
    const char *base = found.dlfo_map_start;
    const ElfW(Ehdr) *header = found.dlfo_map_start;
    for (size_t i = 0; i < header->e_phnum; i++) {
        ElfW(Phdr) segment;
        memcpy(&segment, base + header->e_phoff + i * header->e_phentsize, sizeof segment);
        if (segment.p_type != PT_NOTE)
            continue;
        size_t n_bytes;
        const uint8_t *id = find_build_id((const uint8_t *)(image->l_addr + segment.p_vaddr), segment.p_memsz,
                                          segment.p_align == 8 ? 8 : 4, &n_bytes);
        if (id) {
            print_hex(id, n_bytes, out, out_bytes);
            return;
        }
    }
}
