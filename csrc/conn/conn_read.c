/* SPDX-License-Identifier: MIT
 *
 * The way of received bytes: from the shared read buffer to the parser, or into conn->input where they have to wait.
 */
#include <errno.h>

#include "conn/conn_private.h"
#include "conn/conn_request.h"
#include "conn/websocket_private.h"

enum { BODY_READ = 131072 }; /* most bytes of a body read at once: what two reads into the shared buffer would be */

/* True while the parser may be given bytes: no request waits for its answer, nor too much output for the peer. */
static bool
wants_parsing(const cv_conn_t *conn)
{
    if (cv_conn_is_dropping(conn)) {
        return false;
    }
    if (conn->state == CV_CONN_OPEN || conn->state == CV_CONN_WEBSOCKET) {
        return !conn->request_complete;
    }
    return conn->state != CV_CONN_IDLE || conn->queued <= conn->env->write_high;
}

/* Why the parser stopped: a callback refused or closed, could not take the request, or a rule was broken. */
static void
parsing_failed(cv_conn_t *conn, int error)
{
    if (cv_conn_is_dropping(conn)) {
        conn->input_dropped = true;
    } else if (conn->callee_failed) {
        cv_conn_refuse_failed(conn);
    } else {
        cv_limit_t limit = cv_limit_of_error(error);
        if (limit != CV_LIMITS) {
            conn->env->limited[limit]++;
        }
        cv_conn_refuse_input(conn, cv_h1_error_status(error), cv_h1_error_rule(error));
    }
}

/* Feeds the parser until it may have no more. Returns how many bytes it is done with, an incomplete head included. */
static size_t
feed(cv_conn_t *conn, const char *data, size_t len)
{
    size_t at = 0;
    if (!cv_conn_take_parser(conn)) {
        parsing_failed(conn, CV_H1_ENOMEM);
        return len;
    }
    conn->parsing = true;
    while (at < len && wants_parsing(conn)) {
        size_t used = 0;
        int status = cv_h1_parser_feed(conn->parser, data + at, len - at, &used);
        at += used;
        if (status == CV_H1_END) {
            cv_conn_end_request(conn);
        } else if (status < 0) {
            conn->parsing = false;
            parsing_failed(conn, status);
            return len;
        }
    }
    conn->parsing = false;
    cv_conn_rest_parser(conn);
    if (cv_conn_is_dropping(conn)) {
        conn->input_dropped = conn->input_dropped || at < len;
        return len;
    }
    return at;
}

int
cv_conn_keep_input(cv_conn_t *conn, const char *data, size_t len)
{
    cv_buffer_t *input = &conn->input;
    if (conn->input_start > 0) {
        cv_buffer_consume(input, conn->input_start);
        conn->input_start = 0;
    }
    int status = cv_buffer_append(input, data, len);
    if (cv_conn_is_in_head(conn) && input->data != NULL) {
        cv_h1_parser_rebase(conn->parser, input->data);
    }
    return status;
}

void
cv_conn_release_input(cv_conn_t *conn)
{
    if (!conn->parsing) {
        cv_buffer_deinit(&conn->input);
        conn->input_start = 0;
    }
}

/* Parses what waits in conn->input. */
static void
parse_waiting(cv_conn_t *conn)
{
    size_t from = conn->input_start + cv_conn_head_fed(conn);
    size_t done = from + feed(conn, conn->input.data + from, conn->input.len - from);
    if (cv_conn_is_dropping(conn)) {
        done = conn->input.len;
    } else {
        done -= cv_conn_head_fed(conn);
    }
    conn->input_start = done;
    if (cv_conn_waiting(conn) == 0) {
        cv_conn_release_input(conn);
    }
}

/* Parses bytes of the shared buffer and keeps what is left of them. */
static int
parse_span(cv_conn_t *conn, const char *data, size_t len)
{
    size_t done = feed(conn, data, len);
    if (cv_conn_is_dropping(conn)) {
        return 0;
    }
    done -= cv_conn_head_fed(conn);
    return done < len ? cv_conn_keep_input(conn, data + done, len - done) : 0;
}

