/*
 * Numbers as people write them. Owns: parsing and printing of counts and times. Strict: the whole text must
 * be the number, nothing is clipped.
 */
#ifndef HEAPDYNO_UNITS_H
#define HEAPDYNO_UNITS_H

#include <stddef.h>
#include <stdint.h>

#define UNITS_NS_PER_S 1000000000u

/* Decimal or 0x-prefixed integer. 0, -EINVAL (not a number) or -ERANGE (outside min..max). */
int units_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out);
int units_parse_i64(const char *text, int64_t min, int64_t max, int64_t *out);

/* A time in seconds ("0.3", "2") or with a unit ("300ms", "50us", "2s", "5m"). 0, -EINVAL, or -ERANGE when it
 * is not above zero or exceeds a day. */
int units_parse_seconds(const char *text, uint64_t *out_ns);

/* A number of bytes, with an optional unit of powers of 1024: "64M", "1.5G", "4096". 0, -EINVAL, or -ERANGE when it is
 * below 1 or above 2^60. */
int units_parse_bytes(const char *text, uint64_t *out_bytes);

/* "0.3 s", "4:05 min", "1:02:03 h". */
void units_format_duration(uint64_t duration_ns, char *out, size_t out_bytes);

#endif
