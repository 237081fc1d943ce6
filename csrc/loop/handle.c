/* SPDX-License-Identifier: MIT */
#include "loop/handle.h"

#include <stddef.h>
#include <string.h>
#include <structmember.h>

#include "loop/handle_wait.h"
#include "loop/loop_core.h"
#include "py/errors.h"

/* ---- life ---------------------------------------------------------------------------------------------------- */

/* Fresh memory, or memory that a dead handle of this loop left: handles come and go with every callback. */
static HandleObject *
allocate(LoopCoreObject *loop)
{
    if (loop->nfree > 0) {
        HandleObject *handle = loop->free_handles[--loop->nfree];
        _Py_NewReference((PyObject *)handle);
        return handle;
    }
    PyTypeObject *type = loop->state->handle_type;
    HandleObject *handle = PyObject_GC_New(HandleObject, type);
    if (handle != NULL) {
        memset((char *)handle + sizeof(PyObject), 0, sizeof(HandleObject) - sizeof(PyObject));
    }
    return handle;
}

/* Fills a zeroed handle. -1: MemoryError, and the handle may be dropped as it is. */
static int
fill(HandleObject *handle, LoopCoreObject *loop, const cv_call_t *call)
{
    handle->loop = (LoopCoreObject *)Py_NewRef(loop);
    handle->callback = Py_NewRef(call->callback);
    handle->context = call->context != NULL ? Py_NewRef(call->context) : PyContext_CopyCurrent();
    if (handle->context == NULL) {
        return -1;
    }
    if (call->nargs > CV_HANDLE_INLINE_ARGS) {
        PyObject *tuple = PyTuple_New(call->nargs);
        if (tuple == NULL) {
            return -1;
        }
        for (Py_ssize_t i = 0; i < call->nargs; i++) {
            PyTuple_SET_ITEM(tuple, i, Py_NewRef(call->args[i]));
        }
        handle->args[0] = tuple;
        handle->nargs = CV_HANDLE_TUPLE_ARGS;
        return 0;
    }
    for (Py_ssize_t i = 0; i < call->nargs; i++) {
        handle->args[i] = Py_NewRef(call->args[i]);
    }
    handle->nargs = (uint8_t)call->nargs;
    return 0;
}

HandleObject *
cv_handle_new(LoopCoreObject *loop, const cv_call_t *call)
{
    HandleObject *handle = allocate(loop);
    if (handle == NULL) {
        return NULL;
    }
    int failed = fill(handle, loop, call);
    PyObject_GC_Track(handle);
    if (failed < 0) {
        Py_DECREF(handle);
        return NULL;
    }
    if (loop->debug) {
        cv_handle_record_source(handle);
    }
    return handle;
}

/* TimerHandles are not kept for reuse: they live too long to come back while still in the cache. */
TimerHandleObject *
cv_timer_handle_new(LoopCoreObject *loop, double when, const cv_call_t *call)
{
    PyTypeObject *type = loop->state->timer_handle_type;
    TimerHandleObject *timer = (TimerHandleObject *)type->tp_alloc(type, 0);
    if (timer == NULL) {
        return NULL;
    }
    if (fill(&timer->handle, loop, call) < 0) {
        Py_DECREF(timer);
        return NULL;
    }
    timer->when = when;
    if (loop->debug) {
        cv_handle_record_source(&timer->handle);
    }
    return timer;
}

static void
drop_call(HandleObject *self)
{
    Py_CLEAR(self->callback);
    self->nargs = 0;
    for (int i = 0; i < CV_HANDLE_INLINE_ARGS; i++) {
        Py_CLEAR(self->args[i]);
    }
}

int
cv_handle_traverse(PyObject *op, visitproc visit, void *arg)
{
    HandleObject *self = (HandleObject *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->loop);
    Py_VISIT(self->callback);
    Py_VISIT(self->context);
    for (int i = 0; i < CV_HANDLE_INLINE_ARGS; i++) {
        Py_VISIT(self->args[i]);
    }
    Py_VISIT(self->source_traceback);
    return 0;
}

