/* SPDX-License-Identifier: MIT */
#include "loop/stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "loop/sock_address.h"
#include "py/errors.h"

#define DEFAULT_HIGH_WATER 65536

/* An address as Python shows it; NULL is None: there is no such name, the peer has gone already. */
static PyObject *
socket_name(StreamObject *self, const cv_sock_address_t *address, PyObject *method)
{
    if (address == NULL) {
        Py_RETURN_NONE;
    }
    if (cv_sock_address_is_known(address->storage.ss_family)) {
        return cv_sock_address_object(address);
    }
    PyObject *sock = cv_stream_socket(self); /* a family that only the socket module knows */
    PyObject *name = sock != NULL ? PyObject_CallMethodNoArgs(sock, method) : NULL;
    if (name == NULL && PyErr_Occurred() && PyErr_ExceptionMatches(PyExc_OSError)) {
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    return name;
}

static int
name_socket(StreamObject *self, const cv_sock_address_t *peer)
{
    cv_sock_address_t here = {.len = sizeof(here.storage)};
    cv_sock_address_t there = {.len = sizeof(there.storage)};
    bool has_name = getsockname(self->fd, (struct sockaddr *)&here.storage, &here.len) == 0;
    if (peer == NULL && getpeername(self->fd, (struct sockaddr *)&there.storage, &there.len) == 0) {
        peer = &there;
    }
    self->family = has_name ? here.storage.ss_family : AF_UNSPEC;
    self->sockname = socket_name(self, has_name ? &here : NULL, self->state->str_getsockname);
    self->peername = self->sockname != NULL ? socket_name(self, peer, self->state->str_getpeername) : NULL;
    return self->peername != NULL ? 0 : -1;
}

/* Small writes go out at once. A stream that is not TCP refuses, which is fine. */
static void
set_nodelay(StreamObject *self)
{
    if (self->family == AF_INET || self->family == AF_INET6) {
        int on = 1;
        (void)setsockopt(self->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
}

static void
guest_close(cv_loop_guest_t *guest)
{
    StreamObject *self = CV_CONTAINER_OF(guest, StreamObject, guest);
    cv_loop_unwatch(self->loop, &self->watch, self->fd);
    cv_loop_release_fd(self->loop, self->fd, (PyObject *)self);
    self->watched = 0;
    self->loop_gone = true;
    cv_stream_leave(self); /* the last reference may go with this */
}

int
cv_stream_set_protocol(StreamObject *self, PyObject *protocol)
{
    int buffered = PyObject_IsInstance(protocol, self->state->buffered_protocol);
    int feeds_reader = buffered < 0 ? -1 : cv_stream_is_reader_protocol(self->state, protocol);
    if (feeds_reader < 0) {
        return -1;
    }
    self->buffered = buffered != 0;
    self->feeds_reader = feeds_reader != 0;
    self->known_reader = NULL;
    Py_XSETREF(self->protocol, Py_NewRef(protocol));
    return 0;
}

PyObject *
cv_stream_socket(StreamObject *self)
{
    if (self->sock == NULL && self->fd >= 0) {
        int type = SOCK_STREAM;
#ifdef SOCK_NONBLOCK
        type |= SOCK_NONBLOCK; /* tells the socket object that it need not wait */
#endif
        self->sock = PyObject_CallFunction(self->state->socket_type, "iiii", self->family, type, self->proto, self->fd);
    }
    return self->sock;
}

/* A socket that its giver closes must stay open, or our number would soon be somebody else's connection. */
static int
hold_socket(StreamObject *self, PyObject *sock)
{
    self->sock = Py_NewRef(sock);
    PyObject *args[] = {sock, self->state->str_rb, PyLong_FromLong(0)};
    if (args[2] == NULL) {
        return -1;
    }
    self->sock_hold = PyObject_VectorcallMethod(self->state->str_makefile, args, 3, NULL);
    Py_DECREF(args[2]);
    return self->sock_hold != NULL ? 0 : -1;
}

static int
join_loop(StreamObject *self)
{
    if (cv_loop_claim_fd(self->loop, self->fd, (PyObject *)self) < 0) {
        return -1;
    }
    self->guest.close = guest_close;
    cv_loop_admit(self->loop, &self->guest);
    PyObject *streams = cv_stream_open_streams(self);
    PyObject *key = streams != NULL ? PyLong_FromLong(self->fd) : NULL;
    int result = key != NULL ? PyDict_SetItem(streams, key, (PyObject *)self) : -1;
    Py_XDECREF(key);
    Py_XDECREF(streams);
    return result;
}

int
cv_stream_start(StreamObject *self)
{
    PyObject *made = PyObject_GetAttr(self->protocol, self->state->str_connection_made);
    PyObject *begin = made != NULL ? PyObject_GetAttr((PyObject *)self, self->state->str__begin_reading) : NULL;
    int result = -1;
    if (begin != NULL && cv_loop_call_soon(self->loop, made, (PyObject *)self, NULL) == 0) {
        result = cv_loop_call_soon(self->loop, begin, NULL, NULL);
    }
    Py_XDECREF(made);
    Py_XDECREF(begin);
    return result;
}

static int
attach_server(StreamObject *self, PyObject *server)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *done = PyObject_CallMethodOneArg(server, self->state->str__attach, (PyObject *)self);
#else
    PyObject *done = PyObject_CallMethodNoArgs(server, self->state->str__attach);
#endif
    if (done == NULL) {
        return -1;
    }
    Py_DECREF(done);
    self->server = Py_NewRef(server);
    return 0;
}

static int
fill(StreamObject *self, const cv_stream_args_t *args)
{
    self->fd = self->number = args->fd;
    self->proto = args->proto;
    self->waiter = Py_XNewRef(args->waiter);
    self->base.extra = Py_XNewRef(args->extra);
    self->high_water = DEFAULT_HIGH_WATER;
    self->low_water = DEFAULT_HIGH_WATER / 4;
    if ((self->context = PyContext_CopyCurrent()) == NULL
        || (args->sock != NULL && hold_socket(self, args->sock) < 0)
        || cv_stream_set_protocol(self, args->protocol) < 0
        || name_socket(self, args->peer) < 0) {
        return -1;
    }
    return join_loop(self);
}

/* What was made of the stream so far goes, under the exception that is set; the descriptor stays the caller's. */
void
cv_stream_give_up(StreamObject *self)
{
    PyObject *exception = cv_error_take();
    cv_stream_leave(self);
    if (self->sock != NULL && self->sock_hold == NULL) { /* made by us: it must not close the caller's descriptor */
        PyObject *done = PyObject_CallMethod(self->sock, "detach", NULL);
        if (done == NULL) {
            PyErr_Clear();
        }
        Py_XDECREF(done);
    }
    Py_CLEAR(self->sock_hold);
    Py_CLEAR(self->sock);
    self->fd = -1;
    self->finished = true;
    cv_error_give(exception);
    Py_DECREF(self);
}

StreamObject *
cv_stream_join(PyTypeObject *type, StreamStateObject *state, const cv_stream_args_t *args)
{
    StreamObject *self = (StreamObject *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->fd = -1;
    self->state = (StreamStateObject *)Py_NewRef(state);
    self->loop = Py_NewRef(args->loop);
    cv_list_init(&self->guest.node);
    cv_list_init(&self->gather.node);
    if (fill(self, args) < 0) {
        cv_stream_give_up(self);
        return NULL;
    }
    return self;
}

PyObject *
cv_stream_open(StreamStateObject *state, const cv_stream_args_t *args)
{
    StreamObject *self = cv_stream_join(state->stream_type, state, args);
    if (self == NULL) {
        return NULL;
    }
    self->watch.ready = cv_stream_on_ready;
    if (args->server != NULL && attach_server(self, args->server) < 0) {
        cv_stream_give_up(self);
        return NULL;
    }
    set_nodelay(self);
    if (cv_stream_start(self) < 0) {
        cv_stream_detach_server(self);
        cv_stream_give_up(self);
        return NULL;
    }
    return (PyObject *)self;
}
