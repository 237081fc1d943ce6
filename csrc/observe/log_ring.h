/* SPDX-License-Identifier: MIT
 *
 * A bounded ring of text lines between one thread that puts them in and one that takes them out. Whole lines only:
 * a line is seen when it is complete.
 *
 * Owns:    its memory, from init to deinit.
 * Thread:  one producer, one consumer; the comments say which function is whose.
 * Errors:  -ENOMEM.
 */
#ifndef CUVEE_OBSERVE_LOG_RING_H
#define CUVEE_OBSERVE_LOG_RING_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/span.h"

enum { CV_LOG_RING_LINE = 64 }; /* bytes of a cache line: what one side writes stays off the other's */

typedef struct {
    char *bytes;
    size_t size;                /* a power of two */
    char apart[CV_LOG_RING_LINE];
    _Atomic size_t head;        /* bytes that were ever put in; the producer's */
    _Atomic size_t base;        /* the count that stands at bytes[0]; the producer's, moved while the ring is
                                 * empty only, so that one that mostly is touches few pages of its memory */
    char apart_too[CV_LOG_RING_LINE];
    _Atomic size_t tail;        /* bytes that were ever taken out; the consumer's */
} cv_log_ring_t;

/* Makes a ring of at least `size` bytes. Returns 0 or -ENOMEM. */
int cv_log_ring_init(cv_log_ring_t *ring, size_t size);

void cv_log_ring_deinit(cv_log_ring_t *ring);

/* Any thread: bytes that wait. */
size_t cv_log_ring_used(const cv_log_ring_t *ring);

/* Producer: a place to write to, not yet seen by the consumer. */
typedef struct {
    cv_log_ring_t *ring;
    size_t at;
} cv_log_cursor_t;

/* Producer: starts a line. There must be room for what is put. */
cv_log_cursor_t cv_log_ring_start(cv_log_ring_t *ring);
void cv_log_ring_put(cv_log_cursor_t *cursor, const char *text, size_t len);

/* Producer: shows the consumer what was put. Sequentially consistent, so that the producer's next look at a flag of
 * the consumer's and the consumer's next look at the ring can't both miss each other. */
void cv_log_ring_commit(const cv_log_cursor_t *cursor);

/* Consumer: the next whole lines, at most `most` bytes of them or one longer line, as one or two spans (the
 * second one may be empty). Returns their length, 0 when nothing waits. */
size_t cv_log_ring_peek(const cv_log_ring_t *ring, size_t most, cv_span_t out_spans[2]);

/* Consumer: takes `len` bytes out. */
void cv_log_ring_take(cv_log_ring_t *ring, size_t len);

/* Consumer: takes `len` bytes out unread. Returns how many lines end in them. */
size_t cv_log_ring_drop(cv_log_ring_t *ring, size_t len);

#endif
