/* SPDX-License-Identifier: MIT
 *
 * Memory that runs out on demand. Included before the .c file that is tested: its malloc, calloc, realloc and
 * aligned_alloc then fail once `cv_test_memory_left` calls have succeeded.
 */
#ifndef CUVEE_TESTS_CV_TEST_MEMORY_H
#define CUVEE_TESTS_CV_TEST_MEMORY_H

#include <stdlib.h>

static int cv_test_memory_left = -1; /* calls that still succeed; negative: all of them */

static inline int
cv_test_memory_is_out(void)
{
    if (cv_test_memory_left > 0) {
        cv_test_memory_left--;
        return 0;
    }
    return cv_test_memory_left == 0;
}

static inline void *
cv_test_malloc(size_t size)
{
    return cv_test_memory_is_out() ? NULL : malloc(size);
}

static inline void *
cv_test_calloc(size_t count, size_t size)
{
    return cv_test_memory_is_out() ? NULL : calloc(count, size);
}

static inline void *
cv_test_aligned_alloc(size_t alignment, size_t size)
{
    return cv_test_memory_is_out() ? NULL : aligned_alloc(alignment, size);
}

static inline void *
cv_test_realloc(void *old, size_t size)
{
    return cv_test_memory_is_out() ? NULL : realloc(old, size);
}

#define malloc cv_test_malloc
#define calloc cv_test_calloc
#define aligned_alloc cv_test_aligned_alloc
#define realloc cv_test_realloc

#endif
