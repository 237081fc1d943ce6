/* SPDX-License-Identifier: MIT */
#include "loop/arguments.h"

static int
index_of(const cv_arguments_t *wanted, PyObject *name)
{
    int i = 0;
    while (i < wanted->count && PyUnicode_CompareWithASCIIString(name, wanted->names[i]) != 0) {
        i++;
    }
    return i;
}

static int
sort_names(const cv_arguments_t *wanted, PyObject *const *values, PyObject *kwnames, PyObject **out)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(kwnames); i++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, i);
        int index = index_of(wanted, name);
        if (index == wanted->count) {
            PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", wanted->method, name);
            return -1;
        }
        if (out[index] != NULL) {
            PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'", wanted->method, name);
            return -1;
        }
        out[index] = values[i];
    }
    return 0;
}

int
cv_arguments_sort(const cv_arguments_t *wanted, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
                  PyObject **out)
{
    if (nargs > wanted->count) {
        PyErr_Format(PyExc_TypeError, "%s() takes %d positional arguments but %zd were given", wanted->method,
                     wanted->count, nargs);
        return -1;
    }
    for (int i = 0; i < wanted->count; i++) {
        out[i] = i < nargs ? args[i] : NULL;
    }
    if (kwnames != NULL && sort_names(wanted, args + nargs, kwnames, out) < 0) {
        return -1;
    }
    for (int i = 0; i < wanted->count; i++) {
        if (out[i] == NULL) {
            PyErr_Format(PyExc_TypeError, "%s() missing required argument: '%s'", wanted->method, wanted->names[i]);
            return -1;
        }
    }
    return 0;
}
