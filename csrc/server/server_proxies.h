/* SPDX-License-Identifier: MIT
 *
 * What a server believes of the proxies before it, as Python tells it.
 *
 * Thread:  loop thread, the GIL held.
 * Errors:  -1 with an exception set.
 */
#ifndef CUVEE_SERVER_SERVER_PROXIES_H
#define CUVEE_SERVER_SERVER_PROXIES_H

#include <Python.h>

#include "asgi/service.h"

/* The arguments of Server() that are about proxies. */
typedef struct {
    PyObject *trusted;      /* an iterable of str, or NULL: the hosts that are trusted */
    PyObject *headers;      /* "x-forwarded", "forwarded", or None: the fields that count */
    unsigned hops;          /* how many of the last entries count; 0: as addresses tell */
    int protocol;           /* a PROXY preamble comes first */
} cv_server_proxies_t;

int cv_server_proxies_set(cv_service_t *service, const cv_server_proxies_t *proxies);

#endif
