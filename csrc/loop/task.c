/* SPDX-License-Identifier: MIT
 *
 * create_future and create_task without a Python frame.
 */
#include <Python.h>

#include "loop/loop_core.h"

#define MAX_KEYWORDS 8

/* type([coro, ]loop=self). A type gets its keywords as a dict whatever the way it is called: while the loop runs, that
 * is always the same one. */
static PyObject *
construct(LoopCoreObject *self, PyObject *type, PyObject *coro)
{
    if (self->loop_kwargs == NULL) {
        PyObject *stack[] = {coro, (PyObject *)self};
        return coro != NULL ? PyObject_Vectorcall(type, stack, 1, self->state->loop_kwnames)
                            : PyObject_Vectorcall(type, stack + 1, 0, self->state->loop_kwnames);
    }
    PyObject *args = PyTuple_New(coro != NULL);
    if (args == NULL) {
        return NULL;
    }
    if (coro != NULL) {
        PyTuple_SET_ITEM(args, 0, Py_NewRef(coro));
    }
    PyObject *made = PyObject_Call(type, args, self->loop_kwargs);
    Py_DECREF(args);
    return made;
}

PyDoc_STRVAR(create_future_doc, "create_future($self, /)\n--\n\nReturn a new asyncio.Future of this loop.");

static PyObject *
loop_create_future(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    LoopCoreObject *self = (LoopCoreObject *)op;
    return construct(self, self->future_type, NULL);
}

/* ("loop", *kwnames), new reference. */
static PyObject *
prepend_loop(LoopCoreObject *self, PyObject *kwnames)
{
    Py_ssize_t count = PyTuple_GET_SIZE(kwnames);
    PyObject *names = PyTuple_New(count + 1);
    if (names == NULL) {
        return NULL;
    }
    PyTuple_SET_ITEM(names, 0, Py_NewRef(self->state->str_loop));
    for (Py_ssize_t i = 0; i < count; i++) {
        PyTuple_SET_ITEM(names, i + 1, Py_NewRef(PyTuple_GET_ITEM(kwnames, i)));
    }
    return names;
}

/* name=None, which asyncio.create_task always says, is what a task has without it. */
static bool
is_name_none(LoopCoreObject *self, PyObject *const *args, PyObject *kwnames)
{
    return PyTuple_GET_SIZE(kwnames) == 1 && PyTuple_GET_ITEM(kwnames, 0) == self->state->str_name
        && args[1] == Py_None;
}

/* asyncio.Task(coro, loop=self, **kwargs) */
static PyObject *
make_task(LoopCoreObject *self, PyObject *const *args, PyObject *kwnames)
{
    if (kwnames == NULL || is_name_none(self, args, kwnames)) {
        return construct(self, self->task_type, args[0]);
    }
    PyObject *stack[2 + MAX_KEYWORDS] = {args[0], (PyObject *)self};
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(kwnames); i++) {
        stack[2 + i] = args[1 + i];
    }
    PyObject *names = prepend_loop(self, kwnames);
    if (names == NULL) {
        return NULL;
    }
    PyObject *task = PyObject_Vectorcall(self->task_type, stack, 1, names);
    Py_DECREF(names);
    return task;
}

/* BaseEventLoop.create_task(self, ...): task factories and debug mode differ by version of asyncio. */
static PyObject *
make_task_as_asyncio(LoopCoreObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *method = PyMethod_New(self->base_create_task, (PyObject *)self);
    PyObject *task = method != NULL ? PyObject_Vectorcall(method, args, (size_t)nargs, kwnames) : NULL;
    Py_XDECREF(method);
    return task;
}

PyDoc_STRVAR(create_task_doc, "create_task($self, coro, **kwargs)\n--\n\n"
                              "Return a Task that runs coro; the keywords are those of asyncio.Task.");

static PyObject *
loop_create_task(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    LoopCoreObject *self = (LoopCoreObject *)op;
    if (cv_loop_check_open(self) < 0) {
        return NULL;
    }
    bool plain = !self->debug && (self->task_factory == NULL || self->task_factory == Py_None) && nargs == 1
        && (kwnames == NULL || PyTuple_GET_SIZE(kwnames) <= MAX_KEYWORDS);
    return plain ? make_task(self, args, kwnames) : make_task_as_asyncio(self, args, nargs, kwnames);
}

PyMethodDef cv_loop_task_methods[] = {
    {"create_future", loop_create_future, METH_NOARGS, create_future_doc},
    {"create_task", _PyCFunction_CAST(loop_create_task), METH_FASTCALL | METH_KEYWORDS, create_task_doc},
    {NULL, NULL, 0, NULL},
};
