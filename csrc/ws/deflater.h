/* SPDX-License-Identifier: MIT
 *
 * Deflating messages (RFC 7692 section 7.2.1). A message is compressed in one go, so that without a kept context one
 * deflater for each size of window does for all connections.
 *
 * zlib makes no raw DEFLATE for a window of 8 bits: there, messages have codes and no references, which fit into any.
 *
 * Owns:    zlib's state.
 * Thread:  loop thread.
 * Errors:  -ENOMEM.
 */
#ifndef CUVEE_WS_DEFLATER_H
#define CUVEE_WS_DEFLATER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

enum { CV_DEFLATE_BITS_LEAST = 8,
       CV_DEFLATE_BITS_MOST = 15 };

typedef struct cv_deflater cv_deflater_t;

/* Those that keep no context. */
typedef struct {
    unsigned level;
    cv_deflater_t *by_bits[CV_DEFLATE_BITS_MOST - CV_DEFLATE_BITS_LEAST + 1];
} cv_deflaters_t;

void cv_deflaters_init(cv_deflaters_t *shared, unsigned level);
void cv_deflaters_deinit(cv_deflaters_t *shared);

/* The shared one for windows of `bits`; made when it is first asked for. NULL without memory. */
cv_deflater_t *cv_deflaters_get(cv_deflaters_t *shared, unsigned bits);

/* One of a connection's own, which keeps its context. NULL without memory. */
cv_deflater_t *cv_deflater_new(unsigned level, unsigned bits);
void cv_deflater_free(cv_deflater_t *deflater);

/* Its context is lost: what was compressed last did not go out. */
void cv_deflater_reset(cv_deflater_t *deflater);

/* Compresses one message and appends it to `out`, without the four bytes at its end that the receiver knows. With
 * `keeps_context` the next message may refer to this one. After an error `out` has what it had before, and the deflater
 * has no context. */
int cv_deflater_run(cv_deflater_t *deflater, const char *data, size_t len, bool keeps_context, cv_buffer_t *out);

#endif
