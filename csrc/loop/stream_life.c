/* SPDX-License-Identifier: MIT */
#include "loop/stream.h"

#include "py/errors.h"

/* Everything was done by tp_new; asyncio.BaseTransport's __init__ must not see our arguments. */
int
cv_stream_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    (void)op;
    (void)args;
    (void)kwargs;
    return 0;
}

int
cv_stream_traverse(PyObject *op, visitproc visit, void *arg)
{
    StreamObject *self = (StreamObject *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->base.extra);
    for (size_t i = 0; i < sizeof(self->base.unused) / sizeof(self->base.unused[0]); i++) {
        Py_VISIT(self->base.unused[i]);
    }
    Py_VISIT(self->state);
    Py_VISIT(self->loop);
    Py_VISIT(self->context);
    Py_VISIT(self->sock);
    Py_VISIT(self->sock_hold);
    Py_VISIT(self->sock_face);
    Py_VISIT(self->protocol);
    Py_VISIT(self->server);
    Py_VISIT(self->waiter);
    Py_VISIT(self->empty_waiter);
    return 0;
}

int
cv_stream_clear(PyObject *op)
{
    StreamObject *self = (StreamObject *)op;
    cv_stream_release(self);
    cv_stream_queue_clear(&self->queue);
    Py_CLEAR(self->base.extra);
    for (size_t i = 0; i < sizeof(self->base.unused) / sizeof(self->base.unused[0]); i++) {
        Py_CLEAR(self->base.unused[i]);
    }
    Py_CLEAR(self->context);
    Py_CLEAR(self->sock_face);
    Py_CLEAR(self->protocol);
    Py_CLEAR(self->server);
    Py_CLEAR(self->waiter);
    Py_CLEAR(self->empty_waiter);
    Py_CLEAR(self->loop);
    return 0;
}

void
cv_stream_finalize(PyObject *op)
{
    StreamObject *self = (StreamObject *)op;
    if (self->fd < 0) {
        return;
    }
    PyObject *exception = cv_error_take();
    if (PyErr_ResourceWarning(op, 1, "unclosed transport %R", op) < 0) {
        PyErr_WriteUnraisable(op); /* warnings are errors */
    }
    cv_stream_release(self);
    cv_stream_detach_server(self);
    if (exception != NULL) {
        cv_error_give(exception);
    }
}

void
cv_stream_dealloc(PyObject *op)
{
    StreamObject *self = (StreamObject *)op;
    PyTypeObject *type = Py_TYPE(op);
    if (PyObject_CallFinalizerFromDealloc(op) < 0) {
        return; /* the finalizer gave it to somebody */
    }
    PyObject_GC_UnTrack(op);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    (void)type->tp_clear(op); /* a datagram transport's, too */
    Py_CLEAR(self->sockname);
    Py_CLEAR(self->peername);
    Py_CLEAR(self->state);
    type->tp_free(op);
    Py_DECREF(type);
}
