/* SPDX-License-Identifier: MIT */
#include "asgi/message.h"

#include <stddef.h>

static int
look_up_message(PyObject *dict, const cv_names_t *names, cv_message_t *out)
{
    const struct {
        PyObject *key;
        PyObject **value;
    } wanted[] = {
        {names->type, &out->type},
        {names->status, &out->status},
        {names->headers, &out->headers},
        {names->body, &out->body},
        {names->more_body, &out->more_body},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        *wanted[i].value = PyDict_GetItemWithError(dict, wanted[i].key);
        if (*wanted[i].value == NULL && PyErr_Occurred()) {
            return -1;
        }
    }
    return 0;
}

/* In one pass, which is cheaper than five look-ups: the keys nearly always are the interned strings themselves. */
int
cv_message_read(PyObject *dict, const cv_names_t *names, cv_message_t *out)
{
    Py_ssize_t at = 0;
    PyObject *key;
    PyObject *value;
    *out = (cv_message_t){.type = NULL};
    while (PyDict_Next(dict, &at, &key, &value)) {
        if (key == names->type) {
            out->type = value;
        } else if (key == names->body) {
            out->body = value;
        } else if (key == names->more_body) {
            out->more_body = value;
        } else if (key == names->status) {
            out->status = value;
        } else if (key == names->headers) {
            out->headers = value;
        } else {
            return look_up_message(dict, names, out);
        }
    }
    return 0;
}

bool
cv_message_is(PyObject *type, PyObject *name, PyObject **seen)
{
    if (type == name || type == *seen) {
        return true;
    }
    if (!PyUnicode_Check(type) || PyUnicode_Compare(type, name) != 0) {
        return false;
    }
    if (PyUnicode_CheckExact(type)) {
        Py_XSETREF(*seen, Py_NewRef(type));
    }
    return true;
}
