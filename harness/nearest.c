#include "harness/nearest.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/*
 * Letters to insert, remove or exchange, and neighbours to swap, that make one word of the other: the optimal string
 * alignment distance (Damerau 1964), by rows. Words are shorter than NEAREST_WORD_MAX.
 */
static size_t word_distance(const char *a, const char *b) {
    size_t rows[3][NEAREST_WORD_MAX];
    size_t n_a = strlen(a), n_b = strlen(b);
    for (size_t j = 0; j <= n_b; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3], *above_that = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], above_that[j - 2] + 1);
        }
    }
    return rows[n_a % 3][n_b];
}

void nearest_start(struct nearest *n, const char *written) {
    *n = (struct nearest){.written = written, .distance = SIZE_MAX};
}

void nearest_offer(struct nearest *n, const char *word) {
    size_t n_written = strlen(n->written);
    if (n_written >= NEAREST_WORD_MAX || strlen(word) >= NEAREST_WORD_MAX)
        return;
    size_t distance = word_distance(n->written, word);
    if (distance >= n->distance || distance > (n_written < 6 ? 1 : n_written / 3))
        return;
    n->distance = distance;
    memcpy(n->word, word, strlen(word) + 1);
}

const char *nearest_hint(struct nearest *n) {
    n->hint[0] = '\0';
    if (n->word[0] != '\0')
        snprintf(n->hint, sizeof n->hint, " (did you mean %s?)", n->word);
    return n->hint;
}

int nearest_refuse(const char *written, const char *const *allowed, struct problem *p) {
    struct nearest near;
    char known[256] = "";
    size_t n = 0;
    nearest_start(&near, written);
    for (const char *const *word = allowed; *word != NULL; word++) {
        nearest_offer(&near, *word);
        if (n < sizeof known)
            n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", n > 0 ? ", " : "", *word);
    }
    return problem_set(p, EINVAL, "allowed are %s%s", known, nearest_hint(&near));
}
