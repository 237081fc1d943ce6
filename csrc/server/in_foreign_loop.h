/* SPDX-License-Identifier: MIT
 *
 * How a server lives inside a loop that is not cuvee's: on a private uv_loop_t whose backend descriptor that loop
 * watches. Each call of the pump runs the private loop once, without blocking, then the cycles, then the writes.
 *
 * Thread:  loop thread, the GIL held throughout.
 * Errors:  -1 with an exception set.
 */
#ifndef CUVEE_SERVER_IN_FOREIGN_LOOP_H
#define CUVEE_SERVER_IN_FOREIGN_LOOP_H

#include "server/server.h"

/* Makes the private loop. */
int cv_server_make_private_loop(ServerObject *server);

/* Has the foreign loop watch it, after the service was made. */
int cv_server_enter_foreign_loop(ServerObject *server);

/* Has the foreign loop forget it, lets what is closing close, and frees the private loop. */
void cv_server_leave_foreign_loop(ServerObject *server);

/* One turn. New reference to None, or NULL for SystemExit, KeyboardInterrupt or a failure of ours. */
PyObject *cv_server_pump(PyObject *server, PyObject *unused);

/* The same, for work that an earlier turn left. */
PyObject *cv_server_pump_again(PyObject *server, PyObject *unused);

#endif
