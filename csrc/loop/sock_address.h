/* SPDX-License-Identifier: MIT
 *
 * Socket addresses as Python's socket module shows and takes them.
 *
 * Thread:  any, with the GIL held.
 * Errors:  NULL with an exception set.
 */
#ifndef CUVEE_LOOP_SOCK_ADDRESS_H
#define CUVEE_LOOP_SOCK_ADDRESS_H

#include <Python.h>

#include <stdbool.h>
#include <sys/socket.h>

typedef struct {
    struct sockaddr_storage storage;
    socklen_t len;
} cv_sock_address_t;

/* True when cv_sock_address_object and cv_sock_address_parse know the family. */
bool cv_sock_address_is_known(int family);

/* (host, port) for IPv4, (host, port, flowinfo, scope_id) for IPv6, str or (abstract) bytes for Unix. */
PyObject *cv_sock_address_object(const cv_sock_address_t *address);

/* The other way round, for a socket of `family`. False, without an exception, for what only the socket module can tell
 * the meaning of: host names and scope names, numbers out of range, other families. True only for objects that nobody
 * can change. */
bool cv_sock_address_parse(int family, PyObject *object, cv_sock_address_t *out_address);

#endif
