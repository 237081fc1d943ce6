/* SPDX-License-Identifier: MIT */
#include "loop/datagram.h"

#include <stddef.h>
#include <structmember.h>

/* ---- construction ----------------------------------------------------------------------------------------------- */

/* Fills what a stream has not. */
static int
fill(DatagramObject *self, PyObject *address)
{
    int has_remote = PyObject_IsTrue(address);
    int connected = has_remote < 0 ? -1 : PyObject_IsTrue(self->stream.peername);
    if (connected < 0) {
        return -1;
    }
    self->remote = has_remote ? Py_NewRef(address) : NULL;
    self->connected = connected != 0;
    self->stream.watch.ready = cv_datagram_on_ready;
    return cv_stream_start(&self->stream);
}

static PyObject *
datagram_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"loop", "sock", "protocol", "address", "waiter", "extra", NULL};
    cv_stream_args_t given = {.waiter = Py_None, .extra = Py_None, .server = Py_None};
    PyObject *address = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|OOO:DatagramTransport", names, &given.loop, &given.sock,
                                     &given.protocol, &address, &given.waiter, &given.extra)
        || cv_stream_check_args(&given) < 0) {
        return NULL;
    }
    StreamStateObject *state = cv_stream_state_of(type);
    StreamObject *stream = state != NULL ? cv_stream_join(type, state, &given) : NULL;
    Py_XDECREF(state);
    if (stream != NULL && fill((DatagramObject *)stream, address) < 0) {
        cv_stream_give_up(stream);
        return NULL;
    }
    return (PyObject *)stream;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static int
datagram_traverse(PyObject *op, visitproc visit, void *arg)
{
    DatagramObject *self = (DatagramObject *)op;
    Py_VISIT(self->remote); /* the remembered addresses hold nothing that could hold us */
    return cv_stream_traverse(op, visit, arg);
}

static int
datagram_clear(PyObject *op)
{
    DatagramObject *self = (DatagramObject *)op;
    Py_CLEAR(self->remote);
    Py_CLEAR(self->from.object);
    Py_CLEAR(self->to.object);
    return cv_stream_clear(op);
}

/* ---- the type --------------------------------------------------------------------------------------------------- */

static PyMemberDef datagram_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(DatagramObject, stream.weakrefs), READONLY, NULL},
    {"_sock_fd", T_INT, offsetof(DatagramObject, stream.number), READONLY, "The descriptor, also after it was closed."},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef datagram_methods[] = {
    {"sendto", (PyCFunction)(void (*)(void))cv_datagram_sendto, METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("sendto($self, data, addr=None)\n--\n\nSend a datagram, or queue it when the kernel takes none now.")},
    {"_read_ready", cv_datagram_read_ready, METH_NOARGS,
     PyDoc_STR("_read_ready($self)\n--\n\nCalled by the loop behind what was ready before a datagram came.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot datagram_slots[] = {
    {Py_tp_doc, "DatagramTransport(loop, sock, protocol, address=None, waiter=None, extra=None)\n--\n\n"
                "asyncio's transport for a datagram socket."},
    {Py_tp_new, datagram_new},
    {Py_tp_init, cv_stream_init},
    {Py_tp_traverse, datagram_traverse},
    {Py_tp_clear, datagram_clear},
    {Py_tp_finalize, cv_stream_finalize},
    {Py_tp_dealloc, cv_stream_dealloc},
    {Py_tp_repr, cv_stream_repr},
    {Py_tp_methods, datagram_methods},
    {Py_tp_members, datagram_members},
    {Py_tp_getset, cv_stream_getset},
    {0, NULL},
};

static PyType_Spec datagram_spec = {
    .name = "cuvee._core.DatagramTransport",
    .basicsize = sizeof(DatagramObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = datagram_slots,
};

/* Those of asyncio's own transport: its methods of a stream are not implemented, but there (new reference). */
static PyObject *
import_bases(void)
{
    PyObject *module = PyImport_ImportModule("asyncio");
    PyObject *abstract = module != NULL ? PyObject_GetAttrString(module, "DatagramTransport") : NULL;
    PyObject *flow_control = abstract != NULL ? cv_stream_import_base() : NULL;
    PyObject *bases = flow_control != NULL ? PyTuple_Pack(2, flow_control, abstract) : NULL;
    Py_XDECREF(flow_control);
    Py_XDECREF(abstract);
    Py_XDECREF(module);
    return bases;
}

int
cv_datagram_setup_type(PyObject *module)
{
    PyObject *bases = import_bases();
    PyObject *type = bases != NULL ? PyType_FromModuleAndSpec(module, &datagram_spec, bases) : NULL;
    Py_XDECREF(bases);
    if (type == NULL) {
        return -1;
    }
    int result = cv_stream_add_methods((PyTypeObject *)type);
    if (result == 0) {
        result = PyModule_AddType(module, (PyTypeObject *)type);
    }
    Py_DECREF(type);
    return result;
}
