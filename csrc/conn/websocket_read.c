/* SPDX-License-Identifier: MIT
 *
 * The way of a WebSocket's frames in: parsed where they were read, handed up as messages, answered where they are
 * control frames. Bytes that may not be handed up yet wait in conn->input, as those behind an open request do.
 */
#include "conn/websocket_private.h"

enum { MESSAGE_COST = 64, /* what a message that waits costs beside its bytes, and more than that */
       REST_COST = 16 };  /* times the bytes that it came in: what a rest may cost. It may be compressed */

/* RFC 6455 section 5.5.3: who sends pings and reads no pongs gets the answer to the last of them only. */
static int
answer_ping(cv_conn_t *conn, cv_span_t payload)
{
    cv_websocket_t *websocket = conn->websocket;
    if (websocket->close_sent) {
        return 0;
    }
    if (conn->queued <= conn->env->ws.send_high) {
        cv_buffer_deinit(&websocket->pong); /* the answer to one before this */
        return cv_conn_ws_control(conn, CV_WS_PONG, payload);
    }
    websocket->pong.len = 0;
    int error = cv_buffer_reserve(&websocket->pong, CV_WS_CONTROL_MAX);
    if (error == 0) {
        error = cv_buffer_append(&websocket->pong, payload.data, payload.len);
    }
    conn->above_high |= error == 0;
    return error;
}

static int
take_message(cv_conn_t *conn, const cv_ws_event_t *message)
{
    cv_websocket_t *websocket = conn->websocket;
    cv_conn_ws_note_message(conn);
    if (websocket->close_sent) {
        return 0; /* the application is done with it */
    }
    websocket->waiting++;
    conn->unread += message->len + MESSAGE_COST;
    conn->env->handed_up++;
    int status = conn->env->ops->on_message(conn, message);
    if (status < 0 && !websocket->close_sent) {
        websocket->waiting--; /* nobody has it */
        conn->unread -= message->len + MESSAGE_COST;
    }
    return status;
}

static int
take_event(cv_conn_t *conn, const cv_ws_event_t *event)
{
    switch (event->opcode) {
    case CV_WS_TEXT:
    case CV_WS_BINARY:
        return take_message(conn, event);
    case CV_WS_PING:
        return answer_ping(conn, (cv_span_t){event->data, event->len});
    case CV_WS_CLOSE:
        cv_conn_ws_on_close(conn, event->code, (cv_span_t){event->data, event->len});
        return 0;
    default:
        return 0; /* a pong: any byte is a sign of life */
    }
}

static void
fail_now(cv_conn_t *conn, int error)
{
    if (error == CV_WS_ESIZE) {
        conn->env->limited[CV_LIMIT_WS_MESSAGE]++;
    }
    const char *rule = cv_ws_error_rule(error);
    cv_conn_ws_fail(conn, cv_ws_error_code(error), rule, rule);
}

/* Messages that came before are answered first, if the application does so while a close would be waited for. */
static void
fail(cv_conn_t *conn, int error)
{
    cv_conn_env_t *env = conn->env;
    cv_websocket_t *websocket = conn->websocket;
    if (websocket->waiting == 0 || websocket->close_sent || env->ws.close_timeout == 0) {
        fail_now(conn, error);
        return;
    }
    websocket->failure = error;
    websocket->closed = cv_deadlines_now();
    conn->input_dropped = true;
    cv_deadline_clear(&conn->deadline);
    cv_conn_arm(conn);
}

bool
cv_conn_ws_settle(cv_conn_t *conn)
{
    int failure = conn->websocket->failure;
    if (conn->state != CV_CONN_WEBSOCKET || failure == 0 || cv_conn_is_dropping(conn)) {
        return false;
    }
    conn->websocket->failure = 0;
    fail_now(conn, failure);
    return true;
}

/* True while messages may be handed up that cost `most` together, however many. */
static bool
takes(const cv_conn_t *conn, size_t most)
{
    return !cv_conn_is_dropping(conn) && conn->websocket->failure == 0 && conn->unread <= most;
}

bool
cv_conn_ws_wants_frames(const cv_conn_t *conn)
{
    return conn->websocket->waiting < conn->env->ws.max_queue && takes(conn, conn->env->read_high);
}

/* Feeds the parser until no more may be handed up: at the end of the connection, until messages cost `rest`. Returns
 * how many bytes are done with. */
static size_t
feed(cv_conn_t *conn, char *data, size_t len, size_t rest)
{
    size_t at = 0;
    conn->parsing = true;
    while (at < len && (rest > 0 ? takes(conn, rest) : cv_conn_ws_wants_frames(conn))) {
        cv_ws_event_t event;
        size_t used = 0;
        int status = cv_ws_parser_feed(&conn->websocket->parser, data + at, len - at, &used, &event);
        at += used;
        if (status > 0) {
            status = take_event(conn, &event);
        }
        if (status < 0 && !cv_conn_is_dropping(conn)) {
            fail(conn, status);
        }
    }
    conn->parsing = false;
    if (cv_conn_is_dropping(conn) || conn->websocket->failure != 0) {
        conn->input_dropped |= at < len;
        return len;
    }
    size_t none;
    cv_ws_event_t nothing;
    cv_ws_parser_feed(&conn->websocket->parser, NULL, 0, &none, &nothing); /* gives back the last message's memory */
    return at;
}

int
cv_conn_ws_take(cv_conn_t *conn, char *data, size_t len)
{
    cv_conn_ws_note_life(conn);
    if (cv_conn_waiting(conn) == 0) {
        size_t done = feed(conn, data, len, 0);
        data += done;
        len -= done;
    }
    int error = len == 0 || cv_conn_is_dropping(conn) ? 0 : cv_conn_keep_input(conn, data, len);
    if (error == 0 && cv_list_is_linked(&conn->flush_node)) {
        cv_conn_flush(conn); /* answers to control frames: what the application sends comes later */
    }
    return error;
}

static void
feed_waiting(cv_conn_t *conn, size_t rest)
{
    conn->input_start += feed(conn, conn->input.data + conn->input_start, cv_conn_waiting(conn), rest);
}

void
cv_conn_ws_parse_waiting(cv_conn_t *conn)
{
    if (conn->state != CV_CONN_WEBSOCKET || conn->parsing || cv_conn_waiting(conn) == 0
        || !cv_conn_ws_wants_frames(conn)) {
        return;
    }
    feed_waiting(conn, 0);
    if (cv_conn_waiting(conn) == 0) {
        cv_conn_release_input(conn);
    }
}

void
cv_conn_ws_take_rest(cv_conn_t *conn)
{
    size_t len = cv_conn_waiting(conn);
    if (len > 0 && !conn->parsing && !conn->websocket->close_sent) {
        feed_waiting(conn, conn->unread + REST_COST * len);
    }
}

void
cv_conn_ws_consumed(cv_conn_t *conn, uint32_t count, size_t len)
{
    if (conn->state != CV_CONN_WEBSOCKET || conn->gone || conn->websocket->close_sent) {
        return;
    }
    conn->websocket->waiting -= count;
    conn->unread -= len + count * MESSAGE_COST;
    cv_conn_ws_parse_waiting(conn);
    cv_conn_watch(conn, conn->transport.writing);
}
