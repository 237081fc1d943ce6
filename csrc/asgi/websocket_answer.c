/* SPDX-License-Identifier: MIT
 *
 * What answers a handshake: websocket.accept, websocket.close, or an ordinary response that denies it (ASGI WebSocket
 * specification, "WebSocket Denial Response").
 */
#include <errno.h>
#include <stdio.h>

#include "asgi/fields.h"
#include "asgi/message.h"
#include "asgi/payload.h"
#include "asgi/report.h"
#include "asgi/send.h"
#include "asgi/websocket.h"
#include "py/errors.h"

static cv_span_t
span_of(PyObject *bytes)
{
    return (cv_span_t){PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)};
}

/* What a step of the head came to. An iterator of the application's may have let the client go: that is seen later. */
static int
check_field(int error)
{
    return error < 0 && error != CV_CONN_EGONE ? cv_error_set(error) : 0;
}

static int
put_accept_field(void *into, PyObject *name, PyObject *value)
{
    cv_conn_t *conn = ((WebSocketObject *)into)->conn;
    return conn == NULL ? 0 : check_field(cv_conn_ws_field(conn, span_of(name), span_of(value)));
}

static int
put_denial_field(void *into, PyObject *name, PyObject *value)
{
    cv_conn_t *conn = ((WebSocketObject *)into)->conn;
    cv_span_t key = span_of(name), text = span_of(value);
    return conn == NULL ? 0 : check_field(cv_conn_field(conn, key.data, key.len, text.data, text.len));
}

/* The subprotocol that the application chose, if it chose one. */
static int
put_subprotocol(WebSocketObject *websocket, PyObject *subprotocol)
{
    static const char name[] = "sec-websocket-protocol";
    if (subprotocol == NULL || subprotocol == Py_None) {
        return 0;
    }
    Py_ssize_t len;
    const char *text = PyUnicode_AsUTF8AndSize(subprotocol, &len);
    if (text == NULL) {
        return -1;
    }
    cv_span_t value = {text, (size_t)len};
    if (len == 0) {
        return 0; /* as in uvicorn */
    }
    if (!cv_ws_is_token(value)) {
        PyErr_Format(PyExc_ValueError, "%R is no name of a subprotocol (RFC 6455 section 4.1)", subprotocol);
        return -1;
    }
    cv_conn_t *conn = websocket->conn;
    return conn == NULL ? 0 : check_field(cv_conn_ws_field(conn, (cv_span_t){name, sizeof(name) - 1}, value));
}

/* A message that cannot be taken leaves the handshake as it was. */
static int
fail_head(WebSocketObject *websocket)
{
    if (websocket->conn != NULL) {
        cv_conn_retract(websocket->conn);
    }
    return -1;
}

/* 0, or -1 with an exception: the client is gone, or the connection can't take it. */
static int
check(WebSocketObject *websocket, int error)
{
    if (error == CV_CONN_EGONE || websocket->conn == NULL) {
        return cv_websocket_raise_gone(websocket);
    }
    return error < 0 ? cv_error_set(error) : 0;
}

/* 0 while the answer that began goes on. Code of the application's that ran meanwhile, an iterator of fields, may have
 * sent another end of the handshake: then -1 with an exception. */
static int
check_phase(WebSocketObject *websocket, cv_websocket_phase phase, PyObject *type)
{
    return websocket->phase == (uint8_t)phase ? 0 : cv_websocket_raise_late(type);
}

/* The WebSocket is open from here, for what cv_conn_ws_open tells already; if that has no memory it never was. */
static int
open_frames(WebSocketObject *websocket)
{
    websocket->phase = CV_WEBSOCKET_OPEN;
    int error = websocket->conn == NULL ? CV_CONN_EGONE : cv_conn_ws_open(websocket->conn);
    if (error < 0 && error != CV_CONN_EGONE) {
        websocket->phase = CV_WEBSOCKET_CONNECTING;
        fail_head(websocket);
    }
    return check(websocket, error);
}

