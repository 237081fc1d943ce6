/* SPDX-License-Identifier: MIT
 *
 * Makes a server from the arguments of Server(…): checks them, and binds it to its loop.
 *
 * Thread:  loop thread, the GIL held.
 * Errors:  NULL with an exception set; nothing is left on the loop then.
 */
#ifndef CUVEE_SERVER_SERVER_MAKE_H
#define CUVEE_SERVER_SERVER_MAKE_H

#include "server/server.h"

/* tp_new of Server. New reference. */
PyObject *cv_server_make(PyTypeObject *type, PyObject *args, PyObject *kwargs);

#endif
