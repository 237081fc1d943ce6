/* SPDX-License-Identifier: MIT
 *
 * Answers that the connection writes on its own, most of them its last: what was sent is no request, came too slowly,
 * or could not be taken or completed above.
 */
#include <string.h>

#include "conn/conn_private.h"
#include "conn/conn_request.h"
#include "http/status.h"

static const char bad_request_text[] = "Invalid HTTP request received."; /* uvicorn's words */

typedef struct {
    const char *name, *value;
} field_t;

/* Fields that some answers have beside what all have; the last of a list has no name. */
static const field_t no_fields[] = {{NULL, NULL}};
static const field_t retry_fields[] = {{"retry-after", "1"}, {NULL, NULL}};
static const field_t method_fields[] = {{"allow", "GET"}, {NULL, NULL}}; /* RFC 9110 section 15.5.6 */
static const field_t upgrade_fields[] = {
    /* section 15.5.22; RFC 6455 section 4.4 */
    {"upgrade", "websocket"},
    {"connection", "close, upgrade"}, /* RFC 9110 section 7.8 */
    {"sec-websocket-version", "13"},
    {NULL, NULL},
};

static int
append_field(cv_conn_t *conn, const field_t *field)
{
    return cv_h1_response_field(&conn->response, &conn->output, field->name, strlen(field->name), field->value,
                                strlen(field->value));
}

/* Appends a whole answer behind what is queued. */
static int
append_answer(cv_conn_t *conn, unsigned status, cv_span_t text, bool keep_alive, const field_t *fields)
{
    static const field_t type = {"content-type", "text/plain; charset=utf-8"};
    size_t len = text.len;
    cv_h1_response_t *response = &conn->response;
    cv_buffer_t *output = &conn->output;
    size_t take = 0;
    size_t after_len = 0;
    const char *after = "";
    int error = cv_conn_output_reserve(conn, 256 + cv_conn_end_head_room(conn) + len, false);
    if (error == 0) {
        error = cv_h1_response_begin(response, output, status, response->minor, response->is_head, keep_alive);
    }
    if (error == 0) {
        error = append_field(conn, &type);
    }
    for (; error == 0 && fields->name != NULL; fields++) {
        error = append_field(conn, fields);
    }
    if (error == 0) {
        error = cv_conn_end_head(conn, len, true);
    }
    if (error == 0) {
        error = cv_h1_response_body(response, output, len, true, &take, &after, &after_len);
    }
    if (error == 0) {
        error = cv_buffer_append(output, text.data, take);
    }
    return error;
}

/* True when the bytes of the open answer's head, if it has any, can still be taken back. */
static bool
is_head_held(const cv_conn_t *conn)
{
    return !conn->response_started || conn->response.head_open;
}

static void
refuse(cv_conn_t *conn, unsigned status, cv_span_t text, const field_t *fields)
{
    if (!cv_conn_is_answering(conn)) {
        return;
    }
    if (!is_head_held(conn)) {
        cv_conn_fail(conn);
        return;
    }
    conn->output.len = conn->output_ready;
    if (append_answer(conn, status, text, false, fields) < 0) {
        cv_conn_close(conn, true);
        return;
    }
    cv_conn_output_commit(conn);
    conn->response_started = true;
    conn->response.keep_alive = false;
    cv_conn_end_response(conn);
}

void
cv_conn_refuse(cv_conn_t *conn, unsigned status, const char *text)
{
    refuse(conn, status, text != NULL ? (cv_span_t){text, strlen(text)} : cv_status_phrase(status), no_fields);
}

void
cv_conn_refuse_busy(cv_conn_t *conn)
{
    refuse(conn, 503, cv_status_phrase(503), retry_fields);
}

void
cv_conn_reply(cv_conn_t *conn, unsigned status, const char *text)
{
    if (!cv_conn_is_answering(conn)) {
        return;
    }
    cv_span_t span = {text, strlen(text)};
    if (append_answer(conn, status, span, conn->response.keep_alive, no_fields) < 0) {
        cv_conn_close(conn, true);
        return;
    }
    cv_conn_output_commit(conn);
    conn->response_started = true;
    cv_conn_end_response(conn);
}

void
cv_conn_fail(cv_conn_t *conn)
{
    if (!cv_conn_is_answering(conn)) {
        return;
    }
    if (conn->response_started && conn->response.head_open) {
        conn->response.keep_alive = false;
        if (cv_conn_output_reserve(conn, cv_conn_end_head_room(conn), false) < 0
            || cv_conn_end_head(conn, 0, false) < 0) {
            cv_conn_close(conn, true);
            return;
        }
        cv_conn_output_commit(conn);
    }
    conn->response.keep_alive = false;
    conn->response.is_broken = true;
    cv_conn_end_response(conn);
}

/* Opens a request that has no head, so that it can be answered. */
static void
open_headless(cv_conn_t *conn)
{
    conn->state = CV_CONN_OPEN;
    conn->request_complete = false;
    conn->expects_continue = false;
    conn->response_started = false;
    conn->response_complete = false;
    memset(&conn->response, 0, sizeof(conn->response));
    conn->response.minor = 1;
}

/* What is answered in place of `status` when it is too late: nothing. */
static unsigned
answerable_status(const cv_conn_t *conn, unsigned status)
{
    bool has_head = conn->state == CV_CONN_OPEN || conn->state == CV_CONN_DISCARD;
    bool late = conn->state == CV_CONN_DISCARD || (has_head && !is_head_held(conn));
    return late ? 0 : status;
}

/* The two statuses that ask for fields of their own are those of a WebSocket's handshake. */
static void
refuse_open(cv_conn_t *conn, unsigned status)
{
    if (status == 0) {
        cv_conn_fail(conn);
    } else if (status == 405) {
        refuse(conn, status, cv_status_phrase(status), method_fields);
    } else if (status == 426) {
        refuse(conn, status, cv_status_phrase(status), upgrade_fields);
    } else {
        cv_conn_refuse(conn, status, status == 400 ? bad_request_text : NULL);
    }
}

void
cv_conn_refuse_input(cv_conn_t *conn, unsigned status, const char *rule)
{
    if (status == 0) {
        conn->env->ops->on_refused(conn, 0, rule);
        cv_conn_close(conn, false);
        return;
    }
    bool was_open = conn->state == CV_CONN_OPEN;
    conn->input_dropped = true;
    status = answerable_status(conn, status);
    if (conn->state == CV_CONN_DISCARD) {
        conn->close_after_write = true;
        cv_conn_need_flush(conn);
    } else {
        if (!was_open) {
            open_headless(conn);
        }
        refuse_open(conn, status);
    }
    if (!conn->gone) {
        conn->env->ops->on_refused(conn, status, rule);
    }
    if (was_open) {
        cv_conn_tell_gone(conn); /* the app waits for a body that will never be complete */
    }
    cv_conn_flush(conn);
}

void
cv_conn_refuse_failed(cv_conn_t *conn)
{
    conn->callee_failed = false;
    conn->input_dropped = true;
    cv_conn_refuse(conn, 500, NULL);
    cv_conn_tell_gone(conn);
    cv_conn_flush(conn);
}
