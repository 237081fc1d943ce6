/* SPDX-License-Identifier: MIT */
#include "asgi/scope.h"

#include <string.h>

#include "asgi/access.h"
#include "asgi/client.h"
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
        {n->extensions, Py_None},
        {n->method, n->get},
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

/* Both forms of a path, root path included; new references. */
static int
make_path(cv_service_t *service, cv_span_t raw, cv_recent_path_t *out)
{
    out->path = decode_path(raw);
    out->raw_path = PyBytes_FromStringAndSize(raw.data, (Py_ssize_t)raw.len);
    if (out->path != NULL && out->raw_path != NULL && PyUnicode_GET_LENGTH(service->root_path) > 0) {
        Py_SETREF(out->path, PyUnicode_Concat(service->root_path, out->path));
        PyObject *prefixed = Py_NewRef(service->root_path_bytes);
        PyBytes_ConcatAndDel(&prefixed, out->raw_path);
        out->raw_path = prefixed;
    }
    if (out->path == NULL || out->raw_path == NULL) {
        Py_CLEAR(out->path);
        Py_CLEAR(out->raw_path);
        return -1;
    }
    return 0;
}

/* As make_path, from what recent requests left where it is there. */
static int
find_path(cv_service_t *service, cv_span_t raw, cv_recent_path_t *out)
{
    cv_recent_path_t *place = cv_recent_path(&service->recent, raw);
    if (place != NULL && cv_recent_path_is(place, raw, (size_t)PyBytes_GET_SIZE(service->root_path_bytes))) {
        *out = (cv_recent_path_t){Py_NewRef(place->path), Py_NewRef(place->raw_path)};
        return 0;
    }
    if (make_path(service, raw, out) < 0) {
        return -1;
    }
    if (place != NULL) {
        cv_recent_path_set(place, out->path, out->raw_path);
    }
    return 0;
}

static int
set_path(cv_service_t *service, PyObject *scope, const cv_h1_head_t *head, CycleObject *cycle)
{
    const cv_names_t *n = &service->state->names;
    cv_span_t raw = cv_h1_span(head, head->path, head->path_len);
    if (raw.len == 0) {
        raw = (cv_span_t){"/", 1}; /* RFC 9110 section 4.2.3: an empty path means "/" */
    }
    cv_recent_path_t found;
    if (find_path(service, raw, &found) < 0) {
        return -1;
    }
    if (service->access != NULL) {
        cycle->raw_path = Py_NewRef(found.raw_path);
    }
    if (set_steal(scope, n->path, found.path) < 0) {
        Py_DECREF(found.raw_path);
        return -1;
    }
    return set_steal(scope, n->raw_path, found.raw_path);
}

/* The template says GET already. */
static int
set_method(cv_service_t *service, PyObject *scope, const cv_h1_head_t *head, CycleObject *cycle)
{
    const cv_names_t *n = &service->state->names;
    PyObject *method = method_name(n, cv_h1_span(head, head->method, head->method_len));
    if (method == NULL) {
        return -1;
    }
    if (service->access != NULL) {
        cycle->method = Py_NewRef(method);
    }
    if (method == n->get) {
        Py_DECREF(method);
        return 0;
    }
    return set_steal(scope, n->method, method);
}

static int
set_target(cv_service_t *service, PyObject *scope, const cv_h1_head_t *head, CycleObject *cycle)
{
    if (set_method(service, scope, head, cycle) < 0 || set_path(service, scope, head, cycle) < 0) {
        return -1;
    }
    if (head->query_len == 0) {
        return 0;
    }
    PyObject *query = PyBytes_FromStringAndSize(head->base + head->query, (Py_ssize_t)head->query_len);
    if (query != NULL && service->access != NULL) {
        cycle->query = Py_NewRef(query);
    }
    return set_steal(scope, service->state->names.query_string, query);
}

/* The pair of a field whose name is not in the table of known ones. */
static PyObject *
make_unknown_field(const cv_h1_head_t *head, const cv_h1_field_t *field)
{
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
    PyObject *value = PyBytes_FromStringAndSize(head->base + field->value, (Py_ssize_t)field->value_len);
    PyObject *pair = value == NULL ? NULL : PyTuple_Pack(2, name, value);
    Py_DECREF(name);
    Py_XDECREF(value);
    return pair;
}

/* [(name, value), …] in wire order, duplicates kept. */
static PyObject *
build_headers(cv_service_t *service, const cv_h1_head_t *head)
{
    PyObject *const *names = service->state->field_names;
    PyObject *headers = PyList_New((Py_ssize_t)head->field_count);
    if (headers == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < head->field_count; i++) {
        const cv_h1_field_t *field = &head->fields[i];
        PyObject *pair = field->id == CV_FIELD_UNKNOWN
            ? make_unknown_field(head, field)
            : cv_recent_field(&service->recent, field->id, names[field->id],
                              cv_h1_span(head, field->value, field->value_len));
        if (pair == NULL) {
            Py_DECREF(headers);
            return NULL;
        }
        PyList_SET_ITEM(headers, (Py_ssize_t)i, pair);
    }
    return headers;
}

static int
set_headers(cv_service_t *service, PyObject *scope, const cv_h1_head_t *head, CycleObject *cycle)
{
    PyObject *headers = build_headers(service, head);
    if (headers != NULL && service->access_format != NULL && cv_access_begin(cycle, head, headers) < 0) {
        Py_CLEAR(headers);
    }
    return set_steal(scope, service->state->names.headers, headers);
}

/* Sets "server" unless the template has it already; from then on it does. */
static int
set_server(cv_service_t *service, PyObject *scope, cv_conn_t *conn)
{
    PyObject *key = service->state->names.server;
    PyObject *server = cv_peer_server(conn->app, conn->transport.fd, service->server_address);
    if (server == NULL) {
        return -1;
    }
    if (server == service->server_address) {
        return 0;
    }
    if (PyDict_SetItem(scope, key, server) < 0 || PyDict_SetItem(service->scope_template, key, server) < 0) {
        return -1;
    }
    Py_XSETREF(service->server_address, Py_NewRef(server));
    return 0;
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
        || set_steal(scope, n->asgi, cv_lent_take(&service->asgi)) < 0
        || set_server(service, scope, conn) < 0 || cv_client_set(service, scope, conn, head, &cycle->exchange) < 0
        || set_headers(service, scope, head, cycle) < 0
        || set_steal(scope, n->state, PyDict_Copy(service->lifespan_state)) < 0
        || set_steal(scope, n->extensions, cv_lent_take(cv_extensions_for(&service->extensions, head))) < 0
        || set_target(service, scope, head, cycle) < 0) {
        Py_DECREF(scope);
        return NULL;
    }
    return scope;
}
