/* SPDX-License-Identifier: MIT */
#include "server/server_proxies.h"

#include <errno.h>

static int
add_host(cv_trusted_t *trusted, PyObject *host)
{
    PyObject *bytes = NULL;
    if (!PyUnicode_FSConverter(host, &bytes)) {
        return -1;
    }
    cv_span_t entry = {PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)};
    int error = cv_trusted_add(trusted, entry);
    Py_DECREF(bytes);
    if (error == -EINVAL) {
        PyErr_Format(PyExc_ValueError, "%R is no network", host);
    } else if (error < 0) {
        PyErr_NoMemory();
    }
    return error < 0 ? -1 : 0;
}

static int
add_hosts(cv_trusted_t *trusted, PyObject *hosts)
{
    PyObject *all = PyObject_GetIter(hosts);
    PyObject *host;
    while (all != NULL && (host = PyIter_Next(all)) != NULL) {
        int status = add_host(trusted, host);
        Py_DECREF(host);
        if (status < 0) {
            break;
        }
    }
    Py_XDECREF(all);
    return PyErr_Occurred() ? -1 : 0;
}

static int
choose_fields(cv_service_t *service, PyObject *headers)
{
    if (headers == Py_None) {
        return 0;
    }
    service->reads_forwarded = true;
    if (!PyUnicode_Check(headers)) {
        PyErr_SetString(PyExc_TypeError, "forwarded_headers must be a str or None");
        return -1;
    }
    if (PyUnicode_CompareWithASCIIString(headers, "forwarded") == 0) {
        service->forwarded.is_rfc_7239 = true;
    } else if (PyUnicode_CompareWithASCIIString(headers, "x-forwarded") != 0) {
        PyErr_Format(PyExc_ValueError, "forwarded_headers must be x-forwarded, forwarded or None, not %R", headers);
        return -1;
    }
    return 0;
}

int
cv_server_proxies_set(cv_service_t *service, const cv_server_proxies_t *proxies)
{
    service->forwarded.trusted = &service->trusted;
    service->forwarded.hops = proxies->hops;
    service->proxy_protocol = proxies->protocol;
    if (proxies->trusted != NULL && add_hosts(&service->trusted, proxies->trusted) < 0) {
        return -1;
    }
    return choose_fields(service, proxies->headers);
}
