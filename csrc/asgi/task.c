/* SPDX-License-Identifier: MIT */
#include "asgi/task.h"

#include "asgi/channel.h"
#include "py/errors.h"

/* app(scope, receive, send) in the context of the exchange. New reference, or NULL. */
static PyObject *
call_app(ExchangeObject *exchange, PyObject *context)
{
    cv_service_t *service = exchange->service;
    PyObject *args[4] = {NULL, exchange->scope, NULL, NULL};
    exchange->scope = NULL;
    PyObject *coroutine = NULL;
    args[2] = cv_receive_new(exchange);
    args[3] = cv_send_new(exchange);
    /* Calling a coroutine function runs none of its body: the task enters the context when it does. */
    bool enter = !service->app_is_coroutine_function;
    if (args[2] != NULL && args[3] != NULL && !(enter && PyContext_Enter(context) < 0)) {
        coroutine = PyObject_Vectorcall(service->app, args + 1, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
        if (enter && PyContext_Exit(context) < 0) {
            Py_CLEAR(coroutine);
        }
    }
    Py_XDECREF(args[1]);
    Py_XDECREF(args[2]);
    Py_XDECREF(args[3]);
    return coroutine;
}

/* loop.create_task(coroutine, context=context): where the application set a task factory. */
static PyObject *
create_task_by_factory(cv_service_t *service, PyObject *coroutine, PyObject *context)
{
    PyObject *args[] = {service->loop, coroutine, context};
    return PyObject_VectorcallMethod(service->state->names.create_task, args, 2, service->state->context_kwnames);
}

/* asyncio.Task(coroutine, loop=…, context=context[, eager_start=True]). Task() is given its keywords as a dict whatever
 * the way it is called: one is kept, in which only the context changes. It is read before the coroutine takes its first
 * step, and keeps no request's context afterwards. */
static PyObject *
create_task(cv_service_t *service, PyObject *coroutine, PyObject *context)
{
    if (service->task_factory != NULL) {
        return create_task_by_factory(service, coroutine, context);
    }
    cv_state_t *state = service->state;
    PyObject *args = PyTuple_Pack(1, coroutine);
    PyObject *task = NULL;
    if (args != NULL && PyDict_SetItem(service->task_keywords, state->names.context, context) == 0) {
        task = PyObject_Call(state->task_type, args, service->task_keywords);
        if (PyDict_SetItem(service->task_keywords, state->names.context, Py_None) < 0) {
            Py_CLEAR(task);
        }
    }
    Py_XDECREF(args);
    return task;
}

/* task.NAME(), without a look-up where the task is asyncio's own. */
static PyObject *
call_task(cv_state_t *state, PyObject *task, PyCFunction method, PyObject *name)
{
    if ((PyObject *)Py_TYPE(task) == state->task_type && method != NULL) {
        return method(task, NULL);
    }
    return PyObject_CallMethodNoArgs(task, name);
}

/* The exchange is called when the task is done, in the context of the request. */
static int
watch_task(ExchangeObject *exchange, PyObject *task, PyObject *context)
{
    cv_service_t *service = exchange->service;
    PyObject *args[] = {task, (PyObject *)exchange, context};
    PyObject *done = PyObject_VectorcallMethod(service->state->names.add_done_callback, args, 2,
                                               service->state->context_kwnames);
    if (done == NULL) {
        return -1;
    }
    Py_DECREF(done);
    exchange->task = Py_NewRef(task);
    return 0;
}

/* Steals the exception. SystemExit and KeyboardInterrupt are the loop's to act on: they are neither reported nor
 * swallowed here, but set for the caller. */
static int
settle_exception(ExchangeObject *exchange, PyObject *exception)
{
    if (PyErr_GivenExceptionMatches(exception, PyExc_SystemExit)
        || PyErr_GivenExceptionMatches(exception, PyExc_KeyboardInterrupt)) {
        exchange->kind->give_up(exchange);
        cv_error_give(exception);
        return -1;
    }
    exchange->kind->on_exception(exchange, exception);
    Py_DECREF(exception);
    return 0;
}

/* The exchange did not end as it should: with an exception that is set, if `result` is NULL. What is logged of it is
 * logged in its context, as if its task did so; `context` is NULL where that is entered already. */
static int
settle_failure(ExchangeObject *exchange, PyObject *result, PyObject *context)
{
    PyObject *exception = result == NULL ? cv_error_take() : NULL;
    bool entered = context != NULL && PyContext_Enter(context) == 0;
    if (context != NULL && !entered) {
        PyErr_WriteUnraisable(context);
    }
    int status = 0;
    if (exception != NULL) {
        status = settle_exception(exchange, exception);
    } else {
        exchange->kind->on_result(exchange, result);
    }
    if (entered) {
        PyObject *leaving = status < 0 ? cv_error_take() : NULL;
        if (PyContext_Exit(context) < 0) {
            PyErr_WriteUnraisable(context);
        }
        if (leaving != NULL) {
            cv_error_give(leaving);
        }
    }
    return status;
}

/* `context` is NULL where it is entered already. */
static int
settle(ExchangeObject *exchange, PyObject *task, PyObject *context)
{
    cv_state_t *state = exchange->service->state;
    int status = 0;
    PyObject *result = call_task(state, task, state->task_result, state->names.result);
    if (result != Py_None || exchange->conn != NULL) {
        status = settle_failure(exchange, result, context);
    }
    Py_XDECREF(result);
    cv_exchange_close(exchange);
    return status;
}

/* Ends an exchange that has no task to wait for; an exception is set. */
static int
abandon(ExchangeObject *exchange, PyObject *context)
{
    int status = settle_failure(exchange, NULL, context);
    cv_exchange_close(exchange);
    return status;
}

/* The task was started: it is done already, or will say when it is. */
static int
follow_task(ExchangeObject *exchange, PyObject *task, PyObject *context)
{
    cv_state_t *state = exchange->service->state;
    PyObject *done = call_task(state, task, state->task_done, state->names.done);
    Py_XDECREF(done);
    if (done == Py_True) {
        return settle(exchange, task, context);
    }
    if (done == NULL || watch_task(exchange, task, context) < 0) {
        return abandon(exchange, context);
    }
    if (exchange->disconnected) {
        exchange->kind->on_late_task(exchange);
    }
    return 0;
}

int
cv_task_start(ExchangeObject *exchange)
{
    cv_service_t *service = exchange->service;
    cv_list_remove(&exchange->node);
    cv_list_append(&service->open, &exchange->node);
    exchange->kind->on_start(exchange);

    PyObject *task = NULL;
    PyObject *context = service->fresh_context ? PyContext_New() : PyContext_Copy(service->context);
    PyObject *coroutine = context == NULL ? NULL : call_app(exchange, context);
    if (coroutine != NULL) {
        task = create_task(service, coroutine, context);
        Py_DECREF(coroutine);
    }
    int status = task == NULL ? abandon(exchange, context) : follow_task(exchange, task, context);
    Py_XDECREF(task);
    Py_XDECREF(context);
    return status;
}

void
cv_task_cancel(ExchangeObject *exchange, PyObject *message)
{
    cv_state_t *state = exchange->service->state;
    PyObject *args[] = {Py_XNewRef(exchange->task), message};
    exchange->cancelled = true;
    if (args[0] == NULL) {
        return;
    }
    PyObject *done = PyObject_VectorcallMethod(state->names.cancel, args, 1,
                                               message == NULL ? NULL : state->msg_kwnames);
    if (done == NULL) {
        PyErr_WriteUnraisable(args[0]);
    }
    Py_XDECREF(done);
    Py_DECREF(args[0]);
}

PyObject *
cv_task_done(PyObject *op, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    ExchangeObject *exchange = (ExchangeObject *)op;
    if (PyVectorcall_NARGS(nargsf) != 1 || kwnames != NULL) {
        PyErr_SetString(PyExc_TypeError, "an exchange is called with its task, when that is done");
        return NULL;
    }
    if (exchange->task != args[0]) {
        Py_RETURN_NONE; /* settled already */
    }
    if (settle(exchange, args[0], NULL) < 0) {
        /* The task's own step has raised it into the loop already. */
        PyErr_Clear();
    }
    Py_RETURN_NONE;
}
