/* SPDX-License-Identifier: MIT */
#include "loop/stream.h"

#include <stddef.h>
#include <string.h>
#include <structmember.h>

#include "py/errors.h"

/* ---- construction ----------------------------------------------------------------------------------------------- */

static int
check_args(PyObject *loop, PyObject *extra)
{
    if (!cv_loop_check(loop)) {
        PyErr_Format(PyExc_TypeError, "loop must be a cuvee loop, not %.100s", Py_TYPE(loop)->tp_name);
        return -1;
    }
    if (extra != Py_None && !PyDict_Check(extra)) {
        PyErr_Format(PyExc_TypeError, "extra must be a dict or None, not %.100s", Py_TYPE(extra)->tp_name);
        return -1;
    }
    return 0;
}

static PyObject *
none_to_null(PyObject *value)
{
    return value != Py_None ? value : NULL;
}

static PyObject *
stream_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"loop", "sock", "protocol", "waiter", "extra", "server", NULL};
    PyObject *loop, *sock, *protocol, *waiter = Py_None, *extra = Py_None, *server = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|OOO:StreamTransport", names, &loop, &sock, &protocol, &waiter,
                                     &extra, &server)
        || check_args(loop, extra) < 0) {
        return NULL;
    }
    int fd = PyObject_AsFileDescriptor(sock);
    StreamStateObject *state = fd >= 0 ? cv_stream_state_of(type) : NULL;
    if (state == NULL) {
        return NULL;
    }
    cv_stream_args_t stream_args = {
        .loop = loop,
        .protocol = protocol,
        .sock = sock,
        .waiter = none_to_null(waiter),
        .extra = none_to_null(extra),
        .server = none_to_null(server),
        .fd = fd,
    };
    PyObject *stream = cv_stream_open(state, &stream_args);
    Py_DECREF(state);
    return stream;
}

/* Everything was done by stream_new; asyncio.BaseTransport's __init__ must not see our arguments. */
static int
stream_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    (void)op;
    (void)args;
    (void)kwargs;
    return 0;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static int
stream_traverse(PyObject *op, visitproc visit, void *arg)
{
    StreamObject *self = (StreamObject *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->base.extra);
    for (size_t i = 0; i < sizeof(self->base.unused) / sizeof(self->base.unused[0]); i++) {
        Py_VISIT(self->base.unused[i]);
    }
    Py_VISIT(self->state);
    Py_VISIT(self->loop);
    Py_VISIT(self->context);
    Py_VISIT(self->sock);
    Py_VISIT(self->sock_hold);
    Py_VISIT(self->sock_face);
    Py_VISIT(self->protocol);
    Py_VISIT(self->server);
    Py_VISIT(self->waiter);
    Py_VISIT(self->empty_waiter);
    return 0;
}

static int
stream_clear(PyObject *op)
{
    StreamObject *self = (StreamObject *)op;
    cv_stream_release(self);
    cv_stream_queue_clear(&self->queue);
    Py_CLEAR(self->base.extra);
    for (size_t i = 0; i < sizeof(self->base.unused) / sizeof(self->base.unused[0]); i++) {
        Py_CLEAR(self->base.unused[i]);
    }
    Py_CLEAR(self->context);
    Py_CLEAR(self->sock_face);
    Py_CLEAR(self->protocol);
    Py_CLEAR(self->server);
    Py_CLEAR(self->waiter);
    Py_CLEAR(self->empty_waiter);
    Py_CLEAR(self->loop);
    return 0;
}

static void
stream_finalize(PyObject *op)
{
    StreamObject *self = (StreamObject *)op;
    if (self->fd < 0) {
        return;
    }
    PyObject *exception = cv_error_take();
    if (PyErr_ResourceWarning(op, 1, "unclosed transport %R", op) < 0) {
        PyErr_WriteUnraisable(op); /* warnings are errors */
    }
    cv_stream_release(self);
    cv_stream_detach_server(self);
    if (exception != NULL) {
        cv_error_give(exception);
    }
}

static void
stream_dealloc(PyObject *op)
{
    StreamObject *self = (StreamObject *)op;
    PyTypeObject *type = Py_TYPE(op);
    if (PyObject_CallFinalizerFromDealloc(op) < 0) {
        return; /* the finalizer gave it to somebody */
    }
    PyObject_GC_UnTrack(op);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    (void)stream_clear(op);
    Py_CLEAR(self->sockname);
    Py_CLEAR(self->peername);
    Py_CLEAR(self->state);
    type->tp_free(op);
    Py_DECREF(type);
}

