/* SPDX-License-Identifier: MIT */
#include "asgi/opening.h"

#include <errno.h>
#include <unistd.h>

#include "net/file.h"

struct cv_opening {
    uv_work_t work;
    cv_service_t *service; /* borrowed: its env is held while the thread is under way */
    CycleObject *cycle;    /* borrowed; NULL once nobody waits */
    PyObject *path;        /* strong: bytes */
    const char *text;      /* of `path` */
    bool done;
    int fd;                /* or a negative errno */
    uint64_t size;
};

static void
open_in_thread(uv_work_t *work)
{
    cv_opening_t *opening = CV_CONTAINER_OF(work, cv_opening_t, work);
    opening->fd = cv_file_open(opening->text, &opening->size);
}

static void
free_opening(cv_opening_t *opening)
{
    if (opening->fd >= 0) {
        close(opening->fd);
    }
    Py_DECREF(opening->path);
    PyMem_Free(opening);
}

static void
on_opened(uv_work_t *work, int Py_UNUSED(status))
{
    cv_opening_t *opening = CV_CONTAINER_OF(work, cv_opening_t, work);
    cv_service_t *service = opening->service;
    cv_service_enter(service);
    opening->done = true;
    if (opening->cycle == NULL) {
        free_opening(opening);
    } else {
        CycleObject *cycle = (CycleObject *)Py_NewRef(opening->cycle);
        if (cv_cycle_wake(cycle, &cycle->senders) < 0) {
            PyErr_WriteUnraisable((PyObject *)cycle);
        }
        cv_service_wake(service);
        Py_DECREF(cycle);
    }
    cv_conn_env_let_go(&service->env);
}

cv_opening_t *
cv_opening_start(CycleObject *cycle, PyObject *path)
{
    PyObject *bytes = NULL;
    if (!PyUnicode_FSConverter(path, &bytes)) {
        return NULL;
    }
    cv_opening_t *opening = PyMem_Calloc(1, sizeof(*opening));
    if (opening == NULL) {
        Py_DECREF(bytes);
        PyErr_NoMemory();
        return NULL;
    }
    opening->service = cycle->service;
    opening->cycle = cycle;
    opening->path = bytes;
    opening->text = PyBytes_AS_STRING(bytes);
    opening->fd = -ECANCELED;
    int status = uv_queue_work(cycle->service->env.loop, &opening->work, open_in_thread, on_opened);
    if (status < 0) {
        free_opening(opening);
        errno = -status;
        PyErr_SetFromErrno(PyExc_OSError);
        return NULL;
    }
    cv_conn_env_hold(&cycle->service->env);
    return opening;
}

bool
cv_opening_is_done(const cv_opening_t *opening)
{
    return opening->done;
}

int
cv_opening_take(cv_opening_t *opening, uint64_t *out_size)
{
    int fd = opening->fd;
    if (fd < 0) {
        errno = -fd;
        PyObject *path = PyUnicode_DecodeFSDefault(opening->text);
        PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path == NULL ? opening->path : path);
        Py_XDECREF(path);
        return -1;
    }
    *out_size = opening->size;
    opening->fd = -1;
    return fd;
}

void
cv_opening_drop(cv_opening_t *opening)
{
    opening->cycle = NULL;
    if (opening->done) {
        free_opening(opening);
    }
}
