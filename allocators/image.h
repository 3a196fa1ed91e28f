/*
 * Loaded images: which file an address lies in, its build-id, which libraries it needs.
 *
 * Owns: nothing; reads the dynamic linker's tables. Allocates nothing, needs no lock: images are only ever
 * added, by the thread that opens an allocator.
 * Does not know: what an allocator is.
 */
#ifndef HEAPDYNO_IMAGE_H
#define HEAPDYNO_IMAGE_H

#include <stdbool.h>
#include <stddef.h>

struct link_map;

/* Image that holds the address, or NULL. What dladdr tells, by _dl_find_object (glibc 2.35): dladdr also looks for the
 * nearest symbol, and by that makes some 130 kB of libc's symbol tables resident in the measured process. */
const struct link_map *image_of_address(const void *address);

/* Image behind a handle of dlopen, or NULL. */
const struct link_map *image_of_handle(void *handle);

/* Handle of the libc this process runs on; it stays loaded. NULL when that is not glibc. */
void *image_libc_handle(void);

/* Is `needed` named in image's DT_NEEDED? Direct dependencies only. */
bool image_needs(const struct link_map *image, const struct link_map *needed);

/* Hex of the GNU build-id note, the empty string when there is none or out is too small. */
void image_build_id(const struct link_map *image, char *out, size_t out_bytes);

/* File name without its folder. */
const char *image_base_name(const struct link_map *image);

#endif
