/* SPDX-License-Identifier: MIT
 *
 * Accepts connections in batches from one listening socket (TCP or Unix).
 *
 * Owns:    the poll handle and the retry timer; never the listening fd, which stays its creator's.
 * Borrows: the uv loop and the ops.
 * Thread:  loop thread; callbacks come from the poll phase with the GIL in any state.
 * Errors:  negative errno values.
 */
#ifndef CUVEE_NET_LISTENER_H
#define CUVEE_NET_LISTENER_H

#include <stdbool.h>
#include <sys/socket.h>
#include <uv.h>

typedef struct cv_listener cv_listener_t;

typedef struct {
    /* A connected socket: non-blocking, close-on-exec, TCP_NODELAY set where it is TCP. The callee owns fd now. */
    void (*on_accept)(cv_listener_t *listener, int fd, const struct sockaddr *peer, socklen_t peer_len);
    /* accept failed for want of a resource (EMFILE, ENFILE, ENOBUFS, ENOMEM) or because the socket is broken:
     * accepting is paused. `error` is negative. Said once a pause. */
    void (*on_paused)(cv_listener_t *listener, int error);
    /* Accepting goes on again after a pause. */
    void (*on_resumed)(cv_listener_t *listener);
    void (*on_closed)(cv_listener_t *listener);
} cv_listener_ops_t;

struct cv_listener {
    uv_poll_t poll;
    uv_timer_t retry;     /* runs only while paused: 100 ms */
    const cv_listener_ops_t *ops;
    int fd;
    int open_handles;     /* of the two above, while closing */
    bool is_tcp;
    bool listening;
    bool paused;          /* for want of descriptors */
    bool closing;
};

/* Prepares a listener for a socket that listens already; sets it non-blocking. Nothing is accepted yet. */
int cv_listener_open(cv_listener_t *listener, uv_loop_t *loop, int fd, const cv_listener_ops_t *ops);

/* Starts or stops accepting (a stop by the owner, not for want of descriptors). */
int cv_listener_start(cv_listener_t *listener);
void cv_listener_stop(cv_listener_t *listener);

/* Accepts what waits in the kernel's queue now, in a pause or stopped too: before a close. As much as it gets
 * descriptors for; not without end, if others come all the time. */
void cv_listener_accept_waiting(cv_listener_t *listener);

/* A descriptor was closed somewhere: tries again at once if accepting is paused for want of one. */
void cv_listener_retry(cv_listener_t *listener);

/* Closes the handles; ops->on_closed follows from the loop. Idempotent. */
void cv_listener_close(cv_listener_t *listener);

#endif
