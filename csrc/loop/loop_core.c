/* SPDX-License-Identifier: MIT */
#include "loop/loop_core.h"

#include <stddef.h>
#include <string.h>
#include <structmember.h>

#include "loop/task_set.h"
#include "py/errors.h"

/* ---- life ---------------------------------------------------------------------------------------------------- */

static void loop_dealloc(PyObject *op);

/* The LoopCore type that `type` is or inherits from, or NULL. There may be one in each copy of the module. */
static PyTypeObject *
find_core_type(PyTypeObject *type)
{
    while (type != NULL && type->tp_dealloc != loop_dealloc) {
        type = type->tp_base;
    }
    return type;
}

int
cv_loop_check(PyObject *obj)
{
    return find_core_type(Py_TYPE(obj)) != NULL;
}

static PyObject *
import_from(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    if (module == NULL) {
        return NULL;
    }
    PyObject *value = PyObject_GetAttrString(module, name);
    Py_DECREF(module);
    return value;
}

/* asyncio's set of tasks is None where it needs no help. */
static int
quicken_task_set(LoopCoreObject *self)
{
    PyObject *tasks = PyObject_GetAttrString(self->private_module, "task_set");
    if (tasks == NULL) {
        return -1;
    }
    int status = tasks == Py_None ? 0 : cv_task_set_quicken(tasks);
    Py_DECREF(tasks);
    return status;
}

static int
import_parts(LoopCoreObject *self, PyTypeObject *type)
{
    PyObject *module = PyType_GetModule(find_core_type(type));
    if (module == NULL || (self->state = cv_loop_state_get(module)) == NULL) {
        return -1;
    }
    self->future_type = import_from("asyncio.futures", "Future");
    self->task_type = import_from("asyncio.tasks", "Task");
    self->private_module = PyImport_ImportModule("cuvee._asyncio_private");
    if (self->future_type == NULL || self->task_type == NULL || self->private_module == NULL) {
        return -1;
    }
    self->base_create_task = PyObject_GetAttrString(self->private_module, "base_create_task");
    return self->base_create_task != NULL ? quicken_task_set(self) : -1;
}

/* Drops a loop that could not be opened, with the exception kept. It counts as closed, so that its __del__ does not
 * speak of an unclosed loop. */
static PyObject *
drop_new(LoopCoreObject *self)
{
    PyObject *exception = cv_error_take();
    self->is_closed = true;
    Py_DECREF(self);
    cv_error_give(exception);
    return NULL;
}

/* Opens the loop here and not in __init__, so that no instance without one can exist. */
static PyObject *
loop_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    LoopCoreObject *self = (LoopCoreObject *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    cv_list_init(&self->turns);
    cv_list_init(&self->guests);
    cv_list_init(&self->handle_waiters);
    self->head.round = 1;
    self->signal_fds[0] = self->signal_fds[1] = -1;
    self->fds.poller = -1;
    if (import_parts(self, type) < 0) {
        return drop_new(self);
    }
    int status = cv_loop_open(self);
    if (status < 0) {
        cv_error_set(status);
        return drop_new(self);
    }
    return (PyObject *)self;
}

static int
loop_traverse(PyObject *op, visitproc visit, void *arg)
{
    LoopCoreObject *self = (LoopCoreObject *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->state);
    Py_VISIT(self->future_type);
    Py_VISIT(self->task_type);
    Py_VISIT(self->base_create_task);
    Py_VISIT(self->private_module);
    Py_VISIT(self->loop_kwargs);
    Py_VISIT(self->fatal);
    Py_VISIT(self->task_factory);
    Py_VISIT(self->transports);
    int found = cv_ready_traverse(&self->ready, visit, arg);
    found = found != 0 ? found : cv_timer_heap_traverse(&self->timers, visit, arg);
    found = found != 0 ? found : cv_wake_traverse(&self->wake, visit, arg);
    return found != 0 ? found : cv_fd_table_traverse(&self->fds, visit, arg);
}

/* What it imported stays until dealloc: handles that die later still ask for the types. */
static int
loop_clear(PyObject *op)
{
    LoopCoreObject *self = (LoopCoreObject *)op;
    cv_ready_deinit(&self->ready);
    cv_timer_heap_deinit(&self->timers);
    cv_fd_table_clear(&self->fds);
    Py_CLEAR(self->loop_kwargs);
    Py_CLEAR(self->fatal);
    Py_CLEAR(self->task_factory);
    Py_CLEAR(self->transports);
    return 0;
}