int
cv_websocket_accept(WebSocketObject *websocket, PyObject *message)
{
    const cv_names_t *names = &websocket->service->state->names;
    PyObject *subprotocol = Py_XNewRef(cv_message_find(message, names->subprotocol));
    PyObject *headers = Py_XNewRef(cv_message_find(message, names->headers));
    int status = check(websocket, cv_conn_ws_respond(websocket->conn));
    if (status == 0) {
        status = cv_fields_each(headers, put_accept_field, websocket);
        status = status == 0 ? put_subprotocol(websocket, subprotocol) : status;
        status = status == 0 ? check_phase(websocket, CV_WEBSOCKET_CONNECTING, names->websocket_accept) : status;
        if (status < 0) {
            fail_head(websocket);
        }
    }
    Py_XDECREF(subprotocol);
    Py_XDECREF(headers);
    if (status < 0 || open_frames(websocket) < 0) {
        return -1;
    }
    cv_service_wake(websocket->service);
    cv_websocket_report(websocket, "[accepted]");
    cv_report(websocket->service, CV_LOG_INFO, "connection open", NULL);
    return TOOK;
}

int
cv_websocket_reject(WebSocketObject *websocket)
{
    websocket->phase = CV_WEBSOCKET_CLOSED;
    cv_websocket_end(websocket, CV_WS_ABNORMAL, NULL);
    if (websocket->conn != NULL) {
        cv_conn_refuse(websocket->conn, 403, "");
    }
    cv_service_wake(websocket->service);
    cv_websocket_report(websocket, "403");
    cv_websocket_report_rejected(websocket, 403);
    return TOOK;
}

static int
read_status(PyObject *status, unsigned *out)
{
    if (status == NULL) {
        PyErr_SetString(PyExc_KeyError, "status");
        return -1;
    }
    if (!PyLong_Check(status)) {
        PyErr_Format(PyExc_TypeError, "the response status must be an int, not %.100s", Py_TYPE(status)->tp_name);
        return -1;
    }
    long number = PyLong_AsLong(status);
    if (number == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (number < 200 || number > 599) { /* 1xx is no final answer */
        PyErr_Format(PyExc_RuntimeError, "Invalid HTTP status code '%ld' in response.", number);
        return -1;
    }
    *out = (unsigned)number;
    return 0;
}

int
cv_websocket_deny_start(WebSocketObject *websocket, PyObject *message)
{
    const cv_names_t *names = &websocket->service->state->names;
    unsigned code;
    PyObject *headers = Py_XNewRef(cv_message_find(message, names->headers));
    int status = read_status(cv_message_find(message, names->status), &code);
    if (status == 0) {
        status = check(websocket, cv_conn_respond(websocket->conn, code));
    }
    if (status == 0
        && (cv_fields_each(headers, put_denial_field, websocket) < 0
            || check_phase(websocket, CV_WEBSOCKET_CONNECTING, names->websocket_http_response_start) < 0)) {
        status = fail_head(websocket);
    }
    Py_XDECREF(headers);
    if (status < 0) {
        return -1;
    }
    websocket->phase = CV_WEBSOCKET_DENYING;
    websocket->denial = (uint16_t)code;
    char text[8];
    snprintf(text, sizeof text, "%u", code);
    cv_websocket_report(websocket, text);
    return TOOK;
}

/* The denial is complete. */
static void
end_denial(WebSocketObject *websocket)
{
    websocket->phase = CV_WEBSOCKET_CLOSED;
    cv_websocket_end(websocket, CV_WS_ABNORMAL, NULL);
    cv_websocket_report_rejected(websocket, websocket->denial);
}

int
cv_websocket_deny_body(WebSocketObject *websocket, PyObject *message)
{
    const cv_state_t *state = websocket->service->state;
    const cv_names_t *names = &state->names;
    PyObject *body = cv_message_find(message, names->body);
    cv_payload_t payload;
    if (cv_payload_read(body != NULL ? body : state->empty_bytes, "the response body", &payload) < 0) {
        return -1;
    }
    int more = cv_send_more(cv_message_find(message, names->more_body));
    if (more >= 0 && check_phase(websocket, CV_WEBSOCKET_DENYING, names->websocket_http_response_body) < 0) {
        more = -1;
    }
    if (more < 0 || websocket->conn == NULL) {
        Py_DECREF(payload.owner);
        return more < 0 ? -1 : cv_websocket_raise_gone(websocket);
    }
    bool kept = false;
    int error = cv_conn_body(websocket->conn, payload.data, payload.len, !more, payload.owner, &kept);
    if (!kept) {
        Py_DECREF(payload.owner);
    }
    cv_service_wake(websocket->service);
    if (error != -ENOMEM && (!more || (error < 0 && error != CV_CONN_EGONE))) {
        end_denial(websocket);
    }
    if (check(websocket, error) < 0) {
        return -1;
    }
    cv_step_count(&websocket->exchange, payload.len);
    cv_step_flush(&websocket->exchange);
    return cv_step_took(&websocket->exchange);
}
