/* SPDX-License-Identifier: MIT */
#include "loop/task_set.h"

#include <stdbool.h>

/* What the functions have of the WeakSet, as their `self`: `remove_reference` the first three. */
enum { DATA,
       PENDING,
       ITERATING,
       REMOVE,
       COMMIT_REMOVALS,
       NPARTS };

static const char *const part_names[NPARTS] = {"data", "_pending_removals", "_iterating", "_remove",
                                               "_commit_removals"};

/* WeakSet._remove(reference): the task has died. */
static PyObject *
remove_reference(PyObject *parts, PyObject *reference)
{
    int status = PySet_GET_SIZE(PyTuple_GET_ITEM(parts, ITERATING)) > 0
        ? PyList_Append(PyTuple_GET_ITEM(parts, PENDING), reference)
        : PySet_Discard(PyTuple_GET_ITEM(parts, DATA), reference);
    if (status < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* WeakSet.add(task) */
static PyObject *
add_task(PyObject *parts, PyObject *task)
{
    if (PyList_GET_SIZE(PyTuple_GET_ITEM(parts, PENDING)) > 0) {
        PyObject *done = PyObject_CallNoArgs(PyTuple_GET_ITEM(parts, COMMIT_REMOVALS));
        if (done == NULL) {
            return NULL;
        }
        Py_DECREF(done);
    }
    PyObject *reference = PyWeakref_NewRef(task, PyTuple_GET_ITEM(parts, REMOVE));
    if (reference == NULL) {
        return NULL;
    }
    int status = PySet_Add(PyTuple_GET_ITEM(parts, DATA), reference);
    Py_DECREF(reference);
    if (status < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef remove_def = {"_remove", remove_reference, METH_O, "Forget a task that has died."};
static PyMethodDef add_def = {"add", add_task, METH_O, "Add a task."};

/* A function with the first `count` of `parts` as its self (new reference). */
static PyObject *
make_function(PyMethodDef *def, PyObject *const *parts, Py_ssize_t count)
{
    PyObject *self = PyTuple_New(count);
    if (self == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyTuple_SET_ITEM(self, i, Py_NewRef(parts[i]));
    }
    PyObject *function = PyCFunction_New(def, self);
    Py_DECREF(self);
    return function;
}

/* The fields that are known, with a `_remove` that is still the WeakSet's own. */
static bool
are_known(PyObject *const *parts)
{
    return PySet_CheckExact(parts[DATA]) && PyList_CheckExact(parts[PENDING]) && PySet_CheckExact(parts[ITERATING])
        && PyFunction_Check(parts[REMOVE]);
}

static int
replace_methods(PyObject *tasks, PyObject **parts)
{
    for (int i = 0; i < NPARTS; i++) {
        if ((parts[i] = PyObject_GetAttrString(tasks, part_names[i])) == NULL) {
            return -1;
        }
    }
    if (!are_known(parts)) {
        return 0;
    }
    Py_SETREF(parts[REMOVE], make_function(&remove_def, parts, REMOVE));
    PyObject *add = parts[REMOVE] != NULL ? make_function(&add_def, parts, NPARTS) : NULL;
    int status = add != NULL ? PyObject_SetAttrString(tasks, part_names[REMOVE], parts[REMOVE]) : -1;
    status = status < 0 ? status : PyObject_SetAttrString(tasks, "add", add);
    Py_XDECREF(add);
    return status;
}

int
cv_task_set_quicken(PyObject *tasks)
{
    PyObject *parts[NPARTS] = {NULL};
    int status = replace_methods(tasks, parts);
    for (int i = 0; i < NPARTS; i++) {
        Py_XDECREF(parts[i]);
    }
    return status;
}
