/* SPDX-License-Identifier: MIT
 *
 * receive() of a WebSocket: websocket.connect, the messages that came, and websocket.disconnect for ever after.
 */
#include "asgi/channel.h"
#include "asgi/wait.h"
#include "asgi/websocket.h"

enum { FIRST_CAP = 4 };

void
cv_websocket_drop_queue(WebSocketObject *websocket)
{
    cv_websocket_message_t *queue = websocket->queue;
    uint32_t first = websocket->queue_first, len = websocket->queue_len, cap = websocket->queue_cap;
    websocket->queue = NULL;
    websocket->queue_first = websocket->queue_len = websocket->queue_cap = 0;
    for (uint32_t i = 0; i < len; i++) {
        Py_DECREF(queue[(first + i) % cap].data);
    }
    PyMem_Free(queue);
}

static int
grow_queue(WebSocketObject *websocket)
{
    uint32_t cap = websocket->queue_cap == 0 ? FIRST_CAP : websocket->queue_cap * 2;
    cv_websocket_message_t *queue = PyMem_Malloc(cap * sizeof(*websocket->queue));
    if (queue == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (uint32_t i = 0; i < websocket->queue_len; i++) {
        queue[i] = websocket->queue[(websocket->queue_first + i) % websocket->queue_cap];
    }
    PyMem_Free(websocket->queue);
    websocket->queue = queue;
    websocket->queue_first = 0;
    websocket->queue_cap = cap;
    return 0;
}

/* New reference. The bytes of a text are known to be UTF-8. */
static PyObject *
make_data(const cv_ws_event_t *message)
{
    Py_ssize_t len = (Py_ssize_t)message->len;
    return message->opcode == CV_WS_TEXT ? PyUnicode_DecodeUTF8(message->data, len, NULL)
                                         : PyBytes_FromStringAndSize(message->data, len);
}

static void
wake_receivers(WebSocketObject *websocket)
{
    if (cv_list_is_empty(&websocket->receivers)) {
        return;
    }
    if (cv_exchange_wake(&websocket->exchange, &websocket->receivers) < 0) {
        PyErr_WriteUnraisable((PyObject *)websocket);
    }
    cv_service_wake(websocket->service);
}

int
cv_websocket_put(WebSocketObject *websocket, const cv_ws_event_t *message)
{
    PyObject *data = make_data(message);
    if (data == NULL || (websocket->queue_len == websocket->queue_cap && grow_queue(websocket) < 0)) {
        Py_XDECREF(data);
        return -1;
    }
    uint32_t at = (websocket->queue_first + websocket->queue_len) % websocket->queue_cap;
    websocket->queue[at] = (cv_websocket_message_t){data, message->len};
    websocket->queue_len++;
    wake_receivers(websocket);
    return 0;
}

void
cv_websocket_end(WebSocketObject *websocket, unsigned code, const cv_span_t *reason)
{
    if (websocket->ended) {
        return;
    }
    websocket->ended = true;
    websocket->code = (uint16_t)code;
    if (reason != NULL) {
        websocket->reason = PyUnicode_DecodeUTF8(reason->data, (Py_ssize_t)reason->len, "replace");
        if (websocket->reason == NULL) {
            PyErr_WriteUnraisable((PyObject *)websocket);
        }
    }
    wake_receivers(websocket);
}

/* {"type": type}. New reference. */
static PyObject *
make_event(const cv_names_t *names, PyObject *type)
{
    PyObject *event = PyDict_New();
    if (event != NULL && PyDict_SetItem(event, names->type, type) < 0) {
        Py_CLEAR(event);
    }
    return event;
}

/* The event of the first message that waits, which is taken off the queue; else NULL, without an exception if there is
 * none any more: what is made here may start a collection, whose finalizers may receive, too. */
static PyObject *
take_message(WebSocketObject *websocket)
{
    const cv_names_t *names = &websocket->service->state->names;
    PyObject *event = make_event(names, names->websocket_receive);
    if (event == NULL || websocket->queue_len == 0) {
        Py_XDECREF(event);
        return NULL;
    }
    cv_websocket_message_t message = websocket->queue[websocket->queue_first];
    PyObject *key = PyUnicode_Check(message.data) ? names->text : names->bytes;
    if (PyDict_SetItem(event, key, message.data) < 0) {
        Py_DECREF(event);
        return NULL;
    }
    Py_DECREF(message.data);
    websocket->queue_first = (websocket->queue_first + 1) % websocket->queue_cap;
    websocket->queue_len--;
    if (websocket->queue_len == 0) {
        cv_websocket_drop_queue(websocket);
    }
    if (websocket->conn != NULL) {
        cv_conn_ws_consumed(websocket->conn, 1, message.len);
        cv_service_wake(websocket->service);
    }
    return event;
}

static PyObject *
disconnect_event(WebSocketObject *websocket)
{
    const cv_names_t *names = &websocket->service->state->names;
    PyObject *event = make_event(names, names->websocket_disconnect);
    PyObject *code = PyLong_FromLong(websocket->code);
    if (event != NULL
        && (code == NULL || PyDict_SetItem(event, names->code, code) < 0
            || (websocket->reason != NULL && PyDict_SetItem(event, names->reason, websocket->reason) < 0))) {
        Py_CLEAR(event);
    }
    Py_XDECREF(code);
    return event;
}

/* Who asks for the next message has done with those before: what the client did wrong behind them ends it now. */
static void
settle(WebSocketObject *websocket)
{
    if (websocket->conn != NULL && websocket->phase == CV_WEBSOCKET_OPEN && !websocket->ended
        && cv_conn_ws_settle(websocket->conn)) {
        cv_service_wake(websocket->service);
    }
}

/* What comes next: 1, or 0 if there is nothing yet, or -1. */
static int
take_next(WebSocketObject *websocket, PyObject **result)
{
    const cv_names_t *names = &websocket->service->state->names;
    if (websocket->told_connect && websocket->queue_len == 0) {
        settle(websocket);
    }
    if (!websocket->told_connect) {
        *result = make_event(names, names->websocket_connect);
        websocket->told_connect = *result != NULL;
    } else if (websocket->queue_len > 0) {
        *result = take_message(websocket);
    } else if (websocket->ended) {
        *result = disconnect_event(websocket);
    } else {
        return 0;
    }
    if (*result == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    return 1;
}

static int
attempt_receive(WaitObject *wait, PyObject **result)
{
    WebSocketObject *websocket = (WebSocketObject *)Py_NewRef(wait->exchange); /* a finalizer may end the awaitable */
    int status = take_next(websocket, result);
    Py_DECREF(websocket);
    return status;
}

PyObject *
cv_websocket_receive_call(PyObject *op, PyObject *const *Py_UNUSED(args), size_t nargsf, PyObject *kwnames)
{
    ExchangeObject *exchange = ((ChannelObject *)op)->exchange;
    const WebSocketObject *websocket = (const WebSocketObject *)exchange;
    if (PyVectorcall_NARGS(nargsf) != 0 || kwnames != NULL) {
        PyErr_SetString(PyExc_TypeError, "receive() takes no arguments");
        return NULL;
    }
    PyObject *wait = cv_wait_new(exchange, attempt_receive, &exchange->receivers, NULL);
    if (wait != NULL && websocket->ended && websocket->queue_len == 0) {
        ((WaitObject *)wait)->pauses = cv_step_hears_end(exchange);
    }
    return wait;
}
