/* SPDX-License-Identifier: MIT
 *
 * call_soon and its like: how callbacks enter the loop.
 */
#include <Python.h>

#include <time.h>

#include "loop/loop_core.h"

/* The clock of time.monotonic() and its arithmetic, so that both give the same numbers. */
double
cv_loop_time(void)
{
#if defined(__linux__)
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)((int64_t)now.tv_sec * 1000000000 + now.tv_nsec) / 1e9;
#elif PY_VERSION_HEX >= 0x030D0000
    PyTime_t now;
    (void)PyTime_MonotonicRaw(&now);
    return PyTime_AsSecondsDouble(now);
#else
    return (double)_PyTime_GetMonotonicClock() / 1e9;
#endif
}

/* ---- arguments ----------------------------------------------------------------------------------------------- */

/* The signature of one method: `first` or NULL, then `callback`, then *args, context=None. */
typedef struct {
    const char *name;
    PyObject *first_name; /* interned; NULL: callback is the first */
} signature_t;

static int
keyword_index(const signature_t *signature, LoopStateObject *state, PyObject *key)
{
    PyObject *names[] = {state->str_context, state->str_callback, signature->first_name};
    for (int i = 0; i < 3; i++) {
        if (names[i] != NULL && (names[i] == key || PyUnicode_Compare(names[i], key) == 0)) {
            return i;
        }
    }
    PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", signature->name, key);
    return -1;
}

/* True for ("context",), which asyncio's Task and Future say always, with a tuple and a string of their own. */
static bool
is_context(LoopStateObject *state, PyObject *kwnames)
{
    if (kwnames == state->context_kwnames) {
        return true;
    }
    if (PyTuple_GET_SIZE(kwnames) != 1
        || PyUnicode_Compare(PyTuple_GET_ITEM(kwnames, 0), state->str_context) != 0) {
        return false;
    }
    Py_XSETREF(state->context_kwnames, Py_NewRef(kwnames));
    return true;
}

/* Sorts the arguments into `out_first` (NULL when there is none in the signature) and `out_call`, all borrowed. */
static int
parse(const signature_t *signature, LoopStateObject *state, PyObject *const *args, Py_ssize_t nargs,
      PyObject *kwnames, PyObject **out_first, cv_call_t *out_call)
{
    Py_ssize_t required = out_first != NULL ? 2 : 1;
    if (nargs >= required && (kwnames == NULL || is_context(state, kwnames))) {
        PyObject *context = kwnames == NULL || args[nargs] == Py_None ? NULL : args[nargs];
        *out_call = (cv_call_t){args[required - 1], args + required, nargs - required, context};
        if (out_first != NULL) {
            *out_first = args[0];
        }
        return 0;
    }
    PyObject *given[3] = {NULL, NULL, NULL}; /* context, callback, first */
    Py_ssize_t used = 0;
    if (out_first != NULL && used < nargs) {
        given[2] = args[used++];
    }
    if (used < nargs) {
        given[1] = args[used++];
    }
    Py_ssize_t nkeywords = kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t i = 0; i < nkeywords; i++) {
        int index = keyword_index(signature, state, PyTuple_GET_ITEM(kwnames, i));
        if (index < 0) {
            return -1;
        }
        if (given[index] != NULL) {
            PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'", signature->name,
                         PyTuple_GET_ITEM(kwnames, i));
            return -1;
        }
        given[index] = args[nargs + i];
    }
    if (given[1] == NULL || (out_first != NULL && given[2] == NULL)) {
        PyErr_Format(PyExc_TypeError, "%s() misses a required argument", signature->name);
        return -1;
    }
    if (out_first != NULL) {
        *out_first = given[2];
    }
    PyObject *context = given[0] == Py_None ? NULL : given[0];
    *out_call = (cv_call_t){.callback = given[1], .args = args + used, .nargs = nargs - used, .context = context};
    return 0;
}

/* ---- soon ---------------------------------------------------------------------------------------------------- */

/* A new handle at the end of the ready ring (new reference). */
static PyObject *
schedule(LoopCoreObject *self, const cv_call_t *call)
{
    if (cv_loop_check_open(self) < 0
        || (self->debug && cv_loop_check_call(self, call->callback, "call_soon", false) < 0)) {
        return NULL;
    }
    HandleObject *handle = cv_handle_new(self, call);
    if (handle == NULL) {
        return NULL;
    }
    /* What call_soon_threadsafe was given before keeps its place before this one. */
    if ((cv_wake_has_work(&self->wake) && cv_wake_drain(&self->wake, &self->ready) < 0)
        || cv_ready_push_steal(&self->ready, (HandleObject *)Py_NewRef(handle)) < 0) {
        Py_DECREF(handle);
        return NULL;
    }
    return (PyObject *)handle;
}

int
cv_loop_call_soon(PyObject *loop, PyObject *callback, PyObject *arg, PyObject *context)
{
    cv_call_t call = {.callback = callback, .args = &arg, .nargs = arg != NULL ? 1 : 0, .context = context};
    PyObject *handle = schedule((LoopCoreObject *)loop, &call);
    if (handle == NULL) {
        return -1;
    }
    Py_DECREF(handle);
    return 0;
}

PyDoc_STRVAR(call_soon_doc, "call_soon($self, callback, *args, context=None)\n--\n\n"
                            "Call callback(*args) in the next turn; return its Handle.");

static PyObject *
loop_call_soon(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    LoopCoreObject *self = (LoopCoreObject *)op;
    signature_t signature = {.name = "call_soon"};
    cv_call_t call;
    if (parse(&signature, self->state, args, nargs, kwnames, NULL, &call) < 0) {
        return NULL;
    }
    return schedule(self, &call);
}

