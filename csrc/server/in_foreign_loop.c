/* SPDX-License-Identifier: MIT */
#include "server/in_foreign_loop.h"

#include "py/errors.h"

static ServerObject *
server_of(cv_service_t *service)
{
    return CV_CONTAINER_OF(service, ServerObject, service);
}

static void
enter(cv_service_t *Py_UNUSED(service))
{
    /* The pump runs as a callback of the foreign loop, with the GIL. */
}

/* Has the pump called in the foreign loop's next turn, unless it is running or due already. That call is one of its
 * own: if any call of the pump asked for the next one, each event between would add one more to every later turn. */
static void
wake(cv_service_t *service)
{
    ServerObject *server = server_of(service);
    if (server->in_pump || server->pump_scheduled || server->pump_again == NULL) {
        return;
    }
    /* May be called while an exception travels; it must neither see it nor lose it. */
    PyObject *travelling = cv_error_take();
    PyObject *call_soon = service->state->names.call_soon;
    PyObject *handle = PyObject_CallMethodOneArg(service->loop, call_soon, server->pump_again);
    if (handle == NULL) {
        PyErr_WriteUnraisable(server->pump_again);
    }
    server->pump_scheduled = handle != NULL;
    Py_XDECREF(handle);
    if (travelling != NULL) {
        cv_error_give(travelling);
    }
}

static bool
is_busy(cv_service_t *Py_UNUSED(service))
{
    return false; /* no way to know: every answer is written at once */
}

static const cv_service_driver_t driver = {
    .enter = enter,
    .wake = wake,
    .is_busy = is_busy,
};

/* Asks the foreign loop for a call when the next deadline is due. */
static int
arm_timer(ServerObject *server)
{
    cv_service_t *service = &server->service;
    int timeout = uv_backend_timeout(server->private_loop);
    if (timeout <= 0) {
        return 0;
    }
    uint64_t due = uv_now(server->private_loop) + (uint64_t)timeout;
    if (server->pump_timer != NULL) {
        if (server->pump_due <= due) {
            return 0; /* it fires early, and is armed again then */
        }
        PyObject *done = PyObject_CallMethodNoArgs(server->pump_timer, service->state->names.cancel);
        Py_CLEAR(server->pump_timer);
        if (done == NULL) {
            return -1;
        }
        Py_DECREF(done);
    }
    PyObject *delay = PyFloat_FromDouble((double)timeout / 1000.0);
    if (delay == NULL) {
        return -1;
    }
    server->pump_timer = PyObject_CallMethodObjArgs(service->loop, service->state->names.call_later, delay,
                                                    server->pump, NULL);
    Py_DECREF(delay);
    server->pump_due = due;
    return server->pump_timer == NULL ? -1 : 0;
}

static void
forget_fired_timer(ServerObject *server)
{
    uv_update_time(server->private_loop);
    if (server->pump_timer != NULL && server->pump_due <= uv_now(server->private_loop)) {
        Py_CLEAR(server->pump_timer);
    }
}

PyObject *
cv_server_pump(PyObject *op, PyObject *Py_UNUSED(unused))
{
    ServerObject *server = (ServerObject *)op;
    if (server->private_loop == NULL || server->in_pump) {
        Py_RETURN_NONE;
    }
    server->in_pump = true;
    forget_fired_timer(server);
    uv_run(server->private_loop, UV_RUN_NOWAIT);
    /* SystemExit from a request must not keep what others finished from being written. */
    PyObject *failure = cv_service_run(&server->service) < 0 ? cv_error_take() : NULL;
    if (cv_service_flush(&server->service) < 0) {
        Py_XSETREF(failure, cv_error_take());
    }
    /* What run and flush changed about watchers takes effect in the private loop's poll only. */
    uv_run(server->private_loop, UV_RUN_NOWAIT);
    server->in_pump = false;
    if (!server->is_open) {
        cv_server_leave_foreign_loop(server); /* closed from inside this turn */
    } else {
        if (cv_service_has_work(&server->service) || uv_backend_timeout(server->private_loop) == 0) {
            wake(&server->service);
        }
        if (arm_timer(server) < 0) {
            Py_XSETREF(failure, cv_error_take());
        }
    }
    if (failure != NULL) {
        cv_error_give(failure);
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
cv_server_pump_again(PyObject *op, PyObject *unused)
{
    ((ServerObject *)op)->pump_scheduled = false;
    return cv_server_pump(op, unused);
}

int
cv_server_make_private_loop(ServerObject *server)
{
    uv_loop_t *loop = PyMem_Malloc(sizeof *loop);
    if (loop == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    int error = uv_loop_init(loop);
    if (error < 0) {
        PyMem_Free(loop);
        return cv_error_set(error);
    }
    error = uv_async_init(loop, &server->alive, NULL);
    if (error < 0) {
        uv_loop_close(loop);
        PyMem_Free(loop);
        return cv_error_set(error);
    }
    server->private_loop = loop;
    return 0;
}

int
cv_server_enter_foreign_loop(ServerObject *server)
{
    cv_service_t *service = &server->service;
    service->driver = &driver;
    server->pump = PyObject_GetAttrString((PyObject *)server, "_pump");
    server->pump_again = PyObject_GetAttrString((PyObject *)server, "_pump_again");
    bool has_pumps = server->pump != NULL && server->pump_again != NULL;
    PyObject *fd = !has_pumps ? NULL : PyLong_FromLong(uv_backend_fd(server->private_loop));
    if (fd == NULL) {
        return -1;
    }
    PyObject *add_reader = service->state->names.add_reader;
    PyObject *done = PyObject_CallMethodObjArgs(service->loop, add_reader, fd, server->pump, NULL);
    Py_DECREF(fd);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static void
stop_watching(ServerObject *server)
{
    cv_service_t *service = &server->service;
    PyObject *fd = PyLong_FromLong(uv_backend_fd(server->private_loop));
    PyObject *done = fd == NULL
        ? NULL
        : PyObject_CallMethodOneArg(service->loop, service->state->names.remove_reader, fd);
    if (done == NULL) {
        PyErr_WriteUnraisable((PyObject *)server);
    }
    Py_XDECREF(fd);
    Py_XDECREF(done);
    if (server->pump_timer != NULL) {
        done = PyObject_CallMethodNoArgs(server->pump_timer, service->state->names.cancel);
        if (done == NULL) {
            PyErr_WriteUnraisable((PyObject *)server);
        }
        Py_XDECREF(done);
        Py_CLEAR(server->pump_timer);
    }
}

void
cv_server_leave_foreign_loop(ServerObject *server)
{
    if (server->private_loop == NULL || server->in_pump) {
        return; /* left already, or by the pump when it is done */
    }
    if (server->pump != NULL) {
        stop_watching(server);
        Py_CLEAR(server->pump);
        Py_CLEAR(server->pump_again);
    }
    /* Only closing handles are left: this ends when their callbacks ran. */
    uv_loop_t *loop = server->private_loop;
    server->private_loop = NULL;
    uv_close((uv_handle_t *)&server->alive, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_loop_close(loop);
    PyMem_Free(loop);
}
