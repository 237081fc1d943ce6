/* SPDX-License-Identifier: MIT */
#include "asgi/cycle.h"

#include "asgi/access.h"
#include "asgi/disconnect.h"

CycleObject *
cv_cycle_new(cv_service_t *service, cv_conn_t *conn)
{
    CycleObject *self = (CycleObject *)cv_free_list_new(&service->state->free_cycles, service->state->cycle_type);
    if (self == NULL) {
        return NULL;
    }
    /* Everything behind the object's head starts as zero; what is not zero follows. */
    memset((char *)self + sizeof(PyObject), 0, sizeof *self - sizeof(PyObject));
    cv_exchange_queue(&self->exchange, &cv_cycle_kind, service, conn);
    service->under_way++;
    return self;
}

void
cv_cycle_detach(CycleObject *cycle)
{
    PyObject *access_call = cycle->conn == NULL || cycle->notes == NULL ? NULL : cv_access_end(cycle);
    cv_buffer_deinit(&cycle->more);
    Py_CLEAR(cycle->body);
    cv_exchange_detach(&cycle->exchange);
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
cycle_clear(PyObject *op)
{
    CycleObject *self = (CycleObject *)op;
    cv_disconnect_end(self);
    cv_exchange_clear(&self->exchange);
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

static PyType_Slot cycle_slots[] = {
    {Py_tp_doc, (void *)"One request and its answer, as the application sees them; receive and send belong to it."},
    {Py_tp_dealloc, cycle_dealloc},
    {Py_tp_traverse, cv_exchange_traverse},
    {Py_tp_clear, cycle_clear},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_getset, cv_exchange_getset},
    {Py_tp_members, cv_exchange_members},
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