static int
take_input(cv_conn_t *conn, char *data, size_t len)
{
    if (cv_conn_is_dropping(conn)) {
        conn->input_dropped = true;
        return 0;
    }
    if (conn->state == CV_CONN_WEBSOCKET) {
        return cv_conn_ws_take(conn, data, len);
    }
    if (conn->state == CV_CONN_READ_HEAD || conn->state == CV_CONN_PREAMBLE) {
        int status = cv_conn_keep_input(conn, data, len);
        if (status == 0 && (conn->state == CV_CONN_READ_HEAD || cv_conn_take_preamble(conn))) {
            parse_waiting(conn);
        }
        return status;
    }
    if (cv_conn_waiting(conn) > 0 || !wants_parsing(conn)) {
        return cv_conn_keep_input(conn, data, len);
    }
    return parse_span(conn, data, len);
}

/* After bytes were parsed: the state that an incomplete head means, its deadline, and what to read on. */
static void
settle(cv_conn_t *conn)
{
    if (conn->state == CV_CONN_CLOSED) {
        return;
    }
    if (conn->state == CV_CONN_IDLE && cv_conn_is_in_head(conn)) {
        conn->state = CV_CONN_READ_HEAD;
        conn->fresh = false;
    }
    if (conn->input_ended && conn->state != CV_CONN_OPEN && !cv_conn_has_next(conn)) {
        conn->close_after_write = true; /* what is left of the input will never be a request */
        cv_conn_need_flush(conn);
    }
    cv_conn_ws_parse_waiting(conn); /* behind a handshake that was accepted while it was told */
    if (conn->state == CV_CONN_CLOSED) {
        return;
    }
    cv_conn_arm(conn);
    cv_conn_watch(conn, conn->transport.writing);
}

/* Where to read to: the shared buffer, or memory of the layer above's own, so that a long body that comes fast is
 * not copied once more, and comes in fewer pieces. */
static char *
read_target(cv_conn_t *conn, cv_conn_env_t *env, size_t *out_len)
{
    bool may_ask = conn->reads_full && conn->parser != NULL && env->ops->on_body_room != NULL;
    if (may_ask && cv_conn_is_answering(conn) && conn->unread == 0) {
        uint64_t left = cv_h1_parser_body_left(conn->parser);
        size_t len = left < BODY_READ ? (size_t)left : BODY_READ;
        char *room = len > env->read_buffer_size ? env->ops->on_body_room(conn, len) : NULL;
        if (room != NULL) {
            *out_len = len;
            return room;
        }
    }
    *out_len = env->read_buffer_size;
    return env->read_buffer;
}

static void
read_on(cv_conn_t *conn, cv_conn_env_t *env)
{
    size_t len;
    char *data = read_target(conn, env, &len);
    ssize_t count = cv_transport_read(&conn->transport, data, len);
    conn->reads_full = count == (ssize_t)len;
    if (count == -EAGAIN) {
        return;
    }
    if (count == 0) {
        cv_conn_end_input(conn);
        return;
    }
    if (count < 0) {
        cv_conn_close(conn, false);
        return;
    }
    env->bytes_in += (uint64_t)count;
    if (take_input(conn, data, (size_t)count) < 0) {
        cv_conn_close(conn, false);
        return;
    }
    settle(conn);
}

/* A poll may report thousands of connections: by the time that the last of them was read, what belongs to the first
 * would have left the caches. */
void
cv_conn_on_readable(cv_transport_t *transport)
{
    cv_conn_t *conn = CV_CONTAINER_OF(transport, cv_conn_t, transport);
    cv_conn_env_t *env = conn->env;
    read_on(conn, env);
    if (env->handed_up >= env->batch) {
        env->handed_up = 0;
        if (env->ops->on_batch != NULL) {
            env->ops->on_batch(env);
        }
    }
}

bool
cv_conn_can_advance(const cv_conn_t *conn)
{
    return cv_conn_has_next(conn) && !conn->parsing && wants_parsing(conn);
}

void
cv_conn_advance(cv_conn_t *conn)
{
    if (cv_conn_can_advance(conn)) {
        parse_waiting(conn);
        settle(conn);
    }
}