static void
free_handles(LoopCoreObject *self)
{
    while (self->nfree > 0) {
        HandleObject *handle = self->free_handles[--self->nfree];
        PyTypeObject *type = Py_TYPE(handle);
        PyObject_GC_Del(handle);
        Py_DECREF(type);
    }
}

static void
loop_dealloc(PyObject *op)
{
    LoopCoreObject *self = (LoopCoreObject *)op;
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    self->is_closed = true;
    cv_loop_close(self);
    (void)loop_clear(op);
    free_handles(self);
    Py_CLEAR(self->future_type);
    Py_CLEAR(self->task_type);
    Py_CLEAR(self->base_create_task);
    Py_CLEAR(self->private_module);
    Py_CLEAR(self->state);
    type->tp_free(op);
    Py_DECREF(type);
}

/* ---- the Python face ----------------------------------------------------------------------------------------- */

static PyObject *
get_thread_id(PyObject *op, void *Py_UNUSED(closure))
{
    unsigned long id = ((LoopCoreObject *)op)->thread_id;
    if (id == 0) {
        Py_RETURN_NONE;
    }
    return PyLong_FromUnsignedLong(id);
}

/* BaseEventLoop.__init__ sets it to None, which it is. */
static int
set_thread_id(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    if (value != Py_None || ((LoopCoreObject *)op)->thread_id != 0) {
        PyErr_SetString(PyExc_AttributeError, "_thread_id is set by run_forever()");
        return -1;
    }
    return 0;
}

static PyGetSetDef loop_getset[] = {
    {"_thread_id", get_thread_id, set_thread_id, "The thread that runs the loop, or None.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

/* The fields of BaseEventLoop that both halves use. */
static PyMemberDef loop_members[] = {
    {"_closed", T_BOOL, offsetof(LoopCoreObject, is_closed), 0, NULL},
    {"_stopping", T_BOOL, offsetof(LoopCoreObject, stopping), 0, NULL},
    {"_debug", T_BOOL, offsetof(LoopCoreObject, debug), 0, NULL},
    {"_task_factory", T_OBJECT, offsetof(LoopCoreObject, task_factory), 0, NULL},
    {"_transports", T_OBJECT, offsetof(LoopCoreObject, transports), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(loop_doc, "The C half of cuvee.Loop: queues, timers, descriptors and the run itself.");

static PyType_Slot loop_slots[] = {
    {Py_tp_doc, (void *)loop_doc},
    {Py_tp_new, loop_new},
    {Py_tp_dealloc, loop_dealloc},
    {Py_tp_traverse, loop_traverse},
    {Py_tp_clear, loop_clear},
    {Py_tp_members, loop_members},
    {Py_tp_getset, loop_getset},
    {0, NULL},
};

static PyType_Spec loop_spec = {
    .name = "cuvee._core.LoopCore",
    .basicsize = sizeof(LoopCoreObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = loop_slots,
};

/* The methods stand in several files, and a type takes one table: they are added one by one. */
static int
add_methods(PyTypeObject *type, PyMethodDef *methods)
{
    for (; methods->ml_name != NULL; methods++) {
        PyObject *method = PyDescr_NewMethod(type, methods);
        int status = method != NULL ? PyObject_SetAttrString((PyObject *)type, methods->ml_name, method) : -1;
        Py_XDECREF(method);
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

static int
add_all_methods(PyTypeObject *type)
{
    PyMethodDef *tables[] = {cv_loop_run_methods, cv_loop_schedule_methods, cv_loop_task_methods, cv_loop_fd_methods,
                             cv_loop_signal_methods};
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        if (add_methods(type, tables[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

int
cv_loop_setup_types(PyObject *module)
{
    LoopStateObject *state = cv_loop_state_add(module);
    if (state == NULL) {
        return -1;
    }
    state->handle_type = cv_handle_make_type(module);
    if (state->handle_type == NULL) {
        return -1;
    }
    state->timer_handle_type = cv_timer_handle_make_type(module, state->handle_type);
    if (state->timer_handle_type == NULL) {
        return -1;
    }
    state->loop_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &loop_spec, NULL);
    if (state->loop_type == NULL || add_all_methods(state->loop_type) < 0) {
        return -1;
    }
    return PyModule_AddType(module, state->handle_type) < 0
            || PyModule_AddType(module, state->timer_handle_type) < 0
            || PyModule_AddType(module, state->loop_type) < 0
        ? -1
        : 0;
}
