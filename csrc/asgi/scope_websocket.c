/* SPDX-License-Identifier: MIT
 *
 * The scope of a WebSocket (ASGI WebSocket specification 2.4, "WebSocket Connection Scope").
 */
#include "asgi/client.h"
#include "asgi/scope.h"
#include "asgi/scope_parts.h"
#include "ws/ws_handshake.h"

PyObject *
cv_scope_make_websocket_template(cv_service_t *service)
{
    const cv_names_t *n = &service->state->names;
    /* As in the template of requests. */
    PyObject *const items[][2] = {
        {n->type, n->websocket},
        {n->asgi, Py_None},
        {n->http_version, n->http_1_1},
        {n->scheme, n->ws},
        {n->server, Py_None},
        {n->client, Py_None},
        {n->root_path, service->root_path},
        {n->path, Py_None},
        {n->raw_path, Py_None},
        {n->query_string, service->state->empty_bytes},
        {n->headers, Py_None},
        {n->subprotocols, Py_None},
        {n->state, Py_None},
        {n->extensions, Py_None},
    };
    PyObject *template = PyDict_New();
    for (size_t i = 0; template != NULL && i < sizeof items / sizeof items[0]; i++) {
        if (PyDict_SetItem(template, items[i][0], items[i][1]) < 0) {
            Py_CLEAR(template);
        }
    }
    return template;
}

/* Appends the names in one field. */
static int
append_subprotocols(PyObject *list, cv_span_t value)
{
    cv_span_t name;
    while (cv_ws_list_next(&value, &name)) {
        PyObject *text = PyUnicode_DecodeLatin1(name.data, (Py_ssize_t)name.len, NULL);
        int status = text == NULL ? -1 : PyList_Append(list, text);
        Py_XDECREF(text);
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

/* What the client offers, in its order (RFC 6455 section 11.3.4). New reference. */
static PyObject *
build_subprotocols(const cv_h1_head_t *head)
{
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list != NULL && i < head->field_count; i++) {
        const cv_h1_field_t *field = &head->fields[i];
        if (field->id == CV_FIELD_SEC_WEBSOCKET_PROTOCOL
            && append_subprotocols(list, cv_h1_span(head, field->value, field->value_len)) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

static int
set_target(cv_service_t *service, PyObject *scope, const cv_h1_head_t *head, WebSocketObject *websocket)
{
    const cv_names_t *n = &service->state->names;
    cv_recent_path_t found;
    if (cv_scope_find_path(service, head, &found) < 0) {
        return -1;
    }
    websocket->raw_path = Py_NewRef(found.raw_path);
    if (cv_scope_set(scope, n->path, found.path) < 0) {
        Py_DECREF(found.raw_path);
        return -1;
    }
    if (cv_scope_set(scope, n->raw_path, found.raw_path) < 0) {
        return -1;
    }
    if (head->query_len == 0) {
        return 0;
    }
    websocket->query = PyBytes_FromStringAndSize(head->base + head->query, (Py_ssize_t)head->query_len);
    return cv_scope_set(scope, n->query_string, Py_XNewRef(websocket->query));
}

PyObject *
cv_scope_build_websocket(cv_service_t *service, cv_conn_t *conn, const cv_h1_head_t *head, WebSocketObject *websocket)
{
    const cv_names_t *n = &service->state->names;
    PyObject *scope = PyDict_Copy(service->websocket_template);
    if (scope == NULL) {
        return NULL;
    }
    if (cv_scope_set(scope, n->asgi, cv_lent_take(&service->websocket_asgi)) < 0
        || cv_scope_set_server(service, service->websocket_template, scope, conn) < 0
        || cv_client_set(service, scope, conn, head, &websocket->exchange) < 0
        || set_target(service, scope, head, websocket) < 0
        || cv_scope_set(scope, n->headers, cv_scope_build_headers(service, head)) < 0
        || cv_scope_set(scope, n->subprotocols, build_subprotocols(head)) < 0
        || cv_scope_set(scope, n->state, PyDict_Copy(service->lifespan_state)) < 0
        || cv_scope_set(scope, n->extensions, cv_lent_take(&service->extensions.websocket)) < 0) {
        Py_DECREF(scope);
        return NULL;
    }
    return scope;
}
