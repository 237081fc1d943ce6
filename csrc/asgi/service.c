/* SPDX-License-Identifier: MIT */
#include "asgi/service.h"

#include <errno.h>

#include "asgi/access.h"
#include "asgi/connection.h"
#include "asgi/cycle.h"
#include "asgi/disconnect.h"
#include "asgi/health.h"
#include "asgi/peer.h"
#include "asgi/report.h"
#include "asgi/scope.h"
#include "asgi/task.h"
#include "asgi/timeout.h"
#include "asgi/websocket.h"
#include "base/clock.h"

enum {
    BATCH_EXCHANGES = 64,  /* most exchanges that are started before what is finished is written */
    BATCH_TIME = 1000000,  /* ns: the longest run of Python before what is finished is written */
    PIPELINE_RUN = 16,     /* most requests of one connection that are started before those of others */
};

static cv_service_t *
service_of(cv_conn_t *conn)
{
    return CV_CONTAINER_OF(conn->env, cv_service_t, env);
}

/* ---- what conn/ tells -------------------------------------------------------------------------------------- */

static void
on_preamble(cv_conn_t *conn, const cv_preamble_t *preamble)
{
    cv_service_t *service = service_of(conn);
    cv_service_enter(service);
    cv_peer_stand_back(conn->app, preamble);
    if (conn->tells_end) {
        cv_connection_look_again(service, conn);
    }
}

/* The limit that stands in the way of one more request, or CV_LIMITS. */
static cv_limit_t
find_limit(const cv_service_t *service)
{
    if (service->under_way >= service->limit_requests) {
        return CV_LIMIT_REQUESTS;
    }
    bool many = service->env.conn_count >= service->limit_concurrency
        || service->open_count >= service->limit_concurrency;
    return many ? CV_LIMIT_CONCURRENCY : CV_LIMITS;
}

/* The request is answered with 503 and never gets to the application; otherwise it counts as any other. */
static void
refuse_cycle(CycleObject *cycle, cv_limit_t limit)
{
    cv_service_t *service = cycle->service;
    cv_access_start(cycle, 503);
    service->total++;
    service->env.limited[limit]++;
    if (cycle->conn != NULL && limit == CV_LIMIT_REQUESTS) {
        cv_conn_refuse_busy(cycle->conn);
    } else if (cycle->conn != NULL) {
        cv_conn_refuse(cycle->conn, 503, NULL);
    }
    cv_cycle_detach(cycle);
    cv_exchange_drop(&cycle->exchange);
    cv_report(service, CV_LOG_WARNING,
              limit == CV_LIMIT_REQUESTS ? "Request refused. (more requests than --limit-requests)"
                                         : "Exceeded concurrency limit. (--limit-concurrency)",
              NULL);
}

static int
on_head(cv_conn_t *conn, const cv_h1_head_t *head)
{
    cv_service_t *service = service_of(conn);
    if (cv_health_answer(service, conn, head)) {
        return 0;
    }
    cv_service_enter(service);
    cv_limit_t limit = find_limit(service);
    CycleObject *cycle = cv_cycle_new(service, conn);
    if (cycle == NULL) {
        PyErr_WriteUnraisable(service->server);
        return -1;
    }
    cycle->is_http_1_1 = head->minor == 1;
    cycle->route = cv_batch_route(cv_h1_span(head, head->path, head->path_len));
    conn->request = &cycle->exchange;
    cycle->scope = cv_scope_build(service, conn, head, cycle);
    if (cycle->scope == NULL
        || (service->cancels && cv_disconnect_add(cycle, cv_h1_span(head, head->method, head->method_len)) < 0)) {
        PyErr_WriteUnraisable(service->server);
        cv_cycle_detach(cycle);
        cv_exchange_drop(&cycle->exchange);
        return -1;
    }
    if (limit != CV_LIMITS) {
        refuse_cycle(cycle, limit);
    }
    cv_service_wake(service);
    return 0;
}

static int
on_websocket(cv_conn_t *conn, const cv_h1_head_t *head)
{
    cv_service_t *service = service_of(conn);
    cv_service_enter(service);
    WebSocketObject *websocket = cv_websocket_new(service, conn);
    if (websocket == NULL) {
        PyErr_WriteUnraisable(service->server);
        return -1;
    }
    conn->request = &websocket->exchange;
    websocket->scope = cv_scope_build_websocket(service, conn, head, websocket);
    if (websocket->scope == NULL) {
        PyErr_WriteUnraisable(service->server);
        cv_exchange_detach(&websocket->exchange);
        cv_exchange_drop(&websocket->exchange);
        return -1;
    }
    cv_service_wake(service);
    return 0;
}

/* Who gave its exchange up closed it, and waits for the peer's close frame only. */
static int
on_message(cv_conn_t *conn, const cv_ws_event_t *message)
{
    WebSocketObject *websocket = cv_websocket_of(conn->request);
    if (websocket == NULL) {
        return 0;
    }
    cv_service_enter(websocket->service);
    if (cv_websocket_put(websocket, message) < 0) {
        PyErr_Clear(); /* the connection says what it comes to */
        return -ENOMEM;
    }
    return 0;
}

