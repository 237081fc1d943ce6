/* SPDX-License-Identifier: MIT
 *
 * A file whose bytes are in memory or not, as the script says, and the work of libuv's threads: the loop's own thread
 * does it, when the script says so. The linker gives the code under test these functions in place of the real ones.
 */
#ifndef CUVEE_TESTS_FUZZ_FILE_H
#define CUVEE_TESTS_FUZZ_FILE_H

#include <stdbool.h>
#include <stddef.h>

enum { FUZZ_FILE_WORKS = 4 }; /* that may wait; a further one finds no thread */

/* Makes the file, of `len` bytes. Called once. */
void fuzz_file_fill(const char *data, size_t len);

/* Where it can be opened. */
const char *fuzz_file_path(void);

/* One more descriptor of it. */
int fuzz_file_dup(void);

/* From now on the file's bytes are in memory, or must be read first. */
void fuzz_file_set_cached(bool cached);

/* Works that wait for their thread. */
unsigned fuzz_file_waiting(void);

/* Does the first of them, and tells the loop's side. */
void fuzz_file_work(void);

#endif
