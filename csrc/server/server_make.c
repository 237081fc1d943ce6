/* SPDX-License-Identifier: MIT */
#define PY_SSIZE_T_CLEAN
#include "server/server_make.h"

#include "asgi/access.h"
#include "asgi/scope.h"
#include "base/clock.h"
#include "py/errors.h"
#include "server/in_foreign_loop.h"
#include "server/on_cuvee_loop.h"
#include "server/server_limits.h"
#include "server/server_listener.h"
#include "server/server_proxies.h"
#include "server/server_websocket.h"

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

/* {"version": …, "spec_version": …}. New reference. */
static PyObject *
make_asgi(const cv_names_t *names, const char *asgi_version, PyObject *spec_version)
{
    PyObject *version = PyUnicode_FromString(asgi_version);
    PyObject *asgi = version == NULL ? NULL : PyDict_New();
    if (asgi != NULL
        && (PyDict_SetItem(asgi, names->version, version) < 0
            || PyDict_SetItem(asgi, names->spec_version, spec_version) < 0)) {
        Py_CLEAR(asgi);
    }
    Py_XDECREF(version);
    return asgi;
}

static int
make_dicts(cv_service_t *service, const char *asgi_version, PyObject *state)
{
    const cv_names_t *names = &service->state->names;
    service->lifespan_state = state == Py_None ? PyDict_New() : Py_NewRef(state);
    if (service->lifespan_state == NULL
        || cv_lent_init(&service->asgi, make_asgi(names, asgi_version, names->spec_2_3)) < 0
        || cv_lent_init(&service->websocket_asgi, make_asgi(names, asgi_version, names->spec_2_4)) < 0
        || cv_extensions_init(&service->extensions, names) < 0) {
        return -1;
    }
    service->task_keywords = Py_BuildValue("{OO}", names->loop, service->loop);
    if (service->task_keywords == NULL
        || (service->state->eager && PyDict_SetItem(service->task_keywords, names->eager_start, Py_True) < 0)) {
        return -1;
    }
    service->root_path_bytes = PyUnicode_AsUTF8String(service->root_path);
    service->scope_template = service->root_path_bytes == NULL ? NULL : cv_scope_make_template(service);
    service->websocket_template = service->scope_template == NULL ? NULL : cv_scope_make_websocket_template(service);
    return service->websocket_template == NULL ? -1 : 0;
}

typedef struct {
    PyObject *app, *loop, *root_path, *state, *limits, *cancel_grace, *headers, *extensions, *health_path, *access,
        *log;
    PyObject *look_access, *access_format, *websocket;
    const char *asgi_version;
    cv_server_proxies_t proxies;
    int cancel_unsafe, half_close, date_header, fresh_context;
} server_args_t;

/* None stands for what is left out. */
static int
check_kind(PyObject *argument, PyTypeObject *type, const char *message)
{
    if (argument == Py_None || PyObject_TypeCheck(argument, type)) {
        return 0;
    }
    PyErr_SetString(PyExc_TypeError, message);
    return -1;
}

static int
check_args(const server_args_t *args)
{
    if (args->log == NULL || !PyCallable_Check(args->log)) {
        PyErr_SetString(PyExc_TypeError, "log must be callable");
        return -1;
    }
    if (args->look_access != Py_None && !PyCallable_Check(args->look_access)) {
        PyErr_SetString(PyExc_TypeError, "look_access must be callable or None");
        return -1;
    }
    if (check_kind(args->state, &PyDict_Type, "state must be a dict or None") < 0
        || check_kind(args->health_path, &PyBytes_Type, "health_path must be bytes or None") < 0
        || check_kind(args->limits, &PyDict_Type, "limits must be a dict or None") < 0
        || check_kind(args->websocket, &PyDict_Type, "websocket must be a dict or None") < 0) {
        return -1;
    }
    return 0;
}

