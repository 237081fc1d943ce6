/* SPDX-License-Identifier: MIT */
#include "asgi/channel.h"

#include <stddef.h>
#include <structmember.h>

static PyObject *
channel_new(PyTypeObject *type, ExchangeObject *exchange, vectorcallfunc call)
{
    cv_free_list_t *memory = &exchange->service->state->free_channels;
    ChannelObject *self = (ChannelObject *)cv_free_list_new(memory, type);
    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = call;
    self->exchange = (ExchangeObject *)Py_NewRef(exchange);
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

PyObject *
cv_receive_new(ExchangeObject *exchange)
{
    return channel_new(exchange->service->state->receive_type, exchange, exchange->kind->receive);
}

PyObject *
cv_send_new(ExchangeObject *exchange)
{
    return channel_new(exchange->service->state->send_type, exchange, exchange->kind->send);
}

static int
channel_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(((ChannelObject *)op)->exchange);
    return 0;
}

static void
channel_dealloc(PyObject *op)
{
    ExchangeObject *exchange = ((ChannelObject *)op)->exchange;
    cv_free_list_t *memory = &exchange->service->state->free_channels;
    PyObject_GC_UnTrack(op);
    /* No tp_clear: every reference cycle through a channel also goes through its exchange, which has one. */
    Py_DECREF(exchange);
    cv_free_list_del(memory, op);
}

static PyMemberDef channel_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(ChannelObject, vectorcall), READONLY, NULL},
    {"__self__", T_OBJECT, offsetof(ChannelObject, exchange), READONLY, "The exchange that this belongs to."},
    {NULL, 0, 0, 0, NULL},
};

#define CHANNEL_SLOTS(doc)                      \
    {                                           \
        {Py_tp_doc, (void *)doc},               \
        {Py_tp_dealloc, channel_dealloc},       \
        {Py_tp_traverse, channel_traverse},     \
        {Py_tp_call, PyVectorcall_Call},        \
        {Py_tp_members, channel_members},       \
        {0, NULL},                              \
    }

static PyType_Slot receive_slots[] = CHANNEL_SLOTS(
    "receive()\n\nAn awaitable of the next event: http.request with the body that arrived, or http.disconnect\n"
    "(ASGI HTTP specification, \"Request\" and \"Disconnect\").");

static PyType_Slot send_slots[] = CHANNEL_SLOTS(
    "send(message)\n\nTakes http.response.start and http.response.body (ASGI HTTP specification). The message is\n"
    "taken at once; the awaitable waits while the client reads too slowly. Raises RuntimeError for a message out of\n"
    "order and TypeError for a field of the wrong type; does nothing once the client is gone.");

#define CHANNEL_FLAGS                                                                             \
    (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE \
     | Py_TPFLAGS_DISALLOW_INSTANTIATION)

static PyType_Spec receive_spec = {
    .name = "cuvee._core.Receive",
    .basicsize = sizeof(ChannelObject),
    .flags = CHANNEL_FLAGS,
    .slots = receive_slots,
};

static PyType_Spec send_spec = {
    .name = "cuvee._core.Send",
    .basicsize = sizeof(ChannelObject),
    .flags = CHANNEL_FLAGS,
    .slots = send_slots,
};

int
cv_channel_setup_types(PyObject *module)
{
    cv_state_t *state = PyModule_GetState(module);
    if (cv_state_add_type(module, &state->receive_type, &receive_spec) < 0) {
        return -1;
    }
    return cv_state_add_type(module, &state->send_type, &send_spec);
}
