/* SPDX-License-Identifier: MIT */
#include "loop/poller.h"

#include <errno.h>
#include <fcntl.h>
#include <uv.h>

#define FETCH_MAX 256

#if defined(__linux__)

#include <sys/epoll.h>

int
cv_poller_open(void)
{
    int poller = epoll_create1(EPOLL_CLOEXEC);
    return poller < 0 ? -errno : poller;
}

static int
control(int poller, int operation, int fd, int events)
{
    struct epoll_event event = {
        .events = (events & UV_READABLE ? EPOLLIN : 0u) | (events & UV_WRITABLE ? EPOLLOUT : 0u),
        .data.fd = fd,
    };
    return epoll_ctl(poller, operation, fd, &event) < 0 ? -errno : 0;
}

int
cv_poller_change(int poller, int fd, int before, int after)
{
    if (after == 0) {
        return control(poller, EPOLL_CTL_DEL, fd, 0);
    }
    if (before == 0) {
        int status = control(poller, EPOLL_CTL_ADD, fd, after);
        /* The number came back as another duplicate of a file that was watched under it. */
        return status == -EEXIST ? control(poller, EPOLL_CTL_MOD, fd, after) : status;
    }
    int status = control(poller, EPOLL_CTL_MOD, fd, after);
    /* Closed since, and the number used again: the new file is not watched yet. */
    return status == -ENOENT ? control(poller, EPOLL_CTL_ADD, fd, after) : status;
}

int
cv_poller_fetch(int poller, cv_poller_event_t *events, int size)
{
    struct epoll_event found[FETCH_MAX];
    int count = epoll_wait(poller, found, size < FETCH_MAX ? size : FETCH_MAX, 0);
    if (count < 0) {
        return errno == EINTR ? 0 : -errno;
    }
    for (int i = 0; i < count; i++) {
        uint32_t bits = found[i].events;
        events[i].fd = found[i].data.fd;
        int readable = bits & ~(uint32_t)EPOLLOUT ? UV_READABLE : 0;
        int writable = bits & ~(uint32_t)EPOLLIN ? UV_WRITABLE : 0;
        events[i].events = readable | writable;
    }
    return count;
}

#else

#include <sys/event.h>
#include <sys/time.h>
#include <sys/types.h>

int
cv_poller_open(void)
{
    int poller = kqueue();
    if (poller < 0) {
        return -errno;
    }
    (void)fcntl(poller, F_SETFD, FD_CLOEXEC);
    return poller;
}

static int
control(int poller, int fd, int filter, int flags)
{
    struct kevent change;
    EV_SET(&change, fd, filter, flags, 0, 0, NULL);
    return kevent(poller, &change, 1, NULL, 0, NULL) < 0 ? -errno : 0;
}

/* A descriptor that is closed leaves a kqueue by itself, so a filter is added also where it was there before. */
int
cv_poller_change(int poller, int fd, int before, int after)
{
    static const struct {
        int event;
        int filter;
    } kinds[] = {{UV_READABLE, EVFILT_READ}, {UV_WRITABLE, EVFILT_WRITE}};
    int result = 0;
    for (int i = 0; i < 2; i++) {
        int status = 0;
        if (after & kinds[i].event) {
            status = control(poller, fd, kinds[i].filter, EV_ADD);
        } else if (before & kinds[i].event) {
            status = control(poller, fd, kinds[i].filter, EV_DELETE);
            status = status == -ENOENT ? 0 : status;
        }
        result = result < 0 ? result : status;
    }
    return result;
}

int
cv_poller_fetch(int poller, cv_poller_event_t *events, int size)
{
    struct kevent found[FETCH_MAX];
    struct timespec now = {0, 0};
    int count = kevent(poller, NULL, 0, found, size < FETCH_MAX ? size : FETCH_MAX, &now);
    if (count < 0) {
        return errno == EINTR ? 0 : -errno;
    }
    for (int i = 0; i < count; i++) {
        events[i].fd = (int)found[i].ident;
        events[i].events = found[i].filter == EVFILT_READ ? UV_READABLE : UV_WRITABLE;
        if (found[i].flags & EV_ERROR) {
            events[i].events = UV_READABLE | UV_WRITABLE;
        }
    }
    return count;
}

#endif