/* ---- asyncio.BaseTransport and asyncio.ReadTransport ------------------------------------------------------------ */

static PyObject *
stream_is_closing(PyObject *op, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(((StreamObject *)op)->closing);
}

static PyObject *
stream_close(PyObject *op, PyObject *unused)
{
    (void)unused;
    return cv_stream_close((StreamObject *)op) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
stream_abort(PyObject *op, PyObject *unused)
{
    (void)unused;
    return cv_stream_force_close((StreamObject *)op, NULL) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
stream_force_close(PyObject *op, PyObject *exception)
{
    return cv_stream_force_close((StreamObject *)op, exception) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
stream_set_protocol(PyObject *op, PyObject *protocol)
{
    return cv_stream_set_protocol((StreamObject *)op, protocol) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
stream_get_protocol(PyObject *op, PyObject *unused)
{
    (void)unused;
    StreamObject *self = (StreamObject *)op;
    return Py_NewRef(self->protocol != NULL ? self->protocol : Py_None);
}

static bool
is_reading(StreamObject *self)
{
    return !self->closing && !self->paused;
}

static PyObject *
stream_is_reading(PyObject *op, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(is_reading((StreamObject *)op));
}

static PyObject *
change_paused(StreamObject *self, bool paused, const char *log_format)
{
    self->paused = paused;
    if (cv_stream_rewatch(self) < 0) {
        return NULL;
    }
    if (cv_stream_is_debug(self)) {
        cv_stream_log_debug(self, log_format);
    }
    Py_RETURN_NONE;
}

static PyObject *
stream_pause_reading(PyObject *op, PyObject *unused)
{
    (void)unused;
    StreamObject *self = (StreamObject *)op;
    return is_reading(self) ? change_paused(self, true, "%r pauses reading") : Py_NewRef(Py_None);
}

static PyObject *
stream_resume_reading(PyObject *op, PyObject *unused)
{
    (void)unused;
    StreamObject *self = (StreamObject *)op;
    bool may_resume = !self->closing && self->paused;
    return may_resume ? change_paused(self, false, "%r resumes reading") : Py_NewRef(Py_None);
}

static PyObject *
stream_can_write_eof(PyObject *op, PyObject *unused)
{
    (void)op;
    (void)unused;
    Py_RETURN_TRUE;
}

static PyObject *
stream_get_write_buffer_size(PyObject *op, PyObject *unused)
{
    (void)unused;
    return PyLong_FromSize_t(((StreamObject *)op)->queue.bytes);
}

/* ---- what the loop calls back ----------------------------------------------------------------------------------- */

static int
wake_waiter(StreamObject *self, PyObject *waiter)
{
    PyObject *is_done = PyObject_CallMethodNoArgs(waiter, self->state->str_done);
    PyObject *result = NULL;
    if (is_done == Py_False) { /* else it was cancelled: the one who waited will close the transport */
        result = PyObject_CallMethodOneArg(waiter, self->state->str_set_result, Py_None);
    }
    int failed = is_done == NULL || (is_done == Py_False && result == NULL);
    Py_XDECREF(result);
    Py_XDECREF(is_done);
    return failed ? -1 : 0;
}

/* Whoever waited runs before anything is read, as in asyncio: reading begins behind it in the ready queue. */
static int
wake_then_begin(StreamObject *self)
{
    PyObject *waiter = self->waiter;
    self->waiter = NULL;
    PyObject *begin = PyObject_GetAttr((PyObject *)self, self->state->str__begin_reading);
    int result = begin != NULL ? wake_waiter(self, waiter) : -1;
    if (result == 0) {
        result = cv_loop_call_soon(self->loop, begin, NULL, NULL);
    }
    Py_XDECREF(begin);
    Py_DECREF(waiter);
    return result;
}

static PyObject *
stream_begin_reading(PyObject *op, PyObject *unused)
{
    (void)unused;
    StreamObject *self = (StreamObject *)op;
    if (self->finished) {
        Py_RETURN_NONE; /* closed in the turn in which it was opened */
    }
    if (self->waiter != NULL) {
        return wake_then_begin(self) < 0 ? NULL : Py_NewRef(Py_None);
    }
    self->reading = true;
    if (cv_stream_rewatch(self) < 0) {
        cv_stream_fail(self, "Fatal read error on socket transport");
    }
    Py_RETURN_NONE;
}

static PyObject *
stream_call_connection_lost(PyObject *op, PyObject *exception)
{
    return cv_stream_finish((StreamObject *)op, exception) < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- the type ---------------------------------------------------------------------------------------------------- */

static PyMemberDef stream_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(StreamObject, weakrefs), READONLY, NULL},
    {"_sock_fd", T_INT, offsetof(StreamObject, number), READONLY, "The descriptor, also after it was closed."},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef stream_methods[] = {
    {"get_extra_info", (PyCFunction)(void (*)(void))cv_stream_get_extra_info, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("get_extra_info($self, name, default=None)\n--\n\nInformation about the connection.")},
    {"is_closing", stream_is_closing, METH_NOARGS,
     PyDoc_STR("is_closing($self)\n--\n\nWhether the transport is closing or closed.")},
    {"close", stream_close, METH_NOARGS, PyDoc_STR("close($self)\n--\n\nSend what is queued, then close.")},
    {"abort", stream_abort, METH_NOARGS, PyDoc_STR("abort($self)\n--\n\nClose now; what is queued is lost.")},
    {"set_protocol", stream_set_protocol, METH_O,
     PyDoc_STR("set_protocol($self, protocol, /)\n--\n\nGive the connection to another protocol.")},
    {"get_protocol", stream_get_protocol, METH_NOARGS, PyDoc_STR("get_protocol($self)\n--\n\nThe current protocol.")},
    {"is_reading", stream_is_reading, METH_NOARGS,
     PyDoc_STR("is_reading($self)\n--\n\nWhether the transport hands over what it receives.")},
    {"pause_reading", stream_pause_reading, METH_NOARGS,
     PyDoc_STR("pause_reading($self)\n--\n\nHand over nothing until resume_reading() is called.")},
    {"resume_reading", stream_resume_reading, METH_NOARGS,
     PyDoc_STR("resume_reading($self)\n--\n\nHand over what is received again.")},
    {"write", cv_stream_write, METH_O,
     PyDoc_STR("write($self, data, /)\n--\n\nSend at once what the kernel takes and queue the rest.")},
    {"writelines", cv_stream_writelines, METH_O,
     PyDoc_STR("writelines($self, list_of_data, /)\n--\n\nwrite() of several pieces, with one system call.")},
    {"write_eof", cv_stream_write_eof, METH_NOARGS,
     PyDoc_STR("write_eof($self)\n--\n\nClose the sending side after what is queued.")},
    {"can_write_eof", stream_can_write_eof, METH_NOARGS, PyDoc_STR("can_write_eof($self)\n--\n\nTrue.")},
    {"set_write_buffer_limits", (PyCFunction)(void (*)(void))cv_stream_set_limits, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("set_write_buffer_limits($self, high=None, low=None)\n--\n\n"
               "Set the marks at which the protocol's pause_writing() and resume_writing() are called.")},
    {"get_write_buffer_limits", cv_stream_get_limits, METH_NOARGS,
     PyDoc_STR("get_write_buffer_limits($self)\n--\n\nThe low and the high mark.")},
    {"get_write_buffer_size", stream_get_write_buffer_size, METH_NOARGS,
     PyDoc_STR("get_write_buffer_size($self)\n--\n\nHow many bytes are queued.")},
    {"_force_close", stream_force_close, METH_O,
     PyDoc_STR("_force_close($self, exc, /)\n--\n\nabort() that gives connection_lost() a reason.")},
    {"_begin_reading", stream_begin_reading, METH_NOARGS,
     PyDoc_STR("_begin_reading($self)\n--\n\nCalled by the loop after connection_made().")},
    {"_call_connection_lost", stream_call_connection_lost, METH_O,
     PyDoc_STR("_call_connection_lost($self, exc, /)\n--\n\nCalled by the loop when the connection is over.")},
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
    {Py_tp_init, stream_init},
    {Py_tp_traverse, stream_traverse},
    {Py_tp_clear, stream_clear},
    {Py_tp_finalize, stream_finalize},
    {Py_tp_dealloc, stream_dealloc},
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

/* asyncio's base class of transports with water marks, as loop.sendfile() wants one. Its instances must end where ours
 * go on (new reference). */
static PyObject *
import_base(void)
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
    PyObject *base = state != NULL ? import_base() : NULL;
    if (base == NULL) {
        return -1;
    }
    PyObject *type = PyType_FromModuleAndSpec(module, &stream_spec, base);
    Py_DECREF(base);
    if (type == NULL) {
        return -1;
    }
    state->stream_type = (PyTypeObject *)type;
    if (mark_type(type) < 0 || PyModule_AddType(module, state->stream_type) < 0) {
        return -1;
    }
    state->acceptor_type = cv_stream_make_acceptor_type(module);
    return state->acceptor_type != NULL ? PyModule_AddType(module, state->acceptor_type) : -1;
}
