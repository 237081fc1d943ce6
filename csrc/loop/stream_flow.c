/* SPDX-License-Identifier: MIT */
#include "loop/stream.h"

#define DEFAULT_HIGH_WATER 65536

/* ---- the water marks -------------------------------------------------------------------------------------------- */

static int
call_protocol(StreamObject *self, PyObject *method, const char *message)
{
    PyObject *protocol = self->protocol;
    if (protocol == NULL) {
        return 0;
    }
    Py_INCREF(protocol);
    PyObject *done = PyObject_CallMethodNoArgs(protocol, method);
    Py_DECREF(protocol);
    if (done == NULL) {
        return cv_stream_report(self, message);
    }
    Py_DECREF(done);
    return 0;
}

int
cv_stream_maybe_pause(StreamObject *self)
{
    if (self->protocol_paused || self->queue.bytes <= self->high_water) {
        return 0;
    }
    self->protocol_paused = true;
    return call_protocol(self, self->state->str_pause_writing, "protocol.pause_writing() failed");
}

int
cv_stream_maybe_resume(StreamObject *self)
{
    if (!self->protocol_paused || self->queue.bytes > self->low_water) {
        return 0;
    }
    self->protocol_paused = false;
    return call_protocol(self, self->state->str_resume_writing, "protocol.resume_writing() failed");
}

PyObject *
cv_stream_get_limits(PyObject *op, PyObject *unused)
{
    (void)unused;
    StreamObject *self = (StreamObject *)op;
    return Py_BuildValue("(nn)", (Py_ssize_t)self->low_water, (Py_ssize_t)self->high_water);
}

/* A mark from Python; `fallback` for None. */
static int
read_mark(PyObject *value, Py_ssize_t fallback, Py_ssize_t *out_mark)
{
    *out_mark = fallback;
    if (value == Py_None) {
        return 0;
    }
    *out_mark = PyNumber_AsSsize_t(value, NULL); /* too large a number means no limit */
    return *out_mark == -1 && PyErr_Occurred() ? -1 : 0;
}

PyObject *
cv_stream_set_limits(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"high", "low", NULL};
    StreamObject *self = (StreamObject *)op;
    PyObject *high_value = Py_None, *low_value = Py_None;
    Py_ssize_t high, low;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:set_write_buffer_limits", names, &high_value, &low_value)
        || read_mark(low_value, -1, &low) < 0) {
        return NULL;
    }
    Py_ssize_t four_times = low > PY_SSIZE_T_MAX / 4 ? PY_SSIZE_T_MAX : low * 4;
    if (read_mark(high_value, low_value == Py_None ? DEFAULT_HIGH_WATER : four_times, &high) < 0) {
        return NULL;
    }
    if (low_value == Py_None) {
        low = high / 4;
    }
    if (high < low || low < 0) {
        PyErr_Format(PyExc_ValueError, "high (%zd) must be >= low (%zd) must be >= 0", high, low);
        return NULL;
    }
    self->high_water = (size_t)high;
    self->low_water = (size_t)low;
    if (cv_stream_maybe_pause(self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---- waiting for an empty queue --------------------------------------------------------------------------------- */

int
cv_stream_wake_empty_waiter(StreamObject *self, PyObject *exception)
{
    PyObject *waiter = self->empty_waiter;
    if (waiter == NULL) {
        return 0;
    }
    Py_INCREF(waiter);
    PyObject *is_done = PyObject_CallMethodNoArgs(waiter, self->state->str_done);
    PyObject *result = NULL;
    if (is_done == Py_False) {
        PyObject *method = exception != NULL ? self->state->str_set_exception : self->state->str_set_result;
        result = PyObject_CallMethodOneArg(waiter, method, exception != NULL ? exception : Py_None);
    }
    int failed = is_done == NULL || (is_done == Py_False && result == NULL);
    Py_XDECREF(result);
    Py_XDECREF(is_done);
    Py_DECREF(waiter);
    return failed ? -1 : 0;
}

/* Sets the future that stands for "nothing may be written now" (borrowed). */
static PyObject *
make_waiter(StreamObject *self)
{
    if (self->empty_waiter != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "Empty waiter is already set");
        return NULL;
    }
    if (self->loop == NULL) {
        PyErr_SetString(PyExc_ConnectionError, "Connection is closed by peer");
        return NULL;
    }
    self->empty_waiter = PyObject_CallMethodNoArgs(self->loop, self->state->str_create_future);
    return self->empty_waiter;
}

PyObject *
cv_stream_make_empty_waiter(PyObject *op, PyObject *unused)
{
    (void)unused;
    StreamObject *self = (StreamObject *)op;
    if (make_waiter(self) == NULL) {
        return NULL;
    }
    if (self->queue.bytes == 0 && cv_stream_wake_empty_waiter(self, NULL) < 0) {
        return NULL;
    }
    return Py_NewRef(self->empty_waiter);
}

PyObject *
cv_stream_make_lost_waiter(PyObject *op, PyObject *unused)
{
    (void)unused;
    return Py_XNewRef(make_waiter((StreamObject *)op));
}

PyObject *
cv_stream_reset_empty_waiter(PyObject *op, PyObject *unused)
{
    (void)unused;
    Py_CLEAR(((StreamObject *)op)->empty_waiter);
    Py_RETURN_NONE;
}
