/* SPDX-License-Identifier: MIT */
#include "server/server.h"

#include <stddef.h>
#include <structmember.h>

#include "asgi/cycle.h"
#include "asgi/scope.h"
#include "observe/access_log_type.h"
#include "py/errors.h"
#include "server/in_foreign_loop.h"
#include "server/on_cuvee_loop.h"
#include "server/server_listener.h"

static const char server_name[] = "cuvee";

/* ---- making one ---------------------------------------------------------------------------------------------- */

static bool
is_coroutine_function(PyObject *function)
{
    if (PyMethod_Check(function)) {
        function = PyMethod_GET_FUNCTION(function);
    }
    return PyFunction_Check(function)
        && (((PyCodeObject *)PyFunction_GET_CODE(function))->co_flags & CO_COROUTINE) != 0;
}

/* True when calling `app` runs no code of its own but makes a coroutine. */
static bool
is_coroutine_app(PyObject *app)
{
    if (is_coroutine_function(app)) {
        return true;
    }
    if (PyFunction_Check(app) || PyMethod_Check(app) || PyType_Check(app)) {
        return false;
    }
    PyObject *call = PyObject_GetAttrString((PyObject *)Py_TYPE(app), "__call__");
    if (call == NULL) {
        PyErr_Clear();
        return false;
    }
    bool is = is_coroutine_function(call);
    Py_DECREF(call);
    return is;
}

static int
set_access(cv_service_t *service, PyObject *access)
{
    if (access == Py_None) {
        return 0;
    }
    service->access = Py_NewRef(access);
    service->access_log = cv_access_log_from_object(access);
    if (service->access_log == NULL && !PyCallable_Check(access)) {
        PyErr_SetString(PyExc_TypeError, "access_log must be an AccessLog, a callable or None");
        return -1;
    }
    return 0;
}

static int
make_dicts(cv_service_t *service, const char *asgi_version, PyObject *state)
{
    const cv_names_t *names = &service->state->names;
    service->lifespan_state = state == Py_None ? PyDict_New() : Py_NewRef(state);
    service->asgi = PyDict_New();
    PyObject *version = PyUnicode_FromString(asgi_version);
    if (service->lifespan_state == NULL || service->asgi == NULL || version == NULL
        || PyDict_SetItem(service->asgi, names->version, version) < 0
        || PyDict_SetItem(service->asgi, names->spec_version, names->spec_2_3) < 0) {
        Py_XDECREF(version);
        return -1;
    }
    Py_DECREF(version);
    service->root_path_bytes = PyUnicode_AsUTF8String(service->root_path);
    service->scope_template = service->root_path_bytes == NULL ? NULL : cv_scope_make_template(service);
    return service->scope_template == NULL ? -1 : 0;
}

typedef struct {
    PyObject *app, *loop, *root_path, *state, *access, *log;
    const char *asgi_version;
    double keep_alive, head_timeout;
    int date_header, server_header;
} server_args_t;

static int
parse_args(PyObject *args, PyObject *kwargs, server_args_t *out)
{
    static char *keywords[] = {"app", "loop", "root_path", "state", "asgi_version", "keep_alive", "head_timeout",
                               "date_header", "server_header", "access_log", "log", NULL};
    *out = (server_args_t){
        .state = Py_None,
        .access = Py_None,
        .asgi_version = "3.0",
        .keep_alive = 5.0,
        .head_timeout = 30.0,
        .date_header = 1,
        .server_header = 1,
    };
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|$UOsddppOO:Server", keywords, &out->app, &out->loop,
                                     &out->root_path, &out->state, &out->asgi_version, &out->keep_alive,
                                     &out->head_timeout, &out->date_header, &out->server_header, &out->access,
                                     &out->log)) {
        return -1;
    }
    if (out->log == NULL || !PyCallable_Check(out->log)) {
        PyErr_SetString(PyExc_TypeError, "log must be callable");
        return -1;
    }
    if (out->state != Py_None && !PyDict_Check(out->state)) {
        PyErr_SetString(PyExc_TypeError, "state must be a dict or None");
        return -1;
    }
    if (!(out->keep_alive >= 0) || !(out->head_timeout >= 0)) {
        PyErr_SetString(PyExc_ValueError, "keep_alive and head_timeout must be numbers of seconds, 0 or more");
        return -1;
    }
    return 0;
}

static uint64_t
to_milliseconds(double seconds)
{
    return seconds >= 1e12 ? 0 : (uint64_t)(seconds * 1000.0 + 0.999);
}

