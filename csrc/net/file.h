/* SPDX-License-Identifier: MIT
 *
 * A regular file whose bytes the kernel is to send: opening it, and having them in memory before. Both may wait for
 * the disk, so that they belong on a thread of libuv's pool.
 *
 * Owns:    nothing; the descriptor is the caller's.
 * Thread:  any. No GIL needed.
 * Errors:  negative errno values.
 */
#ifndef CUVEE_NET_FILE_H
#define CUVEE_NET_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Opens a file to be read. Waits for the disk, never for a writer of a pipe. Returns the descriptor. -EISDIR for a
 * folder, -EINVAL for what else is no regular file. */
int cv_file_open(const char *path, uint64_t *out_size);

/* The size of an open file, or an error as above. */
int cv_file_size(int fd, uint64_t *out_size);

/* False when reading the first or the last of `len` bytes from `offset` on would wait for the disk, as far as the
 * system can say. Does not wait. */
bool cv_file_is_cached(int fd, uint64_t offset, size_t len);

/* Waits until the kernel has read `len` bytes from `offset` on into its memory. */
void cv_file_cache(int fd, uint64_t offset, size_t len);

#endif
