/* SPDX-License-Identifier: MIT
 *
 * The kernel's watch list for descriptors that are not ours: epoll on Linux, kqueue elsewhere.
 *
 * Changes take effect at once, and fail at once, which libuv's do not: a descriptor that was closed or used again
 * since gives an error here where libuv would abort.
 *
 * Owns:    nothing; the caller closes the descriptor.
 * Thread:  any; no Python.
 * Errors:  a negative errno.
 */
#ifndef CUVEE_LOOP_POLLER_H
#define CUVEE_LOOP_POLLER_H

typedef struct {
    int fd;
    int events; /* UV_READABLE | UV_WRITABLE; an error or a hang-up sets both */
} cv_poller_event_t;

/* Makes a watch list: its descriptor, close-on-exec. */
int cv_poller_open(void);

/* Changes what `fd` is watched for from `before` to `after` (UV_READABLE | UV_WRITABLE). */
int cv_poller_change(int poller, int fd, int before, int after);

/* Fetches up to `size` events without waiting: their number. */
int cv_poller_fetch(int poller, cv_poller_event_t *events, int size);

#endif
