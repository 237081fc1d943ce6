/* SPDX-License-Identifier: MIT
 *
 * The Server type: one ASGI application on one event loop, its listeners and its connections.
 *
 * Life: while it has libuv handles it keeps itself alive; close() ends that, and so does the end of its loop.
 *
 * Owns:    the service, the listeners, and in a foreign loop the private uv_loop_t.
 * Thread:  loop thread, the GIL held.
 */
#ifndef CUVEE_SERVER_SERVER_H
#define CUVEE_SERVER_SERVER_H

#include <Python.h>

#include <stdbool.h>

#include "asgi/service.h"
#include "base/list.h"
#include "loop/loop.h"
#include "net/listener.h"

typedef struct {
    PyObject_HEAD
    cv_service_t service;
    cv_list_t listeners;      /* ServerListener */
    unsigned open_parts;      /* the env and each listener: what libuv still holds */
    uint64_t pause_told;      /* when the log was told of a pause at limit_connections, ns; 0: not yet */
    bool is_full;             /* accepting pauses: there are limit_connections */
    bool is_open;             /* from a complete __init__ to close() */
    bool is_foreign;          /* the loop is not cuvee's */

    /* on cuvee's loop */
    cv_loop_turn_t turn;
    cv_loop_guest_t guest;

    /* in a foreign loop */
    uv_loop_t *private_loop;
    uv_async_t alive;         /* libuv runs no timer of a loop on which nothing is active, and says that work is due */
    PyObject *pump;           /* strong: the bound method that the foreign loop calls for events and deadlines */
    PyObject *pump_again;     /* strong: the one that it calls for work which was left */
    PyObject *pump_timer;     /* strong: the handle of the next call_later, or NULL */
    uint64_t pump_due;        /* ms on the private loop's clock; meaningful with a pump_timer */
    bool pump_scheduled;      /* pump_again is among the foreign loop's callbacks */
    bool in_pump;
} ServerObject;

/* Makes the Server type. */
int cv_server_setup_type(PyObject *module);

/* Every part that libuv held is closed. Drops the server's reference to itself. */
void cv_server_on_part_closed(ServerObject *server);

/* Starts the close of everything; the server is not open any more. Idempotent. */
void cv_server_close(ServerObject *server);

#endif
