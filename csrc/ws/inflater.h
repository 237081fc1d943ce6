/* SPDX-License-Identifier: MIT
 *
 * Inflating messages (RFC 7692 section 7.2.2). Without a kept context an inflater belongs to a connection only while a
 * message is under way: those that are done are kept, a few of them, for whoever is next.
 *
 * Owns:    zlib's state; a pool owns the inflaters that rest.
 * Thread:  loop thread.
 * Errors:  -ENOMEM, or CV_INFLATE_EDATA or CV_INFLATE_ESIZE.
 */
#ifndef CUVEE_WS_INFLATER_H
#define CUVEE_WS_INFLATER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum { CV_INFLATERS_SPARE = 4 };

enum {
    CV_INFLATE_EDATA = -3001, /* what came is not DEFLATE */
    CV_INFLATE_ESIZE = -3002, /* the output would pass its limit */
};

typedef struct cv_inflater cv_inflater_t;

typedef struct {
    cv_inflater_t *spare[CV_INFLATERS_SPARE];
    unsigned count;
} cv_inflaters_t;

void cv_inflaters_init(cv_inflaters_t *pool);
void cv_inflaters_deinit(cv_inflaters_t *pool);

/* One that begins anew, for any window. NULL without memory. */
cv_inflater_t *cv_inflaters_take(cv_inflaters_t *pool);
void cv_inflaters_give_back(cv_inflaters_t *pool, cv_inflater_t *inflater);

/* One of a connection's own, which keeps its context, for a peer that refers back `bits` of window (8 to 15) at most.
 * NULL without memory. */
cv_inflater_t *cv_inflater_new(unsigned bits);
void cv_inflater_free(cv_inflater_t *inflater);

/* Inflates a piece of a message, and appends what it gives to `out`, which may come to have `limit` bytes: that many
 * are no error, and no memory is taken for more. After an error `out` may have a part of the output, and the inflater
 * is good for giving back and freeing only. */
int cv_inflater_feed(cv_inflater_t *inflater, const char *data, size_t len, cv_buffer_t *out, uint64_t limit);

/* Ends a message: as cv_inflater_feed with the four bytes that the sender left out. CV_INFLATE_EDATA where they are not
 * its end. A message of no bytes, and one that ends with a final block without the byte that belongs behind it (section
 * 7.2.3.4), are taken as they are. */
int cv_inflater_end(cv_inflater_t *inflater, cv_buffer_t *out, uint64_t limit);

#endif
