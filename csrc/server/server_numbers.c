/* SPDX-License-Identifier: MIT */
#include "server/server_numbers.h"

#include <stdbool.h>
#include <stdint.h>

#include "net/deadlines.h"

static const cv_number_t *
find(const cv_number_t *numbers, size_t count, PyObject *name, const char *what)
{
    for (size_t i = 0; PyUnicode_Check(name) && i < count; i++) {
        if (PyUnicode_CompareWithASCIIString(name, numbers[i].name) == 0) {
            return &numbers[i];
        }
    }
    PyErr_Format(PyExc_TypeError, "there is no %s %R", what, name);
    return NULL;
}

static void
store(void *to, const cv_number_t *number, double value)
{
    char *place = (char *)to + number->offset;
    switch (number->kind) {
    case CV_NUMBER_FLAG:
        *(bool *)place = value != 0;
        break;
    case CV_NUMBER_UINT8:
        *(uint8_t *)place = (uint8_t)value;
        break;
    case CV_NUMBER_UINT32:
        *(uint32_t *)place = (uint32_t)value;
        break;
    case CV_NUMBER_UINT64:
        *(uint64_t *)place = (uint64_t)value;
        break;
    case CV_NUMBER_SIZE:
        *(size_t *)place = (size_t)value;
        break;
    case CV_NUMBER_SECONDS32:
        *(uint32_t *)place = (uint32_t)cv_deadlines_milliseconds(value);
        break;
    case CV_NUMBER_SECONDS64:
        *(uint64_t *)place = cv_deadlines_milliseconds(value);
        break;
    }
}

static int
take_one(void *to, const cv_number_t *number, PyObject *given)
{
    double value = PyFloat_AsDouble(given);
    if (PyErr_Occurred()) {
        return -1;
    }
    if (!(value >= number->least && value <= number->most)) {
        PyErr_Format(PyExc_ValueError, "%s is out of range: %R", number->name, given);
        return -1;
    }
    store(to, number, value);
    return 0;
}

int
cv_numbers_take(void *to, const cv_number_t *numbers, size_t count, PyObject *dict, const char *what)
{
    PyObject *name, *given;
    Py_ssize_t at = 0;
    while (PyDict_Next(dict, &at, &name, &given)) {
        const cv_number_t *number = find(numbers, count, name, what);
        if (number == NULL || take_one(to, number, given) < 0) {
            return -1;
        }
    }
    return 0;
}
