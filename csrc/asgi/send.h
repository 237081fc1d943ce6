/* SPDX-License-Identifier: MIT
 *
 * What the files of send() share: each kind of message is taken by one function, once send.c has seen that it is due.
 *
 * Thread:  loop thread, the GIL held.
 * Errors:  -1 with an exception set; nothing was taken then, unless it says so.
 */
#ifndef CUVEE_ASGI_SEND_H
#define CUVEE_ASGI_SEND_H

#include "asgi/cycle.h"
#include "asgi/message.h"
#include "asgi/opening.h"
#include "asgi/step.h"

/* send_head.c: what consists of fields. All return a took_t or -1. */
int cv_send_start(CycleObject *cycle, const cv_message_t *message);
int cv_send_early_hint(CycleObject *cycle, const cv_message_t *message);
int cv_send_trailers(CycleObject *cycle, const cv_message_t *message);

/* send_body.c */
int cv_send_body(CycleObject *cycle, const cv_message_t *message);

/* What follows once `len` bytes of a body were given to the connection, which returned `error`: waiting, a turn for the
 * others, or the end of the answer. */
int cv_send_piece(CycleObject *cycle, int error, size_t len, bool more);

/* The truth of a message's more_…, which may run code of the application's: 0, 1 or -1. */
int cv_send_more(PyObject *value);

/* The answer is complete, and the connection is free. */
void cv_send_finish(CycleObject *cycle);

/* send_file.c. Begins to open the file that a pathsend names: NULL with an exception. */
cv_opening_t *cv_send_open_path(CycleObject *cycle, const cv_message_t *message);

/* `opening` is done, or NULL where the file was not asked for yet. */
int cv_send_path(CycleObject *cycle, cv_opening_t *opening);
int cv_send_descriptor(CycleObject *cycle, const cv_message_t *message);

#endif
