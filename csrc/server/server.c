/* SPDX-License-Identifier: MIT */
#include "server/server.h"

#include <stddef.h>
#include <structmember.h>

#include "asgi/connection.h"
#include "asgi/exchange.h"
#include "server/in_foreign_loop.h"
#include "server/on_cuvee_loop.h"
#include "server/server_limits.h"
#include "server/server_listener.h"
#include "server/server_make.h"

/* ---- ending it ----------------------------------------------------------------------------------------------- */

/* What never started is dropped; a task that runs keeps its own references. */
static void
drop_exchanges(cv_list_t *exchanges)
{
    while (!cv_list_is_empty(exchanges)) {
        cv_exchange_drop(CV_CONTAINER_OF(exchanges->next, ExchangeObject, node));
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
    cv_deadline_drop(&self->service.request_deadline);
    cv_conn_env_deinit(&self->service.env, on_env_closed);
    if (self->is_foreign) {
        cv_server_leave_foreign_loop(self);
    } else if (self->turn.run != NULL) {
        cv_server_leave_loop(self);
    }
    drop_exchanges(&self->service.queued);
    drop_exchanges(&self->service.open);
    Py_DECREF(self);
}

static int
visit_exchanges(cv_list_t *exchanges, visitproc visit, void *arg)
{
    for (cv_list_t *node = exchanges->next; node != exchanges; node = node->next) {
        Py_VISIT(CV_CONTAINER_OF(node, ExchangeObject, node));
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
    Py_VISIT(service->websocket_template);
    Py_VISIT(service->lifespan_state);
    Py_VISIT(service->task_keywords);
    Py_VISIT(service->log);
    Py_VISIT(service->access);
    Py_VISIT(service->look_access);
    Py_VISIT(service->task_factory);
    Py_VISIT(service->on_idle);
    Py_VISIT(service->handles);
    Py_VISIT(service->on_limit);
    Py_VISIT(self->pump);
    Py_VISIT(self->pump_again);
    Py_VISIT(self->pump_timer);
    int status = cv_lent_visit(&service->asgi, visit, arg);
    status = status != 0 ? status : cv_lent_visit(&service->websocket_asgi, visit, arg);
    status = status != 0 ? status : cv_extensions_visit(&service->extensions, visit, arg);
    status = status != 0 ? status : visit_exchanges(&service->queued, visit, arg);
    return status != 0 ? status : visit_exchanges(&service->open, visit, arg);
}

static int
server_clear(PyObject *op)
{
    ServerObject *self = (ServerObject *)op;
    cv_service_t *service = &self->service;
    Py_CLEAR(service->app);
    Py_CLEAR(service->context);
    Py_CLEAR(service->scope_template);
    Py_CLEAR(service->websocket_template);
    Py_CLEAR(service->server_address);
    Py_CLEAR(service->start_text);
    Py_CLEAR(service->body_text);
    Py_CLEAR(service->send_text);
    Py_CLEAR(service->sent_payload);
    Py_CLEAR(service->body_room);
    cv_recent_clear(&service->recent);
    cv_lent_clear(&service->asgi);
    cv_lent_clear(&service->websocket_asgi);
    Py_CLEAR(service->lifespan_state);
    cv_extensions_clear(&service->extensions);
    Py_CLEAR(service->task_keywords);
    Py_CLEAR(service->root_path);
    Py_CLEAR(service->root_path_bytes);
    Py_CLEAR(service->health_path);
    Py_CLEAR(service->log);
    service->access_log = NULL;
    Py_CLEAR(service->access);
    Py_CLEAR(service->look_access);
    service->access_format = NULL;
    Py_CLEAR(service->access_format_object);
    Py_CLEAR(service->task_factory);
    Py_CLEAR(service->on_idle);
    Py_CLEAR(service->handles);
    Py_CLEAR(service->on_limit);
    Py_CLEAR(self->pump);
    Py_CLEAR(self->pump_again);
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
    cv_trusted_deinit(&self->service.trusted);
    cv_buffer_deinit(&self->service.access_line);
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

PyDoc_STRVAR(accept_waiting_doc,
             "accept_waiting($self, fd, /)\n--\n\n"
             "Accept every connection that waits at a socket given to listen(), whatever limit_connections says:\n"
             "before stop_listening().");

static PyObject *
server_accept_waiting(PyObject *op, PyObject *arg)
{
    ServerObject *self = check_open(op);
    int fd = self == NULL ? -1 : PyObject_AsFileDescriptor(arg);
    if (fd < 0) {
        return NULL;
    }
    cv_server_listener_accept_waiting(self, fd);
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

PyDoc_STRVAR(retire_doc,
             "retire($self, /)\n--\n\n"
             "Begin to stop: answers say `connection: close`, and the health path 503. Everything else goes on.");

static PyObject *
server_retire(PyObject *op, PyObject *Py_UNUSED(arg))
{
    ServerObject *self = (ServerObject *)op;
    if (self->is_open) {
        cv_conn_env_retire(&self->service.env);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(tell_requests_doc,
             "tell_requests($self, /)\n--\n\n"
             "From now on receive() gives http.disconnect to whoever has got all of its request. Its answer is still\n"
             "sent.");

static PyObject *
server_tell_requests(PyObject *op, PyObject *Py_UNUSED(arg))
{
    ServerObject *self = (ServerObject *)op;
    cv_service_t *service = &self->service;
    service->is_stopping = true;
    /* A future's callbacks run later: nothing leaves the list meanwhile. */
    for (cv_list_t *node = service->open.next; node != &service->open; node = node->next) {
        ExchangeObject *exchange = CV_CONTAINER_OF(node, ExchangeObject, node);
        if (cv_exchange_wake(exchange, &exchange->receivers) < 0) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(drain_doc,
             "drain($self, /)\n--\n\n"
             "End gracefully: retire, and close connections that have been idle for a moment.");

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
        ExchangeObject *exchange = CV_CONTAINER_OF(node, ExchangeObject, node);
        if (exchange->task != NULL && PySet_Add(tasks, exchange->task) < 0) {
            Py_CLEAR(tasks);
        }
    }
    return tasks;
}

PyDoc_STRVAR(list_connections_doc,
             "list_connections($self, /)\n--\n\n"
             "A new list of the open connections: for each, as long as it is open, the same Connection every time.");

static PyObject *
server_list_connections(PyObject *op, PyObject *Py_UNUSED(arg))
{
    return cv_connection_list(&((ServerObject *)op)->service);
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
    for (cv_list_t *node = service->open.next; node != &service->open; node = node->next) {
        CV_CONTAINER_OF(node, ExchangeObject, node)->cancelled = true; /* for no other reason afterwards */
    }
    Py_ssize_t count = PySet_GET_SIZE(tasks);
    PyObject *task;
    while ((task = PyIter_Next(iterator)) != NULL) {
        PyObject *args[] = {task, message};
        PyObject *done = PyObject_VectorcallMethod(service->state->names.cancel, args, 1,
                                                   service->state->msg_kwnames);
        Py_DECREF(task);
        if (done == NULL) {
            break;
        }
        Py_DECREF(done);
    }
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

static PyObject *
server_get_cancel_ignored(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLongLong(((ServerObject *)op)->service.cancel_ignored);
}

static PyObject *
server_get_limited(PyObject *op, void *Py_UNUSED(closure))
{
    return cv_server_limits_counts((ServerObject *)op);
}

static PyMethodDef server_methods[] = {
    {"listen", server_listen, METH_O, listen_doc},
    {"stop_listening", server_stop_listening, METH_NOARGS, stop_listening_doc},
    {"accept_waiting", server_accept_waiting, METH_O, accept_waiting_doc},
    {"retire", server_retire, METH_NOARGS, retire_doc},
    {"tell_requests", server_tell_requests, METH_NOARGS, tell_requests_doc},
    {"drain", server_drain, METH_NOARGS, drain_doc},
    {"abort", server_abort, METH_NOARGS, abort_doc},
    {"cancel_requests", server_cancel_requests, METH_O, cancel_requests_doc},
    {"list_connections", server_list_connections, METH_NOARGS, list_connections_doc},
    {"close", server_close, METH_NOARGS, close_doc},
    {"_pump", cv_server_pump, METH_NOARGS, "Run one turn; for a loop that is not cuvee's."},
    {"_pump_again", cv_server_pump_again, METH_NOARGS, "Run one more turn, for work that an earlier one left."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef server_getset[] = {
    {"connections", server_get_connections, NULL, "The number of open connections.", NULL},
    {"requests", server_get_requests, NULL, "The number of requests whose task is not done.", NULL},
    {"total_requests", server_get_total_requests, NULL, "The number of complete responses so far.", NULL},
    {"limited", server_get_limited, NULL,
     "How often each limit ended a request or a connection so far: a new dict, by the name of the option.", NULL},
    {"cancel_ignored", server_get_cancel_ignored, NULL,
     "How many requests went on after they had been cancelled, since their client was gone.", NULL},
    {"tasks", server_get_tasks, NULL, "A new set of the tasks of the open requests.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef server_members[] = {
    {"on_idle", T_OBJECT, offsetof(ServerObject, service.on_idle), 0,
     "Called without arguments each time `connections` or `requests` falls to 0, or None."},
    {"on_limit", T_OBJECT, offsetof(ServerObject, service.on_limit), 0,
     "Called without arguments once, when `total_requests` comes to the limit `limit_max_requests`, or None."},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(server_doc,
             "Server(app, loop, *, root_path=\"\", state=None, asgi_version=\"3.0\", limits=None,\n"
             "       websocket=None, cancel_grace=None, cancel_unsafe=True, half_close=False, date_header=True,\n"
             "       headers=(), fresh_context=False, extensions=(), health_path=None, access_log=None,\n"
             "       look_access=None, access_format=None, log, trusted=(), forwarded_headers=None, forwarded_hops=0,\n"
             "       proxy_protocol=False)\n--\n\n"
             "One ASGI application served over HTTP/1.1 on one event loop.\n\n"
             "Requests run in a copy of the contextvars context that is current now, or with `fresh_context` in an\n"
             "empty one. `state` is copied into each scope. `headers` are pairs of bytes that every answer has too.\n"
             "`limits` are numbers by the names of Config's options, and so is `websocket`, where 0 is no limit, or\n"
             "never; None: a handshake is an ordinary request. `cancel_grace` is how many seconds after its client\n"
             "left a request is cancelled, None: never; `cancel_unsafe`: also one whose method is not\n"
             "safe. `half_close`: a client that ends what it sends has not left. `extensions` are the names of those\n"
             "of http.response that are offered: early_hint, trailers, pathsend, zerocopysend. GET and HEAD of\n"
             "`health_path`, bytes, are answered without the application. `access_log` is an\n"
             "AccessLog, or is called with client, method, target, version and status; `look_access` is called once a\n"
             "second, while there are requests, for what is to be that from now on. `access_format` is an\n"
             "AccessFormat for other lines than uvicorn's, which a callable is given as its sixth argument. `log` is\n"
             "called with a level number of logging's, a message and an exception or None. `trusted` are the hosts\n"
             "whose word about a client is taken: in the fields that `forwarded_headers` names (x-forwarded,\n"
             "forwarded, or None), the last `forwarded_hops` of them (0: as the hosts tell), and with\n"
             "`proxy_protocol` in PROXY preambles. Use from the loop's thread only; close() it in the end.");

static PyType_Slot server_slots[] = {
    {Py_tp_doc, (void *)server_doc},
    {Py_tp_new, cv_server_make},
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
