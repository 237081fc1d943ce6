/* SPDX-License-Identifier: MIT
 *
 * Where the negative numbers of the layers below become Python exceptions, and how exceptions are carried around.
 *
 * Thread:  the GIL is held.
 */
#ifndef CUVEE_PY_ERRORS_H
#define CUVEE_PY_ERRORS_H

#include <Python.h>

/* Sets the exception that a negative status of base/, http/, net/ or conn/ means: MemoryError, RuntimeError for a
 * cv_h1_write_error, else OSError. Returns -1. */
int cv_error_set(int status);

/* Takes the exception that is set, as an instance with its traceback; NULL when none is set. New reference. */
PyObject *cv_error_take(void);

/* Sets an exception instance again. Steals the reference. */
void cv_error_give(PyObject *exception);

/* What a coroutine's throw(type[, value[, traceback]]) raises; leaves it set. Returns NULL. */
PyObject *cv_error_throw(PyObject *const *args, Py_ssize_t nargs);

#endif
