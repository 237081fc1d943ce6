/* SPDX-License-Identifier: MIT
 *
 * Who is at the two ends of a connection, as scopes and log lines say it; made when a request first asks.
 *
 * Owns:    its Python objects and itself; lives from accept to on_gone, in conn->app.
 * Thread:  loop thread, the GIL held (but for new).
 * Errors:  -1 with an exception set.
 */
#ifndef CUVEE_ASGI_PEER_H
#define CUVEE_ASGI_PEER_H

#include <Python.h>

#include <stdbool.h>
#include <sys/socket.h>

#include "base/span.h"
#include "base/trusted.h"
#include "http/proxy_preamble.h"

typedef struct cv_peer cv_peer_t;

/* Remembers the peer's address. Needs no GIL. NULL: no memory. */
cv_peer_t *cv_peer_new(const struct sockaddr *address, socklen_t len);

/* The peer is a proxy, and who stands behind it is the peer from now on. */
void cv_peer_stand_back(cv_peer_t *peer, const cv_preamble_t *preamble);

/* True when the peer is one of `trusted`, which is always the same list. `fd` is the connection's socket. Needs no
 * GIL. */
bool cv_peer_is_trusted(cv_peer_t *peer, int fd, const cv_trusted_t *trusted);

void cv_peer_free(cv_peer_t *peer);

/* scope["client"]: (host, port), or None for a Unix socket. Borrowed. */
PyObject *cv_peer_client(cv_peer_t *peer);

/* scope["server"]: (host, port), (path, None), or None. `fd` is the connection's socket. Where it equals `known` (which
 * may be NULL), it is `known`, so that the connections to one address share one object. Borrowed. */
PyObject *cv_peer_server(cv_peer_t *peer, int fd, PyObject *known);

/* "host:port" for log lines, or an empty span. Lives as long as the peer. */
cv_span_t cv_peer_text(cv_peer_t *peer);

#endif