/* The loop stays until dealloc: a cleared handle may still be asked things that need it. */
int
cv_handle_clear(PyObject *op)
{
    HandleObject *self = (HandleObject *)op;
    drop_call(self);
    Py_CLEAR(self->context);
    Py_CLEAR(self->source_traceback);
    Py_CLEAR(self->kept_repr);
    return 0;
}

static void
handle_dealloc(PyObject *op)
{
    HandleObject *self = (HandleObject *)op;
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    (void)cv_handle_clear(op);
    self->cancelled = false;
    self->threadsafe = false;
    LoopCoreObject *loop = self->loop;
    self->loop = NULL;
    if (loop != NULL && type == loop->state->handle_type && loop->nfree < CV_HANDLE_FREELIST) {
        loop->free_handles[loop->nfree++] = self;
        Py_DECREF(loop);
        return;
    }
    type->tp_free(op);
    Py_DECREF(type);
    Py_XDECREF(loop);
}

/* ---- run and cancel ------------------------------------------------------------------------------------------ */

void
cv_handle_cancel(HandleObject *self)
{
    if (self->cancelled) {
        return;
    }
    if (self->loop->debug && self->kept_repr == NULL) {
        self->cancelled = true; /* the kept text says so too */
        self->kept_repr = PyObject_Repr((PyObject *)self);
        if (self->kept_repr == NULL) {
            PyErr_WriteUnraisable((PyObject *)self);
        }
    }
    self->cancelled = true;
    if (!self->running) {
        drop_call(self);
    }
}

