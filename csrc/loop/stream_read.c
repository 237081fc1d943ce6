/* SPDX-License-Identifier: MIT */
#include "loop/stream.h"

#include <errno.h>
#include <sys/socket.h>

#include "py/errors.h"

/* A small read goes into the shared buffer and is copied: that costs less than bytes that are cut afterwards. A large
 * one costs more to copy. A stream that brings so much at a time is read into bytes, with room for more than that. */
#define LARGE_READ 32768
#define LARGE_ROOM 65536

static const char data_received_failed[] = "Fatal error: protocol.data_received() call failed.";

int
cv_stream_rewatch(StreamObject *self)
{
    int events = 0;
    if (self->reading && !self->paused && !self->closing && !self->saw_eof) {
        events |= UV_READABLE;
    }
    if (self->queue.bytes > 0 && self->conn_lost == 0 && !self->gather.pending) {
        events |= UV_WRITABLE;
    }
    if (events == self->watched || self->fd < 0 || self->loop_gone) {
        return 0;
    }
    if (cv_loop_watch(self->loop, &self->watch, self->fd, events) < 0) {
        self->watched = 0;
        return -1;
    }
    self->watched = events;
    return 0;
}

/* recv that is not interrupted: bytes, 0 at the end, or a negative errno. */
static ssize_t
receive(int fd, void *data, size_t len)
{
    ssize_t got;
    do {
        got = recv(fd, data, len, 0);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

/* ---- the end of input ------------------------------------------------------------------------------------------- */

static void
on_eof(StreamObject *self)
{
    if (cv_stream_is_debug(self)) {
        cv_stream_log_debug(self, "%r received EOF");
    }
    self->saw_eof = true;
    PyObject *protocol = Py_NewRef(self->protocol);
    PyObject *answer = PyObject_CallMethodNoArgs(protocol, self->state->str_eof_received);
    int keep_open = answer != NULL ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    Py_DECREF(protocol);
    if (keep_open < 0) {
        cv_stream_fail(self, "Fatal error: protocol.eof_received() call failed.");
        return;
    }
    int result = keep_open ? cv_stream_rewatch(self) : cv_stream_close(self);
    if (result < 0) {
        cv_stream_fail(self, "Fatal read error on socket transport");
    }
}

/* What a read that brought no data means. */
static void
on_no_data(StreamObject *self, ssize_t status)
{
    if (status == 0) {
        on_eof(self);
    } else if (status != -EAGAIN && status != -EWOULDBLOCK) {
        (void)cv_error_set((int)status);
        cv_stream_fail(self, "Fatal read error on socket transport");
    }
}

/* ---- Protocol --------------------------------------------------------------------------------------------------- */

static size_t
next_room(size_t room, size_t got)
{
    if (room == 0) {
        return got < LARGE_READ ? 0 : LARGE_ROOM;
    }
    if (got == room) {
        return room < CV_STREAM_SCRATCH ? room * 2 : room;
    }
    if (got >= room / 4) {
        return room;
    }
    return room > LARGE_ROOM ? room / 2 : 0;
}

/* As recv, into bytes of its own: NULL when there are none, with MemoryError when the result is 1. */
static ssize_t
receive_bytes(StreamObject *self, PyObject **out_data)
{
    *out_data = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)self->room);
    if (*out_data == NULL) {
        return 1;
    }
    ssize_t got = receive(self->fd, PyBytes_AS_STRING(*out_data), self->room);
    if (got <= 0) {
        Py_CLEAR(*out_data);
    } else if ((size_t)got < self->room) {
        (void)_PyBytes_Resize(out_data, got);
    }
    return got <= 0 || *out_data != NULL ? got : 1;
}

static ssize_t
receive_and_copy(StreamObject *self, PyObject **out_data)
{
    ssize_t got = receive(self->fd, self->state->scratch, CV_STREAM_SCRATCH);
    *out_data = got > 0 ? PyBytes_FromStringAndSize(self->state->scratch, got) : NULL;
    return got;
}

/* Passes on what was received (stolen; NULL: there was no memory for it). */
static void
data_received(StreamObject *self, PyObject *data)
{
    if (data == NULL) {
        cv_stream_fail(self, "Fatal read error on socket transport");
        return;
    }
    PyObject *protocol = Py_NewRef(self->protocol);
    PyObject *done = PyObject_CallMethodOneArg(protocol, self->state->str_data_received, data);
    Py_DECREF(protocol);
    Py_DECREF(data);
    if (done == NULL) {
        cv_stream_fail(self, data_received_failed);
    }
    Py_XDECREF(done);
}

/* One read for each event, as in asyncio, so that a busy peer does not starve the others. */
static void
read_data(StreamObject *self)
{
    PyObject *data;
    ssize_t got = self->room > 0 ? receive_bytes(self, &data) : receive_and_copy(self, &data);
    if (got <= 0) {
        on_no_data(self, got);
        return;
    }
    self->room = next_room(self->room, (size_t)got);
    data_received(self, data);
}

