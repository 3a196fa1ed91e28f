/* The counts must hold whichever compiler built the workloads: this program links clang's objects. */
#include "tests/unit/workload_counts.c"