static void
on_ws_end(cv_conn_t *conn, unsigned code, cv_span_t reason)
{
    WebSocketObject *websocket = cv_websocket_of(conn->request);
    if (websocket == NULL) {
        return;
    }
    cv_service_enter(websocket->service);
    cv_websocket_end(websocket, code, &reason);
}

/* One object serves all connections, since what is read into it is taken over before anything else is read. */
static char *
on_body_room(cv_conn_t *conn, size_t len)
{
    cv_service_t *service = service_of(conn);
    cv_service_enter(service);
    if (service->body_room != NULL && (size_t)PyBytes_GET_SIZE(service->body_room) < len) {
        Py_CLEAR(service->body_room);
    }
    if (service->body_room == NULL) {
        service->body_room = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)len);
    }
    if (service->body_room == NULL) {
        PyErr_Clear();
        return NULL;
    }
    return PyBytes_AS_STRING(service->body_room);
}

/* The bytes as an object: the one that they were read into, or a copy. New reference; NULL with an exception. */
static PyObject *
take_bytes(cv_service_t *service, const char *data, size_t len)
{
    PyObject *room = service->body_room;
    if (room == NULL || data != PyBytes_AS_STRING(room)) {
        return PyBytes_FromStringAndSize(data, (Py_ssize_t)len);
    }
    service->body_room = NULL;
    if ((size_t)PyBytes_GET_SIZE(room) != len) {
        _PyBytes_Resize(&room, (Py_ssize_t)len);
    }
    return room;
}

static int
on_body(cv_conn_t *conn, const char *data, size_t len)
{
    CycleObject *cycle = cv_cycle_of(conn->request);
    if (cycle == NULL) {
        return 0;
    }
    cv_service_t *service = cycle->service;
    cv_service_enter(service);
    if (cycle->body != NULL) {
        if (cv_buffer_append(&cycle->more, data, len) < 0) {
            return -1;
        }
    } else {
        cycle->body = take_bytes(service, data, len);
        if (cycle->body == NULL) {
            PyErr_Clear();
            return -1;
        }
    }
    if (!cv_list_is_empty(&cycle->receivers)) {
        if (cv_exchange_wake(&cycle->exchange, &cycle->receivers) < 0) {
            PyErr_WriteUnraisable((PyObject *)cycle);
        }
        cv_service_wake(service);
    }
    return 0;
}

static void
on_end(cv_conn_t *conn)
{
    CycleObject *cycle = cv_cycle_of(conn->request);
    if (cycle == NULL) {
        return;
    }
    cycle->body_complete = true;
    if (!cv_list_is_empty(&cycle->receivers)) {
        cv_service_enter(cycle->service);
        if (cv_exchange_wake(&cycle->exchange, &cycle->receivers) < 0) {
            PyErr_WriteUnraisable((PyObject *)cycle);
        }
        cv_service_wake(cycle->service);
    }
}

static void
on_drain(cv_conn_t *conn)
{
    ExchangeObject *exchange = conn->request;
    if (exchange == NULL || cv_list_is_empty(&exchange->senders)) {
        return;
    }
    cv_service_enter(exchange->service);
    if (cv_exchange_wake(exchange, &exchange->senders) < 0) {
        PyErr_WriteUnraisable((PyObject *)exchange);
    }
    cv_service_wake(exchange->service);
}

static void
on_gone(cv_conn_t *conn)
{
    cv_service_t *service = service_of(conn);
    cv_service_enter(service);
    ExchangeObject *exchange = conn->request;
    if (exchange != NULL) {
        Py_INCREF(exchange);
        exchange->kind->on_gone(exchange);
        Py_DECREF(exchange);
    }
    cv_peer_free(conn->app);
    conn->app = NULL;
    cv_service_wake(service);
}

static void
on_refused(cv_conn_t *conn, unsigned status, const char *rule)
{
    cv_service_t *service = service_of(conn);
    cv_service_enter(service);
    CycleObject *cycle = cv_cycle_of(conn->request);
    if (cycle != NULL && status != 0) {
        cv_access_start(cycle, status);
    }
    cv_report_format(service, CV_LOG_WARNING, "Invalid HTTP request received. (%s)", rule);
}

static void
on_cut(cv_conn_t *conn, const char *rule)
{
    cv_service_t *service = service_of(conn);
    cv_service_enter(service);
    cv_report_format(service, CV_LOG_WARNING, "Connection closed. (%s)", rule);
}

static void
release(cv_conn_env_t *env, void *owner)
{
    cv_service_enter(CV_CONTAINER_OF(env, cv_service_t, env));
    Py_DECREF((PyObject *)owner);
}

static void
on_batch(cv_conn_env_t *env)
{
    cv_service_t *service = CV_CONTAINER_OF(env, cv_service_t, env);
    if (service->driver->on_batch != NULL) {
        service->driver->on_batch(service);
    }
}

static void
on_due(cv_conn_env_t *env, cv_deadline_t *deadline)
{
    cv_service_t *service = CV_CONTAINER_OF(env, cv_service_t, env);
    cv_service_enter(service);
    if (deadline->kind == CV_CONN_DISCONNECT) {
        cv_disconnect_on_due(deadline);
    } else {
        cv_timeout_end(service);
    }
}

