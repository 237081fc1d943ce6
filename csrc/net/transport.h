/* SPDX-License-Identifier: MIT
 *
 * One stream socket on a uv_poll_t, with our own recv and sendmsg.
 *
 * Owns:    the file descriptor and the poll handle, from open to the closed callback.
 * Borrows: the uv loop and the ops, for its whole life.
 * Thread:  loop thread. No GIL needed; callbacks come from the poll phase with the GIL in any state.
 * Errors:  negative errno values (libuv's are the same numbers).
 */
#ifndef CUVEE_NET_TRANSPORT_H
#define CUVEE_NET_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <uv.h>

typedef struct cv_transport cv_transport_t;

typedef struct {
    void (*on_readable)(cv_transport_t *transport);
    void (*on_writable)(cv_transport_t *transport);
    /* The peer closed or reset, noticed while reads are paused (EPOLLRDHUP, EPOLLERR). Once more, with input_ended set
     * already, when a Unix socket's peer has closed its other side too (EPOLLHUP). */
    void (*on_hangup)(cv_transport_t *transport);
    /* After close: the handle is libuv's no more, the owner may be freed. */
    void (*on_closed)(cv_transport_t *transport);
} cv_transport_ops_t;

struct cv_transport {
    uv_poll_t poll;
    const cv_transport_ops_t *ops;
    int fd;            /* -1 once closed */
    int watched;       /* the events that uv_poll_start was given last */
    bool reading;      /* wants on_readable */
    bool writing;      /* wants on_writable */
    bool input_ended;  /* set by the owner once it knows of the end of input, which is not told any more */
    bool failed;       /* the socket is in error, as after RST: set before on_hangup */
    bool closing;
};

/* Takes a connected, non-blocking, close-on-exec socket. Returns 0, or a negative errno: the fd is
 * then still the caller's and the transport unused. Nothing is watched yet. */
int cv_transport_open(cv_transport_t *transport, uv_loop_t *loop, int fd,
                      const cv_transport_ops_t *ops);

/* Says what to watch. While reading is off the transport watches for a hang-up instead, and behind that for the next
 * one (not on kqueue, which has no such filter: there the next read or write finds out). */
int cv_transport_watch(cv_transport_t *transport, bool reading, bool writing);

/* recv: bytes read, 0 at the end of input, -EAGAIN, or another negative errno. EINTR is retried. */
ssize_t cv_transport_read(cv_transport_t *transport, void *data, size_t len);

/* sendmsg without SIGPIPE: bytes written (maybe fewer than asked), -EAGAIN, or another negative errno. `more` says that
 * bytes follow at once, which the kernel may put into the same packet. */
ssize_t cv_transport_write(cv_transport_t *transport, const struct iovec *iov, int count, bool more);

/* Sends bytes of a file from `offset` on, which never come up here where the system knows how (sendfile). No SIGPIPE.
 * Returns as cv_transport_write; 0 when the file ends before `offset`. */
ssize_t cv_transport_send_file(cv_transport_t *transport, int file, uint64_t offset, size_t len);

/* True when received bytes wait in the kernel: closing now would send RST. */
bool cv_transport_has_input(const cv_transport_t *transport);

/* The bytes that were written and that the peer has not taken yet, as far as the kernel says; else 0. */
int cv_transport_unsent(const cv_transport_t *transport);

/* Shuts down our sending side (lingering close). */
int cv_transport_shutdown_write(cv_transport_t *transport);

/* Stops watching and closes; `reset` sends RST instead of FIN. ops->on_closed follows from the loop. Idempotent. */
void cv_transport_close(cv_transport_t *transport, bool reset);

#endif
