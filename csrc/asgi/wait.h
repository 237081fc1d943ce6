/* SPDX-License-Identifier: MIT
 *
 * The awaitable of receive, and of a send that has to wait: it tries, and while it cannot go on, waits on a real
 * asyncio Future. What it is about happens in `attempt`, when the task is running, so that cancelling a waiting one
 * loses no message. It satisfies collections.abc.Coroutine.
 *
 * Owns:    its exchange, its future and its message (strong), until it is finished.
 * Thread:  loop thread, the GIL held.
 */
#ifndef CUVEE_ASGI_WAIT_H
#define CUVEE_ASGI_WAIT_H

#include <Python.h>

#include "asgi/exchange.h"
#include "asgi/opening.h"
#include "base/list.h"

typedef struct WaitObject WaitObject;

/* Tries to finish: 1 with *result set (new reference), 0 to go on waiting, -1 with an exception set. */
typedef int (*cv_wait_attempt)(WaitObject *wait, PyObject **result);

struct WaitObject {
    PyObject_HEAD
    ExchangeObject *exchange;       /* strong; NULL once finished */
    cv_wait_attempt attempt;
    cv_list_t *waiters;       /* the exchange's list to stand in while waiting */
    cv_list_t node;
    PyObject *future;         /* strong, while waiting */
    PyObject *message;        /* send: what is not taken yet, strong, or NULL */
    cv_list_t order;          /* send: in exchange->unsent while there is a message */
    cv_opening_t *opening;    /* send: the file that the message asks for, or NULL */
    bool pauses;              /* gives the loop a turn before it tries */
};

/* New reference. `message` is borrowed and may be NULL. */
PyObject *cv_wait_new(ExchangeObject *exchange, cv_wait_attempt attempt, cv_list_t *waiters, PyObject *message);

/* send: it has a message, and every earlier one was taken. */
static inline bool
cv_wait_is_first(const WaitObject *wait)
{
    return wait->exchange->unsent.next == &wait->order;
}

/* send: the message is taken or given up, and the next one is due. */
void cv_wait_leave_order(WaitObject *wait);

int cv_wait_setup_type(PyObject *module);

#endif