static int
parse_args(PyObject *args, PyObject *kwargs, server_args_t *out)
{
    static char *keywords[] = {"app", "loop", "root_path", "state", "asgi_version", "limits", "websocket",
                               "cancel_grace", "cancel_unsafe", "half_close", "date_header", "headers",
                               "fresh_context", "extensions", "health_path", "access_log", "look_access",
                               "access_format", "log", "trusted",
                               "forwarded_headers", "forwarded_hops", "proxy_protocol", NULL};
    *out = (server_args_t){
        .state = Py_None,
        .limits = Py_None,
        .websocket = Py_None,
        .cancel_grace = Py_None,
        .cancel_unsafe = 1,
        .health_path = Py_None,
        .access = Py_None,
        .look_access = Py_None,
        .access_format = Py_None,
        .proxies.headers = Py_None,
        .asgi_version = "3.0",
        .date_header = 1,
    };
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|$UOsOOOpppOpOOOOOOOOIp:Server", keywords, &out->app, &out->loop,
                                     &out->root_path, &out->state, &out->asgi_version, &out->limits, &out->websocket,
                                     &out->cancel_grace, &out->cancel_unsafe, &out->half_close, &out->date_header,
                                     &out->headers, &out->fresh_context, &out->extensions, &out->health_path,
                                     &out->access, &out->look_access,
                                     &out->access_format, &out->log, &out->proxies.trusted, &out->proxies.headers,
                                     &out->proxies.hops, &out->proxies.protocol)) {
        return -1;
    }
    return check_args(out);
}

static int
add_default_field(cv_service_t *service, PyObject *pair)
{
    char *name, *value;
    Py_ssize_t name_len, value_len;
    if (!PyTuple_Check(pair)) {
        PyErr_SetString(PyExc_TypeError, "headers must be pairs of bytes");
        return -1;
    }
    if (!PyArg_ParseTuple(pair, "y#y#:headers", &name, &name_len, &value, &value_len)) {
        return -1;
    }
    int error = cv_default_fields_add(&service->env.default_fields, name, (size_t)name_len, value, (size_t)value_len);
    return error < 0 ? cv_error_set(error) : 0;
}

static int
set_default_fields(cv_service_t *service, PyObject *headers)
{
    PyObject *fast = headers == NULL ? PyTuple_New(0) : PySequence_Fast(headers, "headers must be pairs of bytes");
    int status = fast == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PySequence_Fast_GET_SIZE(fast); i++) {
        status = add_default_field(service, PySequence_Fast_GET_ITEM(fast, i));
    }
    Py_XDECREF(fast);
    return status;
}

/* None leaves the requests of clients that are gone alone. */
static int
set_cancelling(cv_service_t *service, PyObject *grace, bool unsafe)
{
    if (grace == Py_None) {
        return 0;
    }
    double seconds = PyFloat_AsDouble(grace);
    if (PyErr_Occurred()) {
        return -1;
    }
    if (!(seconds >= 0 && seconds <= CV_DEADLINES_MOST)) {
        PyErr_Format(PyExc_ValueError, "cancel_grace is out of range: %R", grace);
        return -1;
    }
    service->cancels = true;
    service->cancels_unsafe = unsafe;
    service->cancel_grace = cv_deadlines_milliseconds(seconds);
    return 0;
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
    cv_deadline_init(&service->request_deadline);
    service->on_room = cv_server_listeners_go_on;
    service->limit_concurrency = service->limit_requests = UINT32_MAX;
    service->total_limit = UINT64_MAX;
    service->fresh_context = args->fresh_context;
    service->env.half_close = args->half_close;
    service->env.date_header = args->date_header;
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
    service->health_path = args->health_path == Py_None ? NULL : Py_NewRef(args->health_path);
    service->context = PyContext_CopyCurrent();
    if (service->context == NULL || cv_access_set(service, args->access) < 0
        || cv_access_set_format(service, args->access_format) < 0) {
        return -1;
    }
    service->look_access = args->look_access == Py_None ? NULL : Py_NewRef(args->look_access);
    service->access_looked = cv_clock_now();
    if (args->extensions != NULL && cv_extensions_enable(&service->extensions, args->extensions) < 0) {
        return -1;
    }
    return make_dicts(service, args->asgi_version, args->state);
}

PyObject *
cv_server_make(PyTypeObject *type, PyObject *args, PyObject *kwargs)
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
    if (cv_server_limits_set(self, parsed.limits) < 0
        || cv_server_websocket_set(&self->service.env.ws, parsed.websocket) < 0
        || cv_server_proxies_set(&self->service, &parsed.proxies) < 0
        || set_default_fields(&self->service, parsed.headers) < 0
        || set_cancelling(&self->service, parsed.cancel_grace, parsed.cancel_unsafe) < 0
        || take_references(self, &parsed) < 0
        || (self->is_foreign && cv_server_enter_foreign_loop(self) < 0)) {
        cv_server_close(self);
        Py_DECREF(self);
        return NULL;
    }
    if (!self->is_foreign) {
        cv_server_join_loop(self);
    }
    return (PyObject *)self;
}
