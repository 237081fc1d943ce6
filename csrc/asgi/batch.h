/* SPDX-License-Identifier: MIT
 *
 * When what an app sent may wait for more of its turn, so that the writes go out together.
 *
 * A piece may be held only while other work of the same turn is due, or behind another piece of the same step, and
 * only for an app whose recent steps went on or ended at once after a `send`. A step that computes on after it sends
 * the app back to immediate writes for a long while. What is held is written when its connection has a full write,
 * when the turn ends, and at the latest with the next piece a millisecond after the first.
 *
 * Owns:    nothing.
 * Thread:  loop thread.
 */
#ifndef CUVEE_ASGI_BATCH_H
#define CUVEE_ASGI_BATCH_H

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    CV_BATCH_WRITE,     /* write this piece now */
    CV_BATCH_WRITE_ALL, /* write everything held now, this piece too */
    CV_BATCH_HOLD,      /* leave it to the end of the turn */
} cv_batch_verdict;

typedef struct {
    unsigned held;       /* pieces that wait since the last flush */
    unsigned immediate;  /* so many pieces still go out at once */
    uint64_t first_hold; /* nanoseconds */
    uint64_t last_hold;
} cv_batch_t;

/* A piece of a body was queued, the last one or not. `busy`: more will be sent in this turn. */
cv_batch_verdict cv_batch_on_queued(cv_batch_t *batch, bool busy);

/* Everything is about to be written. */
void cv_batch_on_flush(cv_batch_t *batch);

#endif
