/* SPDX-License-Identifier: MIT
 *
 * The pieces of a body: each is written now, with others, or once the client has taken more of what was before.
 */
#include "asgi/payload.h"
#include "asgi/send.h"
#include "py/errors.h"

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

/* What a message has as its body, which may be missing. */
static int
read_body(CycleObject *cycle, PyObject *body, cv_payload_t *out)
{
    return cv_payload_read(body == NULL ? cycle->service->state->empty_bytes : body, "the response body", out);
}

int
cv_send_body(CycleObject *cycle, const cv_message_t *message)
{
    cv_payload_t piece;
    PyObject *more_body = Py_XNewRef(message->more_body);
    bool is_read = read_body(cycle, message->body, &piece) == 0;
    int more = is_read ? cv_send_more(more_body) : -1;
    Py_XDECREF(more_body);
    if (more < 0 || cycle->conn == NULL) {
        if (is_read) {
            Py_DECREF(piece.owner);
        }
        return more < 0 ? -1 : TOOK;
    }
    bool kept = false;
    int error = cv_conn_body(cycle->conn, piece.data, piece.len, !more, piece.owner, &kept);
    if (!kept) {
        Py_DECREF(piece.owner);
    }
    return cv_send_piece(cycle, error, piece.len, more != 0);
}
