#include "harness/units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int number_base(const char *digits) {
    return digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X') ? 16 : 10;
}

int units_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out) {
    if (!isdigit((unsigned char)text[0]))
        return -EINVAL; /* strtoull would take blanks and a sign */
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, number_base(text));
    if (*end != '\0')
        return -EINVAL;
    if (errno == ERANGE || value < min || value > max)
        return -ERANGE;
    *out = value;
    return 0;
}

int units_parse_i64(const char *text, int64_t min, int64_t max, int64_t *out) {
    const char *digits = text[0] == '-' ? text + 1 : text;
    if (!isdigit((unsigned char)digits[0]))
        return -EINVAL;
    char *end;
    errno = 0;
    int64_t value = strtoll(text, &end, number_base(digits));
    if (*end != '\0')
        return -EINVAL;
    if (errno == ERANGE || value < min || value > max)
        return -ERANGE;
    *out = value;
    return 0;
}

int units_parse_seconds(const char *text, uint64_t *out_ns) {
    static const struct {
        const char *suffix;
        double seconds;
    } units[] = {{"", 1}, {"s", 1}, {"ms", 1e-3}, {"us", 1e-6}, {"m", 60}};
    if (!isdigit((unsigned char)text[0]) && text[0] != '.')
        return -EINVAL;
    size_t n = strspn(text, "0123456789.");
    char digits[64];
    if (n >= sizeof digits)
        return -EINVAL;
    memcpy(digits, text, n);
    digits[n] = '\0';
    char *end;
    double value = strtod(digits, &end);
    if (end == digits || *end != '\0')
        return -EINVAL;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(text + n, units[i].suffix) != 0)
            continue;
        double ns = value * units[i].seconds * UNITS_NS_PER_S;
        if (!(ns >= 1) || ns > 86400e9)
            return -ERANGE;
        *out_ns = (uint64_t)llround(ns);
        return 0;
    }
    return -EINVAL;
}

int units_parse_bytes(const char *text, uint64_t *out_bytes) {
    static const char suffixes[] = "KMGT";
    if (!isdigit((unsigned char)text[0]) && text[0] != '.')
        return -EINVAL;
    size_t n = strspn(text, "0123456789.");
    char digits[64], *end;
    if (n >= sizeof digits)
        return -EINVAL;
    memcpy(digits, text, n);
    digits[n] = '\0';
    double value = strtod(digits, &end);
    const char *suffix = text[n] != '\0' ? strchr(suffixes, text[n]) : suffixes;
    if (end == digits || *end != '\0' || suffix == NULL || (text[n] != '\0' && text[n + 1] != '\0'))
        return -EINVAL;
    for (const char *s = suffixes; text[n] != '\0' && s <= suffix; s++)
        value *= 1024;
    if (!(value >= 1) || value > 0x1p60)
        return -ERANGE;
    *out_bytes = (uint64_t)value;
    return 0;
}

void units_format_duration(uint64_t duration_ns, char *out, size_t out_bytes) {
    uint64_t s = (duration_ns + UNITS_NS_PER_S / 2) / UNITS_NS_PER_S;
    if (duration_ns < 60ull * UNITS_NS_PER_S)
        snprintf(out, out_bytes, "%.1f s", (double)duration_ns / UNITS_NS_PER_S);
    else if (s < 3600)
        snprintf(out, out_bytes, "%" PRIu64 ":%02" PRIu64 " min", s / 60, s % 60);
    else
        snprintf(out, out_bytes, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64 " h", s / 3600, s / 60 % 60, s % 60);
}
