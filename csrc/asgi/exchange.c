/* SPDX-License-Identifier: MIT */
#include "asgi/exchange.h"

#include <stddef.h>

#include "asgi/task.h"
#include "asgi/wait.h"

void
cv_exchange_queue(ExchangeObject *exchange, const cv_exchange_kind_t *kind, cv_service_t *service, cv_conn_t *conn)
{
    exchange->vectorcall = cv_task_done;
    exchange->kind = kind;
    exchange->server = Py_NewRef(service->server);
    exchange->service = service;
    exchange->conn = conn;
    cv_list_init(&exchange->receivers);
    cv_list_init(&exchange->senders);
    cv_list_init(&exchange->unsent);
    cv_list_append(&service->queued, &exchange->node);
    service->open_count++;
    service->was_busy_exchanges = true;
    PyObject_GC_Track(exchange);
}

int
cv_exchange_wake(ExchangeObject *exchange, cv_list_t *waiters)
{
    const cv_names_t *names = &exchange->service->state->names;
    int status = 0;
    cv_list_t woken;
    cv_list_take(&woken, waiters);
    while (!cv_list_is_empty(&woken)) {
        WaitObject *wait = CV_CONTAINER_OF(woken.next, WaitObject, node);
        cv_list_remove(&wait->node);
        PyObject *future = Py_NewRef(wait->future);
        PyObject *done = PyObject_CallMethodNoArgs(future, names->done);
        if (done == Py_False) {
            Py_SETREF(done, PyObject_CallMethodOneArg(future, names->set_result, Py_None));
        }
        if (done == NULL) {
            status = -1;
        }
        Py_XDECREF(done);
        Py_DECREF(future);
    }
    return status;
}

void
cv_exchange_detach(ExchangeObject *exchange)
{
    if (exchange->conn != NULL) {
        exchange->conn->request = NULL;
        exchange->conn = NULL;
    }
    if (!cv_list_is_empty(&exchange->receivers) && cv_exchange_wake(exchange, &exchange->receivers) < 0) {
        PyErr_WriteUnraisable((PyObject *)exchange);
    }
    if (!cv_list_is_empty(&exchange->senders) && cv_exchange_wake(exchange, &exchange->senders) < 0) {
        PyErr_WriteUnraisable((PyObject *)exchange);
    }
}

/* What is left is the reference that the service had. */
static void
leave_service(ExchangeObject *exchange)
{
    cv_list_remove(&exchange->node);
    exchange->service->open_count--;
    exchange->kind->on_over(exchange);
    Py_CLEAR(exchange->task);
}

void
cv_exchange_drop(ExchangeObject *exchange)
{
    leave_service(exchange);
    Py_DECREF(exchange);
}

void
cv_exchange_close(ExchangeObject *exchange)
{
    leave_service(exchange);
    if (exchange->service->open_count == 0) {
        cv_service_wake(exchange->service);
    }
    Py_DECREF(exchange);
}

int
cv_exchange_traverse(PyObject *op, visitproc visit, void *arg)
{
    ExchangeObject *self = (ExchangeObject *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->server);
    Py_VISIT(self->scope);
    Py_VISIT(self->task);
    return 0;
}

void
cv_exchange_clear(ExchangeObject *exchange)
{
    Py_CLEAR(exchange->scope);
    Py_CLEAR(exchange->task);
    Py_CLEAR(exchange->client);
}

static PyObject *
get_disconnected(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((ExchangeObject *)op)->disconnected);
}

PyGetSetDef cv_exchange_getset[] = {
    {"disconnected", get_disconnected, NULL, "True once the client left before it was over.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyMemberDef cv_exchange_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(ExchangeObject, vectorcall), READONLY, NULL},
    {"task", T_OBJECT, offsetof(ExchangeObject, task), READONLY,
     "The task that runs the application, until it is done."},
    {NULL, 0, 0, 0, NULL},
};
