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
append(cv_stream_queue_t *queue, PyObject *owner, const char *data, size_t len)
{
    if (len == 0) {
        return 0;
    }
    if (make_room(queue, 1) < 0) {
        return -1;
    }
    size_t at = (queue->first + queue->count++) & (queue->cap - 1);
    queue->pieces[at] = (cv_stream_piece_t){Py_NewRef(owner), data, len};
    queue->bytes += len;
    return 0;
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

void
cv_stream_queue_clear(cv_stream_queue_t *queue)
{
    for (size_t i = 0; i < queue->count; i++) {
        Py_DECREF(queue->pieces[(queue->first + i) & (queue->cap - 1)].owner);
    }
    PyMem_Free(queue->pieces);
    *queue = (cv_stream_queue_t){0};
}
