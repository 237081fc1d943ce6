/* SPDX-License-Identifier: MIT
 *
 * A connection that is, or is about to be, a WebSocket (RFC 6455): the handshake is a request like any other until it
 * is accepted; from then on frames come in and go out, in both directions at once.
 *
 * The walk: on_websocket (a correct handshake is open) -> an ordinary answer, or cv_conn_ws_respond, cv_conn_ws_field
 * and so on, cv_conn_ws_open -> on_message, many times -> on_ws_end (no more messages) -> on_gone.
 *
 * Owns:    the parser, the compression, what is known of pings; from the handshake until the connection is freed.
 * Thread:  loop thread; callbacks as in conn.h.
 * Errors:  0 or negative, as in conn.h; CV_CONN_EGONE once nothing can be sent any more.
 */
#ifndef CUVEE_CONN_WEBSOCKET_H
#define CUVEE_CONN_WEBSOCKET_H

#include "conn/conn.h"
#include "ws/deflater.h"
#include "ws/ws_handshake.h"
#include "ws/ws_parser.h"

struct cv_websocket {
    union {
        char accept[CV_WS_ACCEPT_LEN]; /* until it is open: the answer to the client's key */
        cv_ws_parser_t parser;         /* from then on */
    };
    cv_deflater_t *deflater;     /* NULL unless a context is kept for what we send */
    cv_buffer_t pong;            /* the answer to the last ping; has memory only while there is no room to send it */
    cv_deflate_terms_t terms;
    bool open;                   /* it was accepted: `parser` is valid */
    bool close_sent;
    bool ended;                  /* on_ws_end was called */
    bool awaits_life;            /* nothing was read since the last ping */
    int failure;                 /* the rule that the client broke, behind messages that wait; or 0 */
    uint32_t waiting;            /* messages that were handed up and not taken yet; what they cost is conn->unread */
    uint64_t pinged;             /* cv_deadlines_now(), as what follows: the last ping, or the begin */
    uint64_t messaged;           /* the last message, either way; where there is an idle timeout */
    uint64_t closed;             /* our close frame was written, or the failure; 0: not yet */
};

/* Starts the answer that accepts the handshake: 101 with its own fields, into the held head. */
int cv_conn_ws_respond(cv_conn_t *conn);

/* Adds a field of the application's to it. Those that are the handshake's own are passed over. */
int cv_conn_ws_field(cv_conn_t *conn, cv_span_t name, cv_span_t value);

/* Ends it: the connection is a WebSocket. Messages that came with the handshake may be handed up from here. */
int cv_conn_ws_open(cv_conn_t *conn);

/* Sends a message, TEXT or BINARY. `owner` as for cv_conn_body. `repeated` says that these are the bytes of the last
 * call that said so, or that `repeated` false last: what they were compressed to is used again. */
int cv_conn_ws_send(cv_conn_t *conn, cv_ws_opcode opcode, cv_span_t data, void *owner, bool repeated, bool *out_kept);

/* Sends a close frame; the connection closes when the peer's came, or its time is over. What the peer still sends is
 * dropped. */
int cv_conn_ws_close(cv_conn_t *conn, unsigned code, cv_span_t reason);

/* The layer above took `count` messages of `len` bytes together. */
void cv_conn_ws_consumed(cv_conn_t *conn, uint32_t count, size_t len);

/* The layer above has taken every message, and is done with them: a client that broke a rule behind them is told so
 * now. True if there was one. */
bool cv_conn_ws_settle(cv_conn_t *conn);

/* True while messages may be sent. */
static inline bool
cv_conn_ws_is_open(const cv_conn_t *conn)
{
    return conn->state == CV_CONN_WEBSOCKET && !conn->gone && !conn->websocket->close_sent && !conn->close_after_write;
}

#endif
