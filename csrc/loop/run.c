/* SPDX-License-Identifier: MIT
 *
 * Running and stopping the loop, and what it says about itself.
 */
#include <Python.h>

#include <unistd.h>

#include "loop/arguments.h"
#include "loop/loop_core.h"
#include "py/errors.h"

/* ---- run ----------------------------------------------------------------------------------------------------- */

static int
check_can_run(LoopCoreObject *self)
{
    if (cv_loop_check_open(self) < 0) {
        return -1;
    }
    if (self->thread_id != 0) {
        PyErr_SetString(PyExc_RuntimeError, "This event loop is already running");
        return -1;
    }
    if (self->pid != getpid()) {
        PyErr_SetString(PyExc_RuntimeError,
                        "This event loop belongs to the parent process: make a new one after a fork");
        return -1;
    }
    return 0;
}

bool
cv_loop_runs_here(PyObject *loop)
{
    return ((LoopCoreObject *)loop)->thread_id == PyThread_get_thread_ident();
}

PyDoc_STRVAR(run_doc, "_run($self, /)\n--\n\nRun turns until stop(), or until SystemExit or KeyboardInterrupt.");

static PyObject *
loop__run(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    LoopCoreObject *self = (LoopCoreObject *)op;
    if (check_can_run(self) < 0) {
        return NULL;
    }
    self->loop_kwargs = PyDict_New();
    if (self->loop_kwargs == NULL || PyDict_SetItem(self->loop_kwargs, self->state->str_loop, op) < 0) {
        Py_CLEAR(self->loop_kwargs);
        return NULL;
    }
    self->thread_id = PyThread_get_thread_ident();
    self->stopped = false;
    self->last_yield = uv_now(&self->head.uv);
    (void)uv_run(&self->head.uv, UV_RUN_DEFAULT);
    self->thread_id = 0;
    self->stopping = false;
    Py_CLEAR(self->loop_kwargs);
    PyObject *fatal = self->fatal;
    self->fatal = NULL;
    if (fatal != NULL) {
        cv_error_give(fatal);
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(stop_doc, "stop($self, /)\n--\n\nLet run_forever() return at the end of this turn, or of its first.");

static PyObject *
loop_stop(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    ((LoopCoreObject *)op)->stopping = true;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(close_core_doc, "_close_core($self, /)\n--\n\n"
                             "Close every handle of the loop and drop every callback; the loop must not be running.");

static PyObject *
loop__close_core(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    LoopCoreObject *self = (LoopCoreObject *)op;
    if (self->thread_id != 0) {
        PyErr_SetString(PyExc_RuntimeError, "Cannot close a running event loop");
        return NULL;
    }
    self->is_closed = true;
    cv_loop_close(self);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(write_to_self_doc, "_write_to_self($self, /)\n--\n\nEnd the poll under way; from any thread.");

static PyObject *
loop__write_to_self(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    LoopCoreObject *self = (LoopCoreObject *)op;
    if (cv_loop_check_open(self) < 0) {
        return NULL;
    }
    uv_async_send(&self->wake.async);
    Py_RETURN_NONE;
}

/* ---- state --------------------------------------------------------------------------------------------------- */

PyDoc_STRVAR(is_running_doc, "is_running($self, /)\n--\n\nReturn whether the loop runs now.");

static PyObject *
loop_is_running(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(((LoopCoreObject *)op)->thread_id != 0);
}

PyDoc_STRVAR(is_closed_doc, "is_closed($self, /)\n--\n\nReturn whether the loop was closed.");

static PyObject *
loop_is_closed(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(((LoopCoreObject *)op)->is_closed);
}

PyDoc_STRVAR(get_debug_doc, "get_debug($self, /)\n--\n\nReturn whether debug mode is on.");

static PyObject *
loop_get_debug(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(((LoopCoreObject *)op)->debug);
}

PyDoc_STRVAR(set_debug_doc, "set_debug($self, enabled)\n--\n\nTurn debug mode on or off.");

static PyObject *
loop_set_debug(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    LoopCoreObject *self = (LoopCoreObject *)op;
    cv_arguments_t wanted = {.method = "set_debug", .count = 1, .names = {"enabled"}};
    PyObject *enabled;
    int sorted = cv_arguments_sort(&wanted, args, nargs, kwnames, &enabled);
    int truth = sorted == 0 ? PyObject_IsTrue(enabled) : -1;
    if (truth < 0) {
        return NULL;
    }
    self->debug = truth;
    if (self->thread_id == 0) {
        Py_RETURN_NONE;
    }
    /* Its setting belongs to the loop's thread, which need not be this one. */
    PyObject *track = PyObject_GetAttrString(op, "_set_coroutine_origin_tracking");
    if (track == NULL) {
        return NULL;
    }
    PyObject *handle = PyObject_CallMethod(op, "call_soon_threadsafe", "OO", track, enabled);
    Py_DECREF(track);
    if (handle == NULL) {
        return NULL;
    }
    Py_DECREF(handle);
    Py_RETURN_NONE;
}

PyMethodDef cv_loop_run_methods[] = {
    {"stop", loop_stop, METH_NOARGS, stop_doc},
    {"is_running", loop_is_running, METH_NOARGS, is_running_doc},
    {"is_closed", loop_is_closed, METH_NOARGS, is_closed_doc},
    {"get_debug", loop_get_debug, METH_NOARGS, get_debug_doc},
    {"set_debug", _PyCFunction_CAST(loop_set_debug), METH_FASTCALL | METH_KEYWORDS, set_debug_doc},
    {"_run", loop__run, METH_NOARGS, run_doc},
    {"_close_core", loop__close_core, METH_NOARGS, close_core_doc},
    {"_write_to_self", loop__write_to_self, METH_NOARGS, write_to_self_doc},
    {NULL, NULL, 0, NULL},
};