/* The same for asyncio's stream reader, which keeps what it gets in a buffer of its own. */
static void
read_for_reader(StreamObject *self)
{
    char *scratch = self->state->scratch;
    ssize_t got = receive(self->fd, scratch, CV_STREAM_SCRATCH);
    if (got <= 0) {
        on_no_data(self, got);
        return;
    }
    PyObject *protocol = Py_NewRef(self->protocol);
    int taken = cv_stream_feed_reader(self, protocol, scratch, (size_t)got);
    Py_DECREF(protocol);
    if (taken < 0) {
        cv_stream_fail(self, data_received_failed);
    } else if (taken == 0) {
        data_received(self, PyBytes_FromStringAndSize(scratch, got));
    }
}

/* ---- BufferedProtocol ------------------------------------------------------------------------------------------- */

static int
get_buffer(StreamObject *self, PyObject *protocol, Py_buffer *out_view)
{
    PyObject *buffer = PyObject_CallMethodOneArg(protocol, self->state->str_get_buffer, self->state->minus_one);
    if (buffer == NULL) {
        return -1;
    }
    int result = PyObject_GetBuffer(buffer, out_view, PyBUF_WRITABLE);
    Py_DECREF(buffer);
    if (result == 0 && out_view->len == 0) {
        PyBuffer_Release(out_view);
        PyErr_SetString(PyExc_RuntimeError, "get_buffer() returned an empty buffer");
        return -1;
    }
    return result;
}

static void
buffer_updated(StreamObject *self, PyObject *protocol, ssize_t len)
{
    PyObject *count = PyLong_FromSsize_t(len);
    PyObject *done = NULL;
    if (count != NULL) {
        done = PyObject_CallMethodOneArg(protocol, self->state->str_buffer_updated, count);
        Py_DECREF(count);
    }
    if (done == NULL) {
        cv_stream_fail(self, "Fatal error: protocol.buffer_updated() call failed.");
    }
    Py_XDECREF(done);
}

static void
read_buffered(StreamObject *self)
{
    PyObject *protocol = Py_NewRef(self->protocol);
    Py_buffer view;
    if (get_buffer(self, protocol, &view) < 0) {
        cv_stream_fail(self, "Fatal error: protocol.get_buffer() call failed.");
    } else if (self->fd < 0 || self->conn_lost > 0) { /* get_buffer() aborted the transport */
        PyBuffer_Release(&view);
    } else {
        ssize_t got = receive(self->fd, view.buf, (size_t)view.len);
        PyBuffer_Release(&view);
        if (got > 0) {
            buffer_updated(self, protocol, got);
        } else {
            on_no_data(self, got);
        }
    }
    Py_DECREF(protocol);
}

/* ---- the poll phase --------------------------------------------------------------------------------------------- */

static void
handle_events(StreamObject *self, int events, const cv_stream_ready_t *ready)
{
    PyObject *loop = Py_NewRef(self->loop);
    bool debug = cv_stream_is_debug(self);
    double began = debug ? cv_loop_time() : 0;
    if ((events & UV_READABLE) && self->conn_lost == 0) {
        ready->read(self);
    }
    if ((events & UV_WRITABLE) && self->conn_lost == 0 && self->queue.bytes > 0) {
        ready->flush(self);
    }
    if (debug) {
        cv_stream_log_if_slow(self, loop, began);
    }
    Py_DECREF(loop);
}

void
cv_stream_handle_ready(StreamObject *self, int events, const cv_stream_ready_t *ready)
{
    events &= self->watched;
    if (events != 0) {
        cv_stream_in_context(self, events, ready);
    }
}

void
cv_stream_in_context(StreamObject *self, int events, const cv_stream_ready_t *ready)
{
    PyObject *context = Py_NewRef(self->context);
    Py_INCREF(self);
    if (PyContext_Enter(context) < 0) {
        cv_stream_fail(self, "Fatal error on transport");
    } else {
        handle_events(self, events, ready);
        if (PyContext_Exit(context) < 0) {
            PyErr_WriteUnraisable((PyObject *)self);
        }
    }
    Py_DECREF(self);
    Py_DECREF(context);
}

static void
read_ready(StreamObject *self)
{
    if (self->buffered) {
        read_buffered(self);
    } else if (self->feeds_reader) {
        read_for_reader(self);
    } else {
        read_data(self);
    }
}

void
cv_stream_on_ready(cv_loop_watch_t *watch, int events)
{
    static const cv_stream_ready_t ready = {.read = read_ready, .flush = cv_stream_flush};
    cv_stream_handle_ready(CV_CONTAINER_OF(watch, StreamObject, watch), events, &ready);
}
