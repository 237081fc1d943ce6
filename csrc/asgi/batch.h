/* SPDX-License-Identifier: MIT
 *
 * When what an app sent may wait for more of its turn, so that the writes go out together.
 *
 * A piece may be held only while other work of the same turn is due, or behind another piece of the same step, and
 * only on a route whose recent steps went on or ended at once after a `send`. A step that computes on after it sends
 * its route back to immediate writes for a long while, and with each of them goes all that others have held. What is
 * held is written when its connection has a full write, when the turn ends, and at the latest with the next piece a
 * millisecond after the first.
 *
 * A step that is slow before it sends holds up what the steps before it have sent. It cannot be foretold, but slow
 * steps seldom come alone, and the requests that arrived meanwhile are the next batch: after one, all routes write at
 * once for as many pieces as its time pays for.
 *
 * Owns:    nothing.
 * Thread:  loop thread.
 */
#ifndef CUVEE_ASGI_BATCH_H
#define CUVEE_ASGI_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum { CV_BATCH_ROUTES = 64 };

typedef enum {
    CV_BATCH_WRITE,     /* write this piece now */
    CV_BATCH_WRITE_ALL, /* write everything held now, this piece too */
    CV_BATCH_HOLD,      /* leave it to the end of the turn */
} cv_batch_verdict;

typedef struct {
    unsigned held;        /* pieces that wait since the last flush */
    bool stepping;        /* the step that sent the last piece may still go on */
    uint8_t last_route;   /* of the last piece */
    uint64_t last_piece;  /* nanoseconds */
    uint64_t first_hold;
    unsigned immediate_all;              /* so many pieces of any route still go out at once */
    uint16_t immediate[CV_BATCH_ROUTES]; /* so many of one route */
} cv_batch_t;

/* Which route a path belongs to, as far as that can be told from outside: a segment with a digit in it is an
 * identifier, and counts like any other. Below CV_BATCH_ROUTES; different routes may share one. */
uint8_t cv_batch_route(cv_span_t path);

/* A piece of a body was queued, the last one or not. `busy`: more will be sent in this turn. */
cv_batch_verdict cv_batch_on_queued(cv_batch_t *batch, uint8_t route, bool busy);

/* A step that took so long is over, at the time `now`; both in nanoseconds. */
void cv_batch_on_step_end(cv_batch_t *batch, uint64_t took, uint64_t now);

/* Everything is about to be written. */
void cv_batch_on_flush(cv_batch_t *batch);

#endif
