/* SPDX-License-Identifier: MIT
 *
 * Builds the scope of an HTTP request (ASGI HTTP specification 2.3, "HTTP Connection Scope") from a parsed head.
 *
 * Thread:  loop thread, the GIL held.
 * Errors:  NULL or -1 with an exception set.
 */
#ifndef CUVEE_ASGI_SCOPE_H
#define CUVEE_ASGI_SCOPE_H

#include <Python.h>

#include "asgi/cycle.h"
#include "asgi/service.h"
#include "http/h1_head.h"

/* The dict that every scope is copied from: the keys in uvicorn's order, the values that are always the same. New. */
PyObject *cv_scope_make_template(cv_service_t *service);

/* The scope of one request; also notes in `cycle` what its access log line will say. New reference. */
PyObject *cv_scope_build(cv_service_t *service, cv_conn_t *conn, const cv_h1_head_t *head, CycleObject *cycle);

#endif
