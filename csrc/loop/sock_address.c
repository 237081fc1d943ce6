/* SPDX-License-Identifier: MIT */
#include "loop/sock_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
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
cv_sock_address_is_known(const cv_sock_address_t *address)
{
    sa_family_t family = address->storage.ss_family;
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
