/* What of this process is resident, for tests of what is given back. */
#ifndef HEAPDYNO_TESTS_RESIDENT_H
#define HEAPDYNO_TESTS_RESIDENT_H

#include <stdio.h>
#include <unistd.h>

/* A sanitizer's shadow memory is resident too. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define skip_under_shadow() skip()
#else
#define skip_under_shadow() (void)0
#endif

/** Bytes; to be included after cmocka.h. */
static inline long resident_bytes(void) {
    char text[64] = "";
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_non_null(fgets(text, sizeof text, f));
    fclose(f);
    assert_int_equal(sscanf(text, "%*d %ld", &pages), 1);
    return pages * sysconf(_SC_PAGESIZE);
}

#endif
