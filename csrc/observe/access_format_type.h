/* SPDX-License-Identifier: MIT
 *
 * cuvee._core.AccessFormat: the Python face of a line's format.
 *
 * Thread:  the GIL is held.
 */
#ifndef CUVEE_OBSERVE_ACCESS_FORMAT_TYPE_H
#define CUVEE_OBSERVE_ACCESS_FORMAT_TYPE_H

#include <Python.h>

#include "observe/access_format.h"

/* Makes the type and adds it to `module`. Returns 0, or -1 with an exception set. */
int cv_access_format_setup_type(PyObject *module);

/* The format of an AccessFormat, borrowed from it; NULL, with no exception set, for any other object. */
cv_access_format_t *cv_access_format_from_object(PyObject *object);

#endif
