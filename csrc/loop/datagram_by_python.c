/* SPDX-License-Identifier: MIT */
#include "loop/datagram.h"

/* Turns an exception that only says "not now" into 0. */
static int
look_at_error(void)
{
    if (PyErr_ExceptionMatches(PyExc_BlockingIOError) || PyErr_ExceptionMatches(PyExc_InterruptedError)) {
        PyErr_Clear();
        return 0;
    }
    return -1;
}

int
cv_datagram_receive_by_python(DatagramObject *self, PyObject **out_data, PyObject **out_address)
{
    PyObject *size = PyLong_FromLong(CV_STREAM_SCRATCH);
    PyObject *pair = NULL;
    if (size != NULL) {
        pair = PyObject_CallMethodOneArg(self->stream.sock, self->stream.state->str_recvfrom, size);
        Py_DECREF(size);
    }
    if (pair == NULL) {
        return look_at_error();
    }
    int ok = PyArg_ParseTuple(pair, "OO:recvfrom", out_data, out_address);
    if (ok) {
        Py_INCREF(*out_data);
        Py_INCREF(*out_address);
    }
    Py_DECREF(pair);
    return ok ? 1 : -1;
}

int
cv_datagram_send_by_python(DatagramObject *self, PyObject *data, PyObject *address)
{
    PyObject *args[] = {self->stream.sock, data, address};
    PyObject *done = PyObject_VectorcallMethod(self->stream.state->str_sendto, args, 3, NULL);
    if (done == NULL) {
        return look_at_error();
    }
    Py_DECREF(done);
    return 1;
}
