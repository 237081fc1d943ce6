/* SPDX-License-Identifier: MIT */
#include "asgi/websocket.h"

#include <stdio.h>

#include "asgi/client.h"
#include "asgi/report.h"
#include "http/status.h"
#include "observe/access_line.h"

WebSocketObject *
cv_websocket_new(cv_service_t *service, cv_conn_t *conn)
{
    PyTypeObject *type = service->state->websocket_type;
    WebSocketObject *self = PyObject_GC_New(WebSocketObject, type);
    if (self == NULL) {
        return NULL;
    }
    memset((char *)self + sizeof(PyObject), 0, sizeof *self - sizeof(PyObject));
    cv_exchange_queue(&self->exchange, &cv_websocket_kind, service, conn);
    return self;
}

/* A path as the access log shows it. New reference. */
static PyObject *
quote(PyObject *raw_path)
{
    cv_span_t path = {PyBytes_AS_STRING(raw_path), (size_t)PyBytes_GET_SIZE(raw_path)};
    char *room = PyMem_Malloc(path.len * 3);
    if (room == NULL) {
        return PyErr_NoMemory();
    }
    size_t len = cv_access_line_quote(path, room);
    PyObject *text = PyUnicode_DecodeASCII(room, (Py_ssize_t)len, NULL);
    PyMem_Free(room);
    return text;
}

/* "HOST:PORT - "WebSocket PATH" WHAT" */
void
cv_websocket_report(WebSocketObject *websocket, const char *what)
{
    char room[CV_CLIENT_TEXT];
    cv_span_t client = {"", 0};
    if (websocket->conn != NULL || websocket->client != NULL) {
        client = cv_client_text(&websocket->exchange, room);
    }
    PyObject *address = PyUnicode_DecodeLatin1(client.data, (Py_ssize_t)client.len, NULL);
    PyObject *path = quote(websocket->raw_path);
    bool has_query = websocket->query != NULL;
    if (address == NULL || path == NULL) {
        PyErr_WriteUnraisable((PyObject *)websocket);
    } else {
        cv_report_format(websocket->service, CV_LOG_INFO, "%U - \"WebSocket %U%s%s\" %s", address, path,
                         has_query ? "?" : "", has_query ? PyBytes_AS_STRING(websocket->query) : "", what);
    }
    Py_XDECREF(address);
    Py_XDECREF(path);
}

void
cv_websocket_report_rejected(WebSocketObject *websocket, unsigned status)
{
    cv_span_t phrase = cv_status_phrase(status);
    char text[64]; /* longer than any */
    snprintf(text, sizeof text, "%u %.*s", status, (int)phrase.len, phrase.data);
    cv_report_format(websocket->service, CV_LOG_INFO, "connection rejected (%s)", text);
}

/* ---- what an exchange does because it is a WebSocket --------------------------------------------------------- */

static void
on_start(ExchangeObject *Py_UNUSED(exchange))
{
}

static void
on_gone(ExchangeObject *exchange)
{
    exchange->disconnected = true;
    cv_websocket_end((WebSocketObject *)exchange, CV_WS_ABNORMAL, NULL);
    cv_exchange_detach(exchange);
}

static void
on_late_task(ExchangeObject *Py_UNUSED(exchange))
{
}

/* The application does no more: 500 for a handshake that it did not answer, 1011 for what it did not close. */
static void
give_up(ExchangeObject *exchange)
{
    WebSocketObject *websocket = (WebSocketObject *)exchange;
    cv_conn_t *conn = websocket->conn;
    if (conn == NULL) {
        return;
    }
    switch (websocket->phase) {
    case CV_WEBSOCKET_CONNECTING:
        cv_conn_refuse(conn, 500, NULL);
        cv_websocket_report_rejected(websocket, 500);
        break;
    case CV_WEBSOCKET_DENYING:
        cv_conn_fail(conn);
        break;
    case CV_WEBSOCKET_OPEN:
        cv_conn_ws_close(conn, CV_WS_INTERNAL_ERROR, (cv_span_t){"", 0});
        break;
    default:
        break;
    }
    websocket->phase = CV_WEBSOCKET_CLOSED;
    cv_websocket_end(websocket, CV_WS_ABNORMAL, NULL);
    cv_websocket_drop_queue(websocket);
    cv_exchange_detach(exchange);
    cv_service_wake(exchange->service);
}