PyDoc_STRVAR(call_soon_threadsafe_doc, "call_soon_threadsafe($self, callback, *args, context=None)\n--\n\n"
                                       "As call_soon(), from any thread; the loop wakes for it.");

static PyObject *
loop_call_soon_threadsafe(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    LoopCoreObject *self = (LoopCoreObject *)op;
    signature_t signature = {.name = "call_soon_threadsafe"};
    cv_call_t call;
    if (parse(&signature, self->state, args, nargs, kwnames, NULL, &call) < 0 || cv_loop_check_open(self) < 0
        || (self->debug && cv_loop_check_call(self, call.callback, signature.name, true) < 0)) {
        return NULL;
    }
    HandleObject *handle = cv_handle_new(self, &call);
    if (handle != NULL) {
        handle->threadsafe = true;
    }
    /* On the loop's own thread no poll is under way: the next one looks at the queue before it blocks. */
    bool send = !cv_loop_runs_here(op);
    if (handle == NULL || cv_wake_push_steal(&self->wake, (HandleObject *)Py_NewRef(handle), send) < 0) {
        Py_XDECREF(handle);
        return NULL;
    }
    return (PyObject *)handle;
}

PyDoc_STRVAR(add_callback_doc, "_add_callback($self, handle, /)\n--\n\nMake a handle of this loop ready.");

static PyObject *
loop__add_callback(PyObject *op, PyObject *arg)
{
    LoopCoreObject *self = (LoopCoreObject *)op;
    if (Py_TYPE(arg) != self->state->handle_type) {
        PyErr_SetString(PyExc_TypeError, "_add_callback() takes a Handle");
        return NULL;
    }
    HandleObject *handle = (HandleObject *)arg;
    if (!handle->cancelled && cv_ready_push_steal(&self->ready, (HandleObject *)Py_NewRef(handle)) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(make_handle_doc, "_make_handle($self, callback, /, *args)\n--\n\nReturn a Handle that is not ready.");

static PyObject *
loop__make_handle(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs < 1) {
        PyErr_SetString(PyExc_TypeError, "_make_handle() takes a callback");
        return NULL;
    }
    cv_call_t call = {.callback = args[0], .args = args + 1, .nargs = nargs - 1};
    return (PyObject *)cv_handle_new((LoopCoreObject *)op, &call);
}

/* ---- later --------------------------------------------------------------------------------------------------- */

static PyObject *
schedule_at(LoopCoreObject *self, double when, const cv_call_t *call, const char *method)
{
    if (cv_loop_check_open(self) < 0 || (self->debug && cv_loop_check_call(self, call->callback, method, false) < 0)) {
        return NULL;
    }
    TimerHandleObject *timer = cv_timer_handle_new(self, when, call);
    if (timer == NULL || cv_timer_heap_push(&self->timers, timer) < 0) {
        Py_XDECREF(timer);
        return NULL;
    }
    return (PyObject *)timer;
}

PyDoc_STRVAR(call_later_doc, "call_later($self, delay, callback, *args, context=None)\n--\n\n"
                             "Call callback(*args) after delay seconds, never earlier; return its TimerHandle.");

static PyObject *
loop_call_later(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    LoopCoreObject *self = (LoopCoreObject *)op;
    signature_t signature = {.name = "call_later", .first_name = self->state->str_delay};
    PyObject *delay;
    cv_call_t call;
    if (parse(&signature, self->state, args, nargs, kwnames, &delay, &call) < 0) {
        return NULL;
    }
    if (delay == Py_None) {
        PyErr_SetString(PyExc_TypeError, "delay must not be None");
        return NULL;
    }
    double seconds = PyFloat_AsDouble(delay);
    if (seconds == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    return schedule_at(self, cv_loop_time() + seconds, &call, signature.name);
}

PyDoc_STRVAR(call_at_doc, "call_at($self, when, callback, *args, context=None)\n--\n\n"
                          "Call callback(*args) when loop.time() has reached when; return its TimerHandle.");

static PyObject *
loop_call_at(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    LoopCoreObject *self = (LoopCoreObject *)op;
    signature_t signature = {.name = "call_at", .first_name = self->state->str_when};
    PyObject *when;
    cv_call_t call;
    if (parse(&signature, self->state, args, nargs, kwnames, &when, &call) < 0) {
        return NULL;
    }
    if (when == Py_None) {
        PyErr_SetString(PyExc_TypeError, "when cannot be None");
        return NULL;
    }
    double seconds = PyFloat_AsDouble(when);
    if (seconds == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    return schedule_at(self, seconds, &call, signature.name);
}

PyDoc_STRVAR(time_doc, "time($self, /)\n--\n\nReturn the loop's clock, which is time.monotonic(), in seconds.");

static PyObject *
loop_time(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(ignored))
{
    return PyFloat_FromDouble(cv_loop_time());
}

PyMethodDef cv_loop_schedule_methods[] = {
    {"call_soon", _PyCFunction_CAST(loop_call_soon), METH_FASTCALL | METH_KEYWORDS, call_soon_doc},
    {"call_soon_threadsafe", _PyCFunction_CAST(loop_call_soon_threadsafe), METH_FASTCALL | METH_KEYWORDS,
     call_soon_threadsafe_doc},
    {"call_later", _PyCFunction_CAST(loop_call_later), METH_FASTCALL | METH_KEYWORDS, call_later_doc},
    {"call_at", _PyCFunction_CAST(loop_call_at), METH_FASTCALL | METH_KEYWORDS, call_at_doc},
    {"time", loop_time, METH_NOARGS, time_doc},
    {"_add_callback", loop__add_callback, METH_O, add_callback_doc},
    {"_make_handle", _PyCFunction_CAST(loop__make_handle), METH_FASTCALL, make_handle_doc},
    {NULL, NULL, 0, NULL},
};
