/* SPDX-License-Identifier: MIT */
#include "asgi/disconnect.h"

#include <string.h>

#include "asgi/report.h"
#include "asgi/task.h"

#define NEVER UINT64_MAX
#define LEAST_PATIENCE 1000 /* ms that a cancelled task has to end in, at least */

typedef struct {
    PyObject_HEAD
    CycleObject *cycle;     /* borrowed; NULL once that is over */
    cv_deadline_t deadline; /* of the cancellation, then of the task's end */
    uint64_t grace;         /* ms from the client's leaving to the cancellation, or NEVER */
    uint64_t gone;          /* when the client left, in ms; 0: not yet, or there was no task yet */
    bool cancelled;         /* it was done, here */
} DisconnectObject;

/* RFC 9110 section 9.2.1; QUERY is registered as safe. */
static bool
is_safe(cv_span_t method)
{
    static const char *const safe[] = {"GET", "HEAD", "OPTIONS", "QUERY"};
    for (size_t i = 0; i < sizeof safe / sizeof safe[0]; i++) {
        if (strlen(safe[i]) == method.len && memcmp(safe[i], method.data, method.len) == 0) {
            return true;
        }
    }
    return false;
}

int
cv_disconnect_add(CycleObject *cycle, cv_span_t method)
{
    cv_service_t *service = cycle->service;
    DisconnectObject *self = PyObject_New(DisconnectObject, service->state->disconnect_type);
    if (self == NULL) {
        return -1;
    }
    self->cycle = cycle;
    cv_deadline_init(&self->deadline);
    self->grace = service->cancels_unsafe || is_safe(method) ? service->cancel_grace : NEVER;
    self->gone = 0;
    self->cancelled = false;
    cycle->disconnect = (PyObject *)self;
    const cv_names_t *names = &service->state->names;
    PyObject *extensions = PyDict_GetItemWithError(cycle->scope, names->extensions); /* the scope's own */
    return extensions == NULL ? -1 : PyDict_SetItem(extensions, names->cuvee_disconnect, cycle->disconnect);
}

static void
set_deadline(DisconnectObject *self, uint64_t due)
{
    cv_service_t *service = self->cycle->service;
    cv_deadline_set_at(&service->env.deadlines, &self->deadline, CV_CONN_DISCONNECT, due);
    cv_service_wake(service);
}

/* The task may run code of the application's now, and the cycle may be over behind it. */
static void
cancel(DisconnectObject *self)
{
    CycleObject *cycle = self->cycle;
    uint64_t patience = self->grace > LEAST_PATIENCE ? self->grace : LEAST_PATIENCE;
    self->cancelled = true;
    set_deadline(self, cv_deadlines_now() + patience);
    Py_INCREF(cycle);
    cv_task_cancel(&cycle->exchange, cycle->service->state->names.client_disconnected);
    Py_DECREF(cycle);
}

/* Cancels when it is time for that, or sees to it that this is done then. Background work behind a complete answer is
 * left alone, and nobody is cancelled twice. */
static void
settle(DisconnectObject *self)
{
    CycleObject *cycle = self->cycle;
    if (cycle == NULL || self->gone == 0 || cycle->complete || cycle->cancelled) {
        return;
    }
    if (self->grace == NEVER) {
        cv_deadline_clear(&self->deadline);
    } else if (self->gone + self->grace <= cv_deadlines_now()) {
        cancel(self);
    } else {
        set_deadline(self, self->gone + self->grace);
    }
}

void
cv_disconnect_begin(CycleObject *cycle)
{
    DisconnectObject *self = (DisconnectObject *)cycle->disconnect;
    if (self != NULL && cycle->task != NULL) {
        self->gone = cv_deadlines_now();
        settle(self);
    }
}

static void
tell_ignored(CycleObject *cycle)
{
    cycle->service->cancel_ignored++;
    cv_report_format(cycle->service, CV_LOG_WARNING,
                     "Request goes on though it was cancelled, since its client is gone: %R (--on-disconnect)",
                     cycle->task);
}

void
cv_disconnect_on_due(cv_deadline_t *deadline)
{
    DisconnectObject *self = CV_CONTAINER_OF(deadline, DisconnectObject, deadline);
    CycleObject *cycle = self->cycle;
    Py_INCREF(cycle);
    if (self->cancelled) {
        tell_ignored(cycle);
    } else {
        settle(self);
    }
    Py_DECREF(cycle);
}

void
cv_disconnect_drop(CycleObject *cycle)
{
    DisconnectObject *self = (DisconnectObject *)cycle->disconnect;
    cv_deadline_drop(&self->deadline);
    self->cycle = NULL;
    Py_CLEAR(cycle->disconnect);
}

/* ---- what the application may do --------------------------------------------------------------------------- */

PyDoc_STRVAR(shield_doc,
             "shield($self, /)\n--\n\n"
             "Let this request go on when its client leaves, or has left; receive() tells of it all the same.");

static PyObject *
disconnect_shield(PyObject *op, PyObject *Py_UNUSED(arg))
{
    DisconnectObject *self = (DisconnectObject *)op;
    self->grace = NEVER;
    settle(self);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(cancel_after_doc,
             "cancel_after($self, seconds, /)\n--\n\n"
             "Cancel this request so many seconds after its client left, whatever the server's options say.");

static PyObject *
disconnect_cancel_after(PyObject *op, PyObject *arg)
{
    DisconnectObject *self = (DisconnectObject *)op;
    double seconds = PyFloat_AsDouble(arg);
    if (seconds == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    if (!(seconds >= 0 && seconds <= CV_DEADLINES_MOST)) {
        return PyErr_Format(PyExc_ValueError, "not a possible number of seconds: %R", arg);
    }
    self->grace = cv_deadlines_milliseconds(seconds);
    settle(self);
    Py_RETURN_NONE;
}

static void
disconnect_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef disconnect_methods[] = {
    {"shield", disconnect_shield, METH_NOARGS, shield_doc},
    {"cancel_after", disconnect_cancel_after, METH_O, cancel_after_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot disconnect_slots[] = {
    {Py_tp_doc, (void *)"What becomes of this request when its client leaves: the extension cuvee.disconnect."},
    {Py_tp_dealloc, disconnect_dealloc},
    {Py_tp_methods, disconnect_methods},
    {0, NULL},
};

static PyType_Spec disconnect_spec = {
    .name = "cuvee._core.Disconnect",
    .basicsize = sizeof(DisconnectObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = disconnect_slots,
};

int
cv_disconnect_setup_type(PyObject *module)
{
    cv_state_t *state = PyModule_GetState(module);
    return cv_state_add_type(module, &state->disconnect_type, &disconnect_spec);
}
