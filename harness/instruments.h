/*
 * Does this machine have what the command line asks to measure with and under? Owns: the questions. Does not know:
 * how each instrument works.
 */
#ifndef HEAPDYNO_INSTRUMENTS_H
#define HEAPDYNO_INSTRUMENTS_H

#include <stdio.h>

#include "harness/options.h"

/* 0, or -errno with the reason when what was asked for cannot be had. Counters of the processor that are missing are
 * no error, since rows without them are still rows: one line to `notices` says so. */
int instruments_check(const struct options *o, FILE *notices, struct problem *p);

#endif
