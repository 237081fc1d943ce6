/* SPDX-License-Identifier: MIT
 *
 * The pieces of a body: each is written now, with others, or once the client has taken more of what was before.
 */
#include "asgi/send.h"
#include "py/errors.h"

/* Bytes that nobody changes, and the object that keeps them. */
typedef struct {
    PyObject *owner; /* strong: bytes */
    const char *data;
    size_t len;
} piece_t;

static piece_t
whole_of(PyObject *bytes)
{
    return (piece_t){bytes, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)};
}

static piece_t
copy_of(PyObject *body)
{
    PyObject *copy = PyBytes_FromObject(body);
    return copy == NULL ? (piece_t){.owner = NULL} : whole_of(copy);
}

/* A view of bytes stays where it is; one of what may change, or is in many pieces, is copied. */
static piece_t
piece_of_view(PyObject *view)
{
    Py_buffer buffer;
    if (PyObject_GetBuffer(view, &buffer, PyBUF_SIMPLE) < 0) {
        PyErr_Clear();
        return copy_of(view);
    }
    PyObject *owner = PyMemoryView_GET_BUFFER(view)->obj;
    piece_t piece = {.owner = NULL};
    if (owner != NULL && PyBytes_CheckExact(owner)) {
        piece = (piece_t){Py_NewRef(owner), buffer.buf, (size_t)buffer.len};
    }
    PyBuffer_Release(&buffer);
    return piece.owner == NULL ? copy_of(view) : piece;
}

/* What a message has as its body. An owner of NULL with an exception. */
static piece_t
read_body(CycleObject *cycle, PyObject *body)
{
    if (body == NULL) {
        return whole_of(Py_NewRef(cycle->service->state->empty_bytes));
    }
    if (PyBytes_Check(body)) {
        return whole_of(Py_NewRef(body));
    }
    if (PyMemoryView_Check(body)) {
        return piece_of_view(body);
    }
    if (PyByteArray_Check(body)) {
        return copy_of(body);
    }
    PyErr_Format(PyExc_TypeError, "the response body must be bytes, bytearray or memoryview, not %.100s",
                 Py_TYPE(body)->tp_name);
    return (piece_t){.owner = NULL};
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
void
cv_send_finish(CycleObject *cycle)
{
    cv_service_t *service = cycle->service;
    cv_conn_t *conn = cycle->conn;
    cv_cycle_complete(cycle);
    service->total++;
    cv_cycle_detach(cycle);
    write_or_hold(service, conn, cycle->route, is_busy(service));
}

/* A piece that is not the last one was queued. A step that sends several has them written together. */
static took_t
write_piece(CycleObject *cycle, size_t len)
{
    cv_service_t *service = cycle->service;
    bool continues = cv_step_count(&cycle->exchange, len);
    if (!cv_step_flush(&cycle->exchange)) {
        write_or_hold(service, cycle->conn, cycle->route, continues || is_busy(service));
    }
    return cv_step_took(&cycle->exchange);
}

int
cv_send_more(PyObject *value)
{
    if (value == NULL || value == Py_False) {
        return 0;
    }
    Py_INCREF(value);
    int more = PyObject_IsTrue(value);
    Py_DECREF(value);
    return more;
}

/* The last piece is with the connection. */
static took_t
end_body(CycleObject *cycle, size_t len)
{
    if (cv_conn_awaits_trailers(cycle->conn)) {
        return write_piece(cycle, len);
    }
    cv_send_finish(cycle);
    return TOOK;
}

int
cv_send_piece(CycleObject *cycle, int error, size_t len, bool more)
{
    if (error < 0) {
        cv_service_wake(cycle->service);
        return error == CV_CONN_EGONE ? TOOK : cv_error_set(error);
    }
    return more ? write_piece(cycle, len) : end_body(cycle, len);
}

int
cv_send_body(CycleObject *cycle, const cv_message_t *message)
{
    PyObject *more_body = Py_XNewRef(message->more_body);
    piece_t piece = read_body(cycle, message->body);
    int more = piece.owner == NULL ? -1 : cv_send_more(more_body);
    Py_XDECREF(more_body);
    if (more < 0 || cycle->conn == NULL) {
        Py_XDECREF(piece.owner);
        return more < 0 ? -1 : TOOK;
    }
    bool kept = false;
    int error = cv_conn_body(cycle->conn, piece.data, piece.len, !more, piece.owner, &kept);
    if (!kept) {
        Py_DECREF(piece.owner);
    }
    return cv_send_piece(cycle, error, piece.len, more != 0);
}
