/* SPDX-License-Identifier: MIT
 *
 * StreamTransport: asyncio's transport for a TCP or Unix stream socket. What it has in common with a DatagramTransport,
 * whose object begins with a StreamObject, is written once, here.
 *
 * Owns:    its protocol, server, context and loop until connection_lost was called; its descriptor until then, through
 *          the Python socket object where there is one. While it is open, the loop's dict `_open_streams` owns it.
 * Thread:  the loop's, with the GIL held.
 * Errors:  -1 or NULL with an exception set. What a protocol raises never comes back here: it goes to the loop's
 *          exception handler and ends the connection (cv_stream_fail).
 */
#ifndef CUVEE_LOOP_STREAM_H
#define CUVEE_LOOP_STREAM_H

#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

#include "loop/loop.h"
#include "loop/sock_address.h"
#include "loop/stream_queue.h"
#include "loop/stream_state.h"

/* The slots of asyncio's base class, whose layout a stream continues. Ours are `extra`, and nothing else: the others,
 * `_loop`, `_protocol_paused` and the water marks, are shadowed by attributes of StreamTransport. */
typedef struct {
    PyObject *extra; /* strong or NULL */
    PyObject *unused[4];
} cv_stream_base_t;

typedef struct {
    PyObject_HEAD
    cv_stream_base_t base;
    PyObject *weakrefs;

    /* set once */
    StreamStateObject *state; /* strong */
    PyObject *loop;           /* strong; NULL after connection_lost */
    PyObject *context;        /* strong: what the protocol's read callbacks run in */
    PyObject *sockname;       /* strong */
    PyObject *peername;       /* strong */
    int number;               /* the descriptor, also after it was closed */
    int family;
    int proto;

    /* the connection */
    int fd;              /* -1 once closed */
    PyObject *sock;      /* strong: the Python socket that owns fd; NULL until somebody asks for it */
    PyObject *sock_hold; /* strong: keeps a socket that was given to us open when its giver closes it */
    PyObject *sock_face; /* strong: the TransportSocket that get_extra_info shows */
    PyObject *protocol;  /* strong; NULL after connection_lost */
    PyObject *server;    /* strong or NULL */
    PyObject *waiter;    /* strong or NULL: a future that is done when reading begins */
    PyObject *empty_waiter; /* strong or NULL: a future that is done when the queue is empty */
    PyObject *known_reader; /* borrowed, to compare: the last reader that was seen to have its class's feed_data */
    cv_loop_watch_t watch;
    cv_loop_guest_t guest;
    cv_stream_queue_t queue;
    cv_loop_turn_t gather; /* pending: what is in the queue waits for the end of the turn, not for the kernel */
    uint64_t wrote_in;     /* the loop's round in which something was sent last */
    size_t high_water;
    size_t low_water;
    Py_ssize_t conn_lost; /* asyncio's: not 0 once connection_lost is on its way; then counts writes */
    size_t room;          /* bytes that the next read makes room for; 0: it uses the shared buffer */
    int watched;          /* UV_ events that the loop watches for us */
    bool buffered;        /* the protocol is a BufferedProtocol */
    bool feeds_reader;    /* the protocol is asyncio.StreamReaderProtocol itself, with the data_received of its class */
    bool reading;         /* connection_made was called */
    bool paused;          /* pause_reading() */
    bool saw_eof;         /* the peer's end of input was handed over */
    bool wrote_eof;       /* write_eof() */
    bool protocol_paused; /* pause_writing() was called, resume_writing() not yet */
    bool closing;
    bool finished;   /* connection_lost was called */
    bool loop_gone;  /* the loop was closed under us: nothing can be watched any more */
} StreamObject;

/* ---- opening (stream_open.c) --------------------------------------------------------------------------------- */

/* A connection that is to become a stream; everything borrowed. */
typedef struct {
    PyObject *loop;
    PyObject *protocol;
    PyObject *sock;   /* the Python socket that owns fd, or NULL: then the stream owns fd */
    PyObject *waiter; /* or NULL */
    PyObject *extra;  /* dict or NULL */
    PyObject *server; /* or NULL */
    const cv_sock_address_t *peer; /* or NULL: ask the kernel */
    int fd;
    int proto;
} cv_stream_args_t;

