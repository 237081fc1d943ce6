/* SPDX-License-Identifier: MIT
 *
 * What asyncio.StreamReaderProtocol.data_received and asyncio.StreamReader.feed_data do, without a Python frame and
 * without a bytes object in between. Only for exactly these classes, and only as long as both methods are asyncio's
 * own: one that somebody puts in their place is called. In a class that is seen at any time, by the class's version; in
 * an object when it comes, since looking at it with each read would cost what there is to gain.
 */
#include <string.h>

#include "loop/stream.h"

/* ---- whose methods they are ------------------------------------------------------------------------------------- */

/* 1 when `name` of `object` is the method that `function` makes, else 0, or -1. */
static int
has_method(PyObject *object, PyObject *name, PyObject *function)
{
    PyObject *method = PyObject_GetAttr(object, name);
    if (method == NULL) {
        return -1;
    }
    int same = PyMethod_Check(method) && PyMethod_GET_FUNCTION(method) == function;
    Py_DECREF(method);
    return same;
}

/* 1 when the class still has the method, else 0, or -1. */
static int
is_still_there(cv_own_method_t *method, PyObject *class, PyObject *name)
{
    PyTypeObject *type = (PyTypeObject *)class;
    if (method->class_tag == 0 || method->class_tag != type->tp_version_tag) {
        PyObject *found = PyObject_GetAttr(class, name);
        if (found == NULL) {
            return -1;
        }
        method->is_there = found == method->function;
        method->class_tag = type->tp_version_tag;
        Py_DECREF(found);
    }
    return method->is_there;
}

int
cv_stream_is_reader_protocol(StreamStateObject *state, PyObject *protocol)
{
    if ((PyObject *)Py_TYPE(protocol) != state->reader_protocol) {
        return 0;
    }
    return has_method(protocol, state->str_data_received, state->data_received.function);
}

/* 1 when data_received() and feed_data() do what is done here, else 0, or -1. */
static int
are_methods_own(StreamObject *self, PyObject *reader)
{
    StreamStateObject *state = self->state;
    if ((PyObject *)Py_TYPE(reader) != state->reader_type) {
        return 0;
    }
    int own = is_still_there(&state->data_received, state->reader_protocol, state->str_data_received);
    own = own > 0 ? is_still_there(&state->feed_data, state->reader_type, state->str_feed_data) : own;
    if (own > 0 && reader != self->known_reader) {
        own = has_method(reader, state->str_feed_data, state->feed_data.function);
        self->known_reader = own > 0 ? reader : NULL;
    }
    return own;
}

/* The truth of an attribute, or -1. */
static int
flag(PyObject *object, PyObject *name)
{
    PyObject *value = PyObject_GetAttr(object, name);
    int truth = value != NULL ? PyObject_IsTrue(value) : -1;
    Py_XDECREF(value);
    return truth;
}

/* ---- the parts of feed_data ------------------------------------------------------------------------------------- */

/* Appends to the reader's bytearray; its new size, 0 when it is none that we may write to, or -1. */
static Py_ssize_t
extend_buffer(StreamStateObject *state, PyObject *reader, const char *data, size_t len)
{
    PyObject *buffer = PyObject_GetAttr(reader, state->str__buffer);
    if (buffer == NULL) {
        return -1;
    }
    Py_ssize_t size = 0;
    if (PyByteArray_CheckExact(buffer)) {
        Py_ssize_t before = PyByteArray_GET_SIZE(buffer);
        size = before + (Py_ssize_t)len;
        if (PyByteArray_Resize(buffer, size) < 0) {
            size = -1;
        } else {
            memcpy(PyByteArray_AS_STRING(buffer) + before, data, len);
        }
    }
    Py_DECREF(buffer);
    return size;
}

static int
set_result(StreamStateObject *state, PyObject *waiter)
{
    PyObject *cancelled = PyObject_CallMethodNoArgs(waiter, state->str_cancelled);
    int is_cancelled = cancelled != NULL ? PyObject_IsTrue(cancelled) : -1;
    Py_XDECREF(cancelled);
    if (is_cancelled != 0) {
        return is_cancelled < 0 ? -1 : 0;
    }
    PyObject *done = PyObject_CallMethodOneArg(waiter, state->str_set_result, Py_None);
    Py_XDECREF(done);
    return done != NULL ? 0 : -1;
}

