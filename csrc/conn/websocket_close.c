/* SPDX-License-Identifier: MIT
 *
 * The ends of a WebSocket (RFC 6455 section 7): a close frame each way, or one that is not waited for.
 */
#include <stdlib.h>
#include <string.h>

#include "conn/websocket_private.h"

void
cv_conn_ws_tell_end(cv_conn_t *conn, unsigned code, cv_span_t reason)
{
    cv_websocket_t *websocket = conn->websocket;
    if (!websocket->ended && !conn->gone) {
        websocket->ended = true;
        conn->env->ops->on_ws_end(conn, code, reason);
    }
}

/* Queues a close frame, the last frame that is sent. */
static int
send_close(cv_conn_t *conn, unsigned code, cv_span_t reason)
{
    char payload[CV_WS_CONTROL_MAX];
    size_t len = cv_ws_close_payload(payload, code, reason);
    int error = cv_conn_ws_control(conn, CV_WS_CLOSE, (cv_span_t){payload, len});
    conn->websocket->close_sent = true;
    return error;
}

/* Nothing more is read for its own sake, and the connection closes once all is written. */
static void
close_after_write(cv_conn_t *conn)
{
    conn->close_after_write = true;
    cv_conn_watch(conn, conn->transport.writing);
    if (conn->state != CV_CONN_CLOSED) {
        cv_conn_need_flush(conn);
    }
}

int
cv_conn_ws_close(cv_conn_t *conn, unsigned code, cv_span_t reason)
{
    if (!cv_conn_ws_is_open(conn)) {
        return CV_CONN_EGONE;
    }
    cv_conn_env_t *env = conn->env;
    int error = send_close(conn, code, reason);
    if (error < 0) {
        cv_conn_close(conn, true);
        return error;
    }
    conn->websocket->waiting = 0; /* nobody takes them: what hides the peer's close frame is read */
    conn->unread = 0;
    if (env->ws.close_timeout == 0 || conn->websocket->failure != 0) { /* who broke a rule is not read any more */
        close_after_write(conn);
        return 0;
    }
    cv_conn_ws_parse_waiting(conn);
    if (conn->state == CV_CONN_WEBSOCKET) {
        cv_conn_arm(conn);
        cv_conn_watch(conn, conn->transport.writing);
    }
    return 0;
}

void
cv_conn_ws_on_close(cv_conn_t *conn, unsigned code, cv_span_t reason)
{
    cv_websocket_t *websocket = conn->websocket;
    if (!websocket->close_sent && send_close(conn, code, (cv_span_t){NULL, 0}) < 0) {
        cv_conn_close(conn, true);
        return;
    }
    cv_conn_ws_tell_end(conn, code, reason);
    close_after_write(conn);
}

void
cv_conn_ws_fail(cv_conn_t *conn, unsigned code, const char *reason, const char *rule)
{
    cv_span_t text = {reason, strlen(reason)};
    if (!conn->gone) {
        conn->env->ops->on_cut(conn, rule);
    }
    if (conn->state != CV_CONN_WEBSOCKET) {
        return;
    }
    if (!conn->websocket->close_sent && send_close(conn, code, text) < 0) {
        cv_conn_close(conn, true);
        return;
    }
    conn->input_dropped = true;
    cv_conn_ws_tell_end(conn, code, text);
    close_after_write(conn);
    cv_conn_flush(conn);
}

/* A handshake that nobody answered yet has no time to become anything: 503, and the application hears that its client
 * is gone. */
static void
stop_handshake(cv_conn_t *conn)
{
    if (!cv_conn_is_answering(conn) || conn->response_started) {
        return;
    }
    cv_conn_refuse_busy(conn);
    cv_conn_tell_gone(conn);
}

void
cv_conn_ws_stop(cv_conn_t *conn)
{
    cv_span_t none = {NULL, 0};
    if (conn->state != CV_CONN_WEBSOCKET) {
        stop_handshake(conn);
        return;
    }
    if (cv_conn_ws_close(conn, CV_WS_SERVICE_RESTART, none) == 0) {
        cv_conn_ws_tell_end(conn, CV_WS_SERVICE_RESTART, none);
    }
}

void
cv_conn_ws_free(cv_conn_t *conn)
{
    cv_websocket_t *websocket = conn->websocket;
    if (websocket->open) {
        cv_ws_parser_deinit(&websocket->parser);
    }
    if (websocket->deflater != NULL) {
        cv_deflater_free(websocket->deflater);
    }
    cv_buffer_deinit(&websocket->pong);
    free(websocket);
    conn->websocket = NULL;
}
