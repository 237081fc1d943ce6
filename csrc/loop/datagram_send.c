/* SPDX-License-Identifier: MIT */
#include "loop/datagram.h"

#include <errno.h>
#include <sys/socket.h>

#include "loop/loop_core.h"
#include "py/errors.h"

#ifdef MSG_NOSIGNAL
#define SEND_FLAGS MSG_NOSIGNAL
#else
#define SEND_FLAGS 0 /* CPython ignores SIGPIPE */
#endif

/* ---- one datagram ----------------------------------------------------------------------------------------------- */

/* The kernel's form of an address (borrowed until the next call); NULL when only the socket module can tell. */
static const cv_sock_address_t *
find_address(DatagramObject *self, PyObject *object)
{
    if (object == self->from.object) {
        return &self->from.address;
    }
    if (object != self->to.object) {
        cv_sock_address_t parsed;
        if (!cv_sock_address_parse(self->stream.family, object, &parsed)) {
            return NULL;
        }
        self->to.address = parsed;
        Py_XSETREF(self->to.object, Py_NewRef(object));
    }
    return &self->to.address;
}

/* A connected socket sends to its peer whatever it is told, as in asyncio; where the peer is a Unix socket without a
 * name, an address that is given counts. */
static bool
needs_address(DatagramObject *self, PyObject *address)
{
    return !self->connected && (address != Py_None || self->stream.peername == Py_None);
}

/* 1, 0 when the kernel takes none now, or a negative errno. */
static int
send_bytes(int fd, const void *data, size_t len, const cv_sock_address_t *to)
{
    const struct sockaddr *name = to != NULL ? (const struct sockaddr *)&to->storage : NULL;
    ssize_t sent;
    do {
        sent = sendto(fd, data, len, SEND_FLAGS, name, to != NULL ? to->len : 0);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
    }
    return 1;
}

/* 1, 0 when the kernel takes none now, or -1. */
static int
send_datagram(DatagramObject *self, PyObject *data, PyObject *address)
{
    const cv_sock_address_t *to = NULL;
    if (needs_address(self, address) && (to = find_address(self, address)) == NULL) {
        return cv_datagram_send_by_python(self, data, address);
    }
    int status;
    if (PyBytes_CheckExact(data)) {
        status = send_bytes(self->stream.fd, PyBytes_AS_STRING(data), (size_t)PyBytes_GET_SIZE(data), to);
    } else {
        Py_buffer view;
        if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
            return -1;
        }
        status = send_bytes(self->stream.fd, view.buf, (size_t)view.len, to);
        PyBuffer_Release(&view);
    }
    return status < 0 ? cv_error_set(status) : status;
}

/* ---- what goes wrong -------------------------------------------------------------------------------------------- */

int
cv_datagram_tell_error(DatagramObject *self)
{
    PyObject *exception = cv_error_take();
    PyObject *protocol = Py_NewRef(self->stream.protocol);
    PyObject *done = PyObject_CallMethodOneArg(protocol, self->stream.state->str_error_received, exception);
    Py_DECREF(protocol);
    Py_DECREF(exception);
    Py_XDECREF(done);
    return done != NULL ? 0 : -1;
}

/* An OSError is the protocol's business, everything else ends the transport. -1: what the protocol raised, or what
 * leaves the loop. */
static int
on_send_error(DatagramObject *self)
{
    if (PyErr_ExceptionMatches(PyExc_OSError)) {
        return cv_datagram_tell_error(self);
    }
    if (cv_loop_exception_is_fatal()) {
        return -1;
    }
    cv_stream_fail(&self->stream, "Fatal write error on datagram transport");
    return 0;
}

/* ---- the queue -------------------------------------------------------------------------------------------------- */

/* Sends from the queue until it is empty or the kernel takes no more; what it refuses is lost. */
static void
send_queue(DatagramObject *self)
{
    const cv_stream_piece_t *first;
    while (self->stream.conn_lost == 0 && (first = cv_stream_queue_first(&self->stream.queue)) != NULL) {
        PyObject *data = Py_NewRef(first->owner);
        PyObject *address = Py_NewRef(first->address);
        int status = send_datagram(self, data, address);
        Py_DECREF(data);
        Py_DECREF(address);
        if (status == 0) {
            return;
        }
        cv_stream_queue_drop_datagram(&self->stream.queue);
        if (status < 0 && on_send_error(self) < 0) {
            cv_loop_handle_error(self->stream.loop, "Exception in callback error_received() of a protocol",
                                 (PyObject *)self);
            return;
        }
    }
}

