/* SPDX-License-Identifier: MIT */
#include "loop/stream.h"

#include "loop/loop_core.h"

bool
cv_stream_is_debug(StreamObject *self)
{
    return self->loop != NULL && ((LoopCoreObject *)self->loop)->debug;
}

void
cv_stream_log_debug(StreamObject *self, const char *format)
{
    PyObject *done = PyObject_CallMethod(self->state->logger, "debug", "sO", format, (PyObject *)self);
    if (done == NULL) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    Py_XDECREF(done);
}

void
cv_stream_log_failure(StreamObject *self, const char *message, PyObject *exception)
{
    PyObject *format = PyUnicode_FromString("%r: %s");
    PyObject *text = PyUnicode_FromString(message);
    PyObject *log = PyObject_GetAttr(self->state->logger, self->state->str_debug);
    PyObject *args[] = {NULL, format, (PyObject *)self, text, exception};
    PyObject *done = NULL;
    if (format != NULL && text != NULL && log != NULL) {
        done = PyObject_Vectorcall(log, args + 1, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, self->state->exc_info_kwnames);
    }
    if (done == NULL) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    Py_XDECREF(done);
    Py_XDECREF(log);
    Py_XDECREF(text);
    Py_XDECREF(format);
}

void
cv_stream_log_if_slow(StreamObject *self, PyObject *loop, double began)
{
    double took = cv_loop_time() - began;
    PyObject *limit = PyObject_GetAttr(loop, self->state->str_slow_callback_duration);
    double seconds = limit != NULL ? PyFloat_AsDouble(limit) : -1.0;
    Py_XDECREF(limit);
    if (PyErr_Occurred()) {
        PyErr_WriteUnraisable((PyObject *)self);
        return;
    }
    if (took < seconds) {
        return;
    }
    PyObject *done = PyObject_CallMethod(self->state->logger, "warning", "sOd", "Executing %r took %.3f seconds",
                                         (PyObject *)self, took);
    if (done == NULL) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    Py_XDECREF(done);
}
