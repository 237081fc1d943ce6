/* SPDX-License-Identifier: MIT
 *
 * send(): checks each message against the order and the types that the ASGI HTTP specification asks for, and hands
 * it to the connection. A message is taken when send is called, unless earlier ones still wait for the socket.
 */
#include "asgi/channel.h"
#include "asgi/finished.h"
#include "asgi/message.h"
#include "asgi/wait.h"
#include "base/clock.h"
#include "py/errors.h"

#include <string.h>

enum {
    STEP_BYTES = 1 << 18,  /* most body bytes that one step sends without giving the others a turn */
    STEP_TIME = 200000,    /* ns, likewise */
    STEP_UNTIMED = 65536,  /* body bytes that are sent before the clock is looked at */
};

/* What taking a message asks of the awaitable. */
typedef enum {
    TOOK = 0,       /* nothing: it is finished */
    TOOK_FULL = 1,  /* to wait for the socket */
    TOOK_LONG = 2,  /* to give the loop a turn */
} took_t;

static int
send_name_and_value(CycleObject *cycle, PyObject *name, PyObject *value)
{
    if (!PyBytes_Check(name) || !PyBytes_Check(value)) {
        PyErr_Format(PyExc_TypeError, "header names and values must be bytes, not %.100s and %.100s",
                     Py_TYPE(name)->tp_name, Py_TYPE(value)->tp_name);
        return -1;
    }
    if (cycle->conn == NULL) {
        return 0; /* an iterator of the app's let the client go meanwhile */
    }
    int status = cv_conn_field(cycle->conn, PyBytes_AS_STRING(name), (size_t)PyBytes_GET_SIZE(name),
                               PyBytes_AS_STRING(value), (size_t)PyBytes_GET_SIZE(value));
    return status < 0 ? cv_error_set(status) : 0;
}

static int
send_field(CycleObject *cycle, PyObject *pair)
{
    if (PyTuple_CheckExact(pair) && PyTuple_GET_SIZE(pair) == 2) {
        return send_name_and_value(cycle, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1));
    }
    PyObject *fast = PySequence_Fast(pair, "each header must be a pair of name and value");
    if (fast == NULL) {
        return -1;
    }
    int status = -1;
    if (PySequence_Fast_GET_SIZE(fast) == 2) {
        status = send_name_and_value(cycle, PySequence_Fast_GET_ITEM(fast, 0), PySequence_Fast_GET_ITEM(fast, 1));
    } else {
        PyErr_SetString(PyExc_ValueError, "each header must be a pair of name and value");
    }
    Py_DECREF(fast);
    return status;
}

/* A list, as frameworks give it. A field may run code of the app's, which may change the list. */
static int
send_listed_fields(CycleObject *cycle, PyObject *headers)
{
    int status = 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(headers); i++) {
        PyObject *pair = Py_NewRef(PyList_GET_ITEM(headers, i));
        status = send_field(cycle, pair);
        Py_DECREF(pair);
    }
    return status;
}

static int
send_fields(CycleObject *cycle, PyObject *headers)
{
    if (PyList_CheckExact(headers)) {
        return send_listed_fields(cycle, headers);
    }
    PyObject *iterator = PyObject_GetIter(headers);
    if (iterator == NULL) {
        return -1;
    }
    PyObject *pair;
    int status = 0;
    while (status == 0 && (pair = PyIter_Next(iterator)) != NULL) {
        status = send_field(cycle, pair);
        Py_DECREF(pair);
    }
    Py_DECREF(iterator);
    return status < 0 || PyErr_Occurred() ? -1 : 0;
}

static int
read_status(PyObject *status, long *out_status)
{
    if (status == NULL) {
        PyErr_SetString(PyExc_KeyError, "status");
        return -1;
    }
    if (!PyLong_Check(status)) {
        PyErr_Format(PyExc_TypeError, "the response status must be an int, not %.100s", Py_TYPE(status)->tp_name);
        return -1;
    }
    *out_status = PyLong_AsLong(status);
    return *out_status == -1 && PyErr_Occurred() ? -1 : 0;
}

