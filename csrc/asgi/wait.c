/* SPDX-License-Identifier: MIT */
#include "asgi/wait.h"

#include "asgi/finished.h"
#include "py/errors.h"

PyObject *
cv_wait_new(ExchangeObject *exchange, cv_wait_attempt attempt, cv_list_t *waiters, PyObject *message)
{
    cv_state_t *state = exchange->service->state;
    WaitObject *self = (WaitObject *)cv_free_list_new(&state->free_waits, state->wait_type);
    if (self == NULL) {
        return NULL;
    }
    self->exchange = (ExchangeObject *)Py_NewRef(exchange);
    self->attempt = attempt;
    self->waiters = waiters;
    cv_list_init(&self->node);
    self->future = NULL;
    self->message = Py_XNewRef(message);
    cv_list_init(&self->order);
    self->opening = NULL;
    self->pauses = false;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

static int
wait_traverse(PyObject *op, visitproc visit, void *arg)
{
    WaitObject *self = (WaitObject *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->exchange);
    Py_VISIT(self->future);
    Py_VISIT(self->message);
    return 0;
}

void
cv_wait_leave_order(WaitObject *wait)
{
    if (!cv_list_is_linked(&wait->order)) {
        return;
    }
    ExchangeObject *exchange = wait->exchange;
    cv_list_remove(&wait->order);
    if (cv_list_is_empty(&exchange->unsent) || cv_list_is_empty(&exchange->senders)) {
        return;
    }
    /* May be called while an exception travels. */
    PyObject *travelling = cv_error_take();
    if (cv_exchange_wake(exchange, &exchange->senders) < 0) {
        PyErr_WriteUnraisable((PyObject *)exchange);
    }
    if (travelling != NULL) {
        cv_error_give(travelling);
    }
}

/* Leaves the exchange's lists and lets go of everything: the awaitable is finished. */
static int
wait_clear(PyObject *op)
{
    WaitObject *self = (WaitObject *)op;
    cv_wait_leave_order(self);
    if (self->opening != NULL) {
        cv_opening_drop(self->opening);
        self->opening = NULL;
    }
    cv_list_remove(&self->node);
    Py_CLEAR(self->future);
    Py_CLEAR(self->message);
    Py_CLEAR(self->exchange);
    return 0;
}

static void
wait_dealloc(PyObject *op)
{
    cv_state_t *state = cv_state_of_type(Py_TYPE(op));
    PyObject_GC_UnTrack(op);
    wait_clear(op);
    cv_free_list_del(&state->free_waits, op);
}

static PyObject *
raise_over(void)
{
    PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
    return NULL;
}

/* Waits: the future that the task is to wait on. New reference, or NULL. */
static PyObject *
wait_suspend(WaitObject *self)
{
    if (self->exchange == NULL) {
        return raise_over();
    }
    cv_service_t *service = self->exchange->service;
    cv_state_t *state = service->state; /* outlives the service */
    PyObject *future = PyObject_CallMethodNoArgs(service->loop, state->names.create_future);
    if (future == NULL) {
        return NULL;
    }
    if (PyObject_SetAttr(future, state->names.future_blocking, Py_True) < 0) {
        Py_DECREF(future);
        return NULL;
    }
    if (self->exchange == NULL) { /* making the future started a collection, and a finalizer ended the awaitable */
        Py_DECREF(future);
        return raise_over();
    }
    Py_XSETREF(self->future, Py_NewRef(future));
    cv_list_remove(&self->node);
    cv_list_append(self->waiters, &self->node);
    return future;
}

static PySendResult
wait_step(PyObject *op, PyObject *Py_UNUSED(arg), PyObject **result)
{
    WaitObject *self = (WaitObject *)op;
    *result = NULL;
    if (self->exchange == NULL) {
        raise_over();
        return PYGEN_ERROR;
    }
    if (self->pauses) {
        self->pauses = false;
        *result = Py_NewRef(Py_None);
        return PYGEN_NEXT;
    }
    int done = self->attempt(self, result);
    if (done == 0) {
        *result = wait_suspend(self);
        if (*result != NULL) {
            return PYGEN_NEXT;
        }
    }
    wait_clear(op);
    return done > 0 ? PYGEN_RETURN : PYGEN_ERROR;
}

static PyObject *
wait_next(PyObject *op)
{
    PyObject *result;
    PySendResult status = wait_step(op, Py_None, &result);
    return cv_step_result(status, result);
}

static PyObject *
wait_send(PyObject *op, PyObject *arg)
{
    PyObject *result;
    PySendResult status = wait_step(op, arg, &result);
    return cv_step_result(status, result);
}

static PyObject *
wait_throw(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    wait_clear(op);
    return cv_error_throw(args, nargs);
}

static PyObject *
wait_close(PyObject *op, PyObject *Py_UNUSED(arg))
{
    wait_clear(op);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(send_doc, "send($self, value, /)\n--\n\nResume the awaitable; raises StopIteration with its result.");
PyDoc_STRVAR(throw_doc,
             "throw($self, kind, value=None, traceback=None, /)\n--\n\n"
             "Stop waiting and raise an exception; no message is lost.");
PyDoc_STRVAR(close_doc, "close($self, /)\n--\n\nStop waiting; no message is lost.");

static PyMethodDef wait_methods[] = {
    {"send", wait_send, METH_O, send_doc},
    {"throw", (PyCFunction)(void (*)(void))wait_throw, METH_FASTCALL, throw_doc},
    {"close", wait_close, METH_NOARGS, close_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot wait_slots[] = {
    {Py_tp_doc, (void *)"What receive() returns, and send() when it has to wait for the socket."},
    {Py_tp_dealloc, wait_dealloc},
    {Py_tp_traverse, wait_traverse},
    {Py_tp_clear, wait_clear},
    {Py_am_await, PyObject_SelfIter},
    {Py_am_send, wait_step},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, wait_next},
    {Py_tp_methods, wait_methods},
    {0, NULL},
};

static PyType_Spec wait_spec = {
    .name = "cuvee._core.Wait",
    .basicsize = sizeof(WaitObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = wait_slots,
};

int
cv_wait_setup_type(PyObject *module)
{
    cv_state_t *state = PyModule_GetState(module);
    return cv_state_add_type(module, &state->wait_type, &wait_spec);
}
