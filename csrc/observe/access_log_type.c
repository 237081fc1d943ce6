/* SPDX-License-Identifier: MIT */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "observe/access_log_type.h"

#include <math.h>
#include <string.h>

typedef struct {
    PyObject_HEAD
    cv_access_log_t *log; /* owned, never NULL */
} AccessLogObject;

static PyObject *
access_log_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"fd", "colors", "ring_bytes", NULL};
    int fd, colours = 0;
    Py_ssize_t ring_bytes = 1048576;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "i|$pn:AccessLog", keywords, &fd, &colours, &ring_bytes)) {
        return NULL;
    }
    if (fd < 0 || ring_bytes <= 0) {
        PyErr_SetString(PyExc_ValueError, "fd must not be negative, and ring_bytes must be positive");
        return NULL;
    }
    AccessLogObject *self = (AccessLogObject *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->log = cv_access_log_new(fd, colours != 0, (size_t)ring_bytes);
    if (self->log == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void
access_log_dealloc(PyObject *op)
{
    AccessLogObject *self = (AccessLogObject *)op;
    PyTypeObject *type = Py_TYPE(op);
    Py_BEGIN_ALLOW_THREADS
    cv_access_log_free(self->log);
    Py_END_ALLOW_THREADS
    type->tp_free(op);
    Py_DECREF(type);
}

PyDoc_STRVAR(write_doc,
             "write($self, client, method, target, version, status, /)\n--\n\n"
             "Add one line. Never waits: a line for which there is no room is dropped and counted.");

static PyObject *
access_log_write(PyObject *op, PyObject *args)
{
    const char *client, *method, *target, *version;
    Py_ssize_t client_len, method_len, target_len, version_len;
    unsigned int status;
    if (!PyArg_ParseTuple(args, "s#s#s#s#I:write", &client, &client_len, &method, &method_len, &target, &target_len,
                          &version, &version_len, &status)) {
        return NULL;
    }
    bool is_1_0 = strcmp(version, "1.0") == 0;
    if (!is_1_0 && strcmp(version, "1.1") != 0) {
        PyErr_SetString(PyExc_ValueError, "version must be '1.0' or '1.1'");
        return NULL;
    }
    const char *mark = memchr(target, '?', (size_t)target_len);
    size_t path_len = mark == NULL ? (size_t)target_len : (size_t)(mark - target);
    cv_span_t query = {"", 0};
    if (mark != NULL) {
        query = (cv_span_t){mark + 1, (size_t)target_len - path_len - 1};
    }
    cv_access_log_line(((AccessLogObject *)op)->log, (cv_span_t){client, (size_t)client_len},
                       (cv_span_t){method, (size_t)method_len}, (cv_span_t){target, path_len}, query, is_1_0 ? 0 : 1,
                       status);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(flush_doc,
             "flush($self, timeout, /)\n--\n\n"
             "Wait until what was added before is written, at most timeout seconds; say whether it was.");

static PyObject *
access_log_flush(PyObject *op, PyObject *arg)
{
    double seconds = PyFloat_AsDouble(arg);
    if (seconds == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    if (isnan(seconds) || seconds < 0) {
        PyErr_SetString(PyExc_ValueError, "timeout must not be negative");
        return NULL;
    }
    enum { LONGEST = 1000000 }; /* seconds: what fits into unsigned milliseconds */
    unsigned timeout_ms = seconds < LONGEST ? (unsigned)ceil(seconds * 1000) : LONGEST * 1000u;
    bool done;
    Py_BEGIN_ALLOW_THREADS
    done = cv_access_log_flush(((AccessLogObject *)op)->log, timeout_ms);
    Py_END_ALLOW_THREADS
    return PyBool_FromLong(done);
}

PyDoc_STRVAR(close_doc,
             "close($self, /)\n--\n\n"
             "Write what is left, for at most half a second, and end the thread. Later lines are dropped and counted.");

static PyObject *
access_log_close(PyObject *op, PyObject *Py_UNUSED(arg))
{
    Py_BEGIN_ALLOW_THREADS
    cv_access_log_close(((AccessLogObject *)op)->log);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *
access_log_dropped(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLongLong(cv_access_log_dropped(((AccessLogObject *)op)->log));
}

static PyMethodDef access_log_methods[] = {
    {"write", access_log_write, METH_VARARGS, write_doc},
    {"flush", access_log_flush, METH_O, flush_doc},
    {"close", access_log_close, METH_NOARGS, close_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef access_log_getset[] = {
    {"dropped", access_log_dropped, NULL, "Lines that were lost since the log was made.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(access_log_doc,
             "AccessLog(fd, *, colors=False, ring_bytes=1048576)\n--\n\n"
             "Writes access log lines in uvicorn's format to a descriptor, from a thread of its own.\n"
             "\n"
             "Nothing starts before the first line. The descriptor stays the caller's, must be open until close(),\n"
             "and keeps its flags.");

static PyType_Slot access_log_slots[] = {
    {Py_tp_doc, (void *)access_log_doc},
    {Py_tp_new, access_log_new},
    {Py_tp_dealloc, access_log_dealloc},
    {Py_tp_methods, access_log_methods},
    {Py_tp_getset, access_log_getset},
    {0, NULL},
};

static PyType_Spec access_log_spec = {
    .name = "cuvee._core.AccessLog",
    .basicsize = sizeof(AccessLogObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = access_log_slots,
};

int
cv_access_log_setup_type(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &access_log_spec, NULL);
    if (type == NULL) {
        return -1;
    }
    int rc = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return rc;
}

cv_access_log_t *
cv_access_log_from_object(PyObject *object)
{
    /* The type can't be subclassed, so who is freed by our function is ours. */
    bool is_ours = Py_TYPE(object)->tp_dealloc == access_log_dealloc;
    return is_ours ? ((AccessLogObject *)object)->log : NULL;
}
