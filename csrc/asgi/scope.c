/* SPDX-License-Identifier: MIT */
#include "asgi/scope.h"

#include <string.h>

#include "asgi/peer.h"
#include "http/target.h"

PyObject *
cv_scope_make_template(cv_service_t *service)
{
    const cv_names_t *n = &service->state->names;
    /* Keys whose value differs per request are there already, so that a copy never grows. */
    PyObject *const items[][2] = {
        {n->type, n->http},
        {n->asgi, Py_None},
        {n->http_version, n->http_1_1},
        {n->server, Py_None},
        {n->client, Py_None},
        {n->scheme, n->http},
        {n->root_path, service->root_path},
        {n->headers, Py_None},
        {n->state, Py_None},
        {n->method, Py_None},
        {n->path, Py_None},
        {n->raw_path, Py_None},
        {n->query_string, service->state->empty_bytes},
    };
    PyObject *template = PyDict_New();
    for (size_t i = 0; template != NULL && i < sizeof items / sizeof items[0]; i++) {
        if (PyDict_SetItem(template, items[i][0], items[i][1]) < 0) {
            Py_CLEAR(template);
        }
    }
    return template;
}

/* Sets a key to a new reference, which it takes over; NULL passes the error on. */
static int
set_steal(PyObject *dict, PyObject *key, PyObject *value)
{
    if (value == NULL) {
        return -1;
    }
    int r = PyDict_SetItem(dict, key, value);
    Py_DECREF(value);
    return r;
}

static PyObject *
method_name(const cv_names_t *n, cv_span_t token)
{
    PyObject *const known[] = {n->get, n->post, n->head, n->put, n->delete_, n->options, n->patch};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if ((size_t)PyUnicode_GET_LENGTH(known[i]) == token.len
            && memcmp(PyUnicode_1BYTE_DATA(known[i]), token.data, token.len) == 0) {
            return Py_NewRef(known[i]);
        }
    }
    return PyUnicode_DecodeASCII(token.data, (Py_ssize_t)token.len, NULL);
}

static PyObject *
ascii_string(const char *data, size_t len)
{
    PyObject *text = PyUnicode_New((Py_ssize_t)len, 127);
    if (text != NULL) {
        memcpy(PyUnicode_1BYTE_DATA(text), data, len);
    }
    return text;
}

/* The path with %XX decoded, as text: UTF-8, what is none of it replaced. */
static PyObject *
decode_path(cv_span_t raw)
{
    if (cv_target_is_plain(raw.data, raw.len)) {
        return ascii_string(raw.data, raw.len);
    }
    char *decoded = PyMem_Malloc(raw.len);
    if (decoded == NULL) {
        return PyErr_NoMemory();
    }
    size_t len = cv_target_decode(raw.data, raw.len, decoded);
    PyObject *path = PyUnicode_DecodeUTF8(decoded, (Py_ssize_t)len, "replace");
    PyMem_Free(decoded);
    return path;
}

static int
set_path(cv_service_t *service, PyObject *scope, const cv_h1_head_t *head, CycleObject *cycle)
{
    const cv_names_t *n = &service->state->names;
    cv_span_t raw = cv_h1_span(head, head->path, head->path_len);
    if (raw.len == 0) {
        raw = (cv_span_t){"/", 1}; /* RFC 9110 section 4.2.3: an empty path means "/" */
    }
    PyObject *path = decode_path(raw);
    PyObject *raw_path = PyBytes_FromStringAndSize(raw.data, (Py_ssize_t)raw.len);
    if (path != NULL && raw_path != NULL && PyUnicode_GET_LENGTH(service->root_path) > 0) {
        PyObject *joined = PyUnicode_Concat(service->root_path, path);
        Py_SETREF(path, joined);
        PyObject *prefixed = Py_NewRef(service->root_path_bytes);
        PyBytes_ConcatAndDel(&prefixed, raw_path);
        raw_path = prefixed;
    }
    if (path == NULL || raw_path == NULL) {
        Py_XDECREF(path);
        Py_XDECREF(raw_path);
        return -1;
    }
    if (service->access != NULL) {
        cycle->raw_path = Py_NewRef(raw_path);
    }
    if (set_steal(scope, n->path, path) < 0) {
        Py_DECREF(raw_path);
        return -1;
    }
    return set_steal(scope, n->raw_path, raw_path);
}

