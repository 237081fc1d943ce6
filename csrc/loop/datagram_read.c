/* SPDX-License-Identifier: MIT */
#include "loop/datagram.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "loop/loop_core.h"
#include "py/errors.h"

/* One event reads so many at most, so that others have their turn. */
#define MOST_AT_ONCE 32

/* A read that finds nothing costs as much as one that does, and most events bring one datagram: only every so many look
 * for a second one, until one finds it. */
#define LOOK_EVERY 8

/* ---- one datagram ----------------------------------------------------------------------------------------------- */

/* What Python shows of a sender (new reference); the same object as last time for the same address. */
static PyObject *
sender_object(DatagramObject *self, const cv_sock_address_t *sender)
{
    if (sender->len == 0) { /* a Unix socket without a name */
        Py_RETURN_NONE;
    }
    cv_datagram_address_t *last = &self->from;
    if (last->object == NULL || last->address.len != sender->len
        || memcmp(&last->address.storage, &sender->storage, sender->len) != 0) {
        PyObject *object = cv_sock_address_object(sender);
        if (object == NULL) {
            return NULL;
        }
        last->address = *sender;
        Py_XSETREF(last->object, object);
    }
    return Py_NewRef(last->object);
}

/* 1, 0 when there is none now, or -1. */
static int
receive(DatagramObject *self, PyObject **out_data, PyObject **out_address)
{
    if (!cv_sock_address_is_known(self->stream.family)) {
        return cv_datagram_receive_by_python(self, out_data, out_address);
    }
    char *scratch = self->stream.state->scratch;
    cv_sock_address_t sender;
    ssize_t got;
    do {
        sender.len = sizeof(sender.storage);
        got = recvfrom(self->stream.fd, scratch, CV_STREAM_SCRATCH, 0, (struct sockaddr *)&sender.storage, &sender.len);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : cv_error_set(-errno);
    }
    *out_data = PyBytes_FromStringAndSize(scratch, got);
    *out_address = *out_data != NULL ? sender_object(self, &sender) : NULL;
    if (*out_address == NULL) {
        Py_CLEAR(*out_data);
        return -1;
    }
    return 1;
}

static void
hand_over(DatagramObject *self, PyObject *data, PyObject *address)
{
    PyObject *protocol = Py_NewRef(self->stream.protocol);
    PyObject *args[] = {protocol, data, address};
    PyObject *done = PyObject_VectorcallMethod(self->stream.state->str_datagram_received, args, 3, NULL);
    Py_DECREF(protocol);
    if (done == NULL) {
        cv_loop_handle_error(self->stream.loop, "Exception in callback datagram_received() of a protocol",
                             (PyObject *)self);
    }
    Py_XDECREF(done);
}

static void
on_read_error(DatagramObject *self)
{
    if (!PyErr_ExceptionMatches(PyExc_OSError)) {
        cv_stream_fail(&self->stream, "Fatal read error on datagram transport");
    } else if (cv_datagram_tell_error(self) < 0) {
        cv_loop_handle_error(self->stream.loop, "Exception in callback error_received() of a protocol",
                             (PyObject *)self);
    }
}

/* ---- one event -------------------------------------------------------------------------------------------------- */

/* What a protocol did in a callback counts at once: it paused, closed, or ended the loop. */
static bool
may_read_on(DatagramObject *self)
{
    if (!(self->stream.watched & UV_READABLE)) {
        return false;
    }
    LoopCoreObject *loop = (LoopCoreObject *)self->stream.loop;
    return !loop->stopping && loop->fatal == NULL;
}

static void
read_many(StreamObject *stream)
{
    DatagramObject *self = (DatagramObject *)stream;
    bool looks = self->reads_many || ++self->events % LOOK_EVERY == 0;
    int most = looks ? MOST_AT_ONCE : 1;
    int count = 0;
    do {
        PyObject *data, *address;
        int status = receive(self, &data, &address);
        if (status == 0) {
            break;
        }
        if (status < 0) {
            on_read_error(self); /* once for an event: it may be there again */
            break;
        }
        hand_over(self, data, address);
        Py_DECREF(data);
        Py_DECREF(address);
        count++;
    } while (count < most && may_read_on(self));
    self->reads_many = count > 1;
}

/* ---- what the loop calls ---------------------------------------------------------------------------------------- */

static const cv_stream_ready_t on_event = {.read = read_many, .flush = cv_datagram_flush};

PyObject *
cv_datagram_read_ready(PyObject *op, PyObject *unused)
{
    (void)unused;
    cv_stream_handle_ready((StreamObject *)op, UV_READABLE, &on_event);
    Py_RETURN_NONE;
}

static int
schedule_read(StreamObject *stream)
{
    PyObject *read = PyObject_GetAttr((PyObject *)stream, stream->state->str__read_ready);
    int result = read != NULL ? cv_loop_call_soon(stream->loop, read, NULL, NULL) : -1;
    Py_XDECREF(read);
    return result;
}

void
cv_datagram_on_ready(cv_loop_watch_t *watch, int events)
{
    StreamObject *stream = CV_CONTAINER_OF(watch, StreamObject, watch);
    if ((events & UV_READABLE) && ((LoopCoreObject *)stream->loop)->ready.count > 0) {
        events &= ~UV_READABLE;
        if (schedule_read(stream) < 0) {
            cv_loop_handle_error(stream->loop, "Reading datagrams failed", (PyObject *)stream);
        }
    }
    cv_stream_handle_ready(stream, events, &on_event);
}
