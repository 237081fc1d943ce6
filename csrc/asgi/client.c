/* SPDX-License-Identifier: MIT */
#include "asgi/client.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "asgi/peer.h"
#include "asgi/websocket.h"
#include "http/field_names.h"
#include "http/forwarded.h"

/* True when there is something to read: nearly no request of a client of ours has such a field. */
static bool
has_fields(const cv_h1_head_t *head)
{
    for (uint32_t i = 0; i < head->field_count; i++) {
        uint8_t id = head->fields[i].id;
        if (id == CV_FIELD_X_FORWARDED_FOR || id == CV_FIELD_X_FORWARDED_PROTO || id == CV_FIELD_FORWARDED) {
            return true;
        }
    }
    return false;
}

/* A proxy may name the scheme of its own request, http, or that of the WebSocket that it carries. */
static PyObject *
websocket_scheme(const cv_names_t *names, cv_span_t scheme)
{
    bool is_secure = scheme.len > 0 && scheme.data[scheme.len - 1] == 's' && scheme.len != 2; /* https, wss */
    return is_secure ? names->wss : names->ws;
}

static int
set_scheme(const ExchangeObject *exchange, PyObject *scope, cv_span_t scheme)
{
    const cv_names_t *names = &exchange->service->state->names;
    if (exchange->kind == &cv_websocket_kind) {
        return PyDict_SetItem(scope, names->scheme, websocket_scheme(names, scheme));
    }
    PyObject *text = PyUnicode_DecodeASCII(scheme.data, (Py_ssize_t)scheme.len, NULL);
    int status = text == NULL ? -1 : PyDict_SetItem(scope, names->scheme, text);
    Py_XDECREF(text);
    return status;
}

/* (host, port). New reference. */
static PyObject *
make_client(const cv_forwarded_t *told)
{
    PyObject *host = PyUnicode_DecodeLatin1(told->host.data, (Py_ssize_t)told->host.len, NULL);
    PyObject *client = host == NULL ? NULL : Py_BuildValue("(OI)", host, (unsigned)told->port);
    Py_XDECREF(host);
    return client;
}

/* 1: the client is set; 0: nobody told of one. */
static int
set_told(cv_service_t *service, PyObject *scope, const cv_h1_head_t *head, ExchangeObject *exchange)
{
    cv_forwarded_t told;
    cv_forwarded_read(head, &service->forwarded, &told);
    if (told.scheme.len != 0 && set_scheme(exchange, scope, told.scheme) < 0) {
        return -1;
    }
    if (told.host.len == 0) {
        return 0;
    }
    PyObject *client = make_client(&told);
    if (client == NULL || PyDict_SetItem(scope, service->state->names.client, client) < 0) {
        Py_XDECREF(client);
        return -1;
    }
    exchange->client = client;
    return 1;
}

int
cv_client_set(cv_service_t *service, PyObject *scope, cv_conn_t *conn, const cv_h1_head_t *head,
              ExchangeObject *exchange)
{
    if (service->reads_forwarded && has_fields(head)
        && cv_peer_is_trusted(conn->app, conn->transport.fd, &service->trusted)) {
        int status = set_told(service, scope, head, exchange);
        if (status != 0) {
            return status < 0 ? -1 : 0;
        }
    }
    PyObject *client = cv_peer_client(conn->app);
    return client == NULL ? -1 : PyDict_SetItem(scope, service->state->names.client, client);
}

cv_span_t
cv_client_text(const ExchangeObject *exchange, char room[CV_CLIENT_TEXT])
{
    if (exchange->client == NULL) {
        return cv_peer_text(exchange->conn->app);
    }
    PyObject *host = PyTuple_GET_ITEM(exchange->client, 0);
    size_t len = (size_t)PyUnicode_GET_LENGTH(host);
    memcpy(room, PyUnicode_1BYTE_DATA(host), len);
    len += (size_t)snprintf(room + len, CV_CLIENT_TEXT - len, ":%ld",
                            PyLong_AsLong(PyTuple_GET_ITEM(exchange->client, 1)));
    return (cv_span_t){room, len};
}
