/* SPDX-License-Identifier: MIT
 *
 * Messages of fields: the head of an answer, the trailers behind its body, early hints before both.
 */
#include "asgi/access.h"
#include "asgi/fields.h"
#include "asgi/send.h"
#include "py/errors.h"

/* Where fields go: into the answer's head, or as lines into a buffer. */
typedef struct {
    CycleObject *cycle;
    cv_buffer_t *lines; /* of a trailer section; NULL for the head */
} sink_t;

static int
put_field(void *into, PyObject *name, PyObject *value)
{
    const sink_t *sink = into;
    cv_conn_t *conn = sink->cycle->conn;
    if (conn == NULL) {
        return 0; /* an iterator of the app's let the client go meanwhile */
    }
    const char *name_text = PyBytes_AS_STRING(name), *value_text = PyBytes_AS_STRING(value);
    size_t name_len = (size_t)PyBytes_GET_SIZE(name), value_len = (size_t)PyBytes_GET_SIZE(value);
    int status = sink->lines == NULL
        ? cv_conn_field(conn, name_text, name_len, value_text, value_len)
        : cv_h1_field_line(sink->lines, name_text, name_len, value_text, value_len, true);
    if (status < 0) {
        return cv_error_set(status);
    }
    if (sink->cycle->notes != NULL && sink->lines == NULL) {
        cv_access_field(sink->cycle, name, value);
    }
    return 0;
}

static int
put_link(void *into, PyObject *value)
{
    const sink_t *sink = into;
    if (!PyBytes_Check(value)) {
        PyErr_Format(PyExc_TypeError, "links must be bytes, not %.100s", Py_TYPE(value)->tp_name);
        return -1;
    }
    int status = cv_h1_field_line(sink->lines, "link", 4, PyBytes_AS_STRING(value), (size_t)PyBytes_GET_SIZE(value),
                                  false);
    return status < 0 ? cv_error_set(status) : 0;
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

/* True when a start has more than nearly every one consists of: type, status, and headers if there are any. */
static bool
says_more(const cv_message_t *message)
{
    return PyDict_GET_SIZE(message->dict) > 2 + (message->headers != NULL);
}

/* What a start says of trailers. New reference, or NULL. */
static PyObject *
announced_trailers(const CycleObject *cycle, const cv_message_t *message)
{
    cv_service_t *service = cycle->service;
    if (!says_more(message) || (service->extensions.enabled & CV_TRAILERS) == 0) {
        return NULL;
    }
    cv_message_extra_t extra;
    cv_message_read_extra(message, &service->state->names, &extra);
    return Py_XNewRef(extra.trailers);
}

int
cv_send_start(CycleObject *cycle, const cv_message_t *message)
{
    long status;
    if (read_status(message->status, &status) < 0) {
        return -1;
    }
    int error = cv_conn_respond(cycle->conn, status < 0 || status > 999 ? 0 : (unsigned)status);
    if (error < 0) {
        return cv_error_set(error);
    }
    sink_t head = {.cycle = cycle};
    PyObject *announced = announced_trailers(cycle, message);
    int trailers = cv_fields_each(message->headers, put_field, &head) < 0 ? -1 : cv_send_more(announced);
    Py_XDECREF(announced);
    if (trailers < 0) {
        if (cycle->conn != NULL) {
            cv_conn_retract(cycle->conn);
        }
        cv_access_retract(cycle);
        return -1;
    }
    cycle->started = true;
    if (trailers > 0) {
        cycle->trailers_due = true;
        if (cycle->conn != NULL) {
            cv_conn_want_trailers(cycle->conn);
        }
    }
    cv_access_start(cycle, (unsigned)status);
    return TOOK;
}

/* What was queued may be more than the client takes. */
static int
took(const CycleObject *cycle)
{
    return cycle->conn != NULL && cycle->conn->above_high ? TOOK_FULL : TOOK;
}

int
cv_send_early_hint(CycleObject *cycle, const cv_message_t *message)
{
    cv_buffer_t lines = CV_BUFFER_INIT;
    sink_t hint = {.cycle = cycle, .lines = &lines};
    cv_message_extra_t extra;
    cv_message_read_extra(message, &cycle->service->state->names, &extra);
    int status = cv_items_each(extra.links, put_link, &hint);
    if (status == 0 && cycle->conn != NULL && lines.len > 0) {
        int error = cv_conn_interim(cycle->conn, 103, &lines);
        status = error < 0 && error != CV_CONN_EGONE ? cv_error_set(error) : took(cycle);
    }
    cv_buffer_deinit(&lines);
    cv_service_wake(cycle->service);
    return status;
}

/* The fields go out if the connection waits for them; otherwise the client did not ask for any, or the answer is of a
 * kind that has none. */
int
cv_send_trailers(CycleObject *cycle, const cv_message_t *message)
{
    cv_buffer_t lines = CV_BUFFER_INIT;
    sink_t section = {.cycle = cycle, .lines = &lines};
    cv_message_extra_t extra;
    cv_message_read_extra(message, &cycle->service->state->names, &extra);
    PyObject *more_trailers = Py_XNewRef(extra.more_trailers);
    int more = cv_fields_each(message->headers, put_field, &section) < 0 ? -1 : cv_send_more(more_trailers);
    Py_XDECREF(more_trailers);
    int status = more < 0 ? -1 : TOOK;
    if (status == TOOK && cycle->conn != NULL) {
        int error = cv_conn_trailers(cycle->conn, &lines, !more);
        status = error < 0 && error != CV_CONN_EGONE ? cv_error_set(error) : took(cycle);
    }
    cv_buffer_deinit(&lines);
    if (status >= 0 && !more) {
        cycle->trailers_due = false;
        if (cycle->conn != NULL) {
            cv_send_finish(cycle);
            return TOOK;
        }
    }
    cv_service_wake(cycle->service);
    return status;
}