static int
init_service(ServerObject *self, const server_args_t *args)
{
    cv_service_t *service = &self->service;
    uv_loop_t *loop = self->is_foreign ? self->private_loop : cv_loop_uv(args->loop);
    int error = cv_conn_env_init(&service->env, loop, &cv_service_conn_ops);
    if (error < 0) {
        return cv_error_set(error);
    }
    self->open_parts = 1;
    service->env.date_header = args->date_header;
    service->env.server_header = args->server_header ? server_name : NULL;
    service->env.server_header_len = args->server_header ? sizeof server_name - 1 : 0;
    /* keep_alive 0 closes after the answer: the shortest wait there is. */
    uint64_t keep_alive = to_milliseconds(args->keep_alive);
    cv_deadlines_configure(&service->env.deadlines, CV_CONN_KEEP_ALIVE, keep_alive > 0 ? keep_alive : 1);
    cv_deadlines_configure(&service->env.deadlines, CV_CONN_HEAD, to_milliseconds(args->head_timeout));
    return 0;
}

static int
take_references(ServerObject *self, const server_args_t *args)
{
    cv_service_t *service = &self->service;
    service->state = cv_state_of_type(Py_TYPE(self));
    service->server = (PyObject *)self;
    service->app = Py_NewRef(args->app);
    service->loop = Py_NewRef(args->loop);
    service->log = Py_NewRef(args->log);
    service->app_is_coroutine_function = is_coroutine_app(args->app);
    service->root_path = args->root_path == NULL ? Py_NewRef(service->state->names.empty) : Py_NewRef(args->root_path);
    service->context = PyContext_CopyCurrent();
    if (service->context == NULL || set_access(service, args->access) < 0) {
        return -1;
    }
    return make_dicts(service, args->asgi_version, args->state);
}

