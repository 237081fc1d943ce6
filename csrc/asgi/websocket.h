/* SPDX-License-Identifier: MIT
 *
 * One WebSocket as the application sees it (ASGI WebSocket specification): its handshake, its messages, its end.
 *
 * Life: that of any exchange. It parts from its connection when that is gone; the messages that came before wait on,
 * and the disconnect behind them can be received as often as one likes.
 *
 * Owns:    the strong references below.
 * Borrows: the connection, until it is detached.
 * Thread:  loop thread, the GIL held.
 * Errors:  -1 with an exception set.
 */
#ifndef CUVEE_ASGI_WEBSOCKET_H
#define CUVEE_ASGI_WEBSOCKET_H

#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

#include "asgi/exchange.h"
#include "asgi/step.h"
#include "conn/websocket.h"

typedef enum {
    CV_WEBSOCKET_CONNECTING, /* the handshake is not answered */
    CV_WEBSOCKET_OPEN,       /* it is accepted */
    CV_WEBSOCKET_DENYING,    /* websocket.http.response.start was accepted */
    CV_WEBSOCKET_CLOSED,     /* the application is done: it closed, or denied to the end */
} cv_websocket_phase;

typedef struct {
    PyObject *data; /* strong: str or bytes */
    size_t len;     /* its bytes on the wire, inflated */
} cv_websocket_message_t;

typedef struct {
    CV_EXCHANGE_HEAD

    PyObject *raw_path;  /* bytes, strong; for log lines */
    PyObject *query;     /* bytes, strong, or NULL */
    PyObject *reason;    /* str, strong; what the disconnect says of it, or NULL */

    cv_websocket_message_t *queue; /* a ring of the messages that wait; NULL while there is none */
    uint32_t queue_first, queue_len, queue_cap;

    uint16_t code;       /* of the disconnect, once ended */
    uint16_t denial;     /* the status of the answer that denies the handshake, from its start on */
    uint8_t phase;       /* cv_websocket_phase */
    bool told_connect;   /* receive gave websocket.connect */
    bool ended;          /* no message comes any more: behind those that wait comes the disconnect */
} WebSocketObject;

/* websocket.c: what an exchange does because it is a WebSocket. */
extern const cv_exchange_kind_t cv_websocket_kind;

/* The WebSocket that an exchange is; NULL if that is of another kind, or NULL itself. */
static inline WebSocketObject *
cv_websocket_of(ExchangeObject *exchange)
{
    return exchange != NULL && exchange->kind == &cv_websocket_kind ? (WebSocketObject *)exchange : NULL;
}

/* A new one for the handshake that `conn` has open, queued. The queue owns it; borrowed. */
WebSocketObject *cv_websocket_new(cv_service_t *service, cv_conn_t *conn);

/* A message came. */
int cv_websocket_put(WebSocketObject *websocket, const cv_ws_event_t *message);

/* No message comes any more; once. `reason` may be NULL: then the disconnect says none. */
void cv_websocket_end(WebSocketObject *websocket, unsigned code, const cv_span_t *reason);

/* Says on the log what became of the handshake: "[accepted]", or a status. */
void cv_websocket_report(WebSocketObject *websocket, const char *what);

/* "connection rejected (STATUS PHRASE)" */
void cv_websocket_report_rejected(WebSocketObject *websocket, unsigned status);

/* websocket_answer.c: what answers a handshake. All return a took_t or -1. */
int cv_websocket_accept(WebSocketObject *websocket, PyObject *message);
int cv_websocket_reject(WebSocketObject *websocket);
int cv_websocket_deny_start(WebSocketObject *websocket, PyObject *message);
int cv_websocket_deny_body(WebSocketObject *websocket, PyObject *message);

/* websocket_receive.c, websocket_send.c: what calling its receive does, and taking a message. */
PyObject *cv_websocket_receive_call(PyObject *channel, PyObject *const *args, size_t nargsf, PyObject *kwnames);
int cv_websocket_take(ExchangeObject *exchange, PyObject *message, cv_opening_t *opening);

/* Raises what tells the application that a message of this type comes behind its end. Returns -1. */
int cv_websocket_raise_late(PyObject *type);

/* Raises what tells the application that its client is gone: an OSError. Returns -1. */
int cv_websocket_raise_gone(const WebSocketObject *websocket);

/* Drops the messages that wait. */
void cv_websocket_drop_queue(WebSocketObject *websocket);

/* Makes the WebSocket type, and the exception ClientDisconnected. */
int cv_websocket_setup_type(PyObject *module);

#endif
