/* SPDX-License-Identifier: MIT */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "observe/access_format_type.h"

#include <errno.h>

typedef struct {
    PyObject_HEAD
    cv_access_format_t *format; /* owned, never NULL */
} AccessFormatObject;

static int
add_piece(cv_access_format_t *format, PyObject *piece)
{
    const char *kind, *text;
    Py_ssize_t len;
    if (!PyTuple_Check(piece)) {
        PyErr_Format(PyExc_TypeError, "a piece must be a pair of kind and text, not %.100s", Py_TYPE(piece)->tp_name);
        return -1;
    }
    if (!PyArg_ParseTuple(piece, "ss#:AccessFormat", &kind, &text, &len)) {
        return -1;
    }
    int error = cv_access_format_add(format, kind, (cv_span_t){text, (size_t)len});
    if (error == -EINVAL) {
        PyErr_Format(PyExc_ValueError, "there is no kind of piece %s", kind);
    } else if (error == -E2BIG) {
        PyErr_Format(PyExc_ValueError, "more than %d header fields", CV_ACCESS_FIELDS);
    } else if (error < 0) {
        PyErr_NoMemory();
    }
    return error < 0 ? -1 : 0;
}

static int
add_pieces(cv_access_format_t *format, PyObject *pieces)
{
    PyObject *fast = PySequence_Fast(pieces, "pieces must be a sequence");
    if (fast == NULL) {
        return -1;
    }
    int status = 0;
    for (Py_ssize_t i = 0; status == 0 && i < PySequence_Fast_GET_SIZE(fast); i++) {
        status = add_piece(format, PySequence_Fast_GET_ITEM(fast, i));
    }
    Py_DECREF(fast);
    return status;
}

static PyObject *
access_format_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"pieces", "json", NULL};
    PyObject *pieces;
    int json = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$p:AccessFormat", keywords, &pieces, &json)) {
        return NULL;
    }
    AccessFormatObject *self = (AccessFormatObject *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->format = cv_access_format_new(json != 0);
    if (self->format == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    if (add_pieces(self->format, pieces) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void
access_format_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    cv_access_format_free(((AccessFormatObject *)op)->format);
    type->tp_free(op);
    Py_DECREF(type);
}

PyDoc_STRVAR(access_format_doc,
             "AccessFormat(pieces, *, json=False)\n--\n\n"
             "How a line of the access log looks: pairs of a piece's kind and its text (see cuvee.access_format).\n"
             "\n"
             "json: what clients send is escaped as in JSON strings.");

static PyType_Slot access_format_slots[] = {
    {Py_tp_doc, (void *)access_format_doc},
    {Py_tp_new, access_format_new},
    {Py_tp_dealloc, access_format_dealloc},
    {0, NULL},
};

static PyType_Spec access_format_spec = {
    .name = "cuvee._core.AccessFormat",
    .basicsize = sizeof(AccessFormatObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = access_format_slots,
};

int
cv_access_format_setup_type(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &access_format_spec, NULL);
    if (type == NULL) {
        return -1;
    }
    int rc = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return rc;
}

cv_access_format_t *
cv_access_format_from_object(PyObject *object)
{
    /* The type can't be subclassed, so who is freed by our function is ours. */
    bool is_ours = Py_TYPE(object)->tp_dealloc == access_format_dealloc;
    return is_ours ? ((AccessFormatObject *)object)->format : NULL;
}
