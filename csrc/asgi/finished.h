/* SPDX-License-Identifier: MIT
 *
 * The two awaitables that wait for nothing outside: Finished, one shared object that is done already, and Pause,
 * which gives the loop one turn. Both satisfy collections.abc.Coroutine, so that create_task() takes them.
 *
 * Thread:  the GIL is held.
 */
#ifndef CUVEE_ASGI_FINISHED_H
#define CUVEE_ASGI_FINISHED_H

#include <Python.h>

#include "py/state.h"

/* Makes both types and the shared object. */
int cv_finished_setup_types(PyObject *module);

/* The shared awaitable whose result is None. New reference. */
static inline PyObject *
cv_finished(cv_state_t *state)
{
    return Py_NewRef(state->finished);
}

/* An awaitable that suspends its task for one turn of the loop. New reference. */
PyObject *cv_pause_new(cv_state_t *state);

/* The tail of a coroutine's send(): the result of a step as Python sees it. Steals `result`. */
PyObject *cv_step_result(PySendResult status, PyObject *result);

#endif
