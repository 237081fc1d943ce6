/* SPDX-License-Identifier: MIT */
#include "asgi/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum { TEXT_SIZE = INET6_ADDRSTRLEN + 8 };

typedef enum { NOT_ASKED,
               IS_TRUSTED,
               IS_NOT_TRUSTED } trust_t;

struct cv_peer {
    PyObject *client; /* strong, NULL until asked for */
    PyObject *server; /* strong, NULL until asked for */
    uint8_t text_len;
    uint8_t trust;     /* trust_t */
    bool is_unix;      /* it connected to a Unix socket of ours */
    char text[TEXT_SIZE];
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address; /* sa_family is AF_UNSPEC for anything but an internet address */
};

/* Writes the numeric host and returns the port, or -1 when it is no internet address. */
static int
split_address(const struct sockaddr *address, char host[INET6_ADDRSTRLEN])
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
        inet_ntop(AF_INET, &v4->sin_addr, host, INET6_ADDRSTRLEN);
        return ntohs(v4->sin_port);
    }
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
        inet_ntop(AF_INET6, &v6->sin6_addr, host, INET6_ADDRSTRLEN);
        return ntohs(v6->sin6_port);
    }
    return -1;
}

cv_peer_t *
cv_peer_new(const struct sockaddr *address, socklen_t len)
{
    cv_peer_t *peer = calloc(1, sizeof *peer);
    if (peer == NULL) {
        return NULL;
    }
    peer->address.any.sa_family = AF_UNSPEC;
    peer->is_unix = len < sizeof address->sa_family || address->sa_family == AF_UNIX;
    if (len >= sizeof(struct sockaddr_in) && address->sa_family == AF_INET) {
        memcpy(&peer->address.v4, address, sizeof peer->address.v4);
    } else if (len >= sizeof(struct sockaddr_in6) && address->sa_family == AF_INET6) {
        memcpy(&peer->address.v6, address, sizeof peer->address.v6);
    }
    return peer;
}

void
cv_peer_stand_back(cv_peer_t *peer, const cv_preamble_t *preamble)
{
    if (preamble->kind == CV_PREAMBLE_OWN) {
        return;
    }
    Py_CLEAR(peer->client);
    peer->text_len = 0;
    peer->trust = NOT_ASKED;
    peer->is_unix = false;
    memset(&peer->address, 0, sizeof peer->address);
    peer->address.any.sa_family = AF_UNSPEC;
    if (preamble->kind == CV_PREAMBLE_IPV4) {
        peer->address.v4.sin_family = AF_INET;
        peer->address.v4.sin_port = htons(preamble->port);
        memcpy(&peer->address.v4.sin_addr, preamble->address, 4);
    } else if (preamble->kind == CV_PREAMBLE_IPV6) {
        peer->address.v6.sin6_family = AF_INET6;
        peer->address.v6.sin6_port = htons(preamble->port);
        memcpy(&peer->address.v6.sin6_addr, preamble->address, 16);
    }
}

/* The path of the Unix socket that `fd` was accepted from, in `storage`; an empty span for one that has none. */
static cv_span_t
socket_path(int fd, struct sockaddr_un *storage)
{
    socklen_t len = sizeof *storage;
    size_t offset = offsetof(struct sockaddr_un, sun_path);
    if (getsockname(fd, (struct sockaddr *)storage, &len) < 0 || storage->sun_family != AF_UNIX || len <= offset) {
        return (cv_span_t){0};
    }
    size_t most = len - offset < sizeof storage->sun_path ? len - offset : sizeof storage->sun_path;
    return (cv_span_t){storage->sun_path, strnlen(storage->sun_path, most)};
}

static bool
is_trusted(const cv_peer_t *peer, int fd, const cv_trusted_t *trusted)
{
    cv_address_t address;
    struct sockaddr_un storage;
    if (trusted->everyone) {
        return true;
    }
    switch (peer->address.any.sa_family) {
    case AF_INET:
        cv_address_from_ipv4(&address, &peer->address.v4.sin_addr);
        return cv_trusted_has_address(trusted, &address);
    case AF_INET6:
        memcpy(address.bytes, &peer->address.v6.sin6_addr, sizeof address.bytes);
        return cv_trusted_has_address(trusted, &address);
    default:
        return peer->is_unix && (trusted->unix_peers || cv_trusted_has_literal(trusted, socket_path(fd, &storage)));
    }
}

bool
cv_peer_is_trusted(cv_peer_t *peer, int fd, const cv_trusted_t *trusted)
{
    if (peer->trust == NOT_ASKED) {
        peer->trust = is_trusted(peer, fd, trusted) ? IS_TRUSTED : IS_NOT_TRUSTED;
    }
    return peer->trust == IS_TRUSTED;
}

void
cv_peer_free(cv_peer_t *peer)
{
    if (peer == NULL) {
        return;
    }
    Py_XDECREF(peer->client);
    Py_XDECREF(peer->server);
    free(peer);
}

/* New reference: (host, port), or None. */
static PyObject *
make_address(const struct sockaddr *address)
{
    char host[INET6_ADDRSTRLEN];
    int port = split_address(address, host);
    return port < 0 ? Py_NewRef(Py_None) : Py_BuildValue("(si)", host, port);
}

static PyObject *
make_server(int fd)
{
    struct sockaddr_storage storage;
    struct sockaddr *address = (struct sockaddr *)&storage;
    socklen_t len = sizeof storage;
    if (getsockname(fd, address, &len) < 0) {
        return Py_NewRef(Py_None);
    }
    if (address->sa_family == AF_UNIX) {
        const struct sockaddr_un *local = (const struct sockaddr_un *)address;
        size_t offset = offsetof(struct sockaddr_un, sun_path);
        size_t path_len = len > offset ? len - offset : 0;
        if (path_len > 0 && local->sun_path[0] != '\0') {
            path_len = strnlen(local->sun_path, path_len);
        }
        PyObject *path = PyUnicode_DecodeFSDefaultAndSize(local->sun_path, (Py_ssize_t)path_len);
        return path == NULL ? NULL : Py_BuildValue("(NO)", path, Py_None);
    }
    return make_address(address);
}

/* No collection may come in the middle: its finalizers could close the connection, whose end is its peer's. */
static void
end_pause(int collects)
{
    if (collects) {
        PyGC_Enable();
    }
}

PyObject *
cv_peer_client(cv_peer_t *peer)
{
    if (peer->client == NULL) {
        int collects = PyGC_Disable();
        peer->client = make_address(&peer->address.any);
        end_pause(collects);
    }
    return peer->client;
}

PyObject *
cv_peer_server(cv_peer_t *peer, int fd, PyObject *known)
{
    if (peer->server == NULL) {
        int collects = PyGC_Disable();
        peer->server = make_server(fd);
        if (peer->server != NULL && known != NULL && PyObject_RichCompareBool(peer->server, known, Py_EQ) == 1) {
            Py_SETREF(peer->server, Py_NewRef(known));
        }
        end_pause(collects);
    }
    return peer->server;
}

cv_span_t
cv_peer_text(cv_peer_t *peer)
{
    if (peer->text_len == 0) {
        char host[INET6_ADDRSTRLEN];
        int port = split_address(&peer->address.any, host);
        if (port >= 0) {
            peer->text_len = (uint8_t)snprintf(peer->text, TEXT_SIZE, "%s:%d", host, port);
        }
    }
    return (cv_span_t){peer->text, peer->text_len};
}
