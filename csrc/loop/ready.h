/* SPDX-License-Identifier: MIT
 *
 * The ready ring: the handles that run in the next turn, in order.
 *
 * Owns:    a strong reference to every handle in it.
 * Thread:  the loop's, with the GIL held.
 * Errors:  -1 with MemoryError set.
 */
#ifndef CUVEE_LOOP_READY_H
#define CUVEE_LOOP_READY_H

#include <Python.h>

#include "loop/handle.h"

typedef struct {
    HandleObject **slots; /* `size` of them, a power of two */
    size_t size;
    size_t head; /* the oldest one's slot */
    size_t count;
} cv_ready_t;

void cv_ready_init(cv_ready_t *ready);

/* Drops every handle and the memory. */
void cv_ready_deinit(cv_ready_t *ready);

/* Makes the ring twice as large. */
int cv_ready_grow(cv_ready_t *ready);

/* Appends `handle`; takes over the caller's reference, also when it fails. */
static inline int
cv_ready_push_steal(cv_ready_t *ready, HandleObject *handle)
{
    if (ready->count == ready->size && cv_ready_grow(ready) < 0) {
        Py_DECREF(handle);
        return -1;
    }
    ready->slots[(ready->head + ready->count) & (ready->size - 1)] = handle;
    ready->count++;
    return 0;
}

/* Takes the oldest handle out and gives its reference to the caller; the ring must not be empty. */
static inline HandleObject *
cv_ready_pop(cv_ready_t *ready)
{
    HandleObject *handle = ready->slots[ready->head];
    ready->head = (ready->head + 1) & (ready->size - 1);
    ready->count--;
    return handle;
}

int cv_ready_traverse(cv_ready_t *ready, visitproc visit, void *arg);

#endif
