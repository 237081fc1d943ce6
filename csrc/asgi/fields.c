/* SPDX-License-Identifier: MIT */
#include "asgi/fields.h"

/* A list, as frameworks give it. An item may run code of the app's, which may change the list. */
static int
each_listed(PyObject *list, int (*put)(void *into, PyObject *item), void *into)
{
    int status = 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(list); i++) {
        PyObject *item = Py_NewRef(PyList_GET_ITEM(list, i));
        status = put(into, item);
        Py_DECREF(item);
    }
    return status;
}

static int
each_iterated(PyObject *items, int (*put)(void *into, PyObject *item), void *into)
{
    PyObject *iterator = PyObject_GetIter(items);
    if (iterator == NULL) {
        return -1;
    }
    PyObject *item;
    int status = 0;
    while (status == 0 && (item = PyIter_Next(iterator)) != NULL) {
        status = put(into, item);
        Py_DECREF(item);
    }
    Py_DECREF(iterator);
    return status < 0 || PyErr_Occurred() ? -1 : 0;
}

int
cv_items_each(PyObject *items, int (*put)(void *into, PyObject *item), void *into)
{
    if (items == NULL) {
        return 0;
    }
    Py_INCREF(items); /* what holds it may change meanwhile */
    int status = PyList_CheckExact(items) ? each_listed(items, put, into) : each_iterated(items, put, into);
    Py_DECREF(items);
    return status;
}

typedef struct {
    cv_fields_put put;
    void *into;
} sink_t;

static int
put_name_and_value(const sink_t *sink, PyObject *name, PyObject *value)
{
    if (!PyBytes_Check(name) || !PyBytes_Check(value)) {
        PyErr_Format(PyExc_TypeError, "header names and values must be bytes, not %.100s and %.100s",
                     Py_TYPE(name)->tp_name, Py_TYPE(value)->tp_name);
        return -1;
    }
    return sink->put(sink->into, name, value);
}

static int
put_pair(void *into, PyObject *pair)
{
    const sink_t *sink = into;
    if (PyTuple_CheckExact(pair) && PyTuple_GET_SIZE(pair) == 2) {
        return put_name_and_value(sink, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1));
    }
    PyObject *fast = PySequence_Fast(pair, "each header must be a pair of name and value");
    if (fast == NULL) {
        return -1;
    }
    int status = -1;
    if (PySequence_Fast_GET_SIZE(fast) == 2) {
        status = put_name_and_value(sink, PySequence_Fast_GET_ITEM(fast, 0), PySequence_Fast_GET_ITEM(fast, 1));
    } else {
        PyErr_SetString(PyExc_ValueError, "each header must be a pair of name and value");
    }
    Py_DECREF(fast);
    return status;
}

int
cv_fields_each(PyObject *fields, cv_fields_put put, void *into)
{
    sink_t sink = {put, into};
    return cv_items_each(fields, put_pair, &sink);
}
