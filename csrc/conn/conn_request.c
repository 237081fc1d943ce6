/* SPDX-License-Identifier: MIT */
#include "conn/conn_request.h"

#include <string.h>

#include "conn/conn_private.h"
#include "conn/websocket_private.h"

/* What the parser is told after a callback of the layer above, which may have refused or closed the connection. */
static int
verdict(cv_conn_t *conn, int status)
{
    if (status < 0) {
        conn->callee_failed = true;
        return status;
    }
    return cv_conn_is_dropping(conn) ? CV_CONN_EGONE : 0;
}

/* Counts the request. True when another one may follow it. */
static bool
may_have_another(cv_conn_t *conn, const cv_h1_head_t *head)
{
    conn->request_count++;
    if (!head->keep_alive || conn->request_count != conn->env->request_limit) {
        return head->keep_alive;
    }
    conn->env->limited[CV_LIMIT_CONNECTION_REQUESTS]++;
    return false;
}

static int
on_head(void *owner, const cv_h1_head_t *head)
{
    cv_conn_t *conn = owner;
    conn->state = CV_CONN_OPEN;
    conn->fresh = false;
    conn->request_complete = false;
    conn->expects_continue = head->expect_continue && head->has_body;
    conn->unread = 0;
    memset(&conn->response, 0, sizeof(conn->response));
    conn->response.minor = head->minor;
    conn->response.is_head = head->is_head;
    conn->is_connect = head->is_connect;
    conn->takes_trailers = head->takes_trailers;
    conn->response.keep_alive = conn->may_keep_alive = may_have_another(conn, head);
    conn->response_started = false;
    conn->response_complete = false;
    conn->body_allowed = conn->env->body_limit;
    conn->body_clock = 0;
    conn->body_waits = false;
    if (head->has_body && !head->chunked && head->content_length > conn->body_allowed) {
        return CV_H1_EBODY_LARGE;
    }
    conn->env->handed_up++;
    if (cv_conn_ws_is_asked(conn, head)) {
        return verdict(conn, cv_conn_ws_handshake(conn, head));
    }
    return verdict(conn, conn->env->ops->on_head(conn, head));
}

static int
on_body(void *owner, const char *data, size_t len)
{
    cv_conn_t *conn = owner;
    conn->expects_continue = false;
    if (!cv_conn_is_answering(conn)) {
        return cv_conn_is_dropping(conn) ? CV_CONN_EGONE : 0;
    }
    if (len > conn->body_allowed) {
        return CV_H1_EBODY_LARGE;
    }
    conn->body_allowed -= len;
    conn->unread += len;
    cv_deadline_clear(&conn->deadline); /* it bounds a pause; the next one will cut what is too slow */
    return verdict(conn, conn->env->ops->on_body(conn, data, len));
}

const cv_h1_events_t cv_conn_parser_events = {.on_head = on_head, .on_body = on_body};

void
cv_conn_end_request(cv_conn_t *conn)
{
    conn->request_complete = true;
    conn->expects_continue = false;
    if (cv_conn_is_answering(conn)) {
        if (!conn->is_websocket) {
            conn->env->ops->on_end(conn);
        }
    } else if (conn->state == CV_CONN_DISCARD) {
        conn->state = CV_CONN_IDLE;
    }
}

void
cv_conn_end_response(cv_conn_t *conn)
{
    bool no_next = conn->input_ended && cv_conn_waiting(conn) == 0;
    conn->response_complete = true;
    if (!conn->response.keep_alive || conn->is_last || no_next) {
        conn->close_after_write = true;
    } else {
        conn->state = conn->request_complete ? CV_CONN_IDLE : CV_CONN_DISCARD;
    }
    cv_conn_watch(conn, conn->transport.writing);
    cv_conn_need_flush(conn);
}

void
cv_conn_consumed(cv_conn_t *conn, size_t len)
{
    if (!cv_conn_is_answering(conn)) {
        return;
    }
    conn->unread = len < conn->unread ? conn->unread - len : 0;
    cv_conn_watch(conn, conn->transport.writing);
    if (!conn->request_complete && !conn->parsing && conn->state != CV_CONN_CLOSED) {
        cv_conn_arm(conn);
    }
}
