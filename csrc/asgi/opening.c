/* SPDX-License-Identifier: MIT */
#include "asgi/opening.h"

#include <errno.h>
#include <unistd.h>

#include "conn/file_opening.h"
#include "py/errors.h"

struct cv_opening {
    cv_file_opening_t file;
    CycleObject *cycle;    /* borrowed; NULL once nobody waits */
    PyObject *path;        /* strong: bytes */
    bool done;
};

static void
free_opening(cv_opening_t *opening)
{
    if (opening->file.fd >= 0) {
        close(opening->file.fd);
    }
    Py_DECREF(opening->path);
    PyMem_Free(opening);
}

static void
tell_cycle(CycleObject *cycle)
{
    Py_INCREF(cycle);
    if (cv_exchange_wake(&cycle->exchange, &cycle->senders) < 0) {
        PyErr_WriteUnraisable((PyObject *)cycle);
    }
    cv_service_wake(cycle->service);
    Py_DECREF(cycle);
}

static void
on_opened(cv_file_opening_t *file)
{
    cv_opening_t *opening = CV_CONTAINER_OF(file, cv_opening_t, file);
    cv_service_enter(CV_CONTAINER_OF(file->env, cv_service_t, env));
    opening->done = true;
    if (opening->cycle == NULL) {
        free_opening(opening);
    } else {
        tell_cycle(opening->cycle);
    }
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
    opening->cycle = cycle;
    opening->path = bytes;
    int status = cv_file_opening_start(&opening->file, &cycle->service->env, PyBytes_AS_STRING(bytes), on_opened);
    if (status < 0) {
        free_opening(opening);
        cv_error_set(status);
        return NULL;
    }
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
    int fd = opening->file.fd;
    if (fd < 0) {
        errno = -fd;
        PyObject *path = PyUnicode_DecodeFSDefault(PyBytes_AS_STRING(opening->path));
        PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path == NULL ? opening->path : path);
        Py_XDECREF(path);
        return -1;
    }
    *out_size = opening->file.size;
    opening->file.fd = -1;
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
