/* SPDX-License-Identifier: MIT
 *
 * Runs the application for an exchange in an asyncio.Task of its own, and settles that when the task is done.
 *
 * Thread:  loop thread, the GIL held.
 * Errors:  -1 with SystemExit, KeyboardInterrupt or a failure of ours set; what the application raises is reported
 *          and answered here, as the kind of the exchange does that.
 */
#ifndef CUVEE_ASGI_TASK_H
#define CUVEE_ASGI_TASK_H

#include <Python.h>

#include "asgi/exchange.h"

/* Calls the application and makes the task: eager on 3.12 and later, so that a handler that never waits is done when
 * this returns. The exchange was queued; it is open or over afterwards. */
int cv_task_start(ExchangeObject *exchange);

/* Cancels the task, if there is one, with a message (borrowed) or NULL. What it raises is reported as unraisable. */
void cv_task_cancel(ExchangeObject *exchange, PyObject *message);

/* exchange(task): the done callback of the task. */
PyObject *cv_task_done(PyObject *exchange, PyObject *const *args, size_t nargsf, PyObject *kwnames);

#endif