static int
set_target(cv_service_t *service, PyObject *scope, const cv_h1_head_t *head, CycleObject *cycle)
{
    const cv_names_t *n = &service->state->names;
    PyObject *method = method_name(n, cv_h1_span(head, head->method, head->method_len));
    if (method != NULL && service->access != NULL) {
        cycle->method = Py_NewRef(method);
    }
    if (set_steal(scope, n->method, method) < 0 || set_path(service, scope, head, cycle) < 0) {
        return -1;
    }
    if (head->query_len == 0) {
        return 0;
    }
    PyObject *query = PyBytes_FromStringAndSize(head->base + head->query, (Py_ssize_t)head->query_len);
    if (query != NULL && service->access != NULL) {
        cycle->query = Py_NewRef(query);
    }
    return set_steal(scope, n->query_string, query);
}

static PyObject *
field_name(cv_state_t *state, const cv_h1_head_t *head, const cv_h1_field_t *field)
{
    if (field->id != CV_FIELD_UNKNOWN) {
        return Py_NewRef(state->field_names[field->id]);
    }
    PyObject *name = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)field->name_len);
    if (name == NULL) {
        return NULL;
    }
    const char *from = head->base + field->name;
    char *to = PyBytes_AS_STRING(name);
    for (uint32_t i = 0; i < field->name_len; i++) {
        char c = from[i];
        to[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    return name;
}

/* [(name, value), …] in wire order, duplicates kept. */
static PyObject *
build_headers(cv_state_t *state, const cv_h1_head_t *head)
{
    PyObject *headers = PyList_New((Py_ssize_t)head->field_count);
    if (headers == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < head->field_count; i++) {
        const cv_h1_field_t *field = &head->fields[i];
        PyObject *pair = PyTuple_New(2);
        PyObject *name = field_name(state, head, field);
        PyObject *value = PyBytes_FromStringAndSize(head->base + field->value, (Py_ssize_t)field->value_len);
        if (pair == NULL || name == NULL || value == NULL) {
            Py_XDECREF(pair);
            Py_XDECREF(name);
            Py_XDECREF(value);
            Py_DECREF(headers);
            return NULL;
        }
        PyTuple_SET_ITEM(pair, 0, name);
        PyTuple_SET_ITEM(pair, 1, value);
        PyList_SET_ITEM(headers, (Py_ssize_t)i, pair);
    }
    return headers;
}

static int
set_ends(cv_service_t *service, PyObject *scope, cv_conn_t *conn)
{
    const cv_names_t *n = &service->state->names;
    cv_peer_t *peer = conn->app;
    PyObject *server = cv_peer_server(peer, conn->transport.fd);
    PyObject *client = cv_peer_client(peer);
    if (server == NULL || client == NULL) {
        return -1;
    }
    return PyDict_SetItem(scope, n->server, server) < 0 ? -1 : PyDict_SetItem(scope, n->client, client);
}

PyObject *
cv_scope_build(cv_service_t *service, cv_conn_t *conn, const cv_h1_head_t *head, CycleObject *cycle)
{
    const cv_names_t *n = &service->state->names;
    PyObject *scope = PyDict_Copy(service->scope_template);
    if (scope == NULL) {
        return NULL;
    }
    if ((head->minor == 0 && PyDict_SetItem(scope, n->http_version, n->http_1_0) < 0)
        || set_steal(scope, n->asgi, PyDict_Copy(service->asgi)) < 0
        || set_ends(service, scope, conn) < 0
        || set_steal(scope, n->headers, build_headers(service->state, head)) < 0
        || set_steal(scope, n->state, PyDict_Copy(service->lifespan_state)) < 0
        || set_target(service, scope, head, cycle) < 0) {
        Py_DECREF(scope);
        return NULL;
    }
    return scope;
}
