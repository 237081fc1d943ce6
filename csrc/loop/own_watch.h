/* SPDX-License-Identifier: MIT
 *
 * Watches of the sockets of the loop's own transports: they are in libuv's epoll, so that a turn with such events needs
 * no second one.
 *
 * A number has a uv_poll_t from its first watch until the loop is closed: sockets come and go, their numbers stay few.
 * libuv tells the kernel with the next poll and aborts where that fails. So what was started since is looked at before
 * each poll: a descriptor that somebody has closed behind its transport's back, or made something else than a socket,
 * is not watched, and its transport is told that it is ready, and finds the error. Only a thread that does so while
 * the kernel is being told cannot be seen.
 *
 * Owns:    the uv_poll_t and its memory; the loop's close() closes it.
 * Borrows: the watch, from start to stop.
 * Thread:  the loop's, with the GIL held.
 * Errors:  a negative uv error.
 */
#ifndef CUVEE_LOOP_OWN_WATCH_H
#define CUVEE_LOOP_OWN_WATCH_H

#include <stdbool.h>

#include <uv.h>

#include "base/list.h"
#include "loop/loop.h"

typedef struct cv_own_watch {
    uv_poll_t poll;
    cv_list_t *all_fresh;   /* those started since the last poll */
    cv_list_t fresh;        /* in that list, or unlinked */
    cv_loop_watch_t *watch; /* NULL: stopped */
    int fd;
    int events;
} cv_own_watch_t;

/* One for `fd`, stopped; NULL with *out_status. `loop` and the list of the fresh ones are borrowed. */
cv_own_watch_t *cv_own_watch_new(PyObject *loop, cv_list_t *all_fresh, int fd, int *out_status);

/* After the loop has closed the uv_poll_t. NULL is fine. */
void cv_own_watch_free(cv_own_watch_t *own);

/* Watches for `events` from now on, whatever it was watched for before. */
int cv_own_watch_start(cv_own_watch_t *own, cv_loop_watch_t *watch, int events);

void cv_own_watch_stop(cv_own_watch_t *own);

/* Before each poll: stops those among the fresh ones that are no sockets any more, and empties the list. */
void cv_own_watch_confirm(cv_list_t *all_fresh);

#endif
