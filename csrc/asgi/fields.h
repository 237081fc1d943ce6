/* SPDX-License-Identifier: MIT
 *
 * The fields that an application gives: an iterable of pairs of bytes.
 *
 * Thread:  the GIL is held. Iterating may run code of the application's.
 * Errors:  -1 with an exception set: TypeError or ValueError for what is no such pair, and what a negative `put` means.
 */
#ifndef CUVEE_ASGI_FIELDS_H
#define CUVEE_ASGI_FIELDS_H

#include <Python.h>

/* Takes one field, whose two objects are bytes. 0, or -1 with an exception set. */
typedef int (*cv_fields_put)(void *into, PyObject *name, PyObject *value);

/* Has each field of `fields` (borrowed; NULL: none) put, in their order. */
int cv_fields_each(PyObject *fields, cv_fields_put put, void *into);

/* The same for any items: each is given to `put` as it is. */
int cv_items_each(PyObject *items, int (*put)(void *into, PyObject *item), void *into);

#endif
