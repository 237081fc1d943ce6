/* SPDX-License-Identifier: MIT */
#include "loop/own_watch.h"

#include <sys/stat.h>

static bool
is_socket(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

static void
on_ready(uv_poll_t *poll, int status, int events)
{
    cv_own_watch_t *own = CV_CONTAINER_OF(poll, cv_own_watch_t, poll);
    cv_loop_enter(poll->data);
    if (status < 0) {
        /* An error of the socket's: libuv stops, and does not say which. Who reads or writes is told by the kernel, and
         * that may be all there is to it: a datagram that nobody took. */
        events = own->events;
        if (own->watch != NULL) {
            (void)cv_own_watch_start(own, own->watch, events);
        }
    }
    if (own->watch != NULL) {
        own->watch->ready(own->watch, events);
    }
}

cv_own_watch_t *
cv_own_watch_new(PyObject *loop, cv_list_t *all_fresh, int fd, int *out_status)
{
    cv_own_watch_t *own = PyMem_Calloc(1, sizeof *own);
    *out_status = own != NULL ? uv_poll_init(cv_loop_uv(loop), &own->poll, fd) : UV_ENOMEM;
    if (*out_status < 0) {
        PyMem_Free(own);
        return NULL;
    }
    cv_list_init(&own->fresh);
    own->all_fresh = all_fresh;
    own->poll.data = loop;
    own->fd = fd;
    return own;
}

void
cv_own_watch_free(cv_own_watch_t *own)
{
    PyMem_Free(own);
}

int
cv_own_watch_start(cv_own_watch_t *own, cv_loop_watch_t *watch, int events)
{
    if (!is_socket(own->fd)) {
        return UV_EBADF;
    }
    int status = uv_poll_start(&own->poll, events, on_ready);
    if (status < 0) {
        return status;
    }
    own->watch = watch;
    own->events = events;
    if (!cv_list_is_linked(&own->fresh)) {
        cv_list_append(own->all_fresh, &own->fresh);
    }
    return 0;
}

void
cv_own_watch_stop(cv_own_watch_t *own)
{
    own->watch = NULL;
    own->events = 0;
    cv_list_remove(&own->fresh);
    (void)uv_poll_stop(&own->poll);
}

void
cv_own_watch_confirm(cv_list_t *all_fresh)
{
    while (!cv_list_is_empty(all_fresh)) {
        cv_own_watch_t *own = CV_CONTAINER_OF(all_fresh->next, cv_own_watch_t, fresh);
        cv_list_remove(&own->fresh);
        if (!is_socket(own->fd)) {
            cv_loop_watch_t *watch = own->watch;
            int events = own->events;
            cv_own_watch_stop(own);
            watch->ready(watch, events);
        }
    }
}
