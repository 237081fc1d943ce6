/* SPDX-License-Identifier: MIT
 *
 * StreamAcceptor: makes streams of what arrives at one listening socket.
 */
#ifdef __linux__
#define _GNU_SOURCE /* accept4 */
#endif
#include "loop/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <structmember.h>
#include <sys/socket.h>
#include <unistd.h>

#include "py/errors.h"

#define MAX_BATCH 64     /* connections of one turn, so that others get theirs */
#define RETRY_DELAY 1.0  /* seconds; asyncio.constants.ACCEPT_RETRY_DELAY */

typedef struct {
    PyObject_HEAD
    PyObject *weakrefs;

    /* set once; all strong */
    StreamStateObject *state;
    PyObject *loop;
    PyObject *context;
    PyObject *sock;       /* the listening socket */
    PyObject *factory;    /* makes a protocol for each connection */
    PyObject *server;     /* or NULL */
    PyObject *on_accept;  /* called with the accepted socket instead of all that (TLS), or NULL */
    int fd;
    int proto;
    long batch;

    cv_loop_watch_t watch;
    cv_loop_guest_t guest;
    bool stopped;
} AcceptorObject;

/* ---- accepting -------------------------------------------------------------------------------------------------- */

/* A non-blocking, close-on-exec descriptor, or a negative errno. */
static int
accept_one(int listener, cv_sock_address_t *address)
{
    address->len = sizeof(address->storage);
    int fd;
    do {
#ifdef __linux__
        fd = accept4(listener, (struct sockaddr *)&address->storage, &address->len, SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
        fd = accept(listener, (struct sockaddr *)&address->storage, &address->len);
#endif
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        return -errno;
    }
#ifndef __linux__
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        int error = errno;
        (void)close(fd);
        return -error;
    }
#endif
    return fd;
}

/* asyncio reports a failed set-up of one connection in debug mode only; the peer sees it closed. */
static void
report_failure(AcceptorObject *self, PyObject *protocol)
{
    if (PyErr_ExceptionMatches(PyExc_SystemExit) || PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
        cv_loop_handle_error(self->loop, "accept", self->server);
        return;
    }
    PyObject *exception = cv_error_take();
    PyObject *debug = PyObject_CallMethodNoArgs(self->loop, self->state->str_get_debug);
    PyObject *done = debug == NULL ? NULL : Py_NewRef(Py_None);
    if (debug == Py_True) {
        PyObject *context = Py_BuildValue("{sssO}", "message", "Error on transport creation for incoming connection",
                                          "exception", exception);
        if (context != NULL && protocol != NULL && PyDict_SetItemString(context, "protocol", protocol) < 0) {
            Py_CLEAR(context);
        }
        Py_SETREF(done, NULL);
        if (context != NULL) {
            done = PyObject_CallMethodOneArg(self->loop, self->state->str_call_exception_handler, context);
            Py_DECREF(context);
        }
    }
    if (done == NULL) {
        cv_loop_handle_error(self->loop, "Error on transport creation for incoming connection", self->server);
    }
    Py_XDECREF(done);
    Py_XDECREF(debug);
    Py_DECREF(exception);
}

static void
open_stream(AcceptorObject *self, int fd, const cv_sock_address_t *peer)
{
    PyObject *protocol = PyObject_CallNoArgs(self->factory);
    PyObject *stream = NULL;
    if (protocol != NULL) {
        cv_stream_args_t args = {
            .loop = self->loop,
            .protocol = protocol,
            .server = self->server,
            .peer = peer,
            .fd = fd,
            .proto = self->proto,
        };
        stream = cv_stream_open(self->state, &args);
    }
    if (stream == NULL) {
        report_failure(self, protocol);
        (void)close(fd);
    }
    Py_XDECREF(stream);
    Py_XDECREF(protocol);
}

/* Gives the connection to Python, as a socket object. */
static void
hand_over(AcceptorObject *self, int fd, const cv_sock_address_t *peer)
{
    int type = SOCK_STREAM;
#ifdef SOCK_NONBLOCK
    type |= SOCK_NONBLOCK;
#endif
    PyObject *sock = PyObject_CallFunction(self->state->socket_type, "iiii", (int)peer->storage.ss_family, type,
                                           self->proto, fd);
    if (sock == NULL) {
        (void)close(fd);
        report_failure(self, NULL);
        return;
    }
    PyObject *done = PyObject_CallOneArg(self->on_accept, sock);
    if (done == NULL) {
        report_failure(self, NULL);
    }
    Py_XDECREF(done);
    Py_DECREF(sock);
}

