/* SPDX-License-Identifier: MIT */
#include "asgi/task.h"

#include "asgi/access.h"
#include "asgi/channel.h"
#include "asgi/disconnect.h"
#include "asgi/report.h"
#include "asgi/timeout.h"
#include "py/errors.h"

/* app(scope, receive, send) in the cycle's context. New reference, or NULL. */
static PyObject *
call_app(CycleObject *cycle, PyObject *context)
{
    cv_service_t *service = cycle->service;
    PyObject *args[4] = {NULL, cycle->scope, NULL, NULL};
    cycle->scope = NULL;
    PyObject *coroutine = NULL;
    args[2] = cv_receive_new(cycle);
    args[3] = cv_send_new(cycle);
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

/* The cycle is called when the task is done, in the context of the request. */
static int
watch_task(CycleObject *cycle, PyObject *task, PyObject *context)
{
    cv_service_t *service = cycle->service;
    PyObject *args[] = {task, (PyObject *)cycle, context};
    PyObject *done = PyObject_VectorcallMethod(service->state->names.add_done_callback, args, 2,
                                               service->state->context_kwnames);
    if (done == NULL) {
        return -1;
    }
    Py_DECREF(done);
    cycle->task = Py_NewRef(task);
    return 0;
}

/* The application will not answer (any more): 500 if nothing began, or 503 where it was told that the server stops;
 * else what was sent goes out and the connection ends. */
static void
give_up_answer(CycleObject *cycle)
{
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

/* Says what the application raised, and answers for it; steals the exception. SystemExit and KeyboardInterrupt are the
 * loop's to act on: they are neither reported nor swallowed here, but set for the caller. */
static int
settle_exception(CycleObject *cycle, PyObject *exception)
{
    bool leaves_loop = PyErr_GivenExceptionMatches(exception, PyExc_SystemExit)
        || PyErr_GivenExceptionMatches(exception, PyExc_KeyboardInterrupt);
    /* Who cancels a request whose client is gone has got what was wanted. */
    bool wanted = cycle->disconnected && !PyErr_GivenExceptionMatches(exception, PyExc_Exception);
    if (!leaves_loop && !wanted) {
        cv_report(cycle->service, CV_LOG_ERROR, "Exception in ASGI application\n", exception);
    }
    give_up_answer(cycle);
    if (leaves_loop) {
        cv_error_give(exception);
        return -1;
    }
    Py_DECREF(exception);
    return 0;
}

static void
settle_result(CycleObject *cycle, PyObject *result)
{
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
    give_up_answer(cycle);
}

/* The request did not end as it should: with an exception that is set, if `result` is NULL. What is logged of it is
 * logged in its context, as if its task did so; `context` is NULL where that is entered already. */
static int
settle_failure(CycleObject *cycle, PyObject *result, PyObject *context)
{
    PyObject *exception = result == NULL ? cv_error_take() : NULL;
    bool entered = context != NULL && PyContext_Enter(context) == 0;
    if (context != NULL && !entered) {
        PyErr_WriteUnraisable(context);
    }
    int status = 0;
    if (exception != NULL) {
        status = settle_exception(cycle, exception);
    } else {
        settle_result(cycle, result);
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

/* The cycle is over: it leaves the service, which may be idle now. */
static void
close_cycle(CycleObject *cycle)
{
    cv_service_t *service = cycle->service;
    Py_CLEAR(cycle->task);
    cv_disconnect_end(cycle);
    cv_list_remove(&cycle->node);
    service->open_count--;
    cv_cycle_complete(cycle);
    if (service->open_count == 0) {
        cv_service_wake(service);
    }
    Py_DECREF(cycle);
}

/* `context` is NULL where it is entered already. */
static int
settle(CycleObject *cycle, PyObject *task, PyObject *context)
{
    cv_state_t *state = cycle->service->state;
    int status = 0;
    PyObject *result = call_task(state, task, state->task_result, state->names.result);
    if (result != Py_None || cycle->conn != NULL) {
        status = settle_failure(cycle, result, context);
    }
    Py_XDECREF(result);
    close_cycle(cycle);
    return status;
}

/* Ends a cycle that has no task to wait for; an exception is set. */
static int
abandon(CycleObject *cycle, PyObject *context)
{
    int status = settle_failure(cycle, NULL, context);
    close_cycle(cycle);
    return status;
}

/* The task was started: it is done already, or will say when it is. */
static int
follow_task(CycleObject *cycle, PyObject *task, PyObject *context)
{
    cv_state_t *state = cycle->service->state;
    PyObject *done = call_task(state, task, state->task_done, state->names.done);
    Py_XDECREF(done);
    if (done == Py_True) {
        return settle(cycle, task, context);
    }
    if (done == NULL || watch_task(cycle, task, context) < 0) {
        return abandon(cycle, context);
    }
    if (cycle->disconnected) {
        cv_disconnect_begin(cycle); /* the client went before there was a task to cancel */
    }
    return 0;
}

int
cv_task_start(CycleObject *cycle)
{
    cv_service_t *service = cycle->service;
    cv_list_remove(&cycle->node);
    cv_list_append(&service->open, &cycle->node);
    cv_timeout_start(cycle);

    PyObject *task = NULL;
    PyObject *context = service->fresh_context ? PyContext_New() : PyContext_Copy(service->context);
    PyObject *coroutine = context == NULL ? NULL : call_app(cycle, context);
    if (coroutine != NULL) {
        task = create_task(service, coroutine, context);
        Py_DECREF(coroutine);
    }
    int status = task == NULL ? abandon(cycle, context) : follow_task(cycle, task, context);
    Py_XDECREF(task);
    Py_XDECREF(context);
    return status;
}

void
cv_task_cancel(CycleObject *cycle, PyObject *message)
{
    cv_state_t *state = cycle->service->state;
    PyObject *args[] = {Py_XNewRef(cycle->task), message};
    cycle->cancelled = true;
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
    CycleObject *cycle = (CycleObject *)op;
    if (PyVectorcall_NARGS(nargsf) != 1 || kwnames != NULL) {
        PyErr_SetString(PyExc_TypeError, "a cycle is called with its task, when that is done");
        return NULL;
    }
    if (cycle->task != args[0]) {
        Py_RETURN_NONE; /* settled already */
    }
    if (settle(cycle, args[0], NULL) < 0) {
        /* The task's own step has raised it into the loop already. */
        PyErr_Clear();
    }
    Py_RETURN_NONE;
}
