/* SPDX-License-Identifier: MIT */
#include "py/state.h"

static int
intern_names(cv_names_t *names)
{
#define CV_INTERN_NAME(member, text)                          \
    if ((names->member = PyUnicode_InternFromString(text)) == NULL) { \
        return -1;                                            \
    }
    CV_NAMES(CV_INTERN_NAME)
#undef CV_INTERN_NAME
    return 0;
}

static int
make_field_names(cv_state_t *state)
{
    for (unsigned id = 1; id < CV_FIELD_COUNT; id++) {
        cv_span_t name = cv_field_name((uint8_t)id);
        if (name.len == 0) {
            continue;
        }
        state->field_names[id] = PyBytes_FromStringAndSize(name.data, (Py_ssize_t)name.len);
        if (state->field_names[id] == NULL) {
            return -1;
        }
    }
    return 0;
}

static int
make_constants(cv_state_t *state)
{
    const cv_names_t *names = &state->names;
    state->empty_bytes = PyBytes_FromStringAndSize("", 0);
    state->body_template = PyDict_New();
    if (state->empty_bytes == NULL || state->body_template == NULL
        || PyDict_SetItem(state->body_template, names->type, names->http_request) < 0
        || PyDict_SetItem(state->body_template, names->body, state->empty_bytes) < 0
        || PyDict_SetItem(state->body_template, names->more_body, Py_False) < 0) {
        return -1;
    }
    state->context_kwnames = PyTuple_Pack(1, names->context);
    state->msg_kwnames = PyTuple_Pack(1, names->msg);
    return state->context_kwnames == NULL || state->msg_kwnames == NULL ? -1 : 0;
}

/* The C function of an unbound method that takes no argument; NULL without an exception when it is none. */
static PyCFunction
no_argument_method(PyObject *type, PyObject *name)
{
    PyObject *method = PyObject_GetAttr(type, name);
    PyCFunction function = NULL;
    if (method == NULL) {
        PyErr_Clear();
    } else if (Py_IS_TYPE(method, &PyMethodDescr_Type)) {
        const PyMethodDef *definition = ((PyMethodDescrObject *)method)->d_method;
        function = definition->ml_flags == METH_NOARGS ? definition->ml_meth : NULL;
    }
    Py_XDECREF(method);
    return function;
}

static int
import_asyncio(cv_state_t *state)
{
    state->eager = PY_VERSION_HEX >= 0x030C0000;
    PyObject *tasks = PyImport_ImportModule("asyncio.tasks");
    if (tasks == NULL) {
        return -1;
    }
    state->task_type = PyObject_GetAttrString(tasks, "Task");
    Py_DECREF(tasks);
    if (state->task_type == NULL) {
        return -1;
    }
    state->task_done = no_argument_method(state->task_type, state->names.done);
    state->task_result = no_argument_method(state->task_type, state->names.result);
    return 0;
}

int
cv_state_init(cv_state_t *state)
{
    if (intern_names(&state->names) < 0 || make_field_names(state) < 0 || import_asyncio(state) < 0) {
        return -1;
    }
    return make_constants(state);
}

int
cv_state_traverse(cv_state_t *state, visitproc visit, void *arg)
{
    /* Names and bytes cannot be part of a reference cycle. */
    Py_VISIT(state->body_template);
    Py_VISIT(state->finished);
    Py_VISIT(state->client_disconnected);
    Py_VISIT(state->task_type);
    Py_VISIT(state->finished_type);
    Py_VISIT(state->pause_type);
    Py_VISIT(state->receive_type);
    Py_VISIT(state->send_type);
    Py_VISIT(state->wait_type);
    Py_VISIT(state->cycle_type);
    Py_VISIT(state->websocket_type);
    Py_VISIT(state->disconnect_type);
    Py_VISIT(state->connection_type);
    Py_VISIT(state->server_type);
    return 0;
}

void
cv_state_clear(cv_state_t *state)
{
    cv_free_list_close(&state->free_cycles);
    cv_free_list_close(&state->free_channels);
    cv_free_list_close(&state->free_waits);
#define CV_CLEAR_NAME(member, text) Py_CLEAR(state->names.member);
    CV_NAMES(CV_CLEAR_NAME)
#undef CV_CLEAR_NAME
    for (unsigned id = 0; id < CV_FIELD_COUNT; id++) {
        Py_CLEAR(state->field_names[id]);
    }
    Py_CLEAR(state->empty_bytes);
    Py_CLEAR(state->body_template);
    Py_CLEAR(state->finished);
    Py_CLEAR(state->context_kwnames);
    Py_CLEAR(state->msg_kwnames);
    Py_CLEAR(state->client_disconnected);
    Py_CLEAR(state->task_type);
    Py_CLEAR(state->finished_type);
    Py_CLEAR(state->pause_type);
    Py_CLEAR(state->receive_type);
    Py_CLEAR(state->send_type);
    Py_CLEAR(state->wait_type);
    Py_CLEAR(state->cycle_type);
    Py_CLEAR(state->websocket_type);
    Py_CLEAR(state->disconnect_type);
    Py_CLEAR(state->connection_type);
    Py_CLEAR(state->server_type);
}

int
cv_state_add_type(PyObject *module, PyTypeObject **slot, PyType_Spec *spec)
{
    *slot = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    if (*slot == NULL) {
        return -1;
    }
    return PyModule_AddType(module, *slot);
}
