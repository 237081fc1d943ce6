/* SPDX-License-Identifier: MIT
 *
 * What an application's message says: the keys of http.response.start and http.response.body, and, asked for apart,
 * those of the rarer messages.
 *
 * Borrows: every value, from the message, as long as nobody changes that.
 * Thread:  the GIL is held.
 * Errors:  none.
 */
#ifndef CUVEE_ASGI_MESSAGE_H
#define CUVEE_ASGI_MESSAGE_H

#include <Python.h>

#include <stdbool.h>

#include "py/state.h"

/* NULL for what the message does not say. */
typedef struct {
    PyObject *dict;
    PyObject *type;
    PyObject *status;
    PyObject *headers;
    PyObject *body;
    PyObject *more_body;
} cv_message_t;

typedef struct {
    PyObject *trailers;
    PyObject *more_trailers;
    PyObject *links;
    PyObject *path;
    PyObject *file;
    PyObject *offset;
    PyObject *count;
} cv_message_extra_t;

/* What websocket.send says. */
typedef struct {
    PyObject *type;
    PyObject *text;
    PyObject *bytes;
} cv_websocket_send_t;

/* Reads a message, a dict. Runs no code of the application's. */
void cv_message_read(PyObject *dict, const cv_names_t *names, cv_message_t *out);

/* Reads what else it says. Likewise. */
void cv_message_read_extra(const cv_message_t *message, const cv_names_t *names, cv_message_extra_t *out);

/* Reads what a WebSocket's message says. Likewise. */
void cv_message_read_send(PyObject *dict, const cv_names_t *names, cv_websocket_send_t *out);

/* The value of one key, which is rare; NULL where it is missing. Likewise. */
PyObject *cv_message_find(PyObject *dict, PyObject *key);

/* True when a message's type says `name`. *seen (strong, or NULL) is the object that said so last: frameworks send the
 * same one each time, though it mostly is not the interned one. */
bool cv_message_is(PyObject *type, PyObject *name, PyObject **seen);

/* The same for a type that is rare. */
bool cv_message_says(PyObject *type, PyObject *name);

#endif
