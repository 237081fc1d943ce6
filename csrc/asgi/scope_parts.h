/* SPDX-License-Identifier: MIT
 *
 * What the scopes of HTTP requests and of WebSockets are made of alike.
 *
 * Thread:  loop thread, the GIL held.
 * Errors:  NULL or -1 with an exception set.
 */
#ifndef CUVEE_ASGI_SCOPE_PARTS_H
#define CUVEE_ASGI_SCOPE_PARTS_H

#include <Python.h>

#include "asgi/recent.h"
#include "asgi/service.h"
#include "http/h1_head.h"

/* Sets a key to a new reference, which it takes over; NULL passes the error on. */
int cv_scope_set(PyObject *scope, PyObject *key, PyObject *value);

/* Both forms of a request's path, root path included: new references, or what recent requests left. */
int cv_scope_find_path(cv_service_t *service, const cv_h1_head_t *head, cv_recent_path_t *out);

/* [(name, value), …] in wire order, duplicates kept. New reference. */
PyObject *cv_scope_build_headers(cv_service_t *service, const cv_h1_head_t *head);

/* Sets "server" unless the template has it already; from then on it does. */
int cv_scope_set_server(cv_service_t *service, PyObject *template, PyObject *scope, cv_conn_t *conn);

#endif
