/* SPDX-License-Identifier: MIT */
#include "asgi/timeout.h"

#include "asgi/report.h"

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
    cv_cycle_log_access(cycle, 504);
    service->total++;
    if (cycle->conn != NULL) {
        cv_conn_refuse(cycle->conn, 504, NULL);
    }
    cv_cycle_disconnect(cycle);
    cv_service_wake(service);
}

static void
cancel(CycleObject *cycle)
{
    PyObject *task = Py_XNewRef(cycle->task);
    PyObject *done = task == NULL ? NULL : PyObject_CallMethodNoArgs(task, cycle->service->state->names.cancel);
    if (task != NULL && done == NULL) {
        PyErr_WriteUnraisable(task);
    }
    Py_XDECREF(done);
    Py_XDECREF(task);
}

/* What runs on behind a complete answer has no limit, and nobody is cancelled twice. */
static void
end_request(CycleObject *cycle)
{
    if (cycle->complete || cycle->timed_out) {
        return;
    }
    cycle->timed_out = true;
    cycle->service->env.limited[CV_TIMEOUT_REQUEST]++;
    if (cycle->conn != NULL) {
        end_answer(cycle);
    }
    cv_report(cycle->service, CV_LOG_WARNING, "Request cancelled. (answer not complete within --timeout-request)",
              NULL);
    cancel(cycle);
}

void
cv_timeout_end(cv_service_t *service)
{
    cv_deadlines_t *deadlines = &service->env.deadlines;
    uint64_t now = cv_deadlines_now();
    while (!cv_list_is_empty(&service->open)) {
        CycleObject *cycle = CV_CONTAINER_OF(service->open.next, CycleObject, node);
        if (cycle->due > now) {
            cv_deadline_set_at(deadlines, &service->request_deadline, CV_CONN_REQUEST, cycle->due);
            return;
        }
        /* It may take its time to end, or never do: it makes room for the others. */
        cv_list_remove(&cycle->node);
        cv_list_append(&service->open, &cycle->node);
        cycle->due = now + deadlines->durations[CV_CONN_REQUEST];
        Py_INCREF(cycle);
        end_request(cycle);
        Py_DECREF(cycle);
    }
}
