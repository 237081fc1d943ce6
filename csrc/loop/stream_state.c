/* SPDX-License-Identifier: MIT */
#include "loop/stream_state.h"

#include <stdlib.h>

#include "base/receive.h"

#define ATTRIBUTE "_stream_state"
#define LARGE_BLOCK (1 << 20)

static int
state_traverse(PyObject *op, visitproc visit, void *arg)
{
    StreamStateObject *self = (StreamStateObject *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->stream_type);
    Py_VISIT(self->acceptor_type);
    Py_VISIT(self->buffered_protocol);
    Py_VISIT(self->transport_socket);
    Py_VISIT(self->socket_type);
    Py_VISIT(self->logger);
    Py_VISIT(self->reader_protocol);
    Py_VISIT(self->reader_type);
    Py_VISIT(self->data_received.function);
    Py_VISIT(self->feed_data.function);
    return 0;
}

static int
state_clear(PyObject *op)
{
    StreamStateObject *self = (StreamStateObject *)op;
    Py_CLEAR(self->stream_type);
    Py_CLEAR(self->acceptor_type);
    Py_CLEAR(self->buffered_protocol);
    Py_CLEAR(self->transport_socket);
    Py_CLEAR(self->socket_type);
    Py_CLEAR(self->logger);
    Py_CLEAR(self->reader_protocol);
    Py_CLEAR(self->reader_type);
    Py_CLEAR(self->data_received.function);
    Py_CLEAR(self->feed_data.function);
    Py_CLEAR(self->minus_one);
    Py_CLEAR(self->exc_info_kwnames);
#define CV_CLEAR_STREAM_NAME(name) Py_CLEAR(self->str_##name);
    CV_STREAM_NAMES(CV_CLEAR_STREAM_NAME)
#undef CV_CLEAR_STREAM_NAME
    return 0;
}

static void
state_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    (void)state_clear(op);
    free(((StreamStateObject *)op)->scratch);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyType_Slot state_slots[] = {
    {Py_tp_doc, "What all streams of this module share."},
    {Py_tp_traverse, state_traverse},
    {Py_tp_clear, state_clear},
    {Py_tp_dealloc, state_dealloc},
    {0, NULL},
};

static PyType_Spec state_spec = {
    .name = "cuvee._core._StreamState",
    .basicsize = sizeof(StreamStateObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = state_slots,
};

/* The attribute `name` of the module `module_name` (new reference). */
static PyObject *
import_from(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    if (module == NULL) {
        return NULL;
    }
    PyObject *found = PyObject_GetAttrString(module, name);
    Py_DECREF(module);
    return found;
}

/* The function `name` of a class of asyncio.streams (new reference), or None where somebody has put another in its
 * place before we came: one that was written elsewhere. */
static PyObject *
own_method(PyObject *type, PyObject *name)
{
    PyObject *function = PyObject_GetAttr(type, name);
    PyObject *module = function != NULL ? PyImport_ImportModule("asyncio.streams") : NULL;
    if (module == NULL) {
        Py_XDECREF(function);
        return NULL;
    }
    bool own = PyFunction_Check(function) && PyFunction_GetGlobals(function) == PyModule_GetDict(module);
    Py_DECREF(module);
    if (!own) {
        Py_SETREF(function, Py_NewRef(Py_None));
    }
    return function;
}

static int
fill_names(StreamStateObject *self)
{
#define CV_FILL_STREAM_NAME(name)                                           \
    if ((self->str_##name = PyUnicode_InternFromString(#name)) == NULL) {   \
        return -1;                                                          \
    }
    CV_STREAM_NAMES(CV_FILL_STREAM_NAME)
#undef CV_FILL_STREAM_NAME
    self->exc_info_kwnames = PyTuple_Pack(1, self->str_exc_info);
    self->minus_one = PyLong_FromLong(-1);
    return self->exc_info_kwnames == NULL || self->minus_one == NULL ? -1 : 0;
}

/* glibc gives memory back to the system, to fetch it again a page at a time, whenever 128 KiB lie free at the end of
 * the heap: with every message of 64 KiB. Having freed one large block, it waits for twice its size. */
static void
warm_allocator(void)
{
    char *volatile block = malloc(LARGE_BLOCK);
    free(block);
}

static int
fill_imports(StreamStateObject *self)
{
    self->scratch = aligned_alloc(CV_RECEIVE_ALIGNMENT, CV_STREAM_SCRATCH);
    if (self->scratch == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    warm_allocator();
    if ((self->buffered_protocol = import_from("asyncio", "BufferedProtocol")) == NULL
        || (self->transport_socket = import_from("asyncio.trsock", "TransportSocket")) == NULL
        || (self->socket_type = import_from("socket", "socket")) == NULL
        || (self->logger = import_from("asyncio.log", "logger")) == NULL
        || (self->reader_protocol = import_from("asyncio", "StreamReaderProtocol")) == NULL
        || (self->reader_type = import_from("asyncio", "StreamReader")) == NULL
        || (self->data_received.function = own_method(self->reader_protocol, self->str_data_received)) == NULL
        || (self->feed_data.function = own_method(self->reader_type, self->str_feed_data)) == NULL) {
        return -1;
    }
    return 0;
}

StreamStateObject *
cv_stream_state_add(PyObject *module)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &state_spec, NULL);
    if (type == NULL) {
        return NULL;
    }
    StreamStateObject *self = (StreamStateObject *)type->tp_alloc(type, 0);
    Py_DECREF(type);
    if (self == NULL) {
        return NULL;
    }
    int failed = fill_names(self) < 0 || fill_imports(self) < 0
        || PyModule_AddObjectRef(module, ATTRIBUTE, (PyObject *)self) < 0;
    Py_DECREF(self); /* the module's reference remains */
    return failed ? NULL : self;
}

StreamStateObject *
cv_stream_state_of(PyTypeObject *type)
{
    PyObject *module = PyType_GetModule(type);
    PyObject *state = module != NULL ? PyObject_GetAttrString(module, ATTRIBUTE) : NULL;
    if (state != NULL && Py_TYPE(state)->tp_dealloc != state_dealloc) {
        Py_DECREF(state);
        PyErr_SetString(PyExc_SystemError, "cuvee._core." ATTRIBUTE " was replaced");
        return NULL;
    }
    return (StreamStateObject *)state;
}
