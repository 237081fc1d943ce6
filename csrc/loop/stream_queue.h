/* SPDX-License-Identifier: MIT
 *
 * The output of a transport that the kernel has not taken yet: a queue of immutable pieces. A piece of a stream may
 * leave in parts, a datagram is a piece that leaves as a whole.
 *
 * Owns:    a strong reference to the bytes behind each piece and to its address; memory only while something is queued.
 * Thread:  the loop's, with the GIL held.
 * Errors:  -1 with an exception set.
 */
#ifndef CUVEE_LOOP_STREAM_QUEUE_H
#define CUVEE_LOOP_STREAM_QUEUE_H

#include <Python.h>

#include <stddef.h>
#include <sys/uio.h>

/* What a queued datagram counts beside its data, as in asyncio, where empty ones are sent since that is counted. */
#if PY_VERSION_HEX >= 0x030D0000
#define CV_DATAGRAM_HEADER 8
#else
#define CV_DATAGRAM_HEADER 0
#endif

typedef struct {
    PyObject *owner;   /* strong: exact bytes */
    PyObject *address; /* strong: where a datagram goes; NULL in a stream */
    const char *data;
    size_t len;
} cv_stream_piece_t;

typedef struct {
    cv_stream_piece_t *pieces; /* a ring of `cap`; NULL while empty */
    size_t cap;                /* a power of two */
    size_t first;
    size_t count;
    size_t bytes; /* in all pieces, and for the headers of datagrams; never 0 while there is a piece */
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

/* Appends a datagram of exact bytes; where CV_DATAGRAM_HEADER is 0 it must not be empty. */
int cv_stream_queue_push_datagram(cv_stream_queue_t *queue, PyObject *bytes, PyObject *address);

/* The first piece, or NULL (borrowed until the queue changes). */
const cv_stream_piece_t *cv_stream_queue_first(const cv_stream_queue_t *queue);

/* Drops the first datagram, if there is one. */
void cv_stream_queue_drop_datagram(cv_stream_queue_t *queue);

/* Drops everything and the memory. */
void cv_stream_queue_clear(cv_stream_queue_t *queue);

#endif
