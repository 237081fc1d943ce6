/* SPDX-License-Identifier: MIT
 *
 * The life of one connection: how it begins, which deadline bounds it in each state, and what it watches for.
 */
#include "conn/conn.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conn/conn_private.h"
#include "conn/conn_rate.h"
#include "conn/conn_request.h"
#include "conn/websocket_private.h"

static void
on_closed(cv_transport_t *transport)
{
    cv_conn_free(CV_CONTAINER_OF(transport, cv_conn_t, transport));
}

static const cv_transport_ops_t transport_ops = {
    .on_readable = cv_conn_on_readable,
    .on_writable = cv_conn_on_writable,
    .on_hangup = cv_conn_on_hangup,
    .on_closed = on_closed,
};

static void
join_env(cv_conn_t *conn, cv_conn_env_t *env)
{
    conn->env = env;
    cv_list_init(&conn->flush_node);
    cv_list_append(&env->conns, &conn->node);
    env->conn_count++;
    cv_conn_env_hold(env);
}

cv_conn_t *
cv_conn_new(cv_conn_env_t *env, int fd, void *app)
{
    cv_conn_t *conn = aligned_alloc(CV_CONN_ALIGNMENT, sizeof(*conn));
    if (conn != NULL) {
        memset(conn, 0, sizeof(*conn));
    }
    if (conn == NULL || cv_transport_open(&conn->transport, env->loop, fd, &transport_ops) < 0) {
        free(conn);
        close(fd);
        return NULL;
    }
    join_env(conn, env);
    conn->app = app;
    conn->state = CV_CONN_IDLE;
    conn->fresh = true;
    conn->request_complete = true; /* there is none */
    cv_deadline_init(&conn->deadline);
    if (cv_transport_watch(&conn->transport, true, false) < 0) {
        conn->gone = true; /* nobody above knows of it */
        cv_conn_close(conn, false);
        return NULL;
    }
    cv_conn_arm(conn);
    return conn;
}

void
cv_conn_tell_gone(cv_conn_t *conn)
{
    if (!conn->gone) {
        conn->gone = true;
        conn->env->ops->on_gone(conn);
    }
}

/* True while it is the peer's turn to send more of the open request's body. */
static bool
waits_for_body(const cv_conn_t *conn)
{
    return !conn->request_complete && !conn->expects_continue && conn->unread <= conn->env->read_high
        && cv_conn_is_answering(conn);
}

static int
idle_deadline(const cv_conn_t *conn)
{
    if (conn->env->draining) {
        return CV_CONN_DRAIN;
    }
    return conn->fresh ? CV_CONN_HEAD : CV_CONN_KEEP_ALIVE;
}

static int
wanted_ws_deadline(const cv_conn_t *conn)
{
    if (cv_conn_ws_due(conn) == 0) {
        return -1;
    }
    return conn->websocket->close_sent ? CV_CONN_WS_CLOSE : CV_CONN_WS;
}

/* The kind of deadline that the state asks for, or -1. */
static int
wanted_deadline(const cv_conn_t *conn)
{
    if (conn->state == CV_CONN_LINGERING) {
        return CV_CONN_LINGER;
    }
    if (conn->queued > 0) {
        return conn->transport.writing ? CV_CONN_WRITE : -1;
    }
    switch (conn->state) {
    case CV_CONN_OPEN:
        return waits_for_body(conn) ? CV_CONN_BODY : -1;
    case CV_CONN_WEBSOCKET:
        return wanted_ws_deadline(conn);
    case CV_CONN_PREAMBLE:
    case CV_CONN_IDLE:
        return idle_deadline(conn);
    case CV_CONN_READ_HEAD:
        return CV_CONN_HEAD;
    case CV_CONN_DISCARD:
        return CV_CONN_UNREAD_BODY;
    default:
        return -1;
    }
}

/* When a body has paused for too long, or is too slow on the whole. */
static void
set_body_deadline(cv_conn_t *conn)
{
    cv_conn_env_t *env = conn->env;
    uint64_t left = cv_conn_rate_left(conn);
    uint64_t pause = env->deadlines.durations[CV_CONN_BODY];
    uint64_t least = pause != 0 && pause < left ? pause : left;
    cv_deadline_set_at(&env->deadlines, &conn->deadline, CV_CONN_BODY, cv_deadlines_now() + least);
}

void
cv_conn_arm(cv_conn_t *conn)
{
    int kind = wanted_deadline(conn);
    bool has_rate = conn->env->body_rate != 0;
    if (has_rate) {
        cv_conn_rate_wait(conn, kind == CV_CONN_BODY);
    }
    if (kind < 0) {
        cv_deadline_clear(&conn->deadline);
    } else if (cv_deadline_is_set(&conn->deadline) && conn->deadline.kind == kind) {
        return;
    } else if (has_rate && kind == CV_CONN_BODY) {
        set_body_deadline(conn);
    } else if (kind == CV_CONN_WS || kind == CV_CONN_WS_CLOSE) {
        cv_deadline_set_at(&conn->env->deadlines, &conn->deadline, (unsigned)kind, cv_conn_ws_due(conn));
    } else {
        cv_deadline_set(&conn->env->deadlines, &conn->deadline, (unsigned)kind);
    }
}

/* Reading goes on behind a complete request too, so that a FIN or RST is seen at once. */
static bool
wants_input(const cv_conn_t *conn)
{
    if (conn->input_ended) {
        return false;
    }
    if (cv_conn_is_dropping(conn)) {
        return true;
    }
    if (conn->state == CV_CONN_OPEN && !conn->request_complete) {
        return conn->unread <= conn->env->read_high;
    }
    if (conn->state == CV_CONN_WEBSOCKET) {
        return cv_conn_ws_wants_frames(conn) && cv_conn_waiting(conn) < conn->env->read_high;
    }
    return conn->state == CV_CONN_READ_HEAD || conn->state == CV_CONN_PREAMBLE
        || cv_conn_waiting(conn) < conn->env->read_high;
}

void
cv_conn_watch(cv_conn_t *conn, bool writing)
{
    conn->transport.input_ended |= conn->input_ended;
    if (cv_transport_watch(&conn->transport, wants_input(conn), writing) < 0) {
        cv_conn_close(conn, true);
    }
}
