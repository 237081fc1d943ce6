/* SPDX-License-Identifier: MIT */
#include "asgi/report.h"

#include <stdarg.h>

static void
call_log(cv_service_t *service, int level, PyObject *message, PyObject *exception)
{
    PyObject *done = NULL;
    if (message != NULL) {
        done = PyObject_CallFunction(service->log, "iOO", level, message, exception == NULL ? Py_None : exception);
    }
    if (done == NULL) {
        PyErr_WriteUnraisable(service->log);
    }
    Py_XDECREF(done);
}

void
cv_report(cv_service_t *service, int level, const char *message, PyObject *exception)
{
    PyObject *text = PyUnicode_FromString(message);
    call_log(service, level, text, exception);
    Py_XDECREF(text);
}

void
cv_report_format(cv_service_t *service, int level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    PyObject *text = PyUnicode_FromFormatV(format, args);
    va_end(args);
    call_log(service, level, text, NULL);
    Py_XDECREF(text);
}