/* Makes a stream and schedules connection_made (new reference). On failure fd is still the caller's. */
PyObject *cv_stream_open(StreamStateObject *state, const cv_stream_args_t *args);

/* The steps of that, for other types that begin with a StreamObject. join: one that has its names and its place in the
 * loop (new reference); who has joined either starts, which schedules connection_made, or gives up, which drops it
 * under the exception that is set and leaves fd to the caller. */
StreamObject *cv_stream_join(PyTypeObject *type, StreamStateObject *state, const cv_stream_args_t *args);
int cv_stream_start(StreamObject *self);
void cv_stream_give_up(StreamObject *self);

int cv_stream_set_protocol(StreamObject *self, PyObject *protocol);

/* The Python socket of the stream, made at first use (borrowed). NULL without an exception once it is closed. */
PyObject *cv_stream_socket(StreamObject *self);

/* ---- reading (stream_read.c) --------------------------------------------------------------------------------- */

/* Watches for what the stream's state wants, as of now. */
int cv_stream_rewatch(StreamObject *self);

/* The poll-phase callback. */
void cv_stream_on_ready(cv_loop_watch_t *watch, int events);

/* Does what became possible in the protocol's context; in debug mode says if that took long. */
typedef struct {
    void (*read)(StreamObject *self);
    void (*flush)(StreamObject *self);
} cv_stream_ready_t;

void cv_stream_handle_ready(StreamObject *self, int events, const cv_stream_ready_t *ready);

/* The same, whatever is watched. */
void cv_stream_in_context(StreamObject *self, int events, const cv_stream_ready_t *ready);

/* ---- asyncio's stream reader (stream_reader.c) --------------------------------------------------------------- */

/* 1 when `protocol` is exactly an asyncio.StreamReaderProtocol with asyncio's own data_received, else 0, or -1. */
int cv_stream_is_reader_protocol(StreamStateObject *state, PyObject *protocol);

/* Gives what was received to the reader of such a protocol, which is ours: 1, or 0 when it is for data_received() to
 * deal with it, or -1 with what that would have raised. */
int cv_stream_feed_reader(StreamObject *self, PyObject *protocol, const char *data, size_t len);

/* ---- writing (stream_write.c, stream_flow.c) ----------------------------------------------------------------- */

PyObject *cv_stream_write(PyObject *op, PyObject *data);
PyObject *cv_stream_writelines(PyObject *op, PyObject *list);
PyObject *cv_stream_write_eof(PyObject *op, PyObject *unused);

/* Sends what is queued and does what was waiting for the end of it. */
void cv_stream_flush(StreamObject *self);

/* The second half of that. */
void cv_stream_after_send(StreamObject *self);

/* Small writes of one turn (stream_gather.c). may_gather: `data` may wait for the turn's end. gather: it does; -1 with
 * MemoryError. end_gather: what was gathered is left in the queue, for the caller to send or to watch for.
 * offer_gathered: the kernel is offered it, once, before it is dropped, as it is offered every other write. */
bool cv_stream_may_gather(StreamObject *self, PyObject *data);
int cv_stream_gather(StreamObject *self, PyObject *bytes);
void cv_stream_end_gather(StreamObject *self);
void cv_stream_offer_gathered(StreamObject *self);

/* A write that has nowhere to go is no error, the protocol will hear connection_lost; who goes on is warned. */
int cv_stream_count_lost_write(StreamObject *self);

/* Calls pause_writing or resume_writing if the queue crossed a mark. -1: SystemExit or KeyboardInterrupt. */
int cv_stream_maybe_pause(StreamObject *self);
int cv_stream_maybe_resume(StreamObject *self);

