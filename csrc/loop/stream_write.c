/* SPDX-License-Identifier: MIT */
#include "loop/stream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "py/errors.h"

#define MAX_VECTORS 64
#define WARN_AFTER_LOST_WRITES 5 /* asyncio.constants.LOG_THRESHOLD_FOR_CONNLOST_WRITES */

#ifdef MSG_NOSIGNAL
#define SEND_FLAGS MSG_NOSIGNAL
#else
#define SEND_FLAGS 0 /* CPython ignores SIGPIPE */
#endif

/* ---- system calls ----------------------------------------------------------------------------------------------- */

/* Bytes sent, maybe fewer than asked, 0 when the kernel takes none now, or a negative errno. */
static ssize_t
send_bytes(int fd, const void *data, size_t len)
{
    ssize_t sent;
    do {
        sent = send(fd, data, len, SEND_FLAGS);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
    }
    return sent;
}

static ssize_t
send_vectors(int fd, struct iovec *iov, int count)
{
    struct msghdr message = {.msg_iov = iov};
    message.msg_iovlen = (__typeof__(message.msg_iovlen))count;
    ssize_t sent;
    do {
        sent = sendmsg(fd, &message, SEND_FLAGS);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
    }
    return sent;
}

static void
fail_write(StreamObject *self, int status)
{
    (void)cv_error_set(status);
    cv_stream_fail(self, "Fatal write error on socket transport");
}

/* Sends from the queue until it is empty or the kernel takes no more: 0, or a negative errno. */
static int
send_from_queue(StreamObject *self)
{
    struct iovec iov[MAX_VECTORS];
    while (self->queue.bytes > 0) {
        size_t total;
        int count = cv_stream_queue_peek(&self->queue, iov, MAX_VECTORS, &total);
        ssize_t sent = send_vectors(self->fd, iov, count);
        if (sent < 0) {
            return (int)sent;
        }
        cv_stream_queue_consume(&self->queue, (size_t)sent);
        if ((size_t)sent < total) {
            break;
        }
    }
    return 0;
}

/* The same; -1: the connection is lost, and it is dealt with. */
static int
send_queue(StreamObject *self)
{
    int status = send_from_queue(self);
    if (status < 0) {
        fail_write(self, status);
        return -1;
    }
    return 0;
}

void
cv_stream_offer_gathered(StreamObject *self)
{
    if (self->gather.pending) {
        cv_stream_end_gather(self);
        (void)send_from_queue(self);
    }
}

/* ---- the poll phase --------------------------------------------------------------------------------------------- */

/* The queue is empty: what was waiting for that. */
static int
on_drained(StreamObject *self)
{
    if (cv_stream_rewatch(self) < 0 || cv_stream_wake_empty_waiter(self, NULL) < 0) {
        return -1;
    }
    if (self->closing) {
        if (self->conn_lost > 0) { /* resume_writing() closed or aborted it: connection_lost is on its way */
            return 0;
        }
        self->conn_lost++;
        return cv_stream_finish(self, NULL);
    }
    if (self->wrote_eof && shutdown(self->fd, SHUT_WR) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return 0;
}

void
cv_stream_after_send(StreamObject *self)
{
    PyObject *loop = Py_NewRef(self->loop); /* connection_lost takes ours */
    int result = cv_stream_maybe_resume(self); /* may write more, or close */
    if (result == 0 && self->queue.bytes == 0 && !self->finished) {
        result = on_drained(self);
    }
    if (result < 0) {
        cv_loop_handle_error(loop, "Exception in a callback of a transport that has sent its queue", (PyObject *)self);
    }
    Py_DECREF(loop);
}

void
cv_stream_flush(StreamObject *self)
{
    if (send_queue(self) == 0) {
        cv_stream_after_send(self);
    }
}

/* ---- the methods of asyncio.WriteTransport ---------------------------------------------------------------------- */

int
cv_stream_count_lost_write(StreamObject *self)
{
    if (self->conn_lost++ < WARN_AFTER_LOST_WRITES) {
        return 0;
    }
    PyObject *done = PyObject_CallMethod(self->state->logger, "warning", "s", "socket.send() raised exception.");
    Py_XDECREF(done);
    return done != NULL ? 0 : -1;
}

static int
check_may_write(StreamObject *self, const char *method, const char *verb)
{
    if (self->wrote_eof) {
        PyErr_Format(PyExc_RuntimeError, "Cannot call %s() after write_eof()", method);
        return -1;
    }
    if (self->empty_waiter != NULL) {
        PyErr_Format(PyExc_RuntimeError, "unable to %s; sendfile is in progress", verb);
        return -1;
    }
    return 0;
}

/* Tries to send `data` at once; returns how much went. Negative: the connection is lost, and it is dealt with. */
static ssize_t
send_now(StreamObject *self, PyObject *data, Py_ssize_t *out_len)
{
    ssize_t sent;
    if (PyBytes_CheckExact(data)) {
        *out_len = PyBytes_GET_SIZE(data);
        sent = *out_len > 0 ? send_bytes(self->fd, PyBytes_AS_STRING(data), (size_t)*out_len) : 0;
    } else {
        Py_buffer view;
        if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
            cv_stream_fail(self, "Fatal write error on socket transport");
            return -1;
        }
        *out_len = view.len;
        sent = view.len > 0 ? send_bytes(self->fd, view.buf, (size_t)view.len) : 0;
        PyBuffer_Release(&view);
    }
    if (sent < 0) {
        fail_write(self, (int)sent);
    }
    return sent;
}

