/* SPDX-License-Identifier: MIT
 *
 * receive or send, as the application gets them: a callable that knows its cycle.
 *
 * Thread:  loop thread, the GIL held.
 */
#ifndef CUVEE_ASGI_CHANNEL_H
#define CUVEE_ASGI_CHANNEL_H

#include <Python.h>

#include "asgi/cycle.h"

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    CycleObject *cycle; /* strong */
} ChannelObject;

/* The receive and the send of a cycle. New references. */
PyObject *cv_receive_new(CycleObject *cycle);
PyObject *cv_send_new(CycleObject *cycle);

/* Makes the types Receive and Send. */
int cv_channel_setup_types(PyObject *module);

/* What calling them does; in receive.c and send.c. */
PyObject *cv_receive_call(PyObject *channel, PyObject *const *args, size_t nargsf, PyObject *kwnames);
PyObject *cv_send_call(PyObject *channel, PyObject *const *args, size_t nargsf, PyObject *kwnames);

#endif
