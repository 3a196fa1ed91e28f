/*
 * Texts without printf: the first call of any printf touches some 150 KB of libc's pages, which would be in
 * every memory figure. Only what has gone wrong is printed with it.
 *
 * Owns nothing. out is a string in out_bytes of room; what does not fit is cut.
 */
#ifndef HEAPDYNO_TEXT_H
#define HEAPDYNO_TEXT_H

#include <stddef.h>
#include <stdint.h>

static inline void text_append(char *out, size_t out_bytes, const char *text) {
    size_t n = 0;
    while (n < out_bytes && out[n])
        n++;
    while (n + 1 < out_bytes && *text)
        out[n++] = *text++;
    if (n < out_bytes)
        out[n] = '\0';
}

static inline void text_append_number(char *out, size_t out_bytes, int64_t number) {
    char digits[24];
    char *at = digits + sizeof digits;
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    *--at = '\0';
    do
        *--at = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (number < 0)
        *--at = '-';
    text_append(out, out_bytes, at);
}

#endif
