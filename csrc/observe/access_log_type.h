/* SPDX-License-Identifier: MIT
 *
 * cuvee._core.AccessLog: the Python face of the access log.
 *
 * Thread:  the GIL is held; flush and close release it while they wait.
 */
#ifndef CUVEE_OBSERVE_ACCESS_LOG_TYPE_H
#define CUVEE_OBSERVE_ACCESS_LOG_TYPE_H

#include <Python.h>

#include "observe/access_log.h"

/* Makes the type and adds it to `module`. Returns 0, or -1 with an exception set. */
int cv_access_log_setup_type(PyObject *module);

/* The log of an AccessLog, borrowed from it; NULL, with no exception set, for any other object. */
cv_access_log_t *cv_access_log_from_object(PyObject *object);

#endif