static PyObject *
server_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    server_args_t parsed;
    if (parse_args(args, kwargs, &parsed) < 0) {
        return NULL;
    }
    ServerObject *self = (ServerObject *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    cv_list_init(&self->listeners);
    cv_list_init(&self->service.queued);
    cv_list_init(&self->service.open);
    self->is_foreign = !cv_loop_check(parsed.loop);
    if ((self->is_foreign && cv_server_make_private_loop(self) < 0) || init_service(self, &parsed) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    /* From here on the server keeps itself alive, until libuv has let go of its parts. */
    Py_INCREF(self);
    self->is_open = true;
    if (take_references(self, &parsed) < 0 || (self->is_foreign && cv_server_enter_foreign_loop(self) < 0)) {
        cv_server_close(self);
        Py_DECREF(self);
        return NULL;
    }
    if (!self->is_foreign) {
        cv_server_join_loop(self);
    }
    return (PyObject *)self;
}

/* ---- ending it ----------------------------------------------------------------------------------------------- */

/* Cycles that never started are dropped; a task that runs keeps its own references. */
static void
drop_cycles(cv_list_t *cycles)
{
    while (!cv_list_is_empty(cycles)) {
        CycleObject *cycle = CV_CONTAINER_OF(cycles->next, CycleObject, node);
        cv_list_remove(&cycle->node);
        cycle->service->open_count--;
        Py_CLEAR(cycle->task);
        Py_DECREF(cycle);
    }
}

void
cv_server_on_part_closed(ServerObject *self)
{
    if (--self->open_parts > 0) {
        return;
    }
    /* libuv's closing phase; on cuvee's loop it has the GIL, like every phase but the poll. */
    Py_DECREF(self);
}

static void
on_env_closed(cv_conn_env_t *env)
{
    cv_server_on_part_closed(CV_CONTAINER_OF(env, ServerObject, service.env));
}

void
cv_server_close(ServerObject *self)
{
    if (!self->is_open) {
        return;
    }
    self->is_open = false;
    Py_INCREF(self);
    cv_server_listeners_close(self);
    cv_conn_env_abort(&self->service.env);
    cv_conn_env_deinit(&self->service.env, on_env_closed);
    if (self->is_foreign) {
        cv_server_leave_foreign_loop(self);
    } else if (self->turn.run != NULL) {
        cv_server_leave_loop(self);
    }
    drop_cycles(&self->service.queued);
    drop_cycles(&self->service.open);
    Py_DECREF(self);
}

static int
visit_cycles(cv_list_t *cycles, visitproc visit, void *arg)
{
    for (cv_list_t *node = cycles->next; node != cycles; node = node->next) {
        Py_VISIT(CV_CONTAINER_OF(node, CycleObject, node));
    }
    return 0;
}

static int
server_traverse(PyObject *op, visitproc visit, void *arg)
{
    ServerObject *self = (ServerObject *)op;
    cv_service_t *service = &self->service;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(service->app);
    Py_VISIT(service->loop);
    Py_VISIT(service->context);
    Py_VISIT(service->scope_template);
    Py_VISIT(service->asgi);
    Py_VISIT(service->lifespan_state);
    Py_VISIT(service->log);
    Py_VISIT(service->access);
    Py_VISIT(service->task_factory);
    Py_VISIT(service->on_idle);
    Py_VISIT(self->pump);
    Py_VISIT(self->pump_timer);
    int status = visit_cycles(&service->queued, visit, arg);
    return status != 0 ? status : visit_cycles(&service->open, visit, arg);
}

static int
server_clear(PyObject *op)
{
    ServerObject *self = (ServerObject *)op;
    cv_service_t *service = &self->service;
    Py_CLEAR(service->app);
    Py_CLEAR(service->context);
    Py_CLEAR(service->scope_template);
    Py_CLEAR(service->asgi);
    Py_CLEAR(service->lifespan_state);
    Py_CLEAR(service->root_path);
    Py_CLEAR(service->root_path_bytes);
    Py_CLEAR(service->log);
    service->access_log = NULL;
    Py_CLEAR(service->access);
    Py_CLEAR(service->task_factory);
    Py_CLEAR(service->on_idle);
    Py_CLEAR(self->pump);
    Py_CLEAR(self->pump_timer);
    Py_CLEAR(service->loop);
    return 0;
}

static void
server_dealloc(PyObject *op)
{
    ServerObject *self = (ServerObject *)op;
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    if (self->private_loop != NULL) {
        cv_server_leave_foreign_loop(self); /* only when making the server failed */
    }
    server_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

/* ---- methods ------------------------------------------------------------------------------------------------- */

static ServerObject *
check_open(PyObject *op)
{
    ServerObject *self = (ServerObject *)op;
    if (!self->is_open) {
        PyErr_SetString(PyExc_RuntimeError, "the server is closed");
        return NULL;
    }
    return self;
}

PyDoc_STRVAR(listen_doc,
             "listen($self, fd, /)\n--\n\n"
             "Accept connections from a socket that is bound and listening. The descriptor stays the caller's and\n"
             "must stay open until stop_listening() or close(). Raises OSError.");

static PyObject *
server_listen(PyObject *op, PyObject *arg)
{
    ServerObject *self = check_open(op);
    int fd = self == NULL ? -1 : PyObject_AsFileDescriptor(arg);
    if (fd < 0 || cv_server_listener_open(self, fd) < 0) {
        return NULL;
    }
    cv_service_wake(&self->service);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(stop_listening_doc, "stop_listening($self, /)\n--\n\nAccept no more connections.");

static PyObject *
server_stop_listening(PyObject *op, PyObject *Py_UNUSED(arg))
{
    ServerObject *self = (ServerObject *)op;
    if (self->is_open) {
        cv_server_listeners_close(self);
        cv_service_wake(&self->service);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(drain_doc,
             "drain($self, /)\n--\n\n"
             "End gracefully: close idle connections now and the others after the answer that is under way.");

static PyObject *
server_drain(PyObject *op, PyObject *Py_UNUSED(arg))
{
    ServerObject *self = (ServerObject *)op;
    if (self->is_open) {
        cv_conn_env_drain(&self->service.env);
        cv_service_wake(&self->service);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(abort_doc, "abort($self, /)\n--\n\nClose every connection now; open requests see http.disconnect.");

static PyObject *
server_abort(PyObject *op, PyObject *Py_UNUSED(arg))
{
    ServerObject *self = (ServerObject *)op;
    if (self->is_open) {
        cv_conn_env_abort(&self->service.env);
        cv_service_wake(&self->service);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(close_doc,
             "close($self, /)\n--\n\n"
             "Close the listeners and every connection, and let go of the loop. Open tasks go on unwatched.\n"
             "Idempotent.");

static PyObject *
server_close(PyObject *op, PyObject *Py_UNUSED(arg))
{
    cv_server_close((ServerObject *)op);
    Py_RETURN_NONE;
}

static PyObject *
server_get_tasks(PyObject *op, void *Py_UNUSED(closure))
{
    cv_service_t *service = &((ServerObject *)op)->service;
    PyObject *tasks = PySet_New(NULL);
    for (cv_list_t *node = service->open.next; tasks != NULL && node != &service->open; node = node->next) {
        CycleObject *cycle = CV_CONTAINER_OF(node, CycleObject, node);
        if (cycle->task != NULL && PySet_Add(tasks, cycle->task) < 0) {
            Py_CLEAR(tasks);
        }
    }
    return tasks;
}

PyDoc_STRVAR(cancel_requests_doc,
             "cancel_requests($self, message, /)\n--\n\n"
             "Cancel the task of every open request with `message`; returns how many there were.");

static PyObject *
server_cancel_requests(PyObject *op, PyObject *message)
{
    cv_service_t *service = &((ServerObject *)op)->service;
    PyObject *tasks = server_get_tasks(op, NULL);
    PyObject *iterator = tasks == NULL ? NULL : PyObject_GetIter(tasks);
    if (iterator == NULL) {
        Py_XDECREF(tasks);
        return NULL;
    }
    PyObject *kwnames = PyTuple_Pack(1, service->state->names.msg);
    Py_ssize_t count = PySet_GET_SIZE(tasks);
    PyObject *task;
    while (kwnames != NULL && (task = PyIter_Next(iterator)) != NULL) {
        PyObject *args[] = {task, message};
        PyObject *done = PyObject_VectorcallMethod(service->state->names.cancel, args, 1, kwnames);
        Py_DECREF(task);
        if (done == NULL) {
            break;
        }
        Py_DECREF(done);
    }
    Py_XDECREF(kwnames);
    Py_DECREF(iterator);
    Py_DECREF(tasks);
    return PyErr_Occurred() ? NULL : PyLong_FromSsize_t(count);
}

static PyObject *
server_get_connections(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLong(((ServerObject *)op)->service.env.conn_count);
}

static PyObject *
server_get_requests(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLong(((ServerObject *)op)->service.open_count);
}

static PyObject *
server_get_total_requests(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLongLong(((ServerObject *)op)->service.total);
}

static PyMethodDef server_methods[] = {
    {"listen", server_listen, METH_O, listen_doc},
    {"stop_listening", server_stop_listening, METH_NOARGS, stop_listening_doc},
    {"drain", server_drain, METH_NOARGS, drain_doc},
    {"abort", server_abort, METH_NOARGS, abort_doc},
    {"cancel_requests", server_cancel_requests, METH_O, cancel_requests_doc},
    {"close", server_close, METH_NOARGS, close_doc},
    {"_pump", cv_server_pump, METH_NOARGS, "Run one turn; for a loop that is not cuvee's."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef server_getset[] = {
    {"connections", server_get_connections, NULL, "The number of open connections.", NULL},
    {"requests", server_get_requests, NULL, "The number of requests whose task is not done.", NULL},
    {"total_requests", server_get_total_requests, NULL, "The number of complete responses so far.", NULL},
    {"tasks", server_get_tasks, NULL, "A new set of the tasks of the open requests.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef server_members[] = {
    {"on_idle", T_OBJECT, offsetof(ServerObject, service.on_idle), 0,
     "Called without arguments each time `connections` or `requests` falls to 0, or None."},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(server_doc,
             "Server(app, loop, *, root_path=\"\", state=None, asgi_version=\"3.0\", keep_alive=5.0,\n"
             "       head_timeout=30.0, date_header=True, server_header=True, access_log=None, log)\n--\n\n"
             "One ASGI application served over HTTP/1.1 on one event loop.\n\n"
             "Requests run in a copy of the contextvars context that is current now. `state` is copied into each\n"
             "scope. `keep_alive` and `head_timeout` are seconds. `access_log` is an AccessLog, or is called with\n"
             "client, method, target, version and status. `log` is called with a level number of logging's, a\n"
             "message and an exception or None. Use from the loop's thread only; close() it in the end.");

static PyType_Slot server_slots[] = {
    {Py_tp_doc, (void *)server_doc},
    {Py_tp_new, server_new},
    {Py_tp_dealloc, server_dealloc},
    {Py_tp_traverse, server_traverse},
    {Py_tp_clear, server_clear},
    {Py_tp_methods, server_methods},
    {Py_tp_getset, server_getset},
    {Py_tp_members, server_members},
    {0, NULL},
};

static PyType_Spec server_spec = {
    .name = "cuvee._core.Server",
    .basicsize = sizeof(ServerObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = server_slots,
};

int
cv_server_setup_type(PyObject *module)
{
    cv_state_t *state = PyModule_GetState(module);
    return cv_state_add_type(module, &state->server_type, &server_spec);
}
