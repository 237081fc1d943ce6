/* SPDX-License-Identifier: MIT
 *
 * How an HTTP exchange starts, and how it ends where the answer did not end it: the application raised, returned too
 * early, or lost its client.
 */
#include "asgi/access.h"
#include "asgi/channel.h"
#include "asgi/cycle.h"
#include "asgi/disconnect.h"
#include "asgi/report.h"
#include "asgi/timeout.h"

/* 500 if nothing began, or 503 where the application was told that the server stops; else what was sent goes out and
 * the connection ends. */
static void
give_up(ExchangeObject *exchange)
{
    CycleObject *cycle = (CycleObject *)exchange;
    cv_conn_t *conn = cycle->conn;
    if (conn == NULL) {
        return;
    }
    if (cycle->started) {
        cv_conn_fail(conn);
    } else {
        unsigned status = cycle->told_stop ? 503 : 500;
        cv_access_start(cycle, status);
        cycle->service->total++;
        cv_conn_refuse(conn, status, NULL);
    }
    cv_cycle_complete(cycle);
    cv_cycle_detach(cycle);
    cv_service_wake(cycle->service);
}

static void
on_exception(ExchangeObject *exchange, PyObject *exception)
{
    /* Who cancels a request whose client is gone has got what was wanted. */
    if (!exchange->disconnected || PyErr_GivenExceptionMatches(exception, PyExc_Exception)) {
        cv_report(exchange->service, CV_LOG_ERROR, "Exception in ASGI application\n", exception);
    }
    give_up(exchange);
}

static void
on_result(ExchangeObject *exchange, PyObject *result)
{
    CycleObject *cycle = (CycleObject *)exchange;
    cv_service_t *service = cycle->service;
    if (result != Py_None) {
        cv_report_format(service, CV_LOG_ERROR, "ASGI callable should return None, but returned '%S'.", result);
    } else if (cycle->told_stop) {
        /* It has nobody to answer, as far as it knows. */
    } else if (!cycle->started) {
        cv_report(service, CV_LOG_ERROR, "ASGI callable returned without starting response.", NULL);
    } else {
        cv_report(service, CV_LOG_ERROR, "ASGI callable returned without completing response.", NULL);
    }
    give_up(exchange);
}

static void
on_start(ExchangeObject *exchange)
{
    cv_timeout_start((CycleObject *)exchange);
}

/* 499 stands for an answer that has no reader, as in other servers' logs. */
static void
on_gone(ExchangeObject *exchange)
{
    CycleObject *cycle = (CycleObject *)exchange;
    cv_access_start(cycle, 499);
    cv_cycle_disconnect(cycle);
    cv_disconnect_begin(cycle);
}

static void
on_late_task(ExchangeObject *exchange)
{
    cv_disconnect_begin((CycleObject *)exchange);
}

static void
on_over(ExchangeObject *exchange)
{
    CycleObject *cycle = (CycleObject *)exchange;
    cv_disconnect_end(cycle);
    cv_cycle_complete(cycle);
}

const cv_exchange_kind_t cv_cycle_kind = {
    .receive = cv_receive_call,
    .send = cv_send_call,
    .on_start = on_start,
    .on_gone = on_gone,
    .on_late_task = on_late_task,
    .on_exception = on_exception,
    .on_result = on_result,
    .give_up = give_up,
    .on_over = on_over,
};
