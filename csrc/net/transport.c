/* SPDX-License-Identifier: MIT */
#include "net/transport.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"

#ifdef MSG_NOSIGNAL
#define SEND_FLAGS MSG_NOSIGNAL
#else
#define SEND_FLAGS 0 /* SO_NOSIGPIPE was set when the transport was opened */
#endif

#ifdef MSG_MORE
#define SEND_MORE MSG_MORE
#else
#define SEND_MORE 0
#endif

#ifdef __linux__
#define WATCH_END UV_PRIORITIZED /* nobody sends it; but epoll tells of a reset only where anything is watched */
#else
#define WATCH_END 0
#endif

int
cv_transport_open(cv_transport_t *transport, uv_loop_t *loop, int fd, const cv_transport_ops_t *ops)
{
    int status = uv_poll_init(loop, &transport->poll, fd);
    if (status < 0) {
        return status;
    }
#ifdef SO_NOSIGPIPE
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof(on));
#endif
    transport->ops = ops;
    transport->fd = fd;
    transport->watched = 0;
    transport->reading = false;
    transport->writing = false;
    transport->input_ended = false;
    transport->failed = false;
    transport->closing = false;
    return 0;
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
    cv_transport_t *transport = CV_CONTAINER_OF(poll, cv_transport_t, poll);
    if (status < 0) {
        /* libuv's word for EPOLLERR; it has stopped the handle. On a stream socket that is a reset. */
        transport->watched = 0;
        transport->failed = true;
        transport->ops->on_hangup(transport);
        return;
    }
    if (events & UV_PRIORITIZED) {
        /* And this is its word for EPOLLHUP alone, which goes on and on: it is told once for each call of watch. */
        uv_poll_stop(poll);
        transport->watched = 0;
        transport->ops->on_hangup(transport);
        return;
    }
    if ((events & UV_READABLE) && transport->reading) {
        transport->ops->on_readable(transport);
    } else if ((events & UV_DISCONNECT) && !transport->reading) {
        transport->ops->on_hangup(transport);
    }
    if ((events & UV_WRITABLE) && transport->writing) {
        transport->ops->on_writable(transport);
    }
}

int
cv_transport_watch(cv_transport_t *transport, bool reading, bool writing)
{
    if (transport->closing) {
        return 0;
    }
    transport->reading = reading;
    transport->writing = writing;
    int events = writing ? UV_WRITABLE : 0;
    if (reading) {
        events |= UV_READABLE;
    } else if (!transport->input_ended) {
        events |= UV_DISCONNECT;
    }
    if (events == 0) {
        events = WATCH_END;
    }
    if (events == transport->watched) {
        return 0;
    }
    transport->watched = events;
    return uv_poll_start(&transport->poll, events, on_poll);
}

ssize_t
cv_transport_read(cv_transport_t *transport, void *data, size_t len)
{
    ssize_t count;
    do {
        count = recv(transport->fd, data, len, 0);
    } while (count < 0 && errno == EINTR);
    if (count >= 0) {
        return count;
    }
    return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

/* One piece is the common case, and send is cheaper than sendmsg. */
static ssize_t
send_pieces(int fd, const struct iovec *iov, int count, int flags)
{
    if (count == 1) {
        return send(fd, iov->iov_base, iov->iov_len, flags);
    }
    struct msghdr message = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count};
    return sendmsg(fd, &message, flags);
}

ssize_t
cv_transport_write(cv_transport_t *transport, const struct iovec *iov, int count, bool more)
{
    ssize_t written;
    do {
        written = send_pieces(transport->fd, iov, count, SEND_FLAGS | (more ? SEND_MORE : 0));
    } while (written < 0 && errno == EINTR);
    if (written >= 0) {
        return written;
    }
    return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

bool
cv_transport_has_input(const cv_transport_t *transport)
{
    int count = 0;
    return transport->fd >= 0 && ioctl(transport->fd, FIONREAD, &count) == 0 && count > 0;
}

int
cv_transport_unsent(const cv_transport_t *transport)
{
    int count = 0;
#ifdef TIOCOUTQ
    if (transport->fd < 0 || ioctl(transport->fd, TIOCOUTQ, &count) != 0) {
        return 0;
    }
#endif
    return count;
}

int
cv_transport_shutdown_write(cv_transport_t *transport)
{
    return shutdown(transport->fd, SHUT_WR) == 0 ? 0 : -errno;
}

static void
on_poll_closed(uv_handle_t *handle)
{
    cv_transport_t *transport = CV_CONTAINER_OF(handle, cv_transport_t, poll);
    transport->ops->on_closed(transport);
}

void
cv_transport_close(cv_transport_t *transport, bool reset)
{
    if (transport->closing) {
        return;
    }
    transport->closing = true;
    transport->reading = false;
    transport->writing = false;
    /* uv_close takes the fd out of the poll set at once, so that it may be closed right after. */
    uv_close((uv_handle_t *)&transport->poll, on_poll_closed);
    if (reset) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        setsockopt(transport->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    close(transport->fd);
    transport->fd = -1;
}
