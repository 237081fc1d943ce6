/* SPDX-License-Identifier: MIT
 *
 * Running a handle in debug mode: it is known as the current one, and timed.
 */
#include <Python.h>

#include "loop/loop_core.h"

static int
set_current(LoopCoreObject *self, PyObject *handle)
{
    return PyObject_SetAttrString((PyObject *)self, "_current_handle", handle);
}

/* The warning and its threshold are Python's business: asyncio's logger and words. */
static int
report_if_slow(LoopCoreObject *self, HandleObject *handle, double seconds)
{
    PyObject *duration = PyFloat_FromDouble(seconds);
    if (duration == NULL) {
        return -1;
    }
    PyObject *args[] = {(PyObject *)self, (PyObject *)handle, duration};
    PyObject *done = cv_loop_call_private(self, "report_if_slow", args, 3);
    Py_DECREF(duration);
    Py_XDECREF(done);
    return done != NULL ? 0 : -1;
}

int
cv_debug_run_handle(LoopCoreObject *self, HandleObject *handle)
{
    if (handle->cancelled) {
        return 0;
    }
    double start = cv_loop_time();
    int status = set_current(self, (PyObject *)handle);
    status = status < 0 ? status : cv_handle_run(handle);
    status = status < 0 ? status : report_if_slow(self, handle, cv_loop_time() - start);
    return status < 0 ? status : set_current(self, Py_None);
}