static PyObject *
call(HandleObject *self)
{
    if (self->nargs == CV_HANDLE_TUPLE_ARGS) {
        return PyObject_Call(self->callback, self->args[0], NULL);
    }
    return PyObject_Vectorcall(self->callback, self->args, self->nargs | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
}

/* Hands what the callback raised to the loop's exception handler. */
static int
report_failure(HandleObject *self)
{
    PyObject *exception = cv_error_take();
    PyObject *args[] = {(PyObject *)self, exception};
    PyObject *done = cv_loop_call_private(self->loop, "report_callback_failure", args, 2);
    Py_DECREF(exception);
    if (done == NULL) {
        if (cv_loop_exception_is_fatal()) {
            return -1;
        }
        PyErr_WriteUnraisable((PyObject *)self);
        return 0;
    }
    Py_DECREF(done);
    return 0;
}

static void
end_run(HandleObject *self)
{
    if (self->cancelled) {
        drop_call(self);
    }
    if (!cv_list_is_empty(&self->loop->handle_waiters)) {
        cv_handle_wake_waiters(self);
    }
}

int
cv_handle_run(HandleObject *self)
{
    if (self->cancelled) {
        return 0;
    }
    PyObject *result = NULL;
    bool outermost = !self->running;
    self->running = true;
    if (PyContext_Enter(self->context) == 0) {
        result = call(self);
        if (PyContext_Exit(self->context) < 0) {
            Py_CLEAR(result);
        }
    }
    int status = 0;
    if (result != NULL) {
        Py_DECREF(result);
    } else if (cv_loop_exception_is_fatal()) {
        status = -1;
    } else {
        status = report_failure(self);
    }
    self->running = !outermost;
    if (outermost) {
        end_run(self);
    }
    return status;
}

/* ---- the Python face ----------------------------------------------------------------------------------------- */

void
cv_handle_record_source(HandleObject *self)
{
    PyFrameObject *frame = PyEval_GetFrame();
    if (frame == NULL) {
        return;
    }
    PyObject *args[] = {(PyObject *)frame};
    self->source_traceback = cv_loop_call_private(self->loop, "extract_stack", args, 1);
    if (self->source_traceback == NULL) {
        PyErr_WriteUnraisable((PyObject *)self); /* a debugging aid must not fail the call */
    }
}

static PyObject *
handle_repr(PyObject *op)
{
    HandleObject *self = (HandleObject *)op;
    if (self->kept_repr != NULL) {
        return Py_NewRef(self->kept_repr);
    }
    if (self->loop == NULL) {
        return PyUnicode_FromString("<Handle>");
    }
    return cv_loop_call_private(self->loop, "handle_repr", &op, 1);
}

PyDoc_STRVAR(cancel_doc, "cancel($self, /)\n--\n\n"
                         "See that the callback does not run any more.\n\n"
                         "From Python 3.14 on, another thread than the loop's waits for the end of a callback of\n"
                         "call_soon_threadsafe() that runs at this moment.");

static PyObject *
handle_cancel(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    if (cv_handle_wait((HandleObject *)op) < 0) {
        return NULL;
    }
    cv_handle_cancel((HandleObject *)op);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(cancelled_doc, "cancelled($self, /)\n--\n\nReturn whether the callback was cancelled.");

static PyObject *
handle_cancelled(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    if (cv_handle_wait((HandleObject *)op) < 0) {
        return NULL;
    }
    return PyBool_FromLong(((HandleObject *)op)->cancelled);
}

PyDoc_STRVAR(get_context_doc, "get_context($self, /)\n--\n\nReturn the context that the callback runs in.");

static PyObject *
handle_get_context(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    PyObject *context = ((HandleObject *)op)->context;
    return Py_NewRef(context != NULL ? context : Py_None);
}

PyDoc_STRVAR(run_doc, "_run($self, /)\n--\n\nRun the callback now, as the loop would.");

static PyObject *
handle_run(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    if (cv_handle_run((HandleObject *)op) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
get_args(PyObject *op, void *Py_UNUSED(closure))
{
    HandleObject *self = (HandleObject *)op;
    if (self->callback == NULL) {
        Py_RETURN_NONE;
    }
    if (self->nargs == CV_HANDLE_TUPLE_ARGS) {
        return Py_NewRef(self->args[0]);
    }
    PyObject *tuple = PyTuple_New(self->nargs);
    for (int i = 0; tuple != NULL && i < self->nargs; i++) {
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(self->args[i]));
    }
    return tuple;
}

static PyMethodDef handle_methods[] = {
    {"cancel", handle_cancel, METH_NOARGS, cancel_doc},
    {"cancelled", handle_cancelled, METH_NOARGS, cancelled_doc},
    {"get_context", handle_get_context, METH_NOARGS, get_context_doc},
    {"_run", handle_run, METH_NOARGS, run_doc},
    {NULL, NULL, 0, NULL},
};

/* The names of asyncio.Handle's own slots: debuggers and asyncio's error reports look at them. */
static PyMemberDef handle_members[] = {
    {"_loop", T_OBJECT, offsetof(HandleObject, loop), READONLY, NULL},
    {"_callback", T_OBJECT, offsetof(HandleObject, callback), READONLY, NULL},
    {"_context", T_OBJECT, offsetof(HandleObject, context), READONLY, NULL},
    {"_source_traceback", T_OBJECT, offsetof(HandleObject, source_traceback), READONLY, NULL},
    {"_cancelled", T_BOOL, offsetof(HandleObject, cancelled), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(HandleObject, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef handle_getset[] = {
    {"_args", get_args, NULL, "The arguments, or None once cancelled.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot handle_slots[] = {
    {Py_tp_doc, "A callback that was given to a loop's call_soon() or to a watch of a descriptor."},
    {Py_tp_dealloc, handle_dealloc},
    {Py_tp_traverse, cv_handle_traverse},
    {Py_tp_clear, cv_handle_clear},
    {Py_tp_repr, handle_repr},
    {Py_tp_methods, handle_methods},
    {Py_tp_members, handle_members},
    {Py_tp_getset, handle_getset},
    {0, NULL},
};

static PyType_Spec handle_spec = {
    .name = "cuvee._core.Handle",
    .basicsize = sizeof(HandleObject),
    /* BASETYPE for TimerHandle only: no instance can be made from Python. */
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE
        | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = handle_slots,
};

PyTypeObject *
cv_handle_make_type(PyObject *module)
{
    return (PyTypeObject *)PyType_FromModuleAndSpec(module, &handle_spec, NULL);
}
