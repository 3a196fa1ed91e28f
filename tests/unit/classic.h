/*
 * The tests that both classics behind one lock have to pass (allocators/biglock). Linked with one of the two under
 * prefixed names; biglock_dl.c and biglock_phk.c add what only their heap promises.
 */
#ifndef TESTS_UNIT_CLASSIC_H
#define TESTS_UNIT_CLASSIC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

void *biglock_malloc(size_t size_bytes);
void *biglock_calloc(size_t n, size_t size_bytes);
void *biglock_realloc(void *block, size_t size_bytes);
void *biglock_reallocarray(void *block, size_t n, size_t size_bytes);
void biglock_free(void *block);
void *biglock_aligned_alloc(size_t align_bytes, size_t size_bytes);
void *biglock_memalign(size_t align_bytes, size_t size_bytes);
int biglock_posix_memalign(void **out, size_t align_bytes, size_t size_bytes);
void *biglock_valloc(size_t size_bytes);
void *biglock_pvalloc(size_t size_bytes);
size_t biglock_malloc_usable_size(void *block);
int64_t biglock_allocated_bytes(void);
const char *biglock_check(void);

/* Fails when a walk over the heap finds something. */
void assert_sound(void);

void random_programs_agree_with_the_model(void **state);
void threads_that_pass_blocks_on_agree_with_the_model(void **state);
void blocks_are_aligned_and_apart(void **state);
void empty_blocks_are_blocks(void **state);
void errno_tells_what_failed(void **state);
void alignments_hold(void **state);
void live_bytes_are_counted(void **state);
void memory_goes_back(void **state);
void corruption_ends_the_process(void **state);
void a_child_inherits_a_whole_heap(void **state);

#define CLASSIC_TESTS                                                                                        \
    cmocka_unit_test(random_programs_agree_with_the_model),                                                  \
        cmocka_unit_test(threads_that_pass_blocks_on_agree_with_the_model),                                  \
        cmocka_unit_test(blocks_are_aligned_and_apart), cmocka_unit_test(empty_blocks_are_blocks),           \
        cmocka_unit_test(errno_tells_what_failed), cmocka_unit_test(alignments_hold),                        \
        cmocka_unit_test(live_bytes_are_counted), cmocka_unit_test(memory_goes_back),                        \
        cmocka_unit_test(corruption_ends_the_process), cmocka_unit_test(a_child_inherits_a_whole_heap)

#endif
