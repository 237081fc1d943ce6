/* SPDX-License-Identifier: MIT */
#include "asgi/finished.h"

#include <stdbool.h>

#include "py/errors.h"

typedef struct {
    PyObject_HEAD
    bool paused; /* Pause: the turn was given already */
} PauseObject;

PyObject *
cv_step_result(PySendResult status, PyObject *result)
{
    if (status == PYGEN_NEXT || status == PYGEN_ERROR) {
        return result;
    }
    if (result == Py_None) {
        PyErr_SetNone(PyExc_StopIteration);
    } else {
        PyErr_SetObject(PyExc_StopIteration, result);
    }
    Py_DECREF(result);
    return NULL;
}

static PySendResult
finished_step(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(arg), PyObject **result)
{
    *result = Py_NewRef(Py_None);
    return PYGEN_RETURN;
}

/* NULL without an exception ends the iteration with None: no StopIteration is ever made. */
static PyObject *
finished_next(PyObject *Py_UNUSED(self))
{
    return NULL;
}

static PyObject *
finished_send(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(arg))
{
    PyErr_SetNone(PyExc_StopIteration);
    return NULL;
}

static PySendResult
pause_step(PyObject *op, PyObject *Py_UNUSED(arg), PyObject **result)
{
    PauseObject *self = (PauseObject *)op;
    *result = Py_NewRef(Py_None);
    if (self->paused) {
        return PYGEN_RETURN;
    }
    self->paused = true;
    return PYGEN_NEXT;
}

static PyObject *
pause_next(PyObject *op)
{
    PauseObject *self = (PauseObject *)op;
    if (self->paused) {
        return NULL;
    }
    self->paused = true;
    Py_RETURN_NONE;
}

static PyObject *
pause_send(PyObject *op, PyObject *arg)
{
    PyObject *result;
    PySendResult status = pause_step(op, arg, &result);
    return cv_step_result(status, result);
}

static PyObject *
finished_throw(PyObject *Py_UNUSED(self), PyObject *const *args, Py_ssize_t nargs)
{
    return cv_error_throw(args, nargs);
}

static PyObject *
finished_close(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(arg))
{
    Py_RETURN_NONE;
}

static void
finished_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(send_doc, "send($self, value, /)\n--\n\nResume the awaitable; raises StopIteration when it is done.");
PyDoc_STRVAR(throw_doc, "throw($self, kind, value=None, traceback=None, /)\n--\n\nRaise an exception inside.");
PyDoc_STRVAR(close_doc, "close($self, /)\n--\n\nDo nothing: there is nothing to undo.");

static PyMethodDef finished_methods[] = {
    {"send", finished_send, METH_O, send_doc},
    {"throw", (PyCFunction)(void (*)(void))finished_throw, METH_FASTCALL, throw_doc},
    {"close", finished_close, METH_NOARGS, close_doc},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef pause_methods[] = {
    {"send", pause_send, METH_O, send_doc},
    {"throw", (PyCFunction)(void (*)(void))finished_throw, METH_FASTCALL, throw_doc},
    {"close", finished_close, METH_NOARGS, close_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot finished_slots[] = {
    {Py_tp_doc, (void *)"An awaitable that is done: what send() returns when the message was taken at once."},
    {Py_tp_dealloc, finished_dealloc},
    {Py_am_await, PyObject_SelfIter},
    {Py_am_send, finished_step},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, finished_next},
    {Py_tp_methods, finished_methods},
    {0, NULL},
};

static PyType_Slot pause_slots[] = {
    {Py_tp_doc, (void *)"An awaitable that gives the loop one turn: what send() returns to a task that took too long."},
    {Py_tp_dealloc, finished_dealloc},
    {Py_am_await, PyObject_SelfIter},
    {Py_am_send, pause_step},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, pause_next},
    {Py_tp_methods, pause_methods},
    {0, NULL},
};

static PyType_Spec finished_spec = {
    .name = "cuvee._core.Finished",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = finished_slots,
};

static PyType_Spec pause_spec = {
    .name = "cuvee._core.Pause",
    .basicsize = sizeof(PauseObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = pause_slots,
};

PyObject *
cv_pause_new(cv_state_t *state)
{
    PauseObject *pause = PyObject_New(PauseObject, state->pause_type);
    if (pause != NULL) {
        pause->paused = false;
    }
    return (PyObject *)pause;
}

int
cv_finished_setup_types(PyObject *module)
{
    cv_state_t *state = PyModule_GetState(module);
    if (cv_state_add_type(module, &state->finished_type, &finished_spec) < 0
        || cv_state_add_type(module, &state->pause_type, &pause_spec) < 0) {
        return -1;
    }
    state->finished = (PyObject *)PyObject_New(PyObject, state->finished_type);
    return state->finished == NULL ? -1 : 0;
}