/* What a send raised because its client is gone is no news, and neither is the end of a task that was cancelled for
 * that. */
static bool
is_wanted(const ExchangeObject *exchange, PyObject *exception)
{
    const WebSocketObject *websocket = (const WebSocketObject *)exchange;
    if (!websocket->ended || websocket->phase == CV_WEBSOCKET_CLOSED) {
        return false;
    }
    return PyErr_GivenExceptionMatches(exception, exchange->service->state->client_disconnected)
        || !PyErr_GivenExceptionMatches(exception, PyExc_Exception);
}

static void
on_exception(ExchangeObject *exchange, PyObject *exception)
{
    if (!is_wanted(exchange, exception)) {
        cv_report(exchange->service, CV_LOG_ERROR, "Exception in ASGI application\n", exception);
    }
    give_up(exchange);
}

static void
on_result(ExchangeObject *exchange, PyObject *result)
{
    const WebSocketObject *websocket = (const WebSocketObject *)exchange;
    bool answered = websocket->phase == CV_WEBSOCKET_OPEN || websocket->phase == CV_WEBSOCKET_CLOSED;
    if (!answered && exchange->conn != NULL) {
        cv_report(exchange->service, CV_LOG_ERROR, "ASGI callable returned without completing handshake.", NULL);
    } else if (result != Py_None) {
        cv_report_format(exchange->service, CV_LOG_ERROR, "ASGI callable should return None, but returned '%S'.",
                         result);
    }
    give_up(exchange);
}

static void
on_over(ExchangeObject *Py_UNUSED(exchange))
{
}

const cv_exchange_kind_t cv_websocket_kind = {
    .receive = cv_websocket_receive_call,
    .take = cv_websocket_take,
    .on_start = on_start,
    .on_gone = on_gone,
    .on_late_task = on_late_task,
    .on_exception = on_exception,
    .on_result = on_result,
    .give_up = give_up,
    .on_over = on_over,
};

/* ---- the type ------------------------------------------------------------------------------------------------ */

static int
websocket_clear(PyObject *op)
{
    WebSocketObject *self = (WebSocketObject *)op;
    cv_exchange_clear(&self->exchange);
    cv_websocket_drop_queue(self);
    Py_CLEAR(self->raw_path);
    Py_CLEAR(self->query);
    Py_CLEAR(self->reason);
    return 0;
}

static void
websocket_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    WebSocketObject *self = (WebSocketObject *)op;
    PyObject_GC_UnTrack(op);
    websocket_clear(op);
    Py_CLEAR(self->server); /* last: `service` lives in it */
    PyObject_GC_Del(op);
    Py_DECREF(type);
}

static PyType_Slot websocket_slots[] = {
    {Py_tp_doc, (void *)"One WebSocket, as the application sees it; receive and send belong to it."},
    {Py_tp_dealloc, websocket_dealloc},
    {Py_tp_traverse, cv_exchange_traverse},
    {Py_tp_clear, websocket_clear},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_getset, cv_exchange_getset},
    {Py_tp_members, cv_exchange_members},
    {0, NULL},
};

static PyType_Spec websocket_spec = {
    .name = "cuvee._core.WebSocket",
    .basicsize = sizeof(WebSocketObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE
        | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = websocket_slots,
};

int
cv_websocket_setup_type(PyObject *module)
{
    cv_state_t *state = PyModule_GetState(module);
    state->client_disconnected = PyErr_NewExceptionWithDoc(
        "cuvee.ClientDisconnected",
        "What sending to a WebSocket raises once its client is gone, or has closed it.", PyExc_OSError, NULL);
    if (state->client_disconnected == NULL
        || PyModule_AddObjectRef(module, "ClientDisconnected", state->client_disconnected) < 0) {
        return -1;
    }
    return cv_state_add_type(module, &state->websocket_type, &websocket_spec);
}
