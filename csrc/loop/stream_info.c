/* SPDX-License-Identifier: MIT */
#include "loop/stream.h"

#include <string.h>

PyObject *
cv_stream_repr(PyObject *op)
{
    StreamObject *self = (StreamObject *)op;
    const char *name = strrchr(Py_TYPE(op)->tp_name, '.') + 1;
    const char *phase = self->fd < 0 ? " closed" : self->closing ? " closing"
                                                                 : "";
    if (self->loop == NULL || self->loop_gone) {
        return PyUnicode_FromFormat("<%s%s fd=%d>", name, phase, self->number);
    }
    const char *reads = self->watched & UV_READABLE ? "polling" : "idle";
    const char *writes = self->watched & UV_WRITABLE ? "polling" : "idle";
    return PyUnicode_FromFormat("<%s%s fd=%d read=%s write=<%s, bufsize=%zu>>", name, phase, self->number,
                                reads, writes, self->queue.bytes);
}

/* ---- get_extra_info ---------------------------------------------------------------------------------------------- */

/* The TransportSocket (borrowed); NULL without an exception when the socket was closed before anybody asked. */
static PyObject *
socket_face(StreamObject *self)
{
    if (self->sock_face == NULL) {
        PyObject *sock = cv_stream_socket(self);
        if (sock != NULL) {
            self->sock_face = PyObject_CallOneArg(self->state->transport_socket, sock);
        }
    }
    return self->sock_face;
}

/* What asyncio keeps in every transport's `extra` (new reference); NULL without an exception when it has no `name`. */
static PyObject *
standard_extra(StreamObject *self, PyObject *name)
{
    if (PyUnicode_Compare(name, self->state->str_socket) == 0) {
        return Py_XNewRef(socket_face(self));
    }
    if (PyUnicode_Compare(name, self->state->str_peername) == 0) {
        return Py_NewRef(self->peername);
    }
    if (PyUnicode_Compare(name, self->state->str_sockname) == 0) {
        return Py_NewRef(self->sockname);
    }
    return NULL;
}

PyObject *
cv_stream_get_extra_info(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"name", "default", NULL};
    StreamObject *self = (StreamObject *)op;
    PyObject *name, *fallback = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:get_extra_info", names, &name, &fallback)) {
        return NULL;
    }
    PyObject *found = NULL;
    if (self->base.extra != NULL) {
        found = Py_XNewRef(PyDict_GetItemWithError(self->base.extra, name)); /* borrowed-ref OK: taken at once */
    }
    if (found == NULL && !PyErr_Occurred() && PyUnicode_Check(name)) {
        found = standard_extra(self, name);
    }
    if (found == NULL && !PyErr_Occurred()) {
        found = Py_NewRef(fallback);
    }
    return found;
}

/* ---- attributes that asyncio and its users look at -------------------------------------------------------------- */

static PyObject *
stream_get_sock(PyObject *op, void *unused)
{
    (void)unused;
    PyObject *sock = cv_stream_socket((StreamObject *)op);
    if (sock == NULL && PyErr_Occurred()) {
        return NULL;
    }
    return Py_NewRef(sock != NULL ? sock : Py_None);
}

static PyObject *
stream_get_loop(PyObject *op, void *unused)
{
    (void)unused;
    StreamObject *self = (StreamObject *)op;
    return Py_NewRef(self->loop != NULL ? self->loop : Py_None);
}

static PyObject *
stream_get_is_protocol_paused(PyObject *op, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((StreamObject *)op)->protocol_paused);
}

static PyObject *
stream_get_is_paused(PyObject *op, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((StreamObject *)op)->paused);
}

PyGetSetDef cv_stream_getset[] = {
    {"_sock", stream_get_sock, NULL, "The socket, or None once it is closed.", NULL},
    {"_loop", stream_get_loop, NULL, "The loop, or None after connection_lost().", NULL},
    {"_paused", stream_get_is_paused, NULL, "pause_reading() was called, resume_reading() not yet.", NULL},
    {"_protocol_paused", stream_get_is_protocol_paused, NULL, "pause_writing() was called, resume_writing() not yet.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
