/*
 * latency.csv: percentiles by cell, repetition, operation and size class. Owns: its columns, the names of operations and
 * classes. Does not know: how latencies are sampled.
 *
 * The rows of a cell are written before its row of samples.csv, which says that they are there.
 */
#ifndef HEAPDYNO_LATENCY_CSV_H
#define HEAPDYNO_LATENCY_CSV_H

#include <stdio.h>

#include "harness/record.h"

#define LATENCY_CSV "latency.csv"

void latency_write_header(FILE *out);

/* All rows of one process; nothing when it has no latencies. */
void latency_write_rows(FILE *out, const struct record *r);

/* The row of samples.csv is about transactions where they arrive by a schedule, otherwise about all calls: that
 * operation's numbers over all sizes, NULL when there are none. */
const struct latency_row *latency_main_row(const struct record *r);

/* At a share of `ppm` millionths, one of LATENCY_PPM; NaN when it is not known. */
double latency_at(const struct latency_row *row, uint32_t ppm);

const char *latency_timer_name(enum latency_timer timer);

#endif
