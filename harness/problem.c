#include "harness/problem.h"

#include <stdarg.h>
#include <stdio.h>

int problem_set(struct problem *p, int err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): clang-tidy 14 forgets va_start after its first file
    vsnprintf(p->text, sizeof p->text, format, args);
    va_end(args);
    return -err;
}

void problem_prefix(struct problem *p, const char *format, ...) {
    struct problem old = *p;
    va_list args;
    va_start(args, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): clang-tidy 14 forgets va_start after its first file
    int n = vsnprintf(p->text, sizeof p->text, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof p->text)
        snprintf(p->text + n, sizeof p->text - (size_t)n, ": %.*s", (int)(sizeof p->text - (size_t)n) - 3,
                 old.text);
}
