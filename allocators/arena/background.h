/* background: an optional thread that lets unused pages decay while nobody calls the allocator.
 *
 * Owns the thread. Belongs to the room ctl. Does not know sizes or thread caches: what a sleeping thread has cached stays
 * with it. Guarded by a lock of its own, LOCK_CONTROL, which no allocation takes.
 */
#ifndef ARENA_BACKGROUND_H
#define ARENA_BACKGROUND_H

#include <stdbool.h>

/** Starts or stops the thread; 0 or an errno value. Stopping waits for its end. */
int background_set(bool is_wanted);
bool background_is_running(void);

/** In a forked child, where the thread does not exist: it is started again by background_resume. */
void background_fork_child(void);

/** Starts the thread if it was running before a fork; cheap otherwise. */
void background_resume(void);

#endif
