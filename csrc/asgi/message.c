/* SPDX-License-Identifier: MIT */
#include "asgi/message.h"

#include <stddef.h>

/* A key, and where its value goes. */
typedef struct {
    PyObject *key;
    PyObject **value;
} known_t;

/* A key that is not one of the interned strings itself. It is compared as text, by no method of its own: code of the
 * application's might free the values that were found before. */
static void
take_as_text(PyObject *key, PyObject *value, const known_t *known, size_t count)
{
    for (size_t i = 0; i < count && PyUnicode_Check(key); i++) {
        if (PyUnicode_Compare(key, known[i].key) == 0) {
            *known[i].value = value;
            return;
        }
    }
}

static void
take_other_key(PyObject *key, PyObject *value, const cv_names_t *names, cv_message_t *out)
{
    const known_t known[] = {
        {names->type, &out->type},
        {names->status, &out->status},
        {names->headers, &out->headers},
        {names->body, &out->body},
        {names->more_body, &out->more_body},
    };
    take_as_text(key, value, known, sizeof known / sizeof known[0]);
}

/* In one pass, which is cheaper than five look-ups: the keys nearly always are the interned strings themselves. */
void
cv_message_read(PyObject *dict, const cv_names_t *names, cv_message_t *out)
{
    Py_ssize_t at = 0;
    PyObject *key;
    PyObject *value;
    *out = (cv_message_t){.dict = dict};
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
            take_other_key(key, value, names, out);
        }
    }
}

void
cv_message_read_extra(const cv_message_t *message, const cv_names_t *names, cv_message_extra_t *out)
{
    const known_t known[] = {
        {names->trailers, &out->trailers},
        {names->more_trailers, &out->more_trailers},
        {names->links, &out->links},
        {names->path, &out->path},
        {names->file, &out->file},
        {names->offset, &out->offset},
        {names->count, &out->count},
    };
    Py_ssize_t at = 0;
    PyObject *key;
    PyObject *value;
    *out = (cv_message_extra_t){.trailers = NULL};
    while (PyDict_Next(message->dict, &at, &key, &value)) {
        take_as_text(key, value, known, sizeof known / sizeof known[0]);
    }
}

void
cv_message_read_send(PyObject *dict, const cv_names_t *names, cv_websocket_send_t *out)
{
    const known_t known[] = {{names->type, &out->type}, {names->text, &out->text}, {names->bytes, &out->bytes}};
    Py_ssize_t at = 0;
    PyObject *key;
    PyObject *value;
    *out = (cv_websocket_send_t){.type = NULL};
    while (PyDict_Next(dict, &at, &key, &value)) {
        if (key == names->type) {
            out->type = value;
        } else if (key == names->text) {
            out->text = value;
        } else if (key == names->bytes) {
            out->bytes = value;
        } else {
            take_as_text(key, value, known, sizeof known / sizeof known[0]);
        }
    }
}

PyObject *
cv_message_find(PyObject *dict, PyObject *key)
{
    PyObject *found = NULL;
    const known_t known[] = {{key, &found}};
    Py_ssize_t at = 0;
    PyObject *name;
    PyObject *value;
    while (PyDict_Next(dict, &at, &name, &value)) {
        take_as_text(name, value, known, 1);
    }
    return found;
}

bool
cv_message_says(PyObject *type, PyObject *name)
{
    return type == name || (PyUnicode_Check(type) && PyUnicode_Compare(type, name) == 0);
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
