/* SPDX-License-Identifier: MIT */
#include "asgi/timeout.h"

#include "asgi/access.h"
#include "asgi/report.h"
#include "asgi/task.h"

void
cv_timeout_set(CycleObject *cycle, uint64_t duration)
{
    cv_service_t *service = cycle->service;
    cycle->due = cv_deadlines_now() + duration;
    if (!cv_deadline_is_set(&service->request_deadline)) {
        cv_deadline_set_at(&service->env.deadlines, &service->request_deadline, CV_CONN_REQUEST, cycle->due);
    }
}

/* 504 where no answer began; else the client must not take what it has for the whole. */
static void
end_answer(CycleObject *cycle)
{
    cv_service_t *service = cycle->service;
    if (cycle->started) {
        cv_conn_close(cycle->conn, true);
        return;
    }
    cv_access_start(cycle, 504);
    service->total++;
    if (cycle->conn != NULL) {
        cv_conn_refuse(cycle->conn, 504, NULL);
    }
    cv_cycle_disconnect(cycle);
    cv_service_wake(service);
}

/* What runs on behind a complete answer has no limit, and nobody is cancelled twice. */
static void
end_request(CycleObject *cycle)
{
    if (cycle->complete || cycle->cancelled) {
        return;
    }
    cycle->cancelled = true; /* before its client is let go, which is a reason to cancel too */
    cycle->service->env.limited[CV_TIMEOUT_REQUEST]++;
    if (cycle->conn != NULL) {
        end_answer(cycle);
    }
    cv_report(cycle->service, CV_LOG_WARNING, "Request cancelled. (answer not complete within --timeout-request)",
              NULL);
    cv_task_cancel(&cycle->exchange, NULL);
}

/* True when the request's time is not over: then nor is that of those behind it. */
static bool
is_in_time(CycleObject *cycle, uint64_t now)
{
    cv_service_t *service = cycle->service;
    if (cycle->due <= now) {
        return false;
    }
    cv_deadline_set_at(&service->env.deadlines, &service->request_deadline, CV_CONN_REQUEST, cycle->due);
    return true;
}

void
cv_timeout_end(cv_service_t *service)
{
    uint64_t now = cv_deadlines_now();
    unsigned unlimited = 0; /* so many in a row, at the end of the list */
    while (!cv_list_is_empty(&service->open) && unlimited < service->open_count) {
        ExchangeObject *first = CV_CONTAINER_OF(service->open.next, ExchangeObject, node);
        CycleObject *cycle = cv_cycle_of(first);
        if (cycle != NULL && is_in_time(cycle, now)) {
            return;
        }
        /* It may take its time to end, or never do, or has no limit: it makes room for the others. */
        cv_list_remove(&first->node);
        cv_list_append(&service->open, &first->node);
        unlimited++;
        if (cycle != NULL) {
            unlimited = 0;
            cycle->due = now + service->env.deadlines.durations[CV_CONN_REQUEST];
            Py_INCREF(cycle);
            end_request(cycle);
            Py_DECREF(cycle);
        }
    }
}
