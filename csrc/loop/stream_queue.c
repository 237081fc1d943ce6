/* SPDX-License-Identifier: MIT */
#include "loop/stream_queue.h"

#define FIRST_CAP 4

static int
make_room(cv_stream_queue_t *queue, size_t more)
{
    if (queue->cap - queue->count >= more) {
        return 0;
    }
    size_t cap = queue->cap != 0 ? queue->cap : FIRST_CAP;
    while (cap - queue->count < more) {
        cap *= 2;
    }
    cv_stream_piece_t *pieces = PyMem_New(cv_stream_piece_t, cap);
    if (pieces == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < queue->count; i++) {
        pieces[i] = queue->pieces[(queue->first + i) & (queue->cap - 1)];
    }
    PyMem_Free(queue->pieces);
    queue->pieces = pieces;
    queue->cap = cap;
    queue->first = 0;
    return 0;
}

static int
append_piece(cv_stream_queue_t *queue, const cv_stream_piece_t *piece)
{
    if (make_room(queue, 1) < 0) {
        return -1;
    }
    size_t at = (queue->first + queue->count++) & (queue->cap - 1);
    queue->pieces[at] = *piece;
    Py_INCREF(piece->owner);
    Py_XINCREF(piece->address);
    queue->bytes += piece->len;
    return 0;
}

static int
append(cv_stream_queue_t *queue, PyObject *owner, const char *data, size_t len)
{
    cv_stream_piece_t piece = {.owner = owner, .data = data, .len = len};
    return len == 0 ? 0 : append_piece(queue, &piece);
}

/* Copies a buffer whose owner may write to it as soon as we return. */
static int
append_copy(cv_stream_queue_t *queue, const Py_buffer *view, size_t skip)
{
    if (skip >= (size_t)view->len) {
        return 0;
    }
    Py_ssize_t len = view->len - (Py_ssize_t)skip;
    PyObject *copy = PyBytes_FromStringAndSize((const char *)view->buf + skip, len);
    if (copy == NULL) {
        return -1;
    }
    int result = append(queue, copy, PyBytes_AS_STRING(copy), (size_t)len);
    Py_DECREF(copy);
    return result;
}

int
cv_stream_queue_push(cv_stream_queue_t *queue, PyObject *data, size_t skip)
{
    if (PyBytes_CheckExact(data)) {
        size_t len = (size_t)PyBytes_GET_SIZE(data);
        return skip >= len ? 0 : append(queue, data, PyBytes_AS_STRING(data) + skip, len - skip);
    }
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    PyObject *base = PyMemoryView_Check(data) ? PyMemoryView_GET_BASE(data) : NULL; /* borrowed */
    int result;
    if (base != NULL && PyBytes_CheckExact(base)) {
        result = skip >= (size_t)view.len
            ? 0
            : append(queue, base, (const char *)view.buf + skip, (size_t)view.len - skip);
    } else {
        result = append_copy(queue, &view, skip);
    }
    PyBuffer_Release(&view);
    return result;
}

int
cv_stream_queue_push_datagram(cv_stream_queue_t *queue, PyObject *bytes, PyObject *address)
{
    cv_stream_piece_t piece = {bytes, address, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)};
    if (append_piece(queue, &piece) < 0) {
        return -1;
    }
    queue->bytes += CV_DATAGRAM_HEADER;
    return 0;
}

int
cv_stream_queue_join(cv_stream_queue_t *queue, cv_stream_queue_t *tail)
{
    if (make_room(queue, tail->count) < 0) {
        cv_stream_queue_clear(tail);
        return -1;
    }
    for (size_t i = 0; i < tail->count; i++) {
        size_t at = (queue->first + queue->count++) & (queue->cap - 1);
        queue->pieces[at] = tail->pieces[(tail->first + i) & (tail->cap - 1)];
    }
    queue->bytes += tail->bytes;
    PyMem_Free(tail->pieces);
    *tail = (cv_stream_queue_t){0};
    return 0;
}

int
cv_stream_queue_peek(const cv_stream_queue_t *queue, struct iovec *iov, int max, size_t *out_total)
{
    int count = queue->count < (size_t)max ? (int)queue->count : max;
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        const cv_stream_piece_t *piece = &queue->pieces[(queue->first + (size_t)i) & (queue->cap - 1)];
        iov[i].iov_base = (void *)(uintptr_t)piece->data;
        iov[i].iov_len = piece->len;
        total += piece->len;
    }
    *out_total = total;
    return count;
}

void
cv_stream_queue_consume(cv_stream_queue_t *queue, size_t len)
{
    queue->bytes -= len;
    while (len > 0) {
        cv_stream_piece_t *piece = &queue->pieces[queue->first];
        if (piece->len > len) {
            piece->data += len;
            piece->len -= len;
            return;
        }
        len -= piece->len;
        Py_DECREF(piece->owner); /* exact bytes: nothing of Python runs */
        queue->first = (queue->first + 1) & (queue->cap - 1);
        queue->count--;
    }
    if (queue->count == 0) {
        cv_stream_queue_clear(queue);
    }
}

const cv_stream_piece_t *
cv_stream_queue_first(const cv_stream_queue_t *queue)
{
    return queue->count > 0 ? &queue->pieces[queue->first] : NULL;
}

void
cv_stream_queue_drop_datagram(cv_stream_queue_t *queue)
{
    if (queue->count == 0) {
        return;
    }
    cv_stream_piece_t piece = queue->pieces[queue->first];
    queue->first = (queue->first + 1) & (queue->cap - 1);
    queue->count--;
    queue->bytes -= piece.len + CV_DATAGRAM_HEADER;
    if (queue->count == 0) {
        cv_stream_queue_clear(queue);
    }
    Py_DECREF(piece.owner);
    Py_DECREF(piece.address);
}

void
cv_stream_queue_clear(cv_stream_queue_t *queue)
{
    cv_stream_queue_t dropped = *queue;
    *queue = (cv_stream_queue_t){0};
    for (size_t i = 0; i < dropped.count; i++) {
        cv_stream_piece_t *piece = &dropped.pieces[(dropped.first + i) & (dropped.cap - 1)];
        Py_DECREF(piece->owner);
        Py_XDECREF(piece->address); /* may run Python code */
    }
    PyMem_Free(dropped.pieces);
}
