/*
 * What starting up and probing have made resident, and neither workload nor allocator needs: given back.
 *
 * Owns nothing. Does not know: cells, allocators. Called by main while no worker runs.
 */
#ifndef HEAPDYNO_TRIM_H
#define HEAPDYNO_TRIM_H

/*
 * Drops the pages of code of all loaded images.
 *
 * Loading and proving an allocator runs through about 1 MB of the dynamic linker's and libc's code, which the kernel makes
 * resident in windows of 64 KiB whose place changes with the address of the library. That is neither the
 * allocator's memory nor the workload's, and it is noise of 100 kB and more in every figure. Code that is needed
 * again comes back from the page cache by a minor fault, in the warm-up; what the allocator itself has touched
 * is data and stays.
 */
void trim_code(void);

/* Starts the kernel's record of the peak anew (clear_refs 5). */
void trim_reset_peak(void);

#endif
