/* SPDX-License-Identifier: MIT */
#include "loop/stream.h"

/* ---- asyncio.BaseTransport and asyncio.ReadTransport ------------------------------------------------------------ */

static PyObject *
stream_is_closing(PyObject *op, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(((StreamObject *)op)->closing);
}

static PyObject *
stream_close(PyObject *op, PyObject *unused)
{
    (void)unused;
    return cv_stream_close((StreamObject *)op) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
stream_abort(PyObject *op, PyObject *unused)
{
    (void)unused;
    return cv_stream_force_close((StreamObject *)op, NULL) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
stream_force_close(PyObject *op, PyObject *exception)
{
    return cv_stream_force_close((StreamObject *)op, exception) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
stream_set_protocol(PyObject *op, PyObject *protocol)
{
    return cv_stream_set_protocol((StreamObject *)op, protocol) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
stream_get_protocol(PyObject *op, PyObject *unused)
{
    (void)unused;
    StreamObject *self = (StreamObject *)op;
    return Py_NewRef(self->protocol != NULL ? self->protocol : Py_None);
}

static bool
is_reading(StreamObject *self)
{
    return !self->closing && !self->paused;
}

static PyObject *
stream_is_reading(PyObject *op, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(is_reading((StreamObject *)op));
}

static PyObject *
change_paused(StreamObject *self, bool paused, const char *log_format)
{
    self->paused = paused;
    if (cv_stream_rewatch(self) < 0) {
        return NULL;
    }
    if (cv_stream_is_debug(self)) {
        cv_stream_log_debug(self, log_format);
    }
    Py_RETURN_NONE;
}

static PyObject *
stream_pause_reading(PyObject *op, PyObject *unused)
{
    (void)unused;
    StreamObject *self = (StreamObject *)op;
    return is_reading(self) ? change_paused(self, true, "%r pauses reading") : Py_NewRef(Py_None);
}

static PyObject *
stream_resume_reading(PyObject *op, PyObject *unused)
{
    (void)unused;
    StreamObject *self = (StreamObject *)op;
    bool may_resume = !self->closing && self->paused;
    return may_resume ? change_paused(self, false, "%r resumes reading") : Py_NewRef(Py_None);
}

static PyObject *
stream_get_write_buffer_size(PyObject *op, PyObject *unused)
{
    (void)unused;
    return PyLong_FromSize_t(((StreamObject *)op)->queue.bytes);
}

/* ---- what the loop calls back ----------------------------------------------------------------------------------- */

static int
wake_waiter(StreamObject *self, PyObject *waiter)
{
    PyObject *is_done = PyObject_CallMethodNoArgs(waiter, self->state->str_done);
    PyObject *result = NULL;
    if (is_done == Py_False) { /* else it was cancelled: the one who waited will close the transport */
        result = PyObject_CallMethodOneArg(waiter, self->state->str_set_result, Py_None);
    }
    int failed = is_done == NULL || (is_done == Py_False && result == NULL);
    Py_XDECREF(result);
    Py_XDECREF(is_done);
    return failed ? -1 : 0;
}

/* Whoever waited runs before anything is read, as in asyncio: reading begins behind it in the ready queue. */
static int
wake_then_begin(StreamObject *self)
{
    PyObject *waiter = self->waiter;
    self->waiter = NULL;
    PyObject *begin = PyObject_GetAttr((PyObject *)self, self->state->str__begin_reading);
    int result = begin != NULL ? wake_waiter(self, waiter) : -1;
    if (result == 0) {
        result = cv_loop_call_soon(self->loop, begin, NULL, NULL);
    }
    Py_XDECREF(begin);
    Py_DECREF(waiter);
    return result;
}

static PyObject *
stream_begin_reading(PyObject *op, PyObject *unused)
{
    (void)unused;
    StreamObject *self = (StreamObject *)op;
    if (self->finished) {
        Py_RETURN_NONE; /* closed in the turn in which it was opened */
    }
    if (self->waiter != NULL) {
        return wake_then_begin(self) < 0 ? NULL : Py_NewRef(Py_None);
    }
    self->reading = true;
    if (cv_stream_rewatch(self) < 0) {
        cv_stream_fail(self, "Fatal read error on socket transport");
    }
    Py_RETURN_NONE;
}

static PyObject *
stream_call_connection_lost(PyObject *op, PyObject *exception)
{
    return cv_stream_finish((StreamObject *)op, exception) < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

static PyMethodDef common_methods[] = {
    {"get_extra_info", (PyCFunction)(void (*)(void))cv_stream_get_extra_info, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("get_extra_info($self, name, default=None)\n--\n\nInformation about the connection.")},
    {"is_closing", stream_is_closing, METH_NOARGS,
     PyDoc_STR("is_closing($self)\n--\n\nWhether the transport is closing or closed.")},
    {"close", stream_close, METH_NOARGS, PyDoc_STR("close($self)\n--\n\nSend what is queued, then close.")},
    {"abort", stream_abort, METH_NOARGS, PyDoc_STR("abort($self)\n--\n\nClose now; what is queued is lost.")},
    {"set_protocol", stream_set_protocol, METH_O,
     PyDoc_STR("set_protocol($self, protocol, /)\n--\n\nGive the connection to another protocol.")},
    {"get_protocol", stream_get_protocol, METH_NOARGS, PyDoc_STR("get_protocol($self)\n--\n\nThe current protocol.")},
    {"is_reading", stream_is_reading, METH_NOARGS,
     PyDoc_STR("is_reading($self)\n--\n\nWhether the transport hands over what it receives.")},
    {"pause_reading", stream_pause_reading, METH_NOARGS,
     PyDoc_STR("pause_reading($self)\n--\n\nHand over nothing until resume_reading() is called.")},
    {"resume_reading", stream_resume_reading, METH_NOARGS,
     PyDoc_STR("resume_reading($self)\n--\n\nHand over what is received again.")},
    {"set_write_buffer_limits", (PyCFunction)(void (*)(void))cv_stream_set_limits, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("set_write_buffer_limits($self, high=None, low=None)\n--\n\n"
               "Set the marks at which the protocol's pause_writing() and resume_writing() are called.")},
    {"get_write_buffer_limits", cv_stream_get_limits, METH_NOARGS,
     PyDoc_STR("get_write_buffer_limits($self)\n--\n\nThe low and the high mark.")},
    {"get_write_buffer_size", stream_get_write_buffer_size, METH_NOARGS,
     PyDoc_STR("get_write_buffer_size($self)\n--\n\nHow many bytes are queued.")},
    {"_force_close", stream_force_close, METH_O,
     PyDoc_STR("_force_close($self, exc, /)\n--\n\nabort() that gives connection_lost() a reason.")},
    {"_begin_reading", stream_begin_reading, METH_NOARGS,
     PyDoc_STR("_begin_reading($self)\n--\n\nCalled by the loop after connection_made().")},
    {"_call_connection_lost", stream_call_connection_lost, METH_O,
     PyDoc_STR("_call_connection_lost($self, exc, /)\n--\n\nCalled by the loop when the connection is over.")},
    {NULL, NULL, 0, NULL},
};

int
cv_stream_add_methods(PyTypeObject *type)
{
    for (PyMethodDef *method = common_methods; method->ml_name != NULL; method++) {
        PyObject *descriptor = PyDescr_NewMethod(type, method);
        if (descriptor == NULL) {
            return -1;
        }
        int result = PyObject_SetAttrString((PyObject *)type, method->ml_name, descriptor);
        Py_DECREF(descriptor);
        if (result < 0) {
            return -1;
        }
    }
    return 0;
}
