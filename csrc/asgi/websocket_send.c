/* SPDX-License-Identifier: MIT
 *
 * send() of a WebSocket: which message may come when, and the two that may while it is open.
 */
#include "asgi/message.h"
#include "asgi/payload.h"
#include "asgi/websocket.h"
#include "py/errors.h"

enum { CODE_MOST = 4999 };

static int
unexpected(const char *format, PyObject *type)
{
    PyErr_Format(PyExc_RuntimeError, format, type);
    return -1;
}

/* The one that websocket.send has, of bytes and text: bytes where both are there. Borrowed; NULL for none. */
static PyObject *
data_of(const cv_websocket_send_t *message)
{
    if (message->bytes != NULL && message->bytes != Py_None) {
        return message->bytes;
    }
    return message->text == Py_None ? NULL : message->text;
}

/* The payload of a text. It stays in the str, which keeps its UTF-8 as long as it lives. */
static int
read_text(PyObject *text, cv_payload_t *out)
{
    if (!PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "the text of a message must be str, not %.100s", Py_TYPE(text)->tp_name);
        return -1;
    }
    Py_ssize_t len;
    const char *data = PyUnicode_AsUTF8AndSize(text, &len);
    if (data == NULL) {
        return -1;
    }
    *out = (cv_payload_t){Py_NewRef(text), data, (size_t)len};
    return 0;
}

/* True for the very object that was sent last: mostly one message that goes to many. What may change is never that. */
static bool
note_repeated(cv_service_t *service, PyObject *data)
{
    bool repeated = data == service->sent_payload;
    if (!repeated) {
        bool lasts = PyUnicode_CheckExact(data) || PyBytes_CheckExact(data);
        Py_XSETREF(service->sent_payload, lasts ? Py_NewRef(data) : NULL);
    }
    return repeated;
}

static int
send_payload(WebSocketObject *websocket, cv_ws_opcode opcode, PyObject *data, cv_payload_t *payload)
{
    cv_service_t *service = websocket->service;
    bool kept = false;
    bool repeated = websocket->conn != NULL && note_repeated(service, data); /* for who is gone nothing is encoded */
    cv_span_t span = {payload->data, payload->len};
    int error = websocket->conn == NULL
        ? CV_CONN_EGONE
        : cv_conn_ws_send(websocket->conn, opcode, span, payload->owner, repeated, &kept);
    if (!kept) {
        Py_DECREF(payload->owner);
    }
    if (error < 0) {
        return error == CV_CONN_EGONE ? cv_websocket_raise_gone(websocket) : cv_error_set(error);
    }
    cv_step_count(&websocket->exchange, payload->len);
    if (!cv_step_flush(&websocket->exchange)) {
        cv_service_wake(service);
    }
    return cv_step_took(&websocket->exchange);
}

static int
take_send(WebSocketObject *websocket, const cv_websocket_send_t *message)
{
    PyObject *data = data_of(message);
    if (data == NULL) {
        PyErr_SetString(PyExc_ValueError, "websocket.send needs bytes or text");
        return -1;
    }
    Py_INCREF(data);
    cv_payload_t payload;
    bool is_bytes = data == message->bytes;
    int status = is_bytes ? cv_payload_read(data, "the bytes of a message", &payload) : read_text(data, &payload);
    if (status == 0) {
        status = send_payload(websocket, is_bytes ? CV_WS_BINARY : CV_WS_TEXT, data, &payload);
    }
    Py_DECREF(data);
    return status;
}

