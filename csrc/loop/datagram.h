/* SPDX-License-Identifier: MIT
 *
 * DatagramTransport: asyncio's transport for a datagram socket, UDP or Unix, connected or not.
 *
 * Its object begins with a stream's and lives, closes, and calls its protocol's flow control as that does (stream.h).
 *
 * Owns:    beside what a stream owns, the addresses that it remembers.
 * Thread:  the loop's, with the GIL held.
 * Errors:  -1 or NULL with an exception set. What a protocol raises while the loop reads or flushes goes to the loop's
 *          exception handler, and the transport stays open.
 */
#ifndef CUVEE_LOOP_DATAGRAM_H
#define CUVEE_LOOP_DATAGRAM_H

#include <Python.h>

#include <stdbool.h>

#include "loop/sock_address.h"
#include "loop/stream.h"

/* An address and what Python knows it as: an exact tuple, str or bytes, which nobody can change. */
typedef struct {
    PyObject *object; /* strong or NULL */
    cv_sock_address_t address;
} cv_datagram_address_t;

typedef struct {
    StreamObject stream; /* must be first */
    PyObject *remote;    /* strong or NULL: the only address that it may send to */
    bool connected;      /* the kernel knows the peer, and a name for it */
    bool reads_many;     /* the last event brought more than one datagram */
    unsigned events;
    cv_datagram_address_t from; /* the last sender */
    cv_datagram_address_t to;   /* the last address sent to that was not a sender's */
} DatagramObject;

/* ---- receiving (datagram_read.c) ----------------------------------------------------------------------------- */

/* The poll-phase callback. What is ready already runs before anything is read, as in asyncio: who sends a datagram and
 * then starts a coroutine may count on its first step. */
void cv_datagram_on_ready(cv_loop_watch_t *watch, int events);

/* _read_ready(): reads what has come and hands it to the protocol. */
PyObject *cv_datagram_read_ready(PyObject *op, PyObject *unused);

/* ---- sending (datagram_send.c) ------------------------------------------------------------------------------- */

PyObject *cv_datagram_sendto(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);

/* Sends what is queued and does what was waiting for the end of it. */
void cv_datagram_flush(StreamObject *stream);

/* protocol.error_received() with the OSError that is set. */
int cv_datagram_tell_error(DatagramObject *self);

/* ---- what only Python's socket module can do (datagram_by_python.c) ------------------------------------------ */

/* sock.recvfrom() and sock.sendto(): 1, 0 when they would block, or -1. */
int cv_datagram_receive_by_python(DatagramObject *self, PyObject **out_data, PyObject **out_address);
int cv_datagram_send_by_python(DatagramObject *self, PyObject *data, PyObject *address);

/* ---- the type (datagram_type.c) ------------------------------------------------------------------------------ */

/* Makes the type and adds it to `module`, after cv_stream_setup_types (called once, by module.c). */
int cv_datagram_setup_type(PyObject *module);

#endif