/* 1 when there is something to write, 0 when not, -1 for what cannot be written. */
static int
check_data(PyObject *data)
{
    if (PyBytes_CheckExact(data)) {
        return PyBytes_GET_SIZE(data) > 0;
    }
    if (!PyBytes_Check(data) && !PyByteArray_Check(data) && !PyMemoryView_Check(data)) {
        PyErr_Format(PyExc_TypeError, "data argument must be a bytes-like object, not '%s'", Py_TYPE(data)->tp_name);
        return -1;
    }
    return PyObject_IsTrue(data);
}

/* What was gathered goes before a write that does not wait: -1 when the connection is lost, which is dealt with. A
 * transport that is closing sends from its queue alone, as its end is told by that. */
static int
send_gathered(StreamObject *self)
{
    if (!self->gather.pending) {
        return 0;
    }
    cv_stream_end_gather(self);
    if (!self->closing && send_queue(self) < 0) {
        return -1;
    }
    if (cv_stream_rewatch(self) < 0) {
        cv_stream_fail(self, "Fatal write error on socket transport");
        return -1;
    }
    return 0;
}

PyObject *
cv_stream_write(PyObject *op, PyObject *data)
{
    StreamObject *self = (StreamObject *)op;
    int has_data = check_data(data);
    if (has_data < 0 || check_may_write(self, "write", "write") < 0) {
        return NULL;
    }
    if (!has_data) {
        Py_RETURN_NONE;
    }
    if (self->conn_lost > 0) {
        return cv_stream_count_lost_write(self) < 0 ? NULL : Py_NewRef(Py_None);
    }
    if (cv_stream_may_gather(self, data)) {
        return cv_stream_gather(self, data) < 0 ? NULL : Py_NewRef(Py_None);
    }
    if (send_gathered(self) < 0) {
        Py_RETURN_NONE;
    }
    size_t sent = 0;
    if (self->queue.bytes == 0) {
        Py_ssize_t len = 0;
        self->wrote_in = cv_loop_round(self->loop);
        ssize_t now = send_now(self, data, &len);
        if (now < 0 || now == len) {
            Py_RETURN_NONE;
        }
        sent = (size_t)now;
    }
    if (cv_stream_queue_push(&self->queue, data, sent) < 0 || cv_stream_rewatch(self) < 0
        || cv_stream_maybe_pause(self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Queues every item; all or none. */
static int
queue_items(StreamObject *self, PyObject *const *items, Py_ssize_t count)
{
    cv_stream_queue_t added = {0};
    for (Py_ssize_t i = 0; i < count; i++) {
        if (cv_stream_queue_push(&added, items[i], 0) < 0) {
            cv_stream_queue_clear(&added);
            return -1;
        }
    }
    if (self->queue.bytes == 0) {
        self->queue = added;
        return 0;
    }
    return cv_stream_queue_join(&self->queue, &added);
}

PyObject *
cv_stream_writelines(PyObject *op, PyObject *list)
{
    StreamObject *self = (StreamObject *)op;
    if (check_may_write(self, "writelines", "writelines") < 0) {
        return NULL;
    }
    PyObject *fast = PySequence_Fast(list, "writelines() argument must be an iterable of bytes-like objects");
    if (fast == NULL) {
        return NULL;
    }
    int result = 0;
    if (PySequence_Fast_GET_SIZE(fast) > 0 && self->conn_lost > 0) {
        result = cv_stream_count_lost_write(self);
    } else if (PySequence_Fast_GET_SIZE(fast) > 0) {
        bool at_once = self->queue.bytes == 0 || (self->gather.pending && !self->closing);
        result = queue_items(self, PySequence_Fast_ITEMS(fast), PySequence_Fast_GET_SIZE(fast));
        if (result == 0) {
            cv_stream_end_gather(self);
            self->wrote_in = cv_loop_round(self->loop);
        }
        if (result == 0 && (!at_once || send_queue(self) == 0)) {
            result = cv_stream_rewatch(self) < 0 ? -1 : cv_stream_maybe_pause(self);
        }
    }
    Py_DECREF(fast);
    return result < 0 ? NULL : Py_NewRef(Py_None);
}

PyObject *
cv_stream_write_eof(PyObject *op, PyObject *unused)
{
    (void)unused;
    StreamObject *self = (StreamObject *)op;
    if (self->closing || self->wrote_eof) {
        Py_RETURN_NONE;
    }
    self->wrote_eof = true;
    if (self->queue.bytes == 0 && shutdown(self->fd, SHUT_WR) < 0) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_RETURN_NONE;
}
