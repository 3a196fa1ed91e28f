/*
 * One sentence about what went wrong, for a person. Functions of the driver return 0 or -errno and leave the
 * sentence here; only main prints it.
 */
#ifndef HEAPDYNO_PROBLEM_H
#define HEAPDYNO_PROBLEM_H

struct problem {
    char text[1024];
};

/* Fills the sentence and returns -err, so that a caller can `return problem_set(...)`. */
int problem_set(struct problem *p, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the sentence. */
void problem_prefix(struct problem *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
