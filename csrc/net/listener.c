/* SPDX-License-Identifier: MIT */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* accept4 */
#endif
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "base/list.h"

/* So many connections an event, so that accepting never starves the connections that are there. */
enum { ACCEPTS_PER_EVENT = 32,
       ACCEPTS_AT_END = 65536,  /* more than any backlog */
       RETRY_MS = 100 };

/* What one batch of accepts ended with, when it is not a negative errno. */
enum { QUEUE_EMPTY = 0,
       BATCH_FULL = 1 };

static int
check_listens(int fd)
{
    int listens = 0;
    socklen_t len = sizeof(listens);
    /* Not every kernel answers this for every family: only a clear no counts. */
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && !listens) {
        return -EINVAL;
    }
    return 0;
}

static bool
speaks_tcp(int fd)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof(name);
    memset(&name, 0, sizeof(name));
    if (getsockname(fd, (struct sockaddr *)&name, &len) != 0) {
        return false;
    }
    return name.ss_family == AF_INET || name.ss_family == AF_INET6;
}

int
cv_listener_open(cv_listener_t *listener, uv_loop_t *loop, int fd, const cv_listener_ops_t *ops)
{
    int status = check_listens(fd);
    if (status < 0) {
        return status;
    }
    status = uv_poll_init(loop, &listener->poll, fd);
    if (status < 0) {
        return status;
    }
    status = uv_timer_init(loop, &listener->retry);
    if (status < 0) {
        return status; /* libuv 1.x has no way to fail here */
    }
    listener->ops = ops;
    listener->fd = fd;
    listener->open_handles = 2;
    listener->is_tcp = speaks_tcp(fd);
    listener->listening = false;
    listener->paused = false;
    listener->closing = false;
    return 0;
}

#ifdef __linux__

static int
accept_one(int fd, struct sockaddr *peer, socklen_t *peer_len)
{
    int accepted = accept4(fd, peer, peer_len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return accepted >= 0 ? accepted : -errno;
}

#else

static int
accept_one(int fd, struct sockaddr *peer, socklen_t *peer_len)
{
    int accepted = accept(fd, peer, peer_len);
    if (accepted < 0) {
        return -errno;
    }
    fcntl(accepted, F_SETFD, FD_CLOEXEC);
    fcntl(accepted, F_SETFL, fcntl(accepted, F_GETFL) | O_NONBLOCK);
    return accepted;
}

#endif

/* Errors of one connection in the queue, or of its network (accept(2) hands those on): the next may be fine. */
static bool
concerns_one_connection(int error)
{
    switch (-error) {
    case ECONNABORTED:
    case EINTR:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENETUNREACH:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

static void
hand_up(cv_listener_t *listener, int fd, const struct sockaddr *peer, socklen_t peer_len)
{
    if (listener->is_tcp) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    listener->ops->on_accept(listener, fd, peer, peer_len);
}

/* Accepts one connection and hands it up: BATCH_FULL if there may be another. */
static int
accept_next(cv_listener_t *listener)
{
    struct sockaddr_storage peer;
    socklen_t peer_len = sizeof(peer);
    int fd = accept_one(listener->fd, (struct sockaddr *)&peer, &peer_len);
    if (fd >= 0) {
        hand_up(listener, fd, (struct sockaddr *)&peer, peer_len);
    } else if (fd == -EAGAIN || fd == -EWOULDBLOCK) {
        return QUEUE_EMPTY;
    } else if (!concerns_one_connection(fd)) {
        return fd;
    }
    return BATCH_FULL;
}

/* Accepts until the queue is empty, the batch is full or an error stands in the way. */
static int
accept_batch(cv_listener_t *listener)
{
    int status = BATCH_FULL;
    for (int i = 0; i < ACCEPTS_PER_EVENT && listener->listening && status == BATCH_FULL; i++) {
        status = accept_next(listener);
    }
    return status;
}

static void on_retry(uv_timer_t *timer);

/* The backlog stays in the kernel meanwhile; a level-triggered poll would spin on it. */
static void
pause_accepting(cv_listener_t *listener, int error)
{
    if (listener->closing || !listener->listening) {
        return;
    }
    uv_poll_stop(&listener->poll);
    uv_timer_start(&listener->retry, on_retry, RETRY_MS, 0);
    if (!listener->paused) {
        listener->paused = true;
        listener->ops->on_paused(listener, error);
    }
}

static void
on_event(uv_poll_t *poll, int status, int events)
{
    (void)events;
    cv_listener_t *listener = CV_CONTAINER_OF(poll, cv_listener_t, poll);
    if (status >= 0) {
        status = accept_batch(listener);
    }
    if (status < 0) {
        pause_accepting(listener, status);
    }
}

static int
watch(cv_listener_t *listener)
{
    return uv_poll_start(&listener->poll, UV_READABLE, on_event);
}

int
cv_listener_start(cv_listener_t *listener)
{
    if (listener->closing) {
        return -EINVAL;
    }
    if (listener->listening) {
        return 0;
    }
    int status = watch(listener);
    listener->listening = status == 0;
    return status;
}

void
cv_listener_stop(cv_listener_t *listener)
{
    if (listener->closing || !listener->listening) {
        return;
    }
    listener->listening = false;
    listener->paused = false;
    uv_poll_stop(&listener->poll);
    uv_timer_stop(&listener->retry);
}

void
cv_listener_accept_waiting(cv_listener_t *listener)
{
    int status = BATCH_FULL;
    for (int i = 0; i < ACCEPTS_AT_END && !listener->closing && status == BATCH_FULL; i++) {
        status = accept_next(listener);
    }
    if (status < 0) {
        pause_accepting(listener, status);
    }
}

/* The pause ends with a batch that wanted for nothing: one descriptor that came free is no end yet, or a full
 * table would be reported with every connection that closes. */
void
cv_listener_retry(cv_listener_t *listener)
{
    if (!listener->paused || listener->closing) {
        return;
    }
    int status = accept_batch(listener);
    if (status < 0) {
        pause_accepting(listener, status);
    } else if (listener->paused) {
        listener->paused = false;
        uv_timer_stop(&listener->retry);
        watch(listener);
        listener->ops->on_resumed(listener);
    }
}

static void
on_retry(uv_timer_t *timer)
{
    cv_listener_retry(CV_CONTAINER_OF(timer, cv_listener_t, retry));
}

static void
count_closed(cv_listener_t *listener)
{
    listener->open_handles--;
    if (listener->open_handles == 0) {
        listener->ops->on_closed(listener);
    }
}

static void
on_poll_closed(uv_handle_t *handle)
{
    count_closed(CV_CONTAINER_OF(handle, cv_listener_t, poll));
}

static void
on_timer_closed(uv_handle_t *handle)
{
    count_closed(CV_CONTAINER_OF(handle, cv_listener_t, retry));
}

void
cv_listener_close(cv_listener_t *listener)
{
    if (listener->closing) {
        return;
    }
    listener->closing = true;
    listener->listening = false;
    listener->paused = false;
    uv_close((uv_handle_t *)&listener->poll, on_poll_closed);
    uv_close((uv_handle_t *)&listener->retry, on_timer_closed);
}
