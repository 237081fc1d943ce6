/* SPDX-License-Identifier: MIT
 *
 * A file that a thread of libuv's pool opens, because that may wait for the disk.
 *
 * Owns:    the descriptor, from the thread to cv_opening_take.
 * Borrows: the cycle, until it is done or abandoned.
 * Thread:  loop thread, the GIL held.
 */
#ifndef CUVEE_ASGI_OPENING_H
#define CUVEE_ASGI_OPENING_H

#include "asgi/cycle.h"

typedef struct cv_opening cv_opening_t;

/* Begins to open a file; when that is done, the cycle's senders are woken. `path` is a str, bytes or os.PathLike. NULL
 * with an exception. */
cv_opening_t *cv_opening_start(CycleObject *cycle, PyObject *path);

/* True once cv_opening_take may be called. */
bool cv_opening_is_done(const cv_opening_t *opening);

/* The descriptor, which is the caller's from now on, and the size of the file; -1 with OSError. */
int cv_opening_take(cv_opening_t *opening, uint64_t *out_size);

/* Lets go of it, done or not. */
void cv_opening_drop(cv_opening_t *opening);

#endif
