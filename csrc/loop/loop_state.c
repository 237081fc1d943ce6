/* SPDX-License-Identifier: MIT */
#include "loop/loop_state.h"

#define ATTRIBUTE "_loop_state"

static int
state_traverse(PyObject *op, visitproc visit, void *arg)
{
    LoopStateObject *self = (LoopStateObject *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->loop_type);
    Py_VISIT(self->handle_type);
    Py_VISIT(self->timer_handle_type);
    Py_VISIT(self->loop_kwnames);
    return 0;
}

static int
state_clear(PyObject *op)
{
    LoopStateObject *self = (LoopStateObject *)op;
    Py_CLEAR(self->loop_type);
    Py_CLEAR(self->handle_type);
    Py_CLEAR(self->timer_handle_type);
    Py_CLEAR(self->str_callback);
    Py_CLEAR(self->str_context);
    Py_CLEAR(self->str_delay);
    Py_CLEAR(self->str_when);
    Py_CLEAR(self->str_loop);
    Py_CLEAR(self->str_name);
    Py_CLEAR(self->loop_kwnames);
    Py_CLEAR(self->context_kwnames);
    return 0;
}

static void
state_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    (void)state_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyType_Slot state_slots[] = {
    {Py_tp_doc, "What all loops of this module share."},
    {Py_tp_traverse, state_traverse},
    {Py_tp_clear, state_clear},
    {Py_tp_dealloc, state_dealloc},
    {0, NULL},
};

static PyType_Spec state_spec = {
    .name = "cuvee._core._LoopState",
    .basicsize = sizeof(LoopStateObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = state_slots,
};

static int
fill_names(LoopStateObject *self)
{
    const struct {
        PyObject **slot;
        const char *text;
    } names[] = {
        {&self->str_callback, "callback"},
        {&self->str_context, "context"},
        {&self->str_delay, "delay"},
        {&self->str_when, "when"},
        {&self->str_loop, "loop"},
        {&self->str_name, "name"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        *names[i].slot = PyUnicode_InternFromString(names[i].text);
        if (*names[i].slot == NULL) {
            return -1;
        }
    }
    self->loop_kwnames = PyTuple_Pack(1, self->str_loop);
    return self->loop_kwnames != NULL ? 0 : -1;
}

LoopStateObject *
cv_loop_state_add(PyObject *module)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &state_spec, NULL);
    if (type == NULL) {
        return NULL;
    }
    LoopStateObject *self = (LoopStateObject *)type->tp_alloc(type, 0);
    Py_DECREF(type);
    if (self == NULL) {
        return NULL;
    }
    int failed = fill_names(self) < 0 || PyModule_AddObjectRef(module, ATTRIBUTE, (PyObject *)self) < 0;
    Py_DECREF(self); /* the module's reference remains */
    return failed ? NULL : self;
}

LoopStateObject *
cv_loop_state_get(PyObject *module)
{
    PyObject *state = PyObject_GetAttrString(module, ATTRIBUTE);
    if (state != NULL && Py_TYPE(state)->tp_dealloc != state_dealloc) {
        Py_DECREF(state);
        PyErr_SetString(PyExc_SystemError, "cuvee._core." ATTRIBUTE " was replaced");
        return NULL;
    }
    return (LoopStateObject *)state;
}
