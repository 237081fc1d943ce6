/* SPDX-License-Identifier: MIT */
#include <Python.h>

#include <stddef.h>
#include <structmember.h>

#include "loop/handle.h"
#include "loop/loop_core.h"

PyDoc_STRVAR(cancel_doc, "cancel($self, /)\n--\n\nSee that the callback does not run any more.");

static PyObject *
timer_handle_cancel(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    TimerHandleObject *self = (TimerHandleObject *)op;
    if (!self->handle.cancelled) {
        cv_handle_cancel(&self->handle);
        if (self->scheduled) {
            cv_timer_heap_note_cancelled(&self->handle.loop->timers);
        }
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(when_doc, "when($self, /)\n--\n\nReturn the time it is due at, on the clock of loop.time().");

static PyObject *
timer_handle_when(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return PyFloat_FromDouble(((TimerHandleObject *)op)->when);
}

/* Order by time, as asyncio's: programs sort them and keep them in heaps. Equality stays identity. */
static PyObject *
timer_handle_richcompare(PyObject *a, PyObject *b, int op)
{
    if (op == Py_EQ || op == Py_NE || Py_TYPE(a) != Py_TYPE(b)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    double left = ((TimerHandleObject *)a)->when;
    double right = ((TimerHandleObject *)b)->when;
    Py_RETURN_RICHCOMPARE(left, right, op);
}

/* A type that compares inherits no hash. */
static Py_hash_t
timer_handle_hash(PyObject *op)
{
    return PyBaseObject_Type.tp_hash(op);
}

static PyMethodDef timer_handle_methods[] = {
    {"cancel", timer_handle_cancel, METH_NOARGS, cancel_doc},
    {"when", timer_handle_when, METH_NOARGS, when_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef timer_handle_members[] = {
    {"_when", T_DOUBLE, offsetof(TimerHandleObject, when), READONLY, NULL},
    {"_scheduled", T_BOOL, offsetof(TimerHandleObject, scheduled), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot timer_handle_slots[] = {
    {Py_tp_doc, "A callback that was given to a loop's call_later() or call_at()."},
    {Py_tp_traverse, cv_handle_traverse},
    {Py_tp_clear, cv_handle_clear},
    {Py_tp_richcompare, timer_handle_richcompare},
    {Py_tp_hash, timer_handle_hash},
    {Py_tp_methods, timer_handle_methods},
    {Py_tp_members, timer_handle_members},
    {0, NULL},
};

static PyType_Spec timer_handle_spec = {
    .name = "cuvee._core.TimerHandle",
    .basicsize = sizeof(TimerHandleObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
        | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = timer_handle_slots,
};

PyTypeObject *
cv_timer_handle_make_type(PyObject *module, PyTypeObject *base)
{
    return (PyTypeObject *)PyType_FromModuleAndSpec(module, &timer_handle_spec, (PyObject *)base);
}