static int
take_start(CycleObject *cycle, const cv_message_t *message)
{
    PyObject *headers = message->headers;
    long status;
    if (read_status(message->status, &status) < 0) {
        return -1;
    }
    int error = cv_conn_respond(cycle->conn, status < 0 || status > 999 ? 0 : (unsigned)status);
    if (error < 0) {
        return cv_error_set(error);
    }
    Py_XINCREF(headers);
    error = headers == NULL ? 0 : send_fields(cycle, headers); /* may run code that changes the message */
    Py_XDECREF(headers);
    if (error < 0) {
        if (cycle->conn != NULL) {
            cv_conn_retract(cycle->conn);
        }
        return -1;
    }
    cycle->started = true;
    cv_cycle_log_access(cycle, (unsigned)status);
    return TOOK;
}

/* The message's body as bytes that nobody changes. New reference; NULL with an exception. */
static PyObject *
read_body(CycleObject *cycle, PyObject *body)
{
    if (body == NULL) {
        return Py_NewRef(cycle->service->state->empty_bytes);
    }
    if (PyBytes_Check(body)) {
        return Py_NewRef(body);
    }
    if (PyByteArray_Check(body) || PyMemoryView_Check(body)) {
        return PyBytes_FromObject(body);
    }
    PyErr_Format(PyExc_TypeError, "the response body must be bytes, bytearray or memoryview, not %.100s",
                 Py_TYPE(body)->tp_name);
    return NULL;
}

/* True while other work of this turn is due. */
static bool
is_busy(cv_service_t *service)
{
    return !cv_list_is_empty(&service->queued) || service->driver->is_busy(service);
}

/* What was queued goes out now, or with more of this turn. */
static void
write_or_hold(cv_service_t *service, cv_conn_t *conn, uint8_t route, bool busy)
{
    switch (cv_batch_on_queued(&service->batch, route, busy)) {
    case CV_BATCH_WRITE:
        cv_conn_flush(conn);
        break;
    case CV_BATCH_WRITE_ALL:
        cv_conn_env_flush(&service->env);
        break;
    case CV_BATCH_HOLD:
        break;
    }
    cv_service_wake(service);
}

/* The answer is complete, and the connection is free. */
static void
finish(CycleObject *cycle)
{
    cv_service_t *service = cycle->service;
    cv_conn_t *conn = cycle->conn;
    cv_cycle_complete(cycle);
    service->total++;
    cv_cycle_detach(cycle);
    write_or_hold(service, conn, cycle->route, is_busy(service));
}

/* Notes that this step sends `len` bytes more. True when it has sent something before. */
static bool
continue_step(CycleObject *cycle, size_t len)
{
    uint64_t flushes = cycle->service->flushes;
    bool continues = flushes == cycle->step_flushes && cycle->step_start != 0;
    if (!continues) {
        cycle->step_flushes = flushes;
        cycle->step_start = cv_clock_now();
        cycle->step_sent = 0;
    }
    cycle->step_sent += len > STEP_BYTES ? STEP_BYTES : (uint32_t)len;
    return continues;
}

/* True when this step has sent so much, or for so long, that the others should have a turn. */
static bool
is_step_long(CycleObject *cycle)
{
    if (cycle->step_sent < STEP_BYTES
        && (cycle->step_sent < STEP_UNTIMED || cv_clock_now() - cycle->step_start < STEP_TIME)) {
        return false;
    }
    cycle->step_start = 0;
    return true;
}

/* A piece that is not the last one was queued. A step that sends several has them written together. */
static took_t
write_piece(CycleObject *cycle, size_t len)
{
    cv_service_t *service = cycle->service;
    cv_conn_t *conn = cycle->conn;
    bool continues = continue_step(cycle, len);
    if (conn->queued > service->env.write_high) {
        cv_conn_flush(conn);
        cv_service_wake(service);
    } else {
        write_or_hold(service, conn, cycle->route, continues || is_busy(service));
    }
    if (cycle->conn == NULL) {
        return TOOK; /* the write found the client gone */
    }
    if (conn->queued > service->env.write_high) {
        return TOOK_FULL;
    }
    return is_step_long(cycle) ? TOOK_LONG : TOOK;
}

