/* SPDX-License-Identifier: MIT */
#include "asgi/connection.h"

#include <stddef.h>
#include <structmember.h>

#include "asgi/peer.h"
#include "py/errors.h"

typedef struct {
    PyObject_HEAD
    cv_conn_t *conn;  /* borrowed; NULL once it is closed */
    PyObject *client; /* strong: as in a scope */
    PyObject *server; /* strong */
} ConnectionObject;

/* ---- which connection has which handle ----------------------------------------------------------------------- */

/* Who is at the two ends; of one that was given up already nobody knows any more. */
static int
fill(ConnectionObject *self, cv_service_t *service, cv_conn_t *conn)
{
    PyObject *client = conn->app == NULL ? Py_None : cv_peer_client(conn->app);
    PyObject *server = conn->app == NULL
        ? Py_None
        : cv_peer_server(conn->app, conn->transport.fd, service->server_address);
    self->client = Py_XNewRef(client);
    self->server = Py_XNewRef(server);
    return client == NULL || server == NULL ? -1 : 0;
}

/* A new handle, in the dict under `key`. New reference. */
static PyObject *
add_handle(cv_service_t *service, cv_conn_t *conn, PyObject *key)
{
    ConnectionObject *self = PyObject_New(ConnectionObject, service->state->connection_type);
    if (self == NULL) {
        return NULL;
    }
    self->conn = NULL;
    self->client = self->server = NULL;
    if (fill(self, service, conn) < 0 || PyDict_SetItem(service->handles, key, (PyObject *)self) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    if (conn->state != CV_CONN_CLOSED) { /* which code that runs meanwhile may have done */
        self->conn = conn;
        conn->tells_end = true;
    }
    return (PyObject *)self;
}

/* New reference; NULL with an exception set. */
static PyObject *
handle_of(cv_service_t *service, cv_conn_t *conn)
{
    PyObject *key = PyLong_FromVoidPtr(conn);
    if (key == NULL) {
        return NULL;
    }
    PyObject *handle = conn->tells_end ? Py_XNewRef(PyDict_GetItemWithError(service->handles, key)) : NULL;
    if (handle == NULL && !PyErr_Occurred()) {
        handle = add_handle(service, conn, key);
    }
    Py_DECREF(key);
    return handle;
}

PyObject *
cv_connection_list(cv_service_t *service)
{
    if (service->handles == NULL && (service->handles = PyDict_New()) == NULL) {
        return NULL;
    }
    cv_list_t rest; /* a connection that is closed meanwhile leaves it */
    cv_list_take(&rest, &service->env.conns);
    PyObject *all = PyList_New(0);
    while (!cv_list_is_empty(&rest)) {
        cv_conn_t *conn = CV_CONTAINER_OF(rest.next, cv_conn_t, node);
        cv_list_remove(&conn->node);
        cv_list_append(&service->env.conns, &conn->node);
        PyObject *handle = all == NULL ? NULL : handle_of(service, conn);
        if (handle == NULL || PyList_Append(all, handle) < 0) {
            Py_CLEAR(all);
        }
        Py_XDECREF(handle);
    }
    return all;
}

void
cv_connection_look_again(cv_service_t *service, cv_conn_t *conn)
{
    PyObject *client = Py_XNewRef(cv_peer_client(conn->app)); /* first: a finalizer may close the connection */
    PyObject *key = client == NULL ? NULL : PyLong_FromVoidPtr(conn);
    PyObject *handle = key == NULL ? NULL : PyDict_GetItemWithError(service->handles, key);
    if (handle != NULL) {
        Py_SETREF(((ConnectionObject *)handle)->client, Py_NewRef(client));
    }
    Py_XDECREF(key);
    Py_XDECREF(client);
    PyErr_Clear(); /* without memory it is as it was */
}

/* For want of memory for a key: the handle stays in the dict, and knows of no connection any more. */
static void
end_without_key(cv_service_t *service, const cv_conn_t *conn)
{
    Py_ssize_t position = 0;
    PyObject *handle;
    while (PyDict_Next(service->handles, &position, NULL, &handle)) {
        ConnectionObject *self = (ConnectionObject *)handle;
        if (self->conn == conn) {
            self->conn = NULL;
        }
    }
}

void
cv_connection_end(cv_service_t *service, cv_conn_t *conn)
{
    PyObject *travelling = cv_error_take();
    PyObject *key = PyLong_FromVoidPtr(conn);
    PyObject *handle = key == NULL ? NULL : PyDict_GetItemWithError(service->handles, key);
    if (handle != NULL) {
        ((ConnectionObject *)handle)->conn = NULL;
        PyDict_DelItem(service->handles, key);
    } else {
        end_without_key(service, conn);
    }
    Py_XDECREF(key);
    PyErr_Clear();
    if (travelling != NULL) {
        cv_error_give(travelling);
    }
}

/* ---- what may be done with it -------------------------------------------------------------------------------- */

/* Does it to the connection, if that is still open, and has the loop see to what follows. */
static PyObject *
do_to(PyObject *op, void (*what)(cv_conn_t *conn))
{
    cv_conn_t *conn = ((ConnectionObject *)op)->conn;
    if (conn != NULL) {
        cv_service_t *service = CV_CONTAINER_OF(conn->env, cv_service_t, env);
        what(conn);
        cv_service_wake(service);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(shutdown_doc,
             "shutdown($self, /)\n--\n\n"
             "End gracefully: close now if no request is open, or else after its answer.");

static PyObject *
connection_shutdown(PyObject *op, PyObject *Py_UNUSED(arg))
{
    return do_to(op, cv_conn_drain);
}

PyDoc_STRVAR(close_doc,
             "close($self, /)\n--\n\nClose when what is queued is written; an open answer is broken off.");

static PyObject *
connection_close(PyObject *op, PyObject *Py_UNUSED(arg))
{
    return do_to(op, cv_conn_stop);
}

PyDoc_STRVAR(abort_doc, "abort($self, /)\n--\n\nClose now; what is queued is lost.");

static PyObject *
connection_abort(PyObject *op, PyObject *Py_UNUSED(arg))
{
    return do_to(op, cv_conn_abort);
}

PyDoc_STRVAR(is_closing_doc, "is_closing($self, /)\n--\n\nSay whether it is closed, or closes after what is queued.");

static PyObject *
connection_is_closing(PyObject *op, PyObject *Py_UNUSED(arg))
{
    const cv_conn_t *conn = ((ConnectionObject *)op)->conn;
    return PyBool_FromLong(conn == NULL || conn->close_after_write || conn->state >= CV_CONN_LINGERING);
}

PyDoc_STRVAR(get_extra_info_doc,
             "get_extra_info($self, name, default=None, /)\n--\n\n"
             "The address of the client (\"peername\") or of the server (\"sockname\"), as scopes have them.");

static PyObject *
connection_get_extra_info(PyObject *op, PyObject *args)
{
    ConnectionObject *self = (ConnectionObject *)op;
    PyObject *name;
    PyObject *value = Py_None;
    if (!PyArg_ParseTuple(args, "U|O:get_extra_info", &name, &value)) {
        return NULL;
    }
    if (PyUnicode_CompareWithASCIIString(name, "peername") == 0) {
        value = self->client;
    } else if (PyUnicode_CompareWithASCIIString(name, "sockname") == 0) {
        value = self->server;
    }
    return Py_NewRef(value);
}

static PyObject *
connection_get_transport(PyObject *op, void *Py_UNUSED(closure))
{
    return Py_NewRef(op);
}

static void
connection_dealloc(PyObject *op)
{
    ConnectionObject *self = (ConnectionObject *)op;
    PyTypeObject *type = Py_TYPE(op);
    Py_XDECREF(self->client);
    Py_XDECREF(self->server);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef connection_methods[] = {
    {"shutdown", connection_shutdown, METH_NOARGS, shutdown_doc},
    {"close", connection_close, METH_NOARGS, close_doc},
    {"abort", connection_abort, METH_NOARGS, abort_doc},
    {"is_closing", connection_is_closing, METH_NOARGS, is_closing_doc},
    {"get_extra_info", connection_get_extra_info, METH_VARARGS, get_extra_info_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef connection_members[] = {
    {"client", T_OBJECT, offsetof(ConnectionObject, client), READONLY, "The client's address, as in a scope."},
    {"server", T_OBJECT, offsetof(ConnectionObject, server), READONLY, "The server's address, as in a scope."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef connection_getset[] = {
    {"transport", connection_get_transport, NULL, "The connection itself: it has a transport's ways to end it.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot connection_slots[] = {
    {Py_tp_doc, (void *)"One client's connection: an element of ServerState.connections. Use from the loop's thread."},
    {Py_tp_dealloc, connection_dealloc},
    {Py_tp_methods, connection_methods},
    {Py_tp_members, connection_members},
    {Py_tp_getset, connection_getset},
    {0, NULL},
};

static PyType_Spec connection_spec = {
    .name = "cuvee._core.Connection",
    .basicsize = sizeof(ConnectionObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = connection_slots,
};

int
cv_connection_setup_type(PyObject *module)
{
    cv_state_t *state = PyModule_GetState(module);
    return cv_state_add_type(module, &state->connection_type, &connection_spec);
}
