/* SPDX-License-Identifier: MIT
 *
 * The memory of the code under test: counted, and made to run out. tools/fuzz.py compiles csrc/ with these names in
 * place of the C library's, and nothing else, so that nothing else is counted.
 */
#ifndef CUVEE_TESTS_FUZZ_MEMORY_H
#define CUVEE_TESTS_FUZZ_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

void *fuzz_malloc(size_t size);
void *fuzz_calloc(size_t count, size_t size);
void *fuzz_aligned_alloc(size_t alignment, size_t size);
void *fuzz_realloc(void *old, size_t size);
void fuzz_free(void *block);

/* The allocation behind the next `count` fails; with `for_good`, those behind it too. */
void fuzz_memory_fail(unsigned count, bool for_good);

/* There is memory again. Returns whether an allocation failed since the last call. */
bool fuzz_memory_restore(void);

/* Blocks that are not given back. */
long fuzz_memory_blocks(void);

#endif