PyObject *cv_stream_set_limits(PyObject *op, PyObject *args, PyObject *kwargs);
PyObject *cv_stream_get_limits(PyObject *op, PyObject *unused);
PyObject *cv_stream_make_empty_waiter(PyObject *op, PyObject *unused);
PyObject *cv_stream_make_lost_waiter(PyObject *op, PyObject *unused);
PyObject *cv_stream_reset_empty_waiter(PyObject *op, PyObject *unused);

/* Completes the empty waiter, if somebody waits: with `exception` (borrowed), or None as its result. */
int cv_stream_wake_empty_waiter(StreamObject *self, PyObject *exception);

/* ---- closing (stream_close.c) -------------------------------------------------------------------------------- */

/* close(): after the queue was sent. */
int cv_stream_close(StreamObject *self);

/* Drops the queue and schedules connection_lost(exception); NULL is None. */
int cv_stream_force_close(StreamObject *self, PyObject *exception);

/* connection_lost(exception), then lets go of everything; only the first call does anything. */
int cv_stream_finish(StreamObject *self, PyObject *exception);

/* Ends the connection with the exception that is set, which is disposed of. SystemExit and KeyboardInterrupt leave
 * run_forever and do not touch the connection, as in asyncio. */
void cv_stream_fail(StreamObject *self, const char *message);

/* Tells the loop's exception handler about the exception that is set. -1: SystemExit or KeyboardInterrupt. */
int cv_stream_report(StreamObject *self, const char *message);

/* Leaves the loop: nothing is watched any more, and `_open_streams` forgets us. Keeps the exception that is set. */
void cv_stream_leave(StreamObject *self);

/* Leaves the loop and closes the descriptor. Keeps the exception that is set. */
void cv_stream_release(StreamObject *self);

/* Tells the server, if there is one, that this connection is over. What goes wrong is reported to the loop. */
void cv_stream_detach_server(StreamObject *self);

/* The loop's dict of open streams (new reference). */
PyObject *cv_stream_open_streams(StreamObject *self);

/* ---- debug mode (stream_debug.c) ----------------------------------------------------------------------------- */

/* True in the loop's debug mode. */
bool cv_stream_is_debug(StreamObject *self);

/* logger.debug(format, self). */
void cv_stream_log_debug(StreamObject *self, const char *format);

/* logger.debug("%r: %s", self, message, exc_info=exception). */
void cv_stream_log_failure(StreamObject *self, const char *message, PyObject *exception);

/* Warns when what began at `began` (cv_loop_time) took longer than the slow_callback_duration of `loop`. */
void cv_stream_log_if_slow(StreamObject *self, PyObject *loop, double began);

/* ---- what can be asked of a stream (stream_info.c) ----------------------------------------------------------- */

PyObject *cv_stream_repr(PyObject *op);
PyObject *cv_stream_get_extra_info(PyObject *op, PyObject *args, PyObject *kwargs);
extern PyGetSetDef cv_stream_getset[];

/* ---- life (stream_life.c) ------------------------------------------------------------------------------------ */

int cv_stream_init(PyObject *op, PyObject *args, PyObject *kwargs);
int cv_stream_traverse(PyObject *op, visitproc visit, void *arg);
int cv_stream_clear(PyObject *op);
void cv_stream_finalize(PyObject *op);
void cv_stream_dealloc(PyObject *op);

/* ---- types (stream_type.c, stream_methods.c, stream_accept.c) ------------------------------------------------ */

/* Checks what a constructor was given, replaces None by NULL, and asks the socket for its descriptor. */
int cv_stream_check_args(cv_stream_args_t *args);

/* asyncio's base class of transports with water marks, as loop.sendfile() wants one. Its instances must end where ours
 * go on (new reference). */
PyObject *cv_stream_import_base(void);

/* Gives `type`, whose objects begin with a StreamObject, the methods that transports of every kind have. */
int cv_stream_add_methods(PyTypeObject *type);

/* Makes the types of streams and adds them to `module` (called once, by cv_loop_setup_types). */
int cv_stream_setup_types(PyObject *module);

/* Makes the type of acceptors (new reference). */
PyTypeObject *cv_stream_make_acceptor_type(PyObject *module);

#endif
