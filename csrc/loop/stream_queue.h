/* SPDX-License-Identifier: MIT
 *
 * The output of a stream that the kernel has not taken yet: a queue of immutable pieces.
 *
 * Owns:    a strong reference to the bytes behind each piece; memory only while something is queued.
 * Thread:  the loop's, with the GIL held.
 * Errors:  -1 with an exception set.
 */
#ifndef CUVEE_LOOP_STREAM_QUEUE_H
#define CUVEE_LOOP_STREAM_QUEUE_H

#include <Python.h>

#include <stddef.h>
#include <sys/uio.h>

typedef struct {
    PyObject *owner; /* strong: exact bytes */
    const char *data;
    size_t len;
} cv_stream_piece_t;

typedef struct {
    cv_stream_piece_t *pieces; /* a ring of `cap`; NULL while empty */
    size_t cap;                /* a power of two */
    size_t first;
    size_t count;
    size_t bytes; /* in all pieces */
} cv_stream_queue_t;

/* Appends what `data` (bytes, bytearray, memoryview or another buffer) holds from `skip` on. What may still change
 * is copied. */
int cv_stream_queue_push(cv_stream_queue_t *queue, PyObject *data, size_t skip);

/* Moves all pieces of `tail` to the end of `queue`; on failure `tail` is cleared and `queue` as it was. */
int cv_stream_queue_join(cv_stream_queue_t *queue, cv_stream_queue_t *tail);

/* Fills up to `max` vectors from the front; returns how many, and their sum. */
int cv_stream_queue_peek(const cv_stream_queue_t *queue, struct iovec *iov, int max, size_t *out_total);

/* Drops `len` bytes from the front. */
void cv_stream_queue_consume(cv_stream_queue_t *queue, size_t len);

/* Drops everything and the memory. */
void cv_stream_queue_clear(cv_stream_queue_t *queue);

#endif