/* Whoever waits for data goes on. */
static int
wake_waiter(StreamStateObject *state, PyObject *reader)
{
    PyObject *waiter = PyObject_GetAttr(reader, state->str__waiter);
    if (waiter == NULL) {
        return -1;
    }
    int result = 0;
    if (waiter != Py_None) {
        result = PyObject_SetAttr(reader, state->str__waiter, Py_None);
        result = result < 0 ? -1 : set_result(state, waiter);
    }
    Py_DECREF(waiter);
    return result;
}

static int
pause_transport(StreamStateObject *state, PyObject *reader, PyObject *transport)
{
    PyObject *done = PyObject_CallMethodNoArgs(transport, state->str_pause_reading);
    if (done != NULL) {
        Py_DECREF(done);
        return PyObject_SetAttr(reader, state->str__paused, Py_True);
    }
    if (!PyErr_ExceptionMatches(PyExc_NotImplementedError)) {
        return -1;
    }
    PyErr_Clear(); /* a transport that cannot pause is not asked again */
    return PyObject_SetAttr(reader, state->str__transport, Py_None);
}

static int
pause_if_over_limit(StreamStateObject *state, PyObject *reader, Py_ssize_t size, Py_ssize_t limit)
{
    if (limit >= size / 2 + size % 2) { /* twice the limit is not less than the size, and does not overflow */
        return 0;
    }
    int paused = flag(reader, state->str__paused);
    if (paused != 0) {
        return paused < 0 ? -1 : 0;
    }
    PyObject *transport = PyObject_GetAttr(reader, state->str__transport);
    if (transport == NULL) {
        return -1;
    }
    int result = transport != Py_None ? pause_transport(state, reader, transport) : 0;
    Py_DECREF(transport);
    return result;
}

/* The reader of a protocol (new reference): 1, or 0 when there is none, or -1. */
static int
find_reader(PyObject *weak, PyObject **out_reader)
{
#if PY_VERSION_HEX >= 0x030D0000
    return PyWeakref_GetRef(weak, out_reader);
#else
    PyObject *reader = PyWeakref_GET_OBJECT(weak); /* borrowed-ref OK: made strong at once */
    *out_reader = reader != Py_None ? Py_NewRef(reader) : NULL;
    return reader != Py_None;
#endif
}

/* ---- one read --------------------------------------------------------------------------------------------------- */

/* 1 with the limit, -1, or 0 for a reader that feed_data() itself must deal with: it has seen the end and so has its
 * own words for more, or has a limit that is no whole number. */
static int
check_reader(StreamStateObject *state, PyObject *reader, Py_ssize_t *out_limit)
{
    int eof = flag(reader, state->str__eof);
    if (eof != 0) {
        return eof < 0 ? -1 : 0;
    }
    PyObject *limit = PyObject_GetAttr(reader, state->str__limit);
    if (limit == NULL) {
        return -1;
    }
    int whole = PyLong_Check(limit);
    if (whole) {
        *out_limit = PyNumber_AsSsize_t(limit, NULL); /* too large a number means no limit */
    }
    Py_DECREF(limit);
    return whole;
}

static int
feed(StreamObject *self, PyObject *reader, const char *data, size_t len)
{
    StreamStateObject *state = self->state;
    Py_ssize_t limit = 0;
    int plain = are_methods_own(self, reader);
    plain = plain > 0 ? check_reader(state, reader, &limit) : plain;
    if (plain <= 0) {
        return plain;
    }
    Py_ssize_t size = extend_buffer(state, reader, data, len);
    if (size <= 0) {
        return (int)size;
    }
    return wake_waiter(state, reader) < 0 || pause_if_over_limit(state, reader, size, limit) < 0 ? -1 : 1;
}

int
cv_stream_feed_reader(StreamObject *self, PyObject *protocol, const char *data, size_t len)
{
    PyObject *weak = PyObject_GetAttr(protocol, self->state->str__stream_reader_wr);
    if (weak == NULL) {
        return -1;
    }
    PyObject *reader = NULL;
    int result = PyWeakref_CheckRefExact(weak) ? find_reader(weak, &reader) : 0;
    Py_DECREF(weak);
    if (reader != NULL) {
        result = feed(self, reader, data, len);
        Py_DECREF(reader);
    }
    return result; /* 0 where nobody reads any more: data_received() does nothing then */
}