/* Each connection has a copy of the context in which serving began, as asyncio's accepting tasks have. */
static void
take_connection(AcceptorObject *self, int fd, const cv_sock_address_t *peer)
{
    PyObject *context = PyContext_Copy(self->context);
    if (context == NULL || PyContext_Enter(context) < 0) {
        report_failure(self, NULL);
        (void)close(fd);
        Py_XDECREF(context);
        return;
    }
    if (self->on_accept != NULL) {
        hand_over(self, fd, peer);
    } else {
        open_stream(self, fd, peer);
    }
    if (PyContext_Exit(context) < 0) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    Py_DECREF(context);
}

/* No descriptors or memory: the listener would be ready again and again, so it rests for a second. */
static int
rest(AcceptorObject *self)
{
    cv_loop_unwatch(self->loop, &self->watch, self->fd);
    PyObject *exception = cv_error_take();
    PyObject *face = PyObject_CallOneArg(self->state->transport_socket, self->sock);
    PyObject *context = face == NULL
        ? NULL
        : Py_BuildValue("{sssOsO}", "message", "socket.accept() out of system resource", "exception", exception,
                        "socket", face);
    PyObject *done = NULL;
    if (context != NULL) {
        done = PyObject_CallMethodOneArg(self->loop, self->state->str_call_exception_handler, context);
    }
    Py_XDECREF(context);
    Py_XDECREF(face);
    Py_DECREF(exception);
    if (done == NULL) {
        return -1;
    }
    Py_DECREF(done);
    PyObject *start = PyObject_GetAttr((PyObject *)self, self->state->str_start);
    PyObject *timer = start != NULL ? PyObject_CallMethod(self->loop, "call_later", "dO", RETRY_DELAY, start) : NULL;
    Py_XDECREF(start);
    Py_XDECREF(timer);
    return timer != NULL ? 0 : -1;
}

/* Deals with a failed accept; true when there may be more to accept. */
static bool
survive(AcceptorObject *self, int error)
{
    if (error == EAGAIN || error == EWOULDBLOCK) {
        return false;
    }
    if (error == ECONNABORTED) { /* this one went while it waited */
        return true;
    }
    (void)cv_error_set(-error);
    if (error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM) {
        cv_loop_handle_error(self->loop, "Exception in accept()", self->server);
    } else if (rest(self) < 0) {
        cv_loop_handle_error(self->loop, "socket.accept() out of system resource", self->server);
    }
    return false;
}

static void
acceptor_on_ready(cv_loop_watch_t *watch, int events)
{
    (void)events;
    AcceptorObject *self = CV_CONTAINER_OF(watch, AcceptorObject, watch);
    Py_INCREF(self);
    for (long i = 0; i < self->batch && !self->stopped; i++) {
        cv_sock_address_t peer;
        int fd = accept_one(self->fd, &peer);
        if (fd >= 0) {
            take_connection(self, fd, &peer);
        } else if (!survive(self, -fd)) {
            break;
        }
    }
    Py_DECREF(self);
}

/* ---- methods ---------------------------------------------------------------------------------------------------- */

static void
acceptor_leave(AcceptorObject *self)
{
    self->stopped = true;
    if (self->loop != NULL && cv_list_is_linked(&self->guest.node)) {
        cv_loop_dismiss(self->loop, &self->guest);
        cv_loop_unwatch(self->loop, &self->watch, self->fd);
    }
}

static void
guest_close(cv_loop_guest_t *guest)
{
    AcceptorObject *self = CV_CONTAINER_OF(guest, AcceptorObject, guest);
    cv_loop_unwatch(self->loop, &self->watch, self->fd);
    self->stopped = true;
}