void
cv_datagram_flush(StreamObject *stream)
{
    send_queue((DatagramObject *)stream);
    if (stream->conn_lost == 0) {
        cv_stream_after_send(stream);
    }
}

static int
queue_datagram(DatagramObject *self, PyObject *data, PyObject *address)
{
    PyObject *bytes = PyBytes_FromObject(data);
    int result = bytes != NULL ? cv_stream_queue_push_datagram(&self->stream.queue, bytes, address) : -1;
    Py_XDECREF(bytes);
    if (result < 0 || cv_stream_rewatch(&self->stream) < 0) {
        return -1;
    }
    return cv_stream_maybe_pause(&self->stream);
}

/* ---- sendto() --------------------------------------------------------------------------------------------------- */

typedef struct {
    PyObject *data;
    PyObject *addr;
} sendto_args_t;

static int
take_keyword(StreamStateObject *state, PyObject *name, PyObject *value, sendto_args_t *out_args)
{
    PyObject **place = PyUnicode_Compare(name, state->str_data) == 0 ? &out_args->data
        : PyUnicode_Compare(name, state->str_addr) == 0              ? &out_args->addr
                                                                     : NULL;
    if (place == NULL || *place != NULL) {
        PyErr_Format(PyExc_TypeError, "sendto() got %s '%U'",
                     place == NULL ? "an unexpected keyword argument" : "multiple values for argument", name);
        return -1;
    }
    *place = value;
    return 0;
}

static int
parse_args(StreamStateObject *state, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
           sendto_args_t *out_args)
{
    *out_args = (sendto_args_t){.data = nargs > 0 ? args[0] : NULL, .addr = nargs > 1 ? args[1] : NULL};
    if (nargs > 2) {
        PyErr_Format(PyExc_TypeError, "sendto() takes data and addr (%zd arguments given)", nargs);
        return -1;
    }
    Py_ssize_t nkeywords = kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t i = 0; i < nkeywords; i++) {
        if (take_keyword(state, PyTuple_GET_ITEM(kwnames, i), args[nargs + i], out_args) < 0) {
            return -1;
        }
    }
    if (out_args->data == NULL) {
        PyErr_SetString(PyExc_TypeError, "sendto() missing 1 required positional argument: 'data'");
        return -1;
    }
    if (out_args->addr == NULL) {
        out_args->addr = Py_None;
    }
    return 0;
}

static int
check_data(PyObject *data)
{
    if (PyBytes_Check(data) || PyByteArray_Check(data) || PyMemoryView_Check(data)) {
        return 0;
    }
    PyErr_Format(PyExc_TypeError, "data argument must be a bytes-like object, not '%s'", Py_TYPE(data)->tp_name);
    return -1;
}

/* A transport that was opened with an address sends there only. */
static int
check_address(DatagramObject *self, PyObject *addr)
{
    int is_remote = addr == Py_None ? 1 : PyObject_RichCompareBool(addr, self->remote, Py_EQ);
    if (is_remote == 0) {
        PyErr_Format(PyExc_ValueError, "Invalid address: must be None or %S", self->remote);
    }
    return is_remote == 1 ? 0 : -1;
}

/* Sends at once what the kernel takes, or queues it. */
static int
send_or_queue(DatagramObject *self, PyObject *data, PyObject *addr)
{
    if (self->stream.queue.bytes == 0) {
        int status = send_datagram(self, data, addr);
        if (status != 0) {
            return status < 0 ? on_send_error(self) : 0;
        }
    }
    if (self->stream.conn_lost > 0) { /* aborted: it cannot wait for the kernel any more */
        return 0;
    }
    return queue_datagram(self, data, addr);
}

PyObject *
cv_datagram_sendto(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    DatagramObject *self = (DatagramObject *)op;
    sendto_args_t given;
    if (parse_args(self->stream.state, args, nargs, kwnames, &given) < 0 || check_data(given.data) < 0) {
        return NULL;
    }
#if CV_DATAGRAM_HEADER == 0
    Py_ssize_t size = PyObject_Size(given.data);
    if (size <= 0) {
        return size < 0 ? NULL : Py_NewRef(Py_None);
    }
#endif
    if (self->remote != NULL) {
        if (check_address(self, given.addr) < 0) {
            return NULL;
        }
        given.addr = self->remote;
    }
    int result;
    if (self->stream.fd < 0 || (self->stream.conn_lost > 0 && self->remote != NULL)) {
        result = cv_stream_count_lost_write(&self->stream);
    } else {
        result = send_or_queue(self, given.data, given.addr);
    }
    return result < 0 ? NULL : Py_NewRef(Py_None);
}
