/* SPDX-License-Identifier: MIT
 *
 * The bytes of a message, and the object that keeps them while they are sent: bytes as they are, what may change as a
 * copy.
 *
 * Owns:    a strong reference to the owner, which the caller gives away or drops.
 * Thread:  the GIL is held.
 * Errors:  -1 with an exception set.
 */
#ifndef CUVEE_ASGI_PAYLOAD_H
#define CUVEE_ASGI_PAYLOAD_H

#include <Python.h>

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    PyObject *owner; /* strong: bytes, or a str whose UTF-8 it is */
    const char *data;
    size_t len;
} cv_payload_t;

/* Reads what a message has as its bytes: bytes, bytearray or memoryview; TypeError for what is none of these. `what`
 * names it in that: "the response body". */
int cv_payload_read(PyObject *object, const char *what, cv_payload_t *out);

#endif
