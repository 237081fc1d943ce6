/* SPDX-License-Identifier: MIT
 *
 * Builds the scope of an HTTP request (ASGI HTTP specification 2.3, "HTTP Connection Scope"), or of a WebSocket, from a
 * parsed head.
 *
 * Thread:  loop thread, the GIL held.
 * Errors:  NULL or -1 with an exception set.
 */
#ifndef CUVEE_ASGI_SCOPE_H
#define CUVEE_ASGI_SCOPE_H

#include <Python.h>

#include "asgi/cycle.h"
#include "asgi/service.h"
#include "asgi/websocket.h"
#include "http/h1_head.h"

/* The dict that every scope is copied from: the keys in uvicorn's order, the values that are always the same. New. */
PyObject *cv_scope_make_template(cv_service_t *service);

/* The scope of one request; also notes in `cycle` what its access log line will say. New reference. */
PyObject *cv_scope_build(cv_service_t *service, cv_conn_t *conn, const cv_h1_head_t *head, CycleObject *cycle);

/* The same for WebSockets. Where proxies tell of a client, or the log wants a path, that stays in the exchange. */
PyObject *cv_scope_make_websocket_template(cv_service_t *service);
PyObject *cv_scope_build_websocket(cv_service_t *service, cv_conn_t *conn, const cv_h1_head_t *head,
                                   WebSocketObject *websocket);

#endif
