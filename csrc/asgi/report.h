/* SPDX-License-Identifier: MIT
 *
 * Tells the server's log what went wrong, in uvicorn's words where it has some.
 *
 * Thread:  loop thread, the GIL held. A log that raises is reported as unraisable, never passed on.
 */
#ifndef CUVEE_ASGI_REPORT_H
#define CUVEE_ASGI_REPORT_H

#include <Python.h>

#include "asgi/service.h"

enum { CV_LOG_INFO = 20,
       CV_LOG_WARNING = 30,
       CV_LOG_ERROR = 40 }; /* logging's numbers */

/* log(level, message, exception); `exception` is borrowed and may be NULL. */
void cv_report(cv_service_t *service, int level, const char *message, PyObject *exception);

/* The same with a %-format of PyUnicode_FromFormat. */
void cv_report_format(cv_service_t *service, int level, const char *format, ...);

#endif
