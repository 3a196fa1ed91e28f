/* --list: allocators with what was found where, workloads with their parameters. */
#ifndef HEAPDYNO_LIST_H
#define HEAPDYNO_LIST_H

#include <stdio.h>

#include "harness/probe.h"

void list_write_allocators(FILE *out, const struct probes *probes);
void list_write_workloads(FILE *out);

#endif
