/* SPDX-License-Identifier: MIT
 *
 * Who asks, and how, as a scope says it: the connection's peer and http, or what trusted proxies tell of their client.
 *
 * Thread:  loop thread, the GIL held.
 * Errors:  -1 with an exception set.
 */
#ifndef CUVEE_ASGI_CLIENT_H
#define CUVEE_ASGI_CLIENT_H

#include <Python.h>

#include "asgi/exchange.h"
#include "asgi/service.h"

/* Sets "client" of a new scope, and "scheme" if that is not the template's. What the access log will need stays in the
 * exchange. */
int cv_client_set(cv_service_t *service, PyObject *scope, cv_conn_t *conn, const cv_h1_head_t *head,
                  ExchangeObject *exchange);

#endif