static int
take_body(CycleObject *cycle, const cv_message_t *message)
{
    /* Kept, since asking for its truth may run code that changes the message. */
    PyObject *more_body = Py_XNewRef(message->more_body);
    PyObject *body = read_body(cycle, message->body);
    int more = body == NULL ? -1 : more_body == NULL ? 0
                                                     : PyObject_IsTrue(more_body);
    Py_XDECREF(more_body);
    if (more < 0 || cycle->conn == NULL) {
        Py_XDECREF(body);
        return more < 0 ? -1 : TOOK;
    }
    size_t len = (size_t)PyBytes_GET_SIZE(body);
    bool kept = false;
    int error = cv_conn_body(cycle->conn, PyBytes_AS_STRING(body), len, !more, body, &kept);
    if (!kept) {
        Py_DECREF(body);
    }
    if (error < 0) {
        cv_service_wake(cycle->service);
        if (error == CV_CONN_EGONE) {
            return TOOK;
        }
        return cv_error_set(error);
    }
    if (!more) {
        finish(cycle);
        return TOOK;
    }
    return write_piece(cycle, len);
}

/* Takes one message: a took_t, or -1 with an exception set. */
static int
take_message(CycleObject *cycle, PyObject *dict)
{
    cv_service_t *service = cycle->service;
    const cv_names_t *names = &service->state->names;
    cv_message_t message;
    cv_message_read(dict, names, &message);
    PyObject *type = message.type;
    if (type == NULL) {
        PyErr_SetString(PyExc_KeyError, "type");
        return -1;
    }
    if (cycle->disconnected) {
        return TOOK;
    }
    if (cycle->complete) {
        PyErr_Format(PyExc_RuntimeError, "Unexpected ASGI message '%S' sent, after response already completed.", type);
        return -1;
    }
    if (!cycle->started) {
        if (cv_message_is(type, names->http_response_start, &service->start_text)) {
            return take_start(cycle, &message);
        }
        PyErr_Format(PyExc_RuntimeError, "Expected ASGI message 'http.response.start', but got '%S'.", type);
        return -1;
    }
    if (cv_message_is(type, names->http_response_body, &service->body_text)) {
        return take_body(cycle, &message);
    }
    PyErr_Format(PyExc_RuntimeError, "Expected ASGI message 'http.response.body', but got '%S'.", type);
    return -1;
}

static bool
must_wait(const CycleObject *cycle)
{
    return cycle->conn != NULL && cycle->conn->queued > cycle->service->env.write_low && cycle->conn->above_high;
}

/* First waits until the socket has taken enough, then takes the message if there is one, and waits again if it is
 * too much once more. */
static int
attempt_send(WaitObject *wait, PyObject **result)
{
    CycleObject *cycle = wait->cycle;
    if (must_wait(cycle)) {
        return 0;
    }
    if (wait->message != NULL) {
        PyObject *message = wait->message;
        wait->message = NULL;
        int took = take_message(cycle, message);
        Py_DECREF(message);
        if (took < 0) {
            return -1;
        }
        if (took == TOOK_FULL && must_wait(cycle)) {
            return 0;
        }
    }
    *result = Py_NewRef(Py_None);
    return 1;
}

PyObject *
cv_send_call(PyObject *op, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    CycleObject *cycle = ((ChannelObject *)op)->cycle;
    cv_state_t *state = cycle->service->state;
    if (PyVectorcall_NARGS(nargsf) != 1 || kwnames != NULL) {
        PyErr_SetString(PyExc_TypeError, "send() takes one argument, the message");
        return NULL;
    }
    if (!PyDict_Check(args[0])) {
        PyErr_Format(PyExc_TypeError, "an ASGI message must be a dict, not %.100s", Py_TYPE(args[0])->tp_name);
        return NULL;
    }
    if (must_wait(cycle)) {
        return cv_wait_new(cycle, attempt_send, &cycle->senders, args[0]);
    }
    switch (take_message(cycle, args[0])) {
    case TOOK:
        return cv_finished(state);
    case TOOK_FULL:
        return cv_wait_new(cycle, attempt_send, &cycle->senders, NULL);
    case TOOK_LONG:
        return cv_pause_new(state);
    default:
        return NULL;
    }
}
