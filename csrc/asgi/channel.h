/* SPDX-License-Identifier: MIT
 *
 * receive or send, as the application gets them: a callable that knows its exchange.
 *
 * Thread:  loop thread, the GIL held.
 */
#ifndef CUVEE_ASGI_CHANNEL_H
#define CUVEE_ASGI_CHANNEL_H

#include <Python.h>

#include "asgi/exchange.h"

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    ExchangeObject *exchange; /* strong */
} ChannelObject;

/* The receive and the send of an exchange. New references. */
PyObject *cv_receive_new(ExchangeObject *exchange);
PyObject *cv_send_new(ExchangeObject *exchange);

/* Makes the types Receive and Send. */
int cv_channel_setup_types(PyObject *module);

/* What calling those of an HTTP exchange does; in receive.c and send.c. */
PyObject *cv_receive_call(PyObject *channel, PyObject *const *args, size_t nargsf, PyObject *kwnames);
PyObject *cv_send_call(PyObject *channel, PyObject *const *args, size_t nargsf, PyObject *kwnames);

#endif
