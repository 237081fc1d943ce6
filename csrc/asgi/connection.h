/* SPDX-License-Identifier: MIT
 *
 * A connection as Python sees it from outside: it can be ended, and says who is at its two ends. A connection has such
 * a handle once somebody has asked for it, and loses it when it closes; the handle may live on.
 *
 * Thread:  loop thread, the GIL held.
 */
#ifndef CUVEE_ASGI_CONNECTION_H
#define CUVEE_ASGI_CONNECTION_H

#include <Python.h>

#include "asgi/service.h"

/* The handles of all open connections. New reference to a new list; NULL with an exception set. */
PyObject *cv_connection_list(cv_service_t *service);

/* The connection has a handle, and another client than was known when somebody asked for that. */
void cv_connection_look_again(cv_service_t *service, cv_conn_t *conn);

/* The connection is closed: its handle, if it has one, does nothing from now on. */
void cv_connection_end(cv_service_t *service, cv_conn_t *conn);

/* Makes the Connection type. */
int cv_connection_setup_type(PyObject *module);

#endif
