/* SPDX-License-Identifier: MIT
 *
 * The settings of WebSocket, from the dict that Server(websocket=…) is given.
 *
 * Borrows: the dict, during the call.
 * Thread:  loop thread, the GIL held; before the first connection.
 * Errors:  -1 with an exception set.
 */
#ifndef CUVEE_SERVER_SERVER_WEBSOCKET_H
#define CUVEE_SERVER_SERVER_WEBSOCKET_H

#include <Python.h>

#include "conn/ws_settings.h"

/* None leaves WebSocket off. A dict of numbers by the names of options switches it on: what it leaves out stays as it
 * is, and 0 is what the option means by it: no limit, or never. */
int cv_server_websocket_set(cv_ws_settings_t *settings, PyObject *websocket);

#endif
