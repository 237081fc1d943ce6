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
#include "base/span.h"
#include "http/node.h"

enum { CV_CLIENT_TEXT = CV_NODE_MOST + sizeof ":65535" };

/* Sets "client" of a new scope, and "scheme" if that is not the template's. What the access log will need stays in the
 * exchange. */
int cv_client_set(cv_service_t *service, PyObject *scope, cv_conn_t *conn, const cv_h1_head_t *head,
                  ExchangeObject *exchange);

/* "host:port" for a log line: of the client that proxies told of, in `room`, or else of the connection's peer. */
cv_span_t cv_client_text(const ExchangeObject *exchange, char room[CV_CLIENT_TEXT]);

#endif
