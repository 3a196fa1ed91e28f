/* What loading, proving and the native interfaces share about an opened allocator. */
#ifndef HEAPDYNO_SUBJECT_H
#define HEAPDYNO_SUBJECT_H

#include "allocators/allocator.h"

/* Symbol of the subject's library, or of one that it needs; NULL when the name leads elsewhere (libc counts
 * as elsewhere for everybody but glibc). */
void *allocator_symbol(const struct subject *s, const char *name);

/* Writes the reason into proof.why, cut to its size; returns -err. */
int subject_fail(struct subject *s, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
