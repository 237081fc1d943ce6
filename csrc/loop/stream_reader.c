/* SPDX-License-Identifier: MIT
 *
 * What asyncio.StreamReaderProtocol.data_received and asyncio.StreamReader.feed_data do, without a Python frame and
 * without a bytes object in between. Only for exactly these classes, as they came with the interpreter.
 */
#include <string.h>

#include "loop/stream.h"

int
cv_stream_is_reader_protocol(StreamStateObject *state, PyObject *protocol)
{
    PyTypeObject *type = Py_TYPE(protocol);
    if ((PyObject *)type != state->reader_protocol) {
        return 0;
    }
    PyObject *received = PyObject_GetAttr((PyObject *)type, state->str_data_received);
    PyObject *feed = received != NULL ? PyObject_GetAttr(state->reader_type, state->str_feed_data) : NULL;
    int original = feed == NULL ? -1 : received == state->reader_data_received && feed == state->reader_feed_data;
    Py_XDECREF(received);
    Py_XDECREF(feed);
    return original;
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

/* ---- the parts of feed_data -------------------------------------------------------------------------------------- */

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

/* 1 when `size` is more than twice the reader's limit. */
static int
is_over_limit(StreamStateObject *state, PyObject *reader, Py_ssize_t size)
{
    PyObject *limit = PyObject_GetAttr(reader, state->str__limit);
    if (limit == NULL) {
        return -1;
    }
    Py_ssize_t bytes = PyNumber_AsSsize_t(limit, NULL);
    Py_DECREF(limit);
    if (bytes == -1 && PyErr_Occurred()) {
        return -1;
    }
    return size / 2 >= bytes && size - bytes > bytes;
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
pause_if_over_limit(StreamStateObject *state, PyObject *reader, Py_ssize_t size)
{
    int over = is_over_limit(state, reader, size);
    int paused = over > 0 ? flag(reader, state->str__paused) : over;
    if (over <= 0 || paused != 0) {
        return over < 0 || paused < 0 ? -1 : 0;
    }
    PyObject *transport = PyObject_GetAttr(reader, state->str__transport);
    if (transport == NULL) {
        return -1;
    }
    int result = transport != Py_None ? pause_transport(state, reader, transport) : 0;
    Py_DECREF(transport);
    return result;
}

/* 1 with the weakly referenced object (new reference), 0 when it is gone, or -1. */
static int
dereference(PyObject *weak, PyObject **out_object)
{
    if (!PyWeakref_Check(weak)) {
        PyErr_SetString(PyExc_TypeError, "_stream_reader_wr must be a weak reference");
        return -1;
    }
#if PY_VERSION_HEX >= 0x030D0000
    return PyWeakref_GetRef(weak, out_object);
#else
    PyObject *object = PyWeakref_GET_OBJECT(weak); /* borrowed-ref OK: made strong at once */
    *out_object = object != Py_None ? Py_NewRef(object) : NULL;
    return object != Py_None;
#endif
}

/* ---- one read ---------------------------------------------------------------------------------------------------- */

static int
feed(StreamStateObject *state, PyObject *reader, const char *data, size_t len)
{
    int eof = Py_TYPE(reader) == (PyTypeObject *)state->reader_type ? flag(reader, state->str__eof) : 1;
    if (eof != 0) {
        return eof < 0 ? -1 : 0; /* feed_data() has its own words for it */
    }
    Py_ssize_t size = extend_buffer(state, reader, data, len);
    if (size <= 0) {
        return (int)size;
    }
    return wake_waiter(state, reader) < 0 || pause_if_over_limit(state, reader, size) < 0 ? -1 : 1;
}

int
cv_stream_feed_reader(StreamStateObject *state, PyObject *protocol, const char *data, size_t len)
{
    PyObject *weak = PyObject_GetAttr(protocol, state->str__stream_reader_wr);
    if (weak == NULL) {
        return -1;
    }
    PyObject *reader = NULL;
    int result = weak == Py_None ? 0 : dereference(weak, &reader);
    Py_DECREF(weak);
    if (result <= 0) {
        return result < 0 ? -1 : 1; /* nobody reads any more */
    }
    result = feed(state, reader, data, len);
    Py_DECREF(reader);
    return result;
}
