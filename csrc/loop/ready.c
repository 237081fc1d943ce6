/* SPDX-License-Identifier: MIT */
#include "loop/ready.h"

#define FIRST_SIZE 64

void
cv_ready_init(cv_ready_t *ready)
{
    *ready = (cv_ready_t){0};
}

void
cv_ready_deinit(cv_ready_t *ready)
{
    /* Dropping a handle may run a finalizer that schedules another: until none is left. */
    while (ready->count > 0) {
        Py_DECREF(cv_ready_pop(ready));
    }
    PyMem_Free(ready->slots);
    cv_ready_init(ready);
}

int
cv_ready_grow(cv_ready_t *ready)
{
    size_t size = ready->size > 0 ? ready->size * 2 : FIRST_SIZE;
    HandleObject **slots = PyMem_New(HandleObject *, size);
    if (slots == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < ready->count; i++) {
        slots[i] = ready->slots[(ready->head + i) & (ready->size - 1)];
    }
    PyMem_Free(ready->slots);
    ready->slots = slots;
    ready->size = size;
    ready->head = 0;
    return 0;
}

int
cv_ready_traverse(cv_ready_t *ready, visitproc visit, void *arg)
{
    for (size_t i = 0; i < ready->count; i++) {
        Py_VISIT(ready->slots[(ready->head + i) & (ready->size - 1)]);
    }
    return 0;
}