static void
on_room(cv_conn_env_t *env)
{
    cv_service_t *service = CV_CONTAINER_OF(env, cv_service_t, env);
    service->on_room(service);
    cv_service_wake(service);
}

static void
on_closed(cv_conn_t *conn)
{
    cv_service_t *service = service_of(conn);
    cv_service_enter(service);
    cv_connection_end(service, conn);
}

const cv_conn_ops_t cv_service_conn_ops = {
    .on_preamble = on_preamble,
    .on_head = on_head,
    .on_websocket = on_websocket,
    .on_message = on_message,
    .on_ws_end = on_ws_end,
    .on_body_room = on_body_room,
    .on_body = on_body,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_gone = on_gone,
    .on_refused = on_refused,
    .on_cut = on_cut,
    .release = release,
    .on_batch = on_batch,
    .on_due = on_due,
    .on_room = on_room,
    .on_closed = on_closed,
};

/* ---- the turn ---------------------------------------------------------------------------------------------- */

/* Asked once a turn: an application may set a factory at any time, but hardly between two requests of one turn. */
static int
look_up_task_factory(cv_service_t *service)
{
    PyObject *factory = PyObject_CallMethodNoArgs(service->loop, service->state->names.get_task_factory);
    if (factory == NULL) {
        return -1;
    }
    if (factory == Py_None) {
        Py_CLEAR(factory);
    }
    Py_XSETREF(service->task_factory, factory);
    return 0;
}

/* Parses the next request that `conn` has waiting. It is run before those of other connections, so that the answers to
 * pipelined requests go out in one write. Returns how many run in a row, with the next one. The connection's memory
 * outlives the turn. */
static unsigned
run_pipelined(cv_service_t *service, cv_conn_t *conn, unsigned in_a_row)
{
    cv_conn_advance(conn);
    ExchangeObject *next = conn->request;
    if (next == NULL || next->scope == NULL || in_a_row == PIPELINE_RUN) {
        return 1;
    }
    cv_list_remove(&next->node);
    cv_list_prepend(&service->queued, &next->node);
    return in_a_row + 1;
}

int
cv_service_run(cv_service_t *service)
{
    if (cv_list_is_empty(&service->queued)) {
        return 0;
    }
    if (look_up_task_factory(service) < 0) {
        return -1;
    }
    uint64_t start = cv_clock_now();
    uint64_t step_start = start;
    cv_access_look(service, start);
    unsigned in_a_row = 1;
    for (unsigned count = 1; !cv_list_is_empty(&service->queued); count++) {
        ExchangeObject *exchange = CV_CONTAINER_OF(service->queued.next, ExchangeObject, node);
        cv_conn_t *conn = exchange->conn;
        if (cv_task_start(exchange) < 0) {
            return -1;
        }
        bool pipelined = conn != NULL && cv_conn_can_advance(conn);
        in_a_row = pipelined ? run_pipelined(service, conn, in_a_row) : 1;
        uint64_t now = cv_clock_now();
        cv_batch_on_step_end(&service->batch, now - step_start, now);
        step_start = now;
        if (count == BATCH_EXCHANGES || now - start > BATCH_TIME) {
            break;
        }
    }
    if (!cv_list_is_empty(&service->queued)) {
        if (in_a_row > 1) {
            /* Its run ends with the batch: what it would go on with has nothing to be written together with. */
            cv_list_t *next = service->queued.next;
            cv_list_remove(next);
            cv_list_append(&service->queued, next);
        }
        cv_batch_on_flush(&service->batch);
        cv_conn_env_flush(&service->env);
    }
    return 0;
}

/* Calls what may be NULL, and may replace itself meanwhile. */
static int
tell(PyObject *callback)
{
    if (callback == NULL) {
        return 0;
    }
    Py_INCREF(callback);
    PyObject *done = PyObject_CallNoArgs(callback);
    Py_DECREF(callback);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static int
tell_limit(cv_service_t *service)
{
    if (service->total < service->total_limit) {
        return 0;
    }
    service->total_limit = UINT64_MAX;
    return tell(service->on_limit);
}

static int
tell_idle(cv_service_t *service)
{
    bool idle_conns = service->was_busy_conns && service->env.conn_count == 0;
    bool idle_exchanges = service->was_busy_exchanges && service->open_count == 0;
    service->was_busy_conns = service->env.conn_count > 0;
    service->was_busy_exchanges = service->open_count > 0;
    return idle_conns || idle_exchanges ? tell(service->on_idle) : 0;
}

int
cv_service_flush(cv_service_t *service)
{
    service->flushes++;
    cv_batch_on_flush(&service->batch);
    cv_conn_env_flush(&service->env);
    Py_CLEAR(service->sent_payload);
    int told = tell_limit(service);
    return tell_idle(service) < 0 ? -1 : told;
}

bool
cv_service_has_work(const cv_service_t *service)
{
    return !cv_list_is_empty(&service->queued) || !cv_list_is_empty(&service->env.unflushed);
}
