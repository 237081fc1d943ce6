/* SPDX-License-Identifier: MIT
 *
 * What all streams of one module share: their types, the names they call by, and the parts of asyncio they need.
 *
 * Owns:    strong references and the read buffer; the module owns the state, as its attribute `_stream_state`.
 * Thread:  any, with the GIL held; only the read buffer changes after set-up, and nobody keeps what is in it.
 * Errors:  NULL with an exception set.
 */
#ifndef CUVEE_LOOP_STREAM_STATE_H
#define CUVEE_LOOP_STREAM_STATE_H

#include <Python.h>

#include <stdbool.h>

/* What one read takes at most. */
#define CV_STREAM_SCRATCH 262144

/* Interned names: the member is str_<name>. */
#define CV_STREAM_NAMES(X)                                                                                     \
    X(connection_made) X(data_received) X(eof_received) X(connection_lost) X(pause_writing) X(resume_writing)  \
    X(get_buffer) X(buffer_updated) X(call_exception_handler) X(get_debug) X(_attach) X(_detach)               \
    X(_call_connection_lost) X(_begin_reading) X(_open_streams) X(socket) X(sockname) X(peername) X(close)     \
    X(getsockname) X(getpeername) X(makefile) X(done) X(set_result) X(set_exception)                 \
    X(create_future) X(feed_data) X(_stream_reader_wr) X(_buffer) X(_eof) X(_waiter) X(_limit) X(_paused)             \
    X(_transport) X(cancelled) X(pause_reading) X(debug) X(exc_info) X(start) X(slow_callback_duration) X(rb)  \
    X(datagram_received) X(error_received) X(_read_ready) X(send) X(sendto) X(recvfrom) X(data) X(addr)

/* A method of a class of asyncio's, and whether the class has it still. */
typedef struct {
    PyObject *function;      /* strong: asyncio's own, or None where another one had its place before we came */
    unsigned int class_tag; /* the class's version when it was looked at, or 0 */
    bool is_there;
} cv_own_method_t;

typedef struct {
    PyObject_HEAD
    PyTypeObject *stream_type;
    PyTypeObject *acceptor_type;
    PyObject *buffered_protocol; /* asyncio.BufferedProtocol */
    PyObject *transport_socket;  /* asyncio.trsock.TransportSocket */
    PyObject *socket_type;       /* socket.socket */
    PyObject *logger;            /* asyncio's */
    PyObject *reader_protocol;   /* asyncio.StreamReaderProtocol */
    PyObject *reader_type;       /* asyncio.StreamReader */
    cv_own_method_t data_received; /* of reader_protocol */
    cv_own_method_t feed_data;     /* of reader_type */
    PyObject *minus_one;
    PyObject *exc_info_kwnames;  /* ("exc_info",) */
#define CV_DECLARE_STREAM_NAME(name) PyObject *str_##name;
    CV_STREAM_NAMES(CV_DECLARE_STREAM_NAME)
#undef CV_DECLARE_STREAM_NAME
    char *scratch; /* CV_STREAM_SCRATCH bytes */
} StreamStateObject;

/* Makes the state, without the types, and adds it to `module` (borrowed from there). */
StreamStateObject *cv_stream_state_add(PyObject *module);

/* The state of the module that `type`, one of ours, belongs to (new reference). */
StreamStateObject *cv_stream_state_of(PyTypeObject *type);

#endif
