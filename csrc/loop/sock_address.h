/* SPDX-License-Identifier: MIT
 *
 * Socket addresses as Python's socket module shows them.
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

/* True when cv_sock_address_object knows the family. */
bool cv_sock_address_is_known(const cv_sock_address_t *address);

/* (host, port) for IPv4, (host, port, flowinfo, scope_id) for IPv6, str or (abstract) bytes for Unix. */
PyObject *cv_sock_address_object(const cv_sock_address_t *address);

#endif
