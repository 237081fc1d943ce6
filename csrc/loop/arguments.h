/* SPDX-License-Identifier: MIT
 *
 * Arguments that may be given by name, as Python functions take them.
 *
 * Owns:    nothing; arguments are the caller's.
 * Thread:  any, with the GIL held.
 * Errors:  -1 with a TypeError set.
 */
#ifndef CUVEE_LOOP_ARGUMENTS_H
#define CUVEE_LOOP_ARGUMENTS_H

#include <Python.h>

/* What a method takes: so many arguments with these names, all of them required. */
typedef struct {
    const char *method;
    int count;
    const char *names[2];
} cv_arguments_t;

/* Sorts the arguments of a vectorcall into `out`, borrowed, in the order of the names. */
int cv_arguments_sort(const cv_arguments_t *wanted, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
                      PyObject **out);

#endif
