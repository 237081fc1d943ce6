/* SPDX-License-Identifier: MIT
 *
 * When a finished answer may wait for others of its turn, so that their writes go out together.
 *
 * Only a final body may be held, only while other work of the same turn is due, and only for an app whose recent
 * steps ended at once after their last `send`. A step that goes on computing after its answer sends the app back to
 * immediate writes for a long while. What is held is written at the latest a millisecond after the first of it.
 *
 * Owns:    nothing.
 * Thread:  loop thread.
 */
#ifndef CUVEE_ASGI_BATCH_H
#define CUVEE_ASGI_BATCH_H

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    CV_BATCH_WRITE,     /* write this answer now */
    CV_BATCH_WRITE_ALL, /* write every held answer now, this one too */
    CV_BATCH_HOLD,      /* leave it to the end of the turn */
} cv_batch_verdict;

typedef struct {
    unsigned held;       /* answers that wait since the last flush */
    unsigned immediate;  /* so many answers still go out at once */
    uint64_t first_hold; /* nanoseconds */
    uint64_t last_hold;
} cv_batch_t;

/* A final body was queued. `busy`: other work of this turn is due. */
cv_batch_verdict cv_batch_on_final(cv_batch_t *batch, bool busy);

/* Everything is about to be written. */
void cv_batch_on_flush(cv_batch_t *batch);

#endif
