/* SPDX-License-Identifier: MIT
 *
 * Where exceptions go: to the exception handler of the loop, or out of run_forever; and the checks that raise some.
 */
#include <Python.h>

#include "loop/loop_core.h"
#include "py/errors.h"

bool
cv_loop_exception_is_fatal(void)
{
    return PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) || PyErr_ExceptionMatches(PyExc_SystemExit);
}

void
cv_loop_fail(LoopCoreObject *self)
{
    if (self->thread_id == 0) {
        PyErr_WriteUnraisable((PyObject *)self); /* there is no run to leave */
        return;
    }
    PyObject *exception = cv_error_take();
    if (self->fatal == NULL) {
        self->fatal = exception;
    } else {
        Py_DECREF(exception); /* the first one decides */
    }
}

PyObject *
cv_loop_call_private(LoopCoreObject *self, const char *name, PyObject *const *args, size_t nargs)
{
    PyObject *function = PyObject_GetAttrString(self->private_module, name);
    if (function == NULL) {
        return NULL;
    }
    PyObject *result = PyObject_Vectorcall(function, args, nargs, NULL);
    Py_DECREF(function);
    return result;
}

static PyObject *
report(LoopCoreObject *self, const char *message, PyObject *exception, PyObject *source)
{
    PyObject *text = PyUnicode_FromString(message);
    if (text == NULL) {
        return NULL;
    }
    PyObject *args[] = {(PyObject *)self, text, exception, source != NULL ? source : Py_None};
    PyObject *done = cv_loop_call_private(self, "report_error", args, 4);
    Py_DECREF(text);
    return done;
}

void
cv_loop_handle_error(PyObject *loop, const char *message, PyObject *source)
{
    LoopCoreObject *self = (LoopCoreObject *)loop;
    if (cv_loop_exception_is_fatal()) {
        cv_loop_fail(self);
        return;
    }
    PyObject *exception = cv_error_take();
    PyObject *done = report(self, message, exception, source);
    Py_XDECREF(exception);
    Py_XDECREF(done);
    if (done != NULL) {
        return;
    }
    if (cv_loop_exception_is_fatal()) {
        cv_loop_fail(self);
    } else {
        PyErr_WriteUnraisable(loop);
    }
}

int
cv_loop_check_open(LoopCoreObject *self)
{
    if (self->is_closed) {
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
        return -1;
    }
    return 0;
}

int
cv_loop_check_call(LoopCoreObject *self, PyObject *callback, const char *method, bool any_thread)
{
    if (!any_thread && self->thread_id != 0 && self->thread_id != PyThread_get_thread_ident()) {
        PyErr_SetString(PyExc_RuntimeError,
                        "Non-thread-safe operation invoked on an event loop other than the current one");
        return -1;
    }
    PyObject *done = PyObject_CallMethod((PyObject *)self, "_check_callback", "Os", callback, method);
    Py_XDECREF(done);
    return done != NULL ? 0 : -1;
}
