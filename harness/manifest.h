/*
 * manifest.json: everything needed to judge a run and to do it again. docs/manifest.schema.json describes it.
 * Written when a run starts, so that a killed one can be resumed, and again when it ends.
 */
#ifndef HEAPDYNO_MANIFEST_H
#define HEAPDYNO_MANIFEST_H

#include <jansson.h>

#include "harness/folder.h"
#include "harness/plan.h"
#include "harness/probe.h"

#define MANIFEST_SCHEMA 1

struct manifest_counts {
    size_t n_planned, n_ok, n_skipped, n_failed;
};

/* Of a new run; topology.xml must be in the folder. NULL when out of memory. */
json_t *manifest_new(struct bench *b, const struct run_identity *run, const struct probes *probes,
                     const struct folder *folder, int argc, char *const *argv);

/* Of the run in the folder. 0 or -errno with the reason. */
int manifest_load(const struct folder *folder, json_t **out, struct problem *p);

/* Notes that the run goes on. Refuses when the programs or the variables that allocators read are others:
 * -EINVAL. */
int manifest_note_resume(json_t *manifest, const struct bench *b, struct problem *p);

/* Rows of two builds of a library must not meet in one run: the allocators probed must be those of `then`, an earlier
 * manifest's "allocators", as far as that goes. 0, or -EINVAL with the allocator named. */
int manifest_check_libraries(const json_t *then, const struct probes *probes, struct problem *p);

/* Allocators that turn up in a plan read from a file. */
void manifest_note_allocators(json_t *manifest, const struct probes *probes);

/* Notes the end, by itself or by the user. */
void manifest_note_end(json_t *manifest, const struct manifest_counts *counts, bool was_stopped);

/* 0 or -errno with the reason. */
int manifest_save(const json_t *manifest, const struct folder *folder, struct problem *p);

#endif
