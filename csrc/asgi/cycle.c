/* SPDX-License-Identifier: MIT */
#include "asgi/cycle.h"

#include <stddef.h>
#include <structmember.h>

#include "asgi/access.h"
#include "asgi/disconnect.h"
#include "asgi/task.h"
#include "asgi/wait.h"

CycleObject *
cv_cycle_new(cv_service_t *service, cv_conn_t *conn)
{
    CycleObject *self = (CycleObject *)cv_free_list_new(&service->state->free_cycles, service->state->cycle_type);
    if (self == NULL) {
        return NULL;
    }
    /* Everything behind the object's head starts as zero; what is not zero follows. */
    memset((char *)self + sizeof(PyObject), 0, sizeof *self - sizeof(PyObject));
    self->vectorcall = cv_task_done;
    self->server = Py_NewRef(service->server);
    self->service = service;
    self->conn = conn;
    cv_list_init(&self->receivers);
    cv_list_init(&self->senders);
    cv_list_init(&self->unsent);
    cv_list_append(&service->queued, &self->node);
    service->open_count++;
    service->under_way++;
    service->was_busy_cycles = true;
    PyObject_GC_Track(self);
    return self;
}

int
cv_cycle_wake(CycleObject *cycle, cv_list_t *waiters)
{
    const cv_names_t *names = &cycle->service->state->names;
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
cv_cycle_detach(CycleObject *cycle)
{
    PyObject *access_call = NULL;
    if (cycle->conn != NULL) {
        access_call = cycle->notes == NULL ? NULL : cv_access_end(cycle);
        cycle->conn->request = NULL;
        cycle->conn = NULL;
    }
    cv_buffer_deinit(&cycle->more);
    Py_CLEAR(cycle->body);
    if (!cv_list_is_empty(&cycle->receivers) && cv_cycle_wake(cycle, &cycle->receivers) < 0) {
        PyErr_WriteUnraisable((PyObject *)cycle);
    }
    if (!cv_list_is_empty(&cycle->senders) && cv_cycle_wake(cycle, &cycle->senders) < 0) {
        PyErr_WriteUnraisable((PyObject *)cycle);
    }
    if (access_call != NULL) {
        cv_access_call(cycle, access_call);
    }
}

void
cv_cycle_disconnect(CycleObject *cycle)
{
    cycle->disconnected = true;
    cv_cycle_detach(cycle);
}

static int
cycle_traverse(PyObject *op, visitproc visit, void *arg)
{
    CycleObject *self = (CycleObject *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->server);
    Py_VISIT(self->scope);
    Py_VISIT(self->task);
    return 0;
}

static int
cycle_clear(PyObject *op)
{
    CycleObject *self = (CycleObject *)op;
    cv_disconnect_end(self);
    Py_CLEAR(self->scope);
    Py_CLEAR(self->task);
    Py_CLEAR(self->client);
    Py_CLEAR(self->method);
    Py_CLEAR(self->raw_path);
    Py_CLEAR(self->query);
    if (self->notes != NULL) {
        cv_access_clear(self);
    }
    Py_CLEAR(self->body);
    return 0;
}

static void
cycle_dealloc(PyObject *op)
{
    CycleObject *self = (CycleObject *)op;
    cv_free_list_t *memory = &self->service->state->free_cycles;
    PyObject_GC_UnTrack(op);
    cycle_clear(op);
    cv_buffer_deinit(&self->more);
    Py_CLEAR(self->server); /* last: `service` lives in it */
    cv_free_list_del(memory, op);
}

static PyObject *
cycle_get_disconnected(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((CycleObject *)op)->disconnected);
}

static PyGetSetDef cycle_getset[] = {
    {"disconnected", cycle_get_disconnected, NULL, "True once the client left before the answer was complete.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef cycle_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(CycleObject, vectorcall), READONLY, NULL},
    {"task", T_OBJECT, offsetof(CycleObject, task), READONLY, "The task that runs the application, until it is done."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot cycle_slots[] = {
    {Py_tp_doc, (void *)"One request and its answer, as the application sees them; receive and send belong to it."},
    {Py_tp_dealloc, cycle_dealloc},
    {Py_tp_traverse, cycle_traverse},
    {Py_tp_clear, cycle_clear},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_getset, cycle_getset},
    {Py_tp_members, cycle_members},
    {0, NULL},
};

static PyType_Spec cycle_spec = {
    .name = "cuvee._core.Cycle",
    .basicsize = sizeof(CycleObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE
        | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = cycle_slots,
};

int
cv_cycle_setup_type(PyObject *module)
{
    cv_state_t *state = PyModule_GetState(module);
    return cv_state_add_type(module, &state->cycle_type, &cycle_spec);
}
