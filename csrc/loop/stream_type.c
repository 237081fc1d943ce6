/* SPDX-License-Identifier: MIT */
#include "loop/stream.h"

#include <stddef.h>
#include <structmember.h>

/* ---- construction ----------------------------------------------------------------------------------------------- */

static PyObject *
none_to_null(PyObject *value)
{
    return value != Py_None ? value : NULL;
}

int
cv_stream_check_args(cv_stream_args_t *args)
{
    if (!cv_loop_check(args->loop)) {
        PyErr_Format(PyExc_TypeError, "loop must be a cuvee loop, not %.100s", Py_TYPE(args->loop)->tp_name);
        return -1;
    }
    if (args->extra != Py_None && !PyDict_Check(args->extra)) {
        PyErr_Format(PyExc_TypeError, "extra must be a dict or None, not %.100s", Py_TYPE(args->extra)->tp_name);
        return -1;
    }
    args->waiter = none_to_null(args->waiter);
    args->extra = none_to_null(args->extra);
    args->server = none_to_null(args->server);
    args->fd = PyObject_AsFileDescriptor(args->sock);
    return args->fd >= 0 ? 0 : -1;
}

static PyObject *
stream_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"loop", "sock", "protocol", "waiter", "extra", "server", NULL};
    cv_stream_args_t given = {.waiter = Py_None, .extra = Py_None, .server = Py_None};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|OOO:StreamTransport", names, &given.loop, &given.sock,
                                     &given.protocol, &given.waiter, &given.extra, &given.server)
        || cv_stream_check_args(&given) < 0) {
        return NULL;
    }
    StreamStateObject *state = cv_stream_state_of(type);
    if (state == NULL) {
        return NULL;
    }
    PyObject *stream = cv_stream_open(state, &given);
    Py_DECREF(state);
    return stream;
}

static PyObject *
stream_can_write_eof(PyObject *op, PyObject *unused)
{
    (void)op;
    (void)unused;
    Py_RETURN_TRUE;
}

/* ---- the type ---------------------------------------------------------------------------------------------------- */

static PyMemberDef stream_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(StreamObject, weakrefs), READONLY, NULL},
    {"_sock_fd", T_INT, offsetof(StreamObject, number), READONLY, "The descriptor, also after it was closed."},
    {"_closing", T_BOOL, offsetof(StreamObject, closing), READONLY, "What is_closing() says."},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef stream_methods[] = {
    {"write", cv_stream_write, METH_O,
     PyDoc_STR("write($self, data, /)\n--\n\nSend at once what the kernel takes and queue the rest.")},
    {"writelines", cv_stream_writelines, METH_O,
     PyDoc_STR("writelines($self, list_of_data, /)\n--\n\nwrite() of several pieces, with one system call.")},
    {"write_eof", cv_stream_write_eof, METH_NOARGS,
     PyDoc_STR("write_eof($self)\n--\n\nClose the sending side after what is queued.")},
    {"can_write_eof", stream_can_write_eof, METH_NOARGS, PyDoc_STR("can_write_eof($self)\n--\n\nTrue.")},
    {"_make_empty_waiter", cv_stream_make_empty_waiter, METH_NOARGS,
     PyDoc_STR("_make_empty_waiter($self)\n--\n\nA future that is done when nothing is queued any more.")},
    {"_make_lost_waiter", cv_stream_make_lost_waiter, METH_NOARGS,
     PyDoc_STR("_make_lost_waiter($self)\n--\n\n"
               "A future that fails when the connection ends; until _reset_empty_waiter() nothing can be written.")},
    {"_reset_empty_waiter", cv_stream_reset_empty_waiter, METH_NOARGS,
     PyDoc_STR("_reset_empty_waiter($self)\n--\n\nAllow writes again after _make_empty_waiter().")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot stream_slots[] = {
    {Py_tp_doc, "StreamTransport(loop, sock, protocol, waiter=None, extra=None, server=None)\n--\n\n"
                "asyncio's transport for a connected TCP or Unix stream socket."},
    {Py_tp_new, stream_new},
    {Py_tp_init, cv_stream_init},
    {Py_tp_traverse, cv_stream_traverse},
    {Py_tp_clear, cv_stream_clear},
    {Py_tp_finalize, cv_stream_finalize},
    {Py_tp_dealloc, cv_stream_dealloc},
    {Py_tp_repr, cv_stream_repr},
    {Py_tp_methods, stream_methods},
    {Py_tp_members, stream_members},
    {Py_tp_getset, cv_stream_getset},
    {0, NULL},
};

static PyType_Spec stream_spec = {
    .name = "cuvee._core.StreamTransport",
    .basicsize = sizeof(StreamObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = stream_slots,
};

/* ---- set-up ----------------------------------------------------------------------------------------------------- */

PyObject *
cv_stream_import_base(void)
{
    PyObject *module = PyImport_ImportModule("asyncio.transports");
    PyObject *base = module != NULL ? PyObject_GetAttrString(module, "_FlowControlMixin") : NULL;
    Py_XDECREF(module);
    if (base == NULL) {
        return NULL;
    }
    Py_ssize_t size = PyType_Check(base) ? ((PyTypeObject *)base)->tp_basicsize : -1;
    if (size != (Py_ssize_t)offsetof(StreamObject, weakrefs)) {
        PyErr_Format(PyExc_ImportError, "asyncio's _FlowControlMixin has %zd bytes, not %zu: unknown version of Python",
                     size, offsetof(StreamObject, weakrefs));
        Py_CLEAR(base);
    }
    return base;
}

/* Class attributes by which asyncio asks what a transport can do. */
static int
mark_type(PyObject *type)
{
    PyObject *constants = PyImport_ImportModule("asyncio.constants");
    PyObject *modes = constants != NULL ? PyObject_GetAttrString(constants, "_SendfileMode") : NULL;
    PyObject *mode = modes != NULL ? PyObject_GetAttrString(modes, "TRY_NATIVE") : NULL;
    int result = -1;
    if (mode != NULL && PyObject_SetAttrString(type, "_sendfile_compatible", mode) == 0) {
        result = PyObject_SetAttrString(type, "_start_tls_compatible", Py_True);
    }
    Py_XDECREF(mode);
    Py_XDECREF(modes);
    Py_XDECREF(constants);
    return result;
}

int
cv_stream_setup_types(PyObject *module)
{
    StreamStateObject *state = cv_stream_state_add(module);
    PyObject *base = state != NULL ? cv_stream_import_base() : NULL;
    if (base == NULL) {
        return -1;
    }
    PyObject *type = PyType_FromModuleAndSpec(module, &stream_spec, base);
    Py_DECREF(base);
    if (type == NULL) {
        return -1;
    }
    state->stream_type = (PyTypeObject *)type;
    if (cv_stream_add_methods(state->stream_type) < 0 || mark_type(type) < 0
        || PyModule_AddType(module, state->stream_type) < 0) {
        return -1;
    }
    state->acceptor_type = cv_stream_make_acceptor_type(module);
    return state->acceptor_type != NULL ? PyModule_AddType(module, state->acceptor_type) : -1;
}
