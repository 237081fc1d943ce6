/* SPDX-License-Identifier: MIT */
#include "asgi/client.h"

#include <stdbool.h>

#include "asgi/peer.h"
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

static int
set_scheme(PyObject *scope, PyObject *key, cv_span_t scheme)
{
    PyObject *text = PyUnicode_DecodeASCII(scheme.data, (Py_ssize_t)scheme.len, NULL);
    int status = text == NULL ? -1 : PyDict_SetItem(scope, key, text);
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
    if (told.scheme.len != 0 && set_scheme(scope, service->state->names.scheme, told.scheme) < 0) {
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
    if (service->access != NULL) {
        exchange->client = client;
    } else {
        Py_DECREF(client);
    }
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
