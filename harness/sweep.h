/*
 * A run: every cell of the plan that is not done, one after another, a row for each.
 * Owns: the order of things in a run folder. Does not know: how a cell is measured.
 */
#ifndef HEAPDYNO_SWEEP_H
#define HEAPDYNO_SWEEP_H

#include <jansson.h>

#include "harness/bench.h"
#include "harness/folder.h"
#include "harness/plan.h"
#include "harness/plan_read.h"
#include "harness/resume.h"

#define EXIT_OK 0
#define EXIT_USAGE 2
#define EXIT_FAILED_CELL 4
#define EXIT_INTERRUPTED 130

/* Starts a new run, or goes on with the one in `resumed` (its manifest loaded). The exit code of the program;
 * with the reason in p when it is EXIT_USAGE, or when a file could not be written. */
int sweep_run_new(struct bench *b, const struct plan *plan, int argc, char *const *argv, struct problem *p);
int sweep_resume(struct bench *b, const struct plan *plan, const struct folder *resumed, json_t *manifest,
                 struct problem *p);
/* The same for the cells that a plan made elsewhere gives, each run before the next is asked for. To go on, the
 * plan has to be given again from its beginning: its first rows must be the measured ones, and are passed over. */
int sweep_run_plan(struct bench *b, struct plan_reader *reader, int argc, char *const *argv,
                   struct problem *p);
int sweep_resume_plan(struct bench *b, struct plan_reader *reader, const struct folder *resumed,
                      json_t *manifest, struct problem *p);

#endif