static int
read_code(PyObject *code, unsigned *out)
{
    *out = CV_WS_NORMAL;
    if (code == NULL || code == Py_None) {
        return 0;
    }
    long number = PyLong_AsLong(code);
    if (number == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (number < 0 || number > CODE_MOST || !cv_ws_code_is_valid((unsigned)number)) {
        PyErr_Format(PyExc_ValueError, "%ld is no code that a WebSocket may be closed with (RFC 6455 section 7.4)",
                     number);
        return -1;
    }
    *out = (unsigned)number;
    return 0;
}

/* A reason that is missing is an empty one. The span lives as long as the object. */
static int
read_reason(PyObject *reason, cv_span_t *out)
{
    *out = (cv_span_t){"", 0};
    if (reason == NULL || reason == Py_None) {
        return 0;
    }
    Py_ssize_t len;
    out->data = PyUnicode_AsUTF8AndSize(reason, &len);
    if (out->data == NULL) {
        return -1;
    }
    out->len = (size_t)len;
    if (out->len > CV_WS_REASON_MAX) {
        PyErr_Format(PyExc_ValueError, "the reason of a close has at most %d bytes (RFC 6455 section 5.5)",
                     CV_WS_REASON_MAX);
        return -1;
    }
    return 0;
}

static int
take_close(WebSocketObject *websocket, PyObject *message)
{
    const cv_names_t *names = &websocket->service->state->names;
    PyObject *reason_object = Py_XNewRef(cv_message_find(message, names->reason));
    unsigned code;
    cv_span_t reason;
    int status = read_reason(reason_object, &reason);
    if (status == 0) {
        status = read_code(cv_message_find(message, names->code), &code);
    }
    if (status == 0) {
        websocket->phase = CV_WEBSOCKET_CLOSED;
        cv_websocket_drop_queue(websocket);
        cv_websocket_end(websocket, code, &reason);
        if (websocket->conn != NULL) {
            cv_conn_ws_close(websocket->conn, code, reason);
        }
        cv_service_wake(websocket->service);
    }
    Py_XDECREF(reason_object);
    return status < 0 ? -1 : TOOK;
}

static int
take_open(WebSocketObject *websocket, const cv_websocket_send_t *message, PyObject *dict)
{
    cv_service_t *service = websocket->service;
    const cv_names_t *names = &service->state->names;
    if (cv_message_is(message->type, names->websocket_send, &service->send_text)) {
        return take_send(websocket, message);
    }
    if (cv_message_says(message->type, names->websocket_close)) {
        return take_close(websocket, dict);
    }
    return unexpected("Expected ASGI message 'websocket.send' or 'websocket.close', but got '%S'.", message->type);
}

static int
take_connecting(WebSocketObject *websocket, PyObject *type, PyObject *dict)
{
    const cv_names_t *names = &websocket->service->state->names;
    if (cv_message_says(type, names->websocket_accept)) {
        return cv_websocket_accept(websocket, dict);
    }
    if (cv_message_says(type, names->websocket_close)) {
        return cv_websocket_reject(websocket);
    }
    if (cv_message_says(type, names->websocket_http_response_start)) {
        return cv_websocket_deny_start(websocket, dict);
    }
    return unexpected("Expected ASGI message 'websocket.accept', 'websocket.close' or 'websocket.http.response.start' "
                      "but got '%S'.",
                      type);
}

static int
take_denying(WebSocketObject *websocket, PyObject *type, PyObject *dict)
{
    if (cv_message_says(type, websocket->service->state->names.websocket_http_response_body)) {
        return cv_websocket_deny_body(websocket, dict);
    }
    return unexpected("Expected ASGI message 'websocket.http.response.body' but got '%S'.", type);
}

int
cv_websocket_raise_gone(const WebSocketObject *websocket)
{
    PyErr_SetNone(websocket->service->state->client_disconnected);
    return -1;
}

int
cv_websocket_take(ExchangeObject *exchange, PyObject *dict, cv_opening_t *Py_UNUSED(opening))
{
    WebSocketObject *websocket = (WebSocketObject *)exchange;
    cv_websocket_send_t message;
    cv_message_read_send(dict, &websocket->service->state->names, &message);
    if (message.type == NULL) {
        PyErr_SetString(PyExc_KeyError, "type");
        return -1;
    }
    if (websocket->phase == CV_WEBSOCKET_CLOSED) {
        return unexpected("Unexpected ASGI message '%S', after sending 'websocket.close'.", message.type);
    }
    if (websocket->ended) {
        return cv_websocket_raise_gone(websocket);
    }
    Py_INCREF(message.type);
    int took;
    if (websocket->phase == CV_WEBSOCKET_OPEN) {
        took = take_open(websocket, &message, dict);
    } else if (websocket->phase == CV_WEBSOCKET_CONNECTING) {
        took = take_connecting(websocket, message.type, dict);
    } else {
        took = take_denying(websocket, message.type, dict);
    }
    Py_DECREF(message.type);
    return took;
}
