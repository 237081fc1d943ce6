/* SPDX-License-Identifier: MIT */
#include "asgi/lent.h"

#include <stdbool.h>

int
cv_lent_init(cv_lent_t *lent, PyObject *original)
{
    lent->original = original;
    if (original == NULL) {
        return -1;
    }
    Py_ssize_t at = 0;
    lent->count = PyDict_GET_SIZE(original);
    assert(lent->count <= CV_LENT_ITEMS);
    for (Py_ssize_t i = 0; i < lent->count; i++) {
        PyDict_Next(original, &at, &lent->keys[i], &lent->values[i]);
    }
    return 0;
}

/* The same keys and values in the same order, by identity: no code of an application's runs. */
static bool
is_unchanged(const cv_lent_t *lent, PyObject *copy)
{
    if (PyDict_GET_SIZE(copy) != lent->count) {
        return false;
    }
    Py_ssize_t at = 0;
    PyObject *key, *value;
    for (Py_ssize_t i = 0; i < lent->count; i++) {
        if (!PyDict_Next(copy, &at, &key, &value) || key != lent->keys[i] || value != lent->values[i]) {
            return false;
        }
    }
    return true;
}

PyObject *
cv_lent_take(cv_lent_t *lent)
{
    PyObject **place = &lent->copies[lent->next++ % CV_LENT_COPIES];
    if (*place == NULL || Py_REFCNT(*place) != 1 || !is_unchanged(lent, *place)) {
        PyObject *copy = PyDict_Copy(lent->original);
        if (copy == NULL) {
            return NULL;
        }
        Py_XSETREF(*place, copy);
    }
    return Py_NewRef(*place);
}

int
cv_lent_visit(cv_lent_t *lent, visitproc visit, void *arg)
{
    Py_VISIT(lent->original);
    for (unsigned i = 0; i < CV_LENT_COPIES; i++) {
        Py_VISIT(lent->copies[i]);
    }
    return 0;
}

void
cv_lent_clear(cv_lent_t *lent)
{
    Py_CLEAR(lent->original);
    for (unsigned i = 0; i < CV_LENT_COPIES; i++) {
        Py_CLEAR(lent->copies[i]);
    }
}
