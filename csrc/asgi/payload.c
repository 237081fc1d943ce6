/* SPDX-License-Identifier: MIT */
#include "asgi/payload.h"

/* Takes over a reference to bytes, or passes on the error that NULL stands for. */
static int
whole_of(PyObject *bytes, cv_payload_t *out)
{
    if (bytes == NULL) {
        return -1;
    }
    *out = (cv_payload_t){bytes, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)};
    return 0;
}

/* A view of bytes stays where it is; one of what may change, or is in many pieces, is copied. */
static int
view_of(PyObject *view, cv_payload_t *out)
{
    Py_buffer buffer;
    if (PyObject_GetBuffer(view, &buffer, PyBUF_SIMPLE) < 0) {
        PyErr_Clear();
        return whole_of(PyBytes_FromObject(view), out);
    }
    PyObject *owner = PyMemoryView_GET_BUFFER(view)->obj;
    bool stays = owner != NULL && PyBytes_CheckExact(owner);
    if (stays) {
        *out = (cv_payload_t){Py_NewRef(owner), buffer.buf, (size_t)buffer.len};
    }
    PyBuffer_Release(&buffer);
    return stays ? 0 : whole_of(PyBytes_FromObject(view), out);
}

int
cv_payload_read(PyObject *object, const char *what, cv_payload_t *out)
{
    if (PyBytes_Check(object)) {
        return whole_of(Py_NewRef(object), out);
    }
    if (PyMemoryView_Check(object)) {
        return view_of(object, out);
    }
    if (PyByteArray_Check(object)) {
        return whole_of(PyBytes_FromObject(object), out);
    }
    PyErr_Format(PyExc_TypeError, "%s must be bytes, bytearray or memoryview, not %.100s", what,
                 Py_TYPE(object)->tp_name);
    return -1;
}
