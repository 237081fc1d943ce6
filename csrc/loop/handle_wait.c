/* SPDX-License-Identifier: MIT */
#include "loop/handle_wait.h"

#include "base/list.h"
#include "loop/loop_core.h"

typedef struct {
    cv_list_t node;           /* the loop's handle_waiters, until it is woken */
    HandleObject *handle;     /* borrowed from the caller */
    PyThread_type_lock woken; /* held until it is */
} waiter_t;

static bool
must_wait(const HandleObject *handle)
{
#if PY_VERSION_HEX >= 0x030E0000
    return handle->running && handle->threadsafe && !cv_loop_runs_here((PyObject *)handle->loop);
#else
    (void)handle;
    return false;
#endif
}

/* 0 when the lock was taken; -1 with what a signal handler raised. */
static int
acquire(PyThread_type_lock lock)
{
    for (;;) {
        PyLockStatus status;
        Py_BEGIN_ALLOW_THREADS
        status = PyThread_acquire_lock_timed(lock, -1, 1);
        Py_END_ALLOW_THREADS
        if (status == PY_LOCK_ACQUIRED) {
            return 0;
        }
        if (PyErr_CheckSignals() < 0) {
            return -1;
        }
    }
}

int
cv_handle_wait(HandleObject *handle)
{
    if (!must_wait(handle)) {
        return 0;
    }
    waiter_t waiter = {.handle = handle, .woken = PyThread_allocate_lock()};
    if (waiter.woken == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    PyThread_acquire_lock(waiter.woken, NOWAIT_LOCK);
    cv_list_append(&handle->loop->handle_waiters, &waiter.node);
    int status = acquire(waiter.woken);
    if (status == 0) {
        PyThread_release_lock(waiter.woken);
    }
    cv_list_remove(&waiter.node);
    PyThread_free_lock(waiter.woken);
    return status;
}

void
cv_handle_wake_waiters(HandleObject *handle)
{
    cv_list_t *all = &handle->loop->handle_waiters;
    for (cv_list_t *node = all->next; node != all;) {
        waiter_t *waiter = CV_CONTAINER_OF(node, waiter_t, node);
        node = node->next;
        if (waiter->handle == handle) {
            cv_list_remove(&waiter->node);
            PyThread_release_lock(waiter->woken);
        }
    }
}
