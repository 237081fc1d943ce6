/* SPDX-License-Identifier: MIT
 *
 * What the files about WebSockets share with the rest of conn/ and with each other.
 *
 * Thread:  loop thread.
 * Errors:  as in conn.h.
 */
#ifndef CUVEE_CONN_WEBSOCKET_PRIVATE_H
#define CUVEE_CONN_WEBSOCKET_PRIVATE_H

#include "conn/conn_private.h"
#include "conn/websocket.h"

/* websocket_handshake.c */

/* True when a request asks for a WebSocket, and may get one here. */
bool cv_conn_ws_is_asked(const cv_conn_t *conn, const cv_h1_head_t *head);

/* Checks a handshake and hands it up, or refuses it. 0 or negative, as on_head. */
int cv_conn_ws_handshake(cv_conn_t *conn, const cv_h1_head_t *head);

/* websocket_read.c */

/* Takes received bytes, which it may change. Negative: no memory. */
int cv_conn_ws_take(cv_conn_t *conn, char *data, size_t len);

/* Parses what waits in conn->input, if more may be handed up. */
void cv_conn_ws_parse_waiting(cv_conn_t *conn);

/* The connection ends: hands up what waits in conn->input, which may end it meanwhile. */
void cv_conn_ws_take_rest(cv_conn_t *conn);

/* True while more messages may be handed up. */
bool cv_conn_ws_wants_frames(const cv_conn_t *conn);

/* websocket_send.c */

/* Queues a control frame. */
int cv_conn_ws_control(cv_conn_t *conn, cv_ws_opcode opcode, cv_span_t payload);

/* The output fell below its mark: sends a pong that was waiting for that. */
void cv_conn_ws_on_room(cv_conn_t *conn);

/* websocket_close.c */

/* Tells the layer above that no more message comes; once. */
void cv_conn_ws_tell_end(cv_conn_t *conn, unsigned code, cv_span_t reason);

/* The peer's close frame came. */
void cv_conn_ws_on_close(cv_conn_t *conn, unsigned code, cv_span_t reason);

/* Ends the connection from our side, with a close frame that is not answered (RFC 6455 section 7.1.7). `reason` is what
 * it says, `rule` what the log says. */
void cv_conn_ws_fail(cv_conn_t *conn, unsigned code, const char *reason, const char *rule);

/* The server stops, or is done with this connection. */
void cv_conn_ws_stop(cv_conn_t *conn);

/* Frees what the connection has for it, and counts one less. */
void cv_conn_ws_free(cv_conn_t *conn);

/* websocket_time.c */

/* When the connection has to be looked at next, for CV_CONN_WS or CV_CONN_WS_CLOSE; 0: never. */
uint64_t cv_conn_ws_due(const cv_conn_t *conn);

/* That time has come. */
void cv_conn_ws_on_due(cv_conn_t *conn);

/* Bytes came: a sign of life. */
void cv_conn_ws_note_life(cv_conn_t *conn);

/* The first ping's time runs from now on. */
void cv_conn_ws_start_time(cv_conn_t *conn);

/* A message came or went. */
void cv_conn_ws_note_message(cv_conn_t *conn);

/* All that was queued is written: the time of a close frame runs from now on. */
void cv_conn_ws_note_written(cv_conn_t *conn);

#endif
