/* SPDX-License-Identifier: MIT
 *
 * Copies of a small dict that scopes are given, and that come back: an application may change what it gets, but hardly
 * any does. A copy that nobody else refers to any more, and that still says what the original does, is given again.
 *
 * Owns:    strong references to the original and to the copies that were given last.
 * Thread:  loop thread, the GIL held.
 * Errors:  NULL or -1 with an exception set.
 */
#ifndef CUVEE_ASGI_LENT_H
#define CUVEE_ASGI_LENT_H

#include <Python.h>

enum { CV_LENT_COPIES = 64, /* as many as requests are started in one turn */
       CV_LENT_ITEMS = 4 };  /* most items of a dict */

typedef struct {
    PyObject *original; /* strong; nobody changes it */
    PyObject *keys[CV_LENT_ITEMS], *values[CV_LENT_ITEMS]; /* borrowed from it, in its order */
    Py_ssize_t count;
    PyObject *copies[CV_LENT_COPIES];
    unsigned next;
} cv_lent_t;

/* Lends copies of a dict, which it takes over and which may be NULL with an exception set: -1 then. */
int cv_lent_init(cv_lent_t *lent, PyObject *original);

/* A dict that is equal to the original, and the caller's alone. New reference. */
PyObject *cv_lent_take(cv_lent_t *lent);

int cv_lent_visit(cv_lent_t *lent, visitproc visit, void *arg);

/* Lets go of everything. */
void cv_lent_clear(cv_lent_t *lent);

#endif