static PyObject *
acceptor_start(PyObject *op, PyObject *unused)
{
    (void)unused;
    AcceptorObject *self = (AcceptorObject *)op;
    if (self->stopped) {
        Py_RETURN_NONE;
    }
    if (!cv_list_is_linked(&self->guest.node)) {
        cv_loop_admit(self->loop, &self->guest);
    }
    return cv_loop_watch(self->loop, &self->watch, self->fd, UV_READABLE) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
acceptor_stop(PyObject *op, PyObject *unused)
{
    (void)unused;
    acceptor_leave((AcceptorObject *)op);
    Py_RETURN_NONE;
}

static int
acceptor_fill(AcceptorObject *self, PyObject *on_accept, PyObject *server, long backlog)
{
    PyObject *proto = PyObject_GetAttrString(self->sock, "proto");
    self->proto = proto != NULL ? (int)PyLong_AsLong(proto) : -1;
    Py_XDECREF(proto);
    self->fd = PyErr_Occurred() ? -1 : PyObject_AsFileDescriptor(self->sock);
    if (self->fd < 0) {
        return -1;
    }
    self->on_accept = on_accept != Py_None ? Py_NewRef(on_accept) : NULL;
    self->server = server != Py_None ? Py_NewRef(server) : NULL;
    self->batch = backlog < 1 ? 1 : backlog < MAX_BATCH ? backlog
                                                        : MAX_BATCH;
    self->watch.ready = acceptor_on_ready;
    self->guest.close = guest_close;
    self->context = PyContext_CopyCurrent();
    self->state = cv_stream_state_of(Py_TYPE(self));
    return self->context == NULL || self->state == NULL ? -1 : 0;
}

static PyObject *
acceptor_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"loop", "sock", "protocol_factory", "server", "backlog", "on_accept", NULL};
    PyObject *loop, *sock, *factory, *server = Py_None, *on_accept = Py_None;
    long backlog = 100;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|OlO:StreamAcceptor", names, &loop, &sock, &factory, &server,
                                     &backlog, &on_accept)) {
        return NULL;
    }
    if (!cv_loop_check(loop)) {
        PyErr_Format(PyExc_TypeError, "loop must be a cuvee loop, not %.100s", Py_TYPE(loop)->tp_name);
        return NULL;
    }
    AcceptorObject *self = (AcceptorObject *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    cv_list_init(&self->guest.node);
    self->loop = Py_NewRef(loop);
    self->sock = Py_NewRef(sock);
    self->factory = Py_NewRef(factory);
    if (acceptor_fill(self, on_accept, server, backlog) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int
acceptor_traverse(PyObject *op, visitproc visit, void *arg)
{
    AcceptorObject *self = (AcceptorObject *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->state);
    Py_VISIT(self->loop);
    Py_VISIT(self->context);
    Py_VISIT(self->sock);
    Py_VISIT(self->factory);
    Py_VISIT(self->server);
    Py_VISIT(self->on_accept);
    return 0;
}

static int
acceptor_clear(PyObject *op)
{
    AcceptorObject *self = (AcceptorObject *)op;
    acceptor_leave(self);
    Py_CLEAR(self->context);
    Py_CLEAR(self->sock);
    Py_CLEAR(self->factory);
    Py_CLEAR(self->server);
    Py_CLEAR(self->on_accept);
    Py_CLEAR(self->loop);
    return 0;
}

static void
acceptor_dealloc(PyObject *op)
{
    AcceptorObject *self = (AcceptorObject *)op;
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    (void)acceptor_clear(op);
    Py_CLEAR(self->state);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMemberDef acceptor_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(AcceptorObject, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef acceptor_methods[] = {
    {"start", acceptor_start, METH_NOARGS, PyDoc_STR("start($self)\n--\n\nAccept, unless stop() was called.")},
    {"stop", acceptor_stop, METH_NOARGS, PyDoc_STR("stop($self)\n--\n\nAccept no more; the socket stays open.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot acceptor_slots[] = {
    {Py_tp_doc, "StreamAcceptor(loop, sock, protocol_factory, server=None, backlog=100, on_accept=None)\n--\n\n"
                "Makes a StreamTransport of each connection that arrives at a listening socket, or gives its socket to "
                "on_accept."},
    {Py_tp_new, acceptor_new},
    {Py_tp_traverse, acceptor_traverse},
    {Py_tp_clear, acceptor_clear},
    {Py_tp_dealloc, acceptor_dealloc},
    {Py_tp_methods, acceptor_methods},
    {Py_tp_members, acceptor_members},
    {0, NULL},
};

static PyType_Spec acceptor_spec = {
    .name = "cuvee._core.StreamAcceptor",
    .basicsize = sizeof(AcceptorObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = acceptor_slots,
};

PyTypeObject *
cv_stream_make_acceptor_type(PyObject *module)
{
    return (PyTypeObject *)PyType_FromModuleAndSpec(module, &acceptor_spec, NULL);
}
