/* SPDX-License-Identifier: MIT
 *
 * The limits and timeouts of a server: from the dict that Server(limits=…) is given, and as counts of what they ended.
 *
 * Thread:  loop thread, the GIL held.
 * Errors:  -1 or NULL with an exception set.
 */
#ifndef CUVEE_SERVER_SERVER_LIMITS_H
#define CUVEE_SERVER_SERVER_LIMITS_H

#include "server/server.h"

/* Sets what `limits`, a dict of numbers by name or None, says; what it leaves out stays as it is. Before the first
 * connection. */
int cv_server_limits_set(ServerObject *server, PyObject *limits);

/* How often each limit ended a request or a connection. New reference to a new dict. */
PyObject *cv_server_limits_counts(ServerObject *server);

#endif
