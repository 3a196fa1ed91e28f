/*
 * Which of the words that are known somebody may have meant who wrote another one.
 * Owns: what is near. Does not know: where the words come from.
 */
#ifndef HEAPDYNO_NEAREST_H
#define HEAPDYNO_NEAREST_H

#include <stddef.h>

#include "harness/problem.h"

#define NEAREST_WORD_MAX 64

struct nearest {
    const char *written;
    char word[NEAREST_WORD_MAX]; /* empty: none is near enough */
    size_t distance;
    char hint[NEAREST_WORD_MAX + 24];
};

/* Begins the search for a word near `written`, which must live as long. */
void nearest_start(struct nearest *n, const char *written);

/*
 * Offers a known word, which is copied; of several at one distance the first is kept. Near enough is a third of the
 * letters or fewer to insert, remove, exchange or swap with a neighbour, and at least one.
 */
void nearest_offer(struct nearest *n, const char *word);

/* " (did you mean WORD?)", to stand behind what was written; empty when no word is near. */
const char *nearest_hint(struct nearest *n);

/* The sentence `allowed are A, B, C`, and what may have been meant. allowed ends with NULL. Returns -EINVAL. */
int nearest_refuse(const char *written, const char *const *allowed, struct problem *p);

#endif
