/* SPDX-License-Identifier: MIT
 *
 * What becomes of a request whose client is gone before the answer is complete (--on-disconnect cancel): its task is
 * cancelled, at once or after a while, and who goes on all the same is counted and named. The application has a say:
 * scope["extensions"]["cuvee.disconnect"] is an object of the request's own.
 *
 * Where nothing is ever cancelled no request has such an object, and nothing here costs anything.
 *
 * Thread:  loop thread, the GIL held.
 * Errors:  -1 with an exception set, where an int is returned.
 */
#ifndef CUVEE_ASGI_DISCONNECT_H
#define CUVEE_ASGI_DISCONNECT_H

#include <Python.h>

#include "asgi/cycle.h"
#include "base/span.h"

/* Gives a new cycle its object, in the scope too. `method` is the request's. */
int cv_disconnect_add(CycleObject *cycle, cv_span_t method);

/* The client is gone; or it was when the task began. The task may be cancelled here. */
void cv_disconnect_begin(CycleObject *cycle);

/* A deadline of the kind CV_CONN_DISCONNECT is due. */
void cv_disconnect_on_due(cv_deadline_t *deadline);

/* Lets go of the object of a cycle that is over; it does nothing from now on. */
void cv_disconnect_drop(CycleObject *cycle);

static inline void
cv_disconnect_end(CycleObject *cycle)
{
    if (cycle->disconnect != NULL) {
        cv_disconnect_drop(cycle);
    }
}

/* Makes the Disconnect type. */
int cv_disconnect_setup_type(PyObject *module);

#endif
