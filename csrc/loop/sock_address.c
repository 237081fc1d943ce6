/* SPDX-License-Identifier: MIT */
#include "loop/sock_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

static PyObject *
ipv4_object(const struct sockaddr_in *address)
{
    char host[INET_ADDRSTRLEN];
    if (inet_ntop(AF_INET, &address->sin_addr, host, sizeof(host)) == NULL) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return Py_BuildValue("(si)", host, (int)ntohs(address->sin_port));
}

static PyObject *
ipv6_object(const struct sockaddr_in6 *address)
{
    char host[INET6_ADDRSTRLEN];
    if (inet_ntop(AF_INET6, &address->sin6_addr, host, sizeof(host)) == NULL) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return Py_BuildValue("(siII)", host, (int)ntohs(address->sin6_port), ntohl(address->sin6_flowinfo),
                         address->sin6_scope_id);
}

static PyObject *
unix_object(const struct sockaddr_un *address, socklen_t len)
{
    size_t path_len = len > offsetof(struct sockaddr_un, sun_path) ? len - offsetof(struct sockaddr_un, sun_path) : 0;
    if (path_len == 0) {
        return PyUnicode_FromStringAndSize(NULL, 0);
    }
    if (address->sun_path[0] == '\0') { /* Linux's abstract namespace: every byte counts */
        return PyBytes_FromStringAndSize(address->sun_path, (Py_ssize_t)path_len);
    }
    size_t used = 0; /* the kernel may or may not count the terminator */
    while (used < path_len && address->sun_path[used] != '\0') {
        used++;
    }
    return PyUnicode_DecodeFSDefaultAndSize(address->sun_path, (Py_ssize_t)used);
}

bool
cv_sock_address_is_known(int family)
{
    return family == AF_INET || family == AF_INET6 || family == AF_UNIX;
}

PyObject *
cv_sock_address_object(const cv_sock_address_t *address)
{
    switch (address->storage.ss_family) {
    case AF_INET:
        return ipv4_object((const struct sockaddr_in *)&address->storage);
    case AF_INET6:
        return ipv6_object((const struct sockaddr_in6 *)&address->storage);
    case AF_UNIX:
        return unix_object((const struct sockaddr_un *)&address->storage, address->len);
    default:
        PyErr_Format(PyExc_ValueError, "unknown address family %d", (int)address->storage.ss_family);
        return NULL;
    }
}

/* ---- from Python ------------------------------------------------------------------------------------------------ */

#define MOST_FLOWINFO 0xfffff

/* Reads `object`, which must be a plain int of at most `most`. */
static bool
read_number(PyObject *object, unsigned long most, unsigned long *out_number)
{
    if (!PyLong_CheckExact(object)) {
        return false;
    }
    *out_number = PyLong_AsUnsignedLong(object);
    if (PyErr_Occurred()) {
        PyErr_Clear();
        return false;
    }
    return *out_number <= most;
}

/* The host of a tuple of `least` to `most` items that begins with a plain str and a port, or NULL (borrowed). */
static const char *
read_host_and_port(PyObject *object, Py_ssize_t least, Py_ssize_t most, in_port_t *out_port)
{
    if (!PyTuple_CheckExact(object) || PyTuple_GET_SIZE(object) < least || PyTuple_GET_SIZE(object) > most) {
        return NULL;
    }
    unsigned long port;
    PyObject *host = PyTuple_GET_ITEM(object, 0);
    if (!PyUnicode_CheckExact(host) || !PyUnicode_IS_COMPACT_ASCII(host)
        || !read_number(PyTuple_GET_ITEM(object, 1), UINT16_MAX, &port)) {
        return NULL;
    }
    *out_port = htons((uint16_t)port);
    const char *text = PyUnicode_AsUTF8(host); /* which an ASCII string is itself */
    return strlen(text) == (size_t)PyUnicode_GET_LENGTH(host) ? text : NULL;
}

static bool
parse_ipv4(PyObject *object, cv_sock_address_t *out_address)
{
    struct sockaddr_in *address = (struct sockaddr_in *)&out_address->storage;
    const char *host = read_host_and_port(object, 2, 2, &address->sin_port);
    address->sin_family = AF_INET;
    out_address->len = sizeof(*address);
    return host != NULL && inet_pton(AF_INET, host, &address->sin_addr) == 1;
}

static bool
parse_ipv6(PyObject *object, cv_sock_address_t *out_address)
{
    struct sockaddr_in6 *address = (struct sockaddr_in6 *)&out_address->storage;
    const char *host = read_host_and_port(object, 2, 4, &address->sin6_port);
    if (host == NULL || inet_pton(AF_INET6, host, &address->sin6_addr) != 1) {
        return false;
    }
    unsigned long flowinfo = 0, scope_id = 0;
    Py_ssize_t count = PyTuple_GET_SIZE(object);
    if ((count > 2 && !read_number(PyTuple_GET_ITEM(object, 2), MOST_FLOWINFO, &flowinfo))
        || (count > 3 && !read_number(PyTuple_GET_ITEM(object, 3), UINT32_MAX, &scope_id))) {
        return false;
    }
    address->sin6_family = AF_INET6;
    address->sin6_flowinfo = htonl((uint32_t)flowinfo);
    address->sin6_scope_id = (uint32_t)scope_id;
    out_address->len = sizeof(*address);
    return true;
}

/* A path with a zero at its end; Linux's abstract names, which have none, are left to the socket module. */
static bool
parse_unix(PyObject *object, cv_sock_address_t *out_address)
{
    struct sockaddr_un *address = (struct sockaddr_un *)&out_address->storage;
    if (!PyUnicode_CheckExact(object)) {
        return false;
    }
    PyObject *path = PyUnicode_EncodeFSDefault(object);
    if (path == NULL) {
        PyErr_Clear();
        return false;
    }
    size_t len = (size_t)PyBytes_GET_SIZE(path);
    bool fits = len > 0 && len < sizeof(address->sun_path) && strlen(PyBytes_AS_STRING(path)) == len;
    if (fits) {
        address->sun_family = AF_UNIX;
        memcpy(address->sun_path, PyBytes_AS_STRING(path), len + 1);
        out_address->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    }
    Py_DECREF(path);
    return fits;
}

bool
cv_sock_address_parse(int family, PyObject *object, cv_sock_address_t *out_address)
{
    memset(&out_address->storage, 0, sizeof(out_address->storage));
    switch (family) {
    case AF_INET:
        return parse_ipv4(object, out_address);
    case AF_INET6:
        return parse_ipv6(object, out_address);
    case AF_UNIX:
        return parse_unix(object, out_address);
    default:
        return false;
    }
}
