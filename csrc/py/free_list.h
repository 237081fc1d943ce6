/* SPDX-License-Identifier: MIT
 *
 * Memory of freed Python objects of one size, kept for the next ones: what is made and freed with every request never
 * reaches the allocator, nor the garbage collector's count of what was made.
 *
 * Owns:    the memory in the list.
 * Thread:  the GIL is held.
 */
#ifndef CUVEE_PY_FREE_LIST_H
#define CUVEE_PY_FREE_LIST_H

#include <Python.h>

#include <stdbool.h>

/* As many as one batch of requests uses at once. Under a sanitizer none, so that it sees a use after free. */
#if defined(__SANITIZE_ADDRESS__)
#define CV_FREE_LIST_MAX 0
#else
#define CV_FREE_LIST_MAX 128
#endif

typedef struct {
    int count;
    bool closed; /* the module is being cleared: nothing is kept any more */
    PyObject *items[CV_FREE_LIST_MAX + 1];
} cv_free_list_t;

/* A new object of a GC type: not tracked, its own fields not initialised. NULL with an exception. */
static inline PyObject *
cv_free_list_new(cv_free_list_t *list, PyTypeObject *type)
{
    if (list->count == 0) {
        return PyObject_GC_New(PyObject, type);
    }
    return PyObject_Init(list->items[--list->count], type);
}

/* The end of a GC type's tp_dealloc: takes the memory of an untracked object, and its reference to its type. */
static inline void
cv_free_list_del(cv_free_list_t *list, PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    if (list->count < CV_FREE_LIST_MAX && !list->closed) {
        list->items[list->count++] = op;
    } else {
        PyObject_GC_Del(op);
    }
    Py_DECREF(type);
}

/* Gives all memory back, for good. */
static inline void
cv_free_list_close(cv_free_list_t *list)
{
    list->closed = true;
    while (list->count > 0) {
        PyObject_GC_Del(list->items[--list->count]);
    }
}

#endif
