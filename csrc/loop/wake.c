/* SPDX-License-Identifier: MIT */
#include "loop/wake.h"

#define FIRST_SIZE 16

/* Ending the poll is all: the check phase that follows empties the queue. */
static void
on_async(uv_async_t *async)
{
    (void)async;
}

int
cv_wake_open(cv_wake_t *wake, uv_loop_t *uv)
{
    *wake = (cv_wake_t){.is_open = true};
    int status = -pthread_mutex_init(&wake->lock, NULL);
    if (status < 0) {
        return status;
    }
    status = uv_async_init(uv, &wake->async, on_async);
    if (status < 0) {
        pthread_mutex_destroy(&wake->lock);
    }
    return status;
}

void
cv_wake_close(cv_wake_t *wake)
{
    pthread_mutex_lock(&wake->lock);
    HandleObject **items = wake->items;
    size_t count = wake->count;
    wake->items = NULL;
    wake->count = wake->size = 0;
    wake->is_open = false;
    pthread_mutex_unlock(&wake->lock);
    for (size_t i = 0; i < count; i++) {
        Py_DECREF(items[i]);
    }
    PyMem_RawFree(items);
}

void
cv_wake_deinit(cv_wake_t *wake)
{
    pthread_mutex_destroy(&wake->lock);
}

/* With the lock held: raw memory, because the other allocators may need the GIL or run a collection. */
static bool
append_locked(cv_wake_t *wake, HandleObject *handle)
{
    if (wake->count == wake->size) {
        size_t size = wake->size > 0 ? wake->size * 2 : FIRST_SIZE;
        HandleObject **items = PyMem_RawRealloc(wake->items, size * sizeof(*items));
        if (items == NULL) {
            return false;
        }
        wake->items = items;
        wake->size = size;
    }
    wake->items[wake->count++] = handle;
    return true;
}

int
cv_wake_push_steal(cv_wake_t *wake, HandleObject *handle, bool send)
{
    pthread_mutex_lock(&wake->lock);
    bool is_open = wake->is_open;
    bool added = is_open && append_locked(wake, handle);
    if (added && send) {
        uv_async_send(&wake->async); /* under the lock: close() cannot have begun */
    }
    pthread_mutex_unlock(&wake->lock);
    if (added) {
        return 0;
    }
    Py_DECREF(handle);
    if (is_open) {
        PyErr_NoMemory();
    } else {
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
    }
    return -1;
}

int
cv_wake_drain(cv_wake_t *wake, cv_ready_t *ready)
{
    if (!cv_wake_has_work(wake)) {
        return 0;
    }
    pthread_mutex_lock(&wake->lock);
    HandleObject **items = wake->items;
    size_t count = wake->count;
    wake->items = NULL;
    wake->count = wake->size = 0;
    pthread_mutex_unlock(&wake->lock);
    int status = 0;
    for (size_t i = 0; i < count; i++) {
        if (cv_ready_push_steal(ready, items[i]) < 0) {
            status = -1;
        }
    }
    PyMem_RawFree(items);
    return status;
}

int
cv_wake_traverse(cv_wake_t *wake, visitproc visit, void *arg)
{
    for (size_t i = 0; i < wake->count; i++) {
        Py_VISIT(wake->items[i]);
    }
    return 0;
}
